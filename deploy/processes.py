"""Child programs that never outlive their parent, and that come back when they fall.

Each child is a session of its own, so that Ctrl-C reaches only the parent, which then stops the children in order;
if the parent is killed outright, the kernel ends them (PR_SET_PDEATHSIG, prctl(2)).
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Program:
    """One child and how to start it again. Its output goes to `log`, or to a pipe when `heard` is set."""

    name: str
    command: Sequence[str]
    folder: Path
    log: Path
    heard: bool = False
    process: subprocess.Popen[str] | None = field(default=None, init=False)
    falls: int = field(default=0, init=False)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own programs)
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.heard else log,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 (one thread only at this point)
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, *, limit_s: float = 5.0) -> None:
        """Ask; after `limit_s` insist."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"


def gridcall(*words: str) -> list[str]:
    """The command that runs a program of this very installation."""
    return [sys.executable, "-m", "gridcall", *words]


def _die_with(parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return before_exec
