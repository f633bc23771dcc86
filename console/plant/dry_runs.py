"""Rules tried over what is stored, each try in a process of its own: one at a time, bounded in time, memory and output.

What was tried is kept in memory alone, the last few of them. A pasted text lies in a folder of its own meanwhile, and goes with it.
"""

import json
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from messages.language import Language

KEPT = 8
MOST_S = 180.0
MOST_DAYS = 92
MOST_TEXT = 200_000
MOST_COMPLAINT = 1000

State = Literal["running", "done", "failed", "too_long", "stopped"]


class Busy(Exception):
    """Another one is under way."""


@dataclass(slots=True)
class DryRun:
    """One try, as it stands."""

    id: str
    actor: str
    kind: str
    days: int
    sites: tuple[str, ...]
    text: str | None
    """The changed rules; None: those in use alone."""
    began_ms: int
    state: State = "running"
    share: float = 0.0
    readings: int = 0
    why: str = ""
    """A word of ours for what went wrong: `rules.why_<word>` of the pages' texts."""
    complaint: Mapping[Language, str] = field(default_factory=dict)
    """What is wrong with the rules or the settings, in each language."""
    result: Mapping[str, Any] = field(default_factory=dict)


class DryRuns:
    """Any thread may ask. `close` before the end."""

    def __init__(self, config: Path, most_s: float = MOST_S) -> None:
        self._config = config
        self._most_s = most_s
        self._lock = threading.Lock()
        self._runs: dict[str, DryRun] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self, run: DryRun) -> None:
        """Raises Busy."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise Busy
            while len(self._runs) >= KEPT:
                del self._runs[next(iter(self._runs))]
            self._runs[run.id] = run
            self._thread = threading.Thread(target=self._work, args=(run,), name="dry run", daemon=True)
            self._thread.start()

    def find(self, run_id: str) -> DryRun | None:
        return self._runs.get(run_id)

    def runs(self) -> list[DryRun]:
        """The latest first."""
        return list(reversed(self._runs.values()))

    def stop(self, run: DryRun) -> None:
        self._end(run, "stopped")

    def close(self) -> None:
        for run in self.runs():
            self._end(run, "stopped")
        if self._thread is not None:
            self._thread.join(5)

    def _end(self, run: DryRun, state: State) -> None:
        with self._lock:
            if run.state == "running":
                run.state = state
                if self._process is not None:
                    self._process.kill()

    def _work(self, run: DryRun) -> None:
        with tempfile.TemporaryDirectory(prefix="gridcall-dry-run-") as folder:
            command = [sys.executable, "-m", "rules.backtest.bounded", str(self._config), run.kind]
            command += ["--days", str(run.days), "--until-ms", str(run.began_ms)]
            command += [word for site in run.sites for word in ("--site", site)]
            if run.text is not None:
                file = Path(folder) / f"{run.kind}.toml"
                file.write_text(run.text, encoding="utf-8")
                command += ["--rule", str(file)]
            with subprocess.Popen(  # noqa: S603 (our own module; what a person wrote is a file, or a known site)
                command,
                cwd=Path(str(files("rules"))).parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                with self._lock:
                    self._process = process
                    if run.state != "running":
                        process.kill()
                timer = threading.Timer(self._most_s, self._end, (run, "too_long"))
                timer.start()
                try:
                    self._listen(run, process, folder)
                finally:
                    timer.cancel()
                    process.kill()
            with self._lock:
                self._process = None
                if run.state == "running":
                    run.state = "failed"
                    run.why = run.why or ("" if run.complaint else "ended")

    def _listen(self, run: DryRun, process: subprocess.Popen[bytes], folder: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if "result" in said:
                with self._lock:
                    run.result = said["result"]
                    if run.state == "running":
                        run.state = "done"
            elif "said" in said:
                run.complaint = {
                    language: str(words).replace(f"{folder}/", "")[:MOST_COMPLAINT]
                    for language, words in said["said"].items()
                }
            elif "error" in said:
                run.why = str(said["error"])
            else:
                run.share, run.readings = said["share"], said["count"]


def new_id() -> str:
    return secrets.token_hex(6)
