"""A user at a terminal of 80 columns and 24 lines: a program on a real pseudo-terminal, what it shows, what is typed."""

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests.services import ROOT

SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class User:
    """Sits before the program."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._came = b""

    @property
    def raw(self) -> str:
        """All that the program wrote so far."""
        return self._came.decode(errors="replace")

    def types(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def sees(self, words: str, *, after: int = 0, limit_s: float = 40) -> int:
        """Where, in what was shown from `after` on without its colours, `words` end."""
        until = time.monotonic() + limit_s
        while True:
            shown = SEQUENCES.sub("", self.raw)
            if (at := shown.find(words, after)) >= 0:
                return at + len(words)
            assert time.monotonic() < until, f"{words!r} is not in {shown[after:]!r}"
            self._hear(0.1)

    def ends(self, limit_s: float = 40) -> tuple[int, str]:
        until = time.monotonic() + limit_s
        while self.process.poll() is None:
            assert time.monotonic() < until, self.raw
            self._hear(0.1)
        self._hear(0.1)
        return self.process.returncode, SEQUENCES.sub("", self.raw)

    def hangs_up(self) -> None:
        """His connection breaks."""
        os.close(self._terminal)
        self._terminal = -1

    def _hear(self, limit_s: float) -> None:
        while self._terminal >= 0 and select.select([self._terminal], [], [], limit_s)[0]:
            try:
                self._came += os.read(self._terminal, 65536)
            except OSError:  # the other end is closed
                return


@contextlib.contextmanager
def at_a_terminal(*words: str, language: str = "en_US.UTF-8", columns: int = 80, **more: str) -> Iterator[User]:
    """`gridcall edge` with these words. It has the terminal for its own, so that hanging up reaches it."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.pty_user", os.ttyname(theirs), *words],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "LANG": language, "LC_ALL": "", **more},
    )
    os.close(theirs)
    user = User(process, ours)
    try:
        yield user
    finally:
        process.kill()
        process.wait()
        if user._terminal >= 0:
            user.hangs_up()


if __name__ == "__main__":
    # the first terminal that the leader of a session opens becomes its own
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)
    program = str(Path(ROOT) / "gridcall.py")
    os.execv(sys.executable, [sys.executable, program, "edge", *sys.argv[2:]])
