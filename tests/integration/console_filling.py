"""A real console for tests: `gridcall console run` as a process on a free port, over a block that the test fills."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import programs
from tests.console.block import PASSWORD, Block, settings
from tests.services import Service, free_port

NAME = "陈秀英"


class ConsoleProcess(Service):
    """`gridcall` with the words of `command`."""

    def begin(self) -> subprocess.Popen[bytes]:
        return programs.start(*self.command, log=self.log)


@dataclass
class Console:
    """The process, and the block behind it, whose engine beats until told otherwise."""

    block: Block
    service: Service
    beating: threading.Event

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    def stop_the_engine(self) -> None:
        self.beating.clear()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _service(block: Block, name: str, more: str = "") -> ConsoleProcess:
    port = free_port()
    path = settings(block.folder, port, block.address, name)
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    return ConsoleProcess(["console", "run", str(path)], port, block.folder / f"{name}.log")


@contextlib.contextmanager
def console(folder: Path, more: str = "", database: str = "sqlite:///rules.db") -> Iterator[Console]:
    """`more`: further lines of its settings."""
    block = Block(folder, now_ms(), address=database)
    service = _service(block, "console", more)
    block.accounts.add(NAME, PASSWORD)
    block.put_edge("pi-1")
    block.beat()
    beating, over = threading.Event(), threading.Event()
    beating.set()

    def engine() -> None:
        while not over.wait(0.5):
            if beating.is_set():
                block.now_ms = now_ms()
                block.beat()
                block.hear("pi-1")  # which is silent after two minutes: a file of tests may take longer

    thread = threading.Thread(target=engine)
    service.start()
    thread.start()
    try:
        yield Console(block, service, beating)
    finally:
        over.set()
        thread.join()
        service.stop()
        block.store.close()
        block.database.close()


@contextlib.contextmanager
def second_console(beside: Console) -> Iterator[Service]:
    """One more process over the same database, accounts and photos."""
    service = _service(beside.block, "second")
    service.start()
    try:
        yield service
    finally:
        service.stop()
