"""The outbox on its own thread, since a commit waits for the disk, which on a Pi may take tens of milliseconds.

What the operator must mend ends the start (ConfigError): no file can be made there, another agent has it. A damaged
file does not, neither at the start nor later: it is set aside under another name, that is said, and a new stream
begins. Every other trouble may pass, as a full disk does: it is said once, and whoever called waits.
"""

import asyncio
import fcntl
import os
import random
import sqlite3
import string
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import structlog

from edge.outbox import Ledger, Outbox, Row
from edge.report import Reported, Urgency
from messages.ids import EdgeId, StreamId
from messages.receipt import Receipt
from messages.settings import ConfigError

FILE = "outbox.sqlite"
MOST_SET_ASIDE = 3
"""Damaged files that are kept for whoever wants to look into them."""
RETRY_S = 1.0
_PARTS = ("", "-wal", "-shm")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORBIDDEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}

log = structlog.get_logger("outbox")

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """`async with Disk(folder, …) as disk`: the same words as `Outbox`, awaited."""

    def __init__(self, folder: Path, edge: EdgeId, limit_bytes: int, clock_ms: Callable[[], int]) -> None:
        self._folder = folder
        self._edge = edge
        self._limit_bytes = limit_bytes
        self._clock_ms = clock_ms
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._lock: int
        self._refuses = False
        self._outbox: Outbox

    async def __aenter__(self) -> Self:
        self._take_folder()
        await self._patiently(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    @property
    def stream(self) -> StreamId:
        return self._outbox.stream

    async def add(self, reported: Sequence[Reported]) -> int:
        return await self._do(Outbox.add, reported, self._clock_ms())

    async def waiting(
        self, urgency: Urgency, *, since_ms: int, before_ms: int, but: Sequence[int], most: int
    ) -> list[Row]:
        return await self._do(Outbox.waiting, urgency, since_ms=since_ms, before_ms=before_ms, but=but, most=most)

    async def numbered(self, numbers: Sequence[int]) -> list[Row]:
        return await self._do(Outbox.numbered, numbers)

    async def settle(self, receipts: Sequence[Receipt]) -> None:
        return await self._do(Outbox.settle, receipts)

    async def ledger(self) -> Ledger:
        return await self._do(Outbox.ledger)

    async def _do(self, call: Callable[Concatenate[Outbox, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def on_thread() -> T:
            try:
                return call(self._outbox, *args, **kwargs)
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGED:
                    raise
                self._outbox.close()
                self._open_anew(error)
                return call(self._outbox, *args, **kwargs)

        return await self._patiently(on_thread)

    async def _patiently(self, call: Callable[[], T]) -> T:
        while True:
            try:
                result = await asyncio.get_running_loop().run_in_executor(self._thread, call)
            except sqlite3.OperationalError as error:
                if not self._refuses:
                    log.error("disk refuses; readings wait", why=str(error))
                self._refuses = True
                await asyncio.sleep(RETRY_S)
            else:
                if self._refuses:
                    log.info("disk is back")
                self._refuses = False
                return result

    def _take_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{self._folder}: another edge agent uses this folder") from error
        except OSError as error:
            raise ConfigError(f"{self._folder}: no outbox can be kept here: {error.strerror}") from error

    def _open(self) -> None:
        try:
            self._outbox = self._opened()
        except sqlite3.DatabaseError as error:
            if _code(error) in _FORBIDDEN:
                raise ConfigError(f"{self._folder / FILE}: no outbox can be kept here: {error}") from error
            if _code(error) not in _DAMAGED:
                raise
            self._open_anew(error)

    def _opened(self) -> Outbox:
        return Outbox(self._folder / FILE, self._edge, self._limit_bytes, new_stream)

    def _open_anew(self, why: sqlite3.DatabaseError) -> None:
        aside = f"{FILE}.damaged-{self._clock_ms()}"
        for part in _PARTS:
            if (path := self._folder / f"{FILE}{part}").exists():
                path.rename(self._folder / f"{aside}{part}")
        kept = sorted(path for path in self._folder.glob(f"{FILE}.damaged-*") if not path.name.endswith(_PARTS[1:]))
        for old in kept[:-MOST_SET_ASIDE]:
            for part in _PARTS:
                old.with_name(old.name + part).unlink(missing_ok=True)
        self._outbox = self._opened()
        log.error("outbox is damaged, set aside; a new stream begins", why=str(why), aside=aside, stream=self.stream)

    def _close(self) -> None:
        self._outbox.close()
        os.close(self._lock)


def _code(error: sqlite3.Error) -> int:
    """The primary result code; what `Outbox` itself calls damage has none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def new_stream() -> StreamId:
    """A name that no other stream of this edge has had."""
    return StreamId("".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=12)))
