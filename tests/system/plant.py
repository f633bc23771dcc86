"""The whole plant as processes: simulator, edge, collector, rules, console, on the settings that the demo uses."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.example import Example, write
from deploy.processes import Program, gridcall
from tests.services import PASSWORD, free_port

LOGIN, CONSOLE_PASSWORD = "operator", "a-long-enough-password"


def wait_until(true: Callable[[], Any], what: str, *, limit_s: float = 30.0, every_s: float = 0.05) -> Any:
    """The first true answer. Fails with `what` after `limit_s`."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if answer := true():
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {limit_s} s: {what}")


@contextlib.contextmanager
def logged_in(address: str, name: str, password: str) -> Iterator[httpx.Client]:
    """A browser without a window, past the login."""
    with httpx.Client(base_url=address, timeout=10, headers={"Accept-Language": "en"}) as client:
        token = re.search(r'name="token"\s+value="([^"]+)"', client.get("/login").text)
        assert token, "the login form carries a token"
        answer = client.post(
            "/login", data={"name": name, "password": password, "token": token[1]}, headers={"Origin": address}
        )
        assert answer.status_code == 303, answer.text
        yield client


@dataclass
class Plant:
    """Programs by name: collector, rules, console, block, edge. Each can be started, stopped and killed alone."""

    folder: Path
    example: Example
    scenario: str
    programs: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write(self.example, self.folder)
        (self.folder / "console-password").write_text(CONSOLE_PASSWORD + "\n")
        block = ("simulate", "run", "block.toml", "--scenario", self.scenario, "--record", "truth.jsonl")
        commands = {
            "collector": ("collector", "run", "collector.toml"),
            "rules": ("rules", "run", "rules.toml"),
            "console": ("console", "run", "console.toml"),
            "block": block,
            "edge": ("edge", "run", "edge.toml"),
        }
        for name, words in commands.items():
            self.programs[name] = Program(name, gridcall(*words), self.folder, self.folder / "logs" / f"{name}.log")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.example.console_port}"

    def run(self, *words: str) -> None:
        """One command to its end."""
        once = Program("once", gridcall(*words), self.folder, self.folder / "logs" / "once.log")
        once.start()
        assert once.process is not None
        assert once.process.wait(60) == 0, once.log.read_text()

    def add_account(self) -> None:
        self.run("console", "user", "add", "console.toml", LOGIN, "--password-file", "console-password")

    def start(self, *names: str) -> None:
        for name in names or self.programs:
            self.programs[name].start()
        if "console" in names or not names:
            wait_until(self._pages_answer, f"pages answer; {self.words('console')}")

    def kill(self, name: str) -> None:
        process = self.programs[name].process
        assert process is not None
        process.kill()
        process.wait()

    def stop(self, *names: str) -> None:
        for name in names or reversed(list(self.programs)):
            self.programs[name].stop()

    def words(self, name: str) -> str:
        """The end of a program's log, for a failing test."""
        log = self.programs[name].log
        return log.read_text(errors="replace")[-3000:] if log.exists() else "(no log)"

    def truth(self) -> list[dict[str, Any]]:
        """The simulator's own record: readings served, and marks."""
        path = self.folder / "truth.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def served(self) -> dict[tuple[str, str], list[Any]]:
        """Every value served, in order, by (device, channel)."""
        values: dict[tuple[str, str], list[Any]] = {}
        for line in self.truth():
            if "value" in line:
                values.setdefault((line["device"], line["channel"]), []).append(line["value"])
        return values

    def outbox_pending(self) -> int:
        """Packs that the edge still keeps."""
        with contextlib.closing(sqlite3.connect(f"file:{self.outbox()}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM packs").fetchone()[0])

    def outbox(self) -> Path:
        return self.folder / "edge" / "outbox.sqlite"

    def client(self) -> contextlib.AbstractContextManager[httpx.Client]:
        return logged_in(self.address, LOGIN, CONSOLE_PASSWORD)

    def _pages_answer(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.address}/healthz", timeout=1).status_code == 200
        assert self.programs["console"].running, self.words("console")
        return False


@contextlib.contextmanager
def plant(
    folder: Path, *, broker_port: int, scenario: str, store: str = "sqlite:history.db", baudrate: int = 9600
) -> Iterator[Plant]:
    """Settings and processes in `folder`; whatever runs at the end is stopped."""
    example = Example(
        password=PASSWORD,
        broker_port=broker_port,
        uplink_port=free_port(),
        console_port=free_port(),
        collector_port=free_port(),
        store=store,
        line=str(folder / "rs485-1"),
        baudrate=baudrate,
    )
    folder.mkdir(parents=True, exist_ok=True)
    block = Plant(folder, example, scenario)
    try:
        yield block
    finally:
        block.stop()
        if keep := os.environ.get("GRIDCALL_KEEP"):
            shutil.copytree(folder, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("rs485*"))
            print(f"kept in {keep}", file=sys.stderr)
