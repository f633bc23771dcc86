"""The outbox on its own thread, since a commit waits for the disk, which on a Pi may take tens of milliseconds.

What the operator must mend ends the start (ConfigError): no file may be made there, another agent has it. A damaged
file does not, neither at the start nor later: it is set aside under another name, that is said, and a new stream
begins. Every other trouble may pass, as a full disk does and one that can only be read: it is said once, `refuses` is
true, and whoever called waits. That goes for the start too: what the disk refuses then is opened when it is back.

It need not come to that: before a disk is full, whoever fills it, the outbox grows no more (`Outbox.add`).
"""

import asyncio
import errno
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

from edge.keeping.ledger import Ledger
from edge.keeping.outbox import Outbox, Row
from edge.link.window import PackKey
from edge.report import Reported, Urgency
from messages.ids import EdgeId, StreamId
from messages.language import why
from messages.receipt import Receipt
from messages.settings import ConfigError

FILE = "outbox.sqlite"
MOST_SET_ASIDE = 3
"""Damaged files that are kept for whoever wants to look into them."""
RESERVE_BYTES, RESERVE_SHARE = 48 * 1024 * 1024, 0.25
"""A disk with less room than both is short. The first holds what the outbox may still grow by, its log, and what others write."""
RETRY_S = 1.0
SETTLED_S = 2.0
"""What receipts let go waits so long for the next pack, to be written together with it."""
_PARTS = ("", "-wal", "-shm")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORBIDDEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_OPERATORS = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}

log = structlog.get_logger("outbox")

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """`async with Disk(folder, …) as disk`: the same words as `Outbox`, awaited."""

    def __init__(
        self,
        folder: Path,
        edge: EdgeId,
        limit_bytes: int,
        clock_ms: Callable[[], int],
        *,
        true_ms: Callable[[], int | None] = lambda: 0,
        boot: str = "",
    ) -> None:
        """`true_ms`: what is to be added to the time since the boot, None while the clock guesses. `boot` names that boot."""
        self._folder = folder
        self._edge = edge
        self._limit_bytes = limit_bytes
        self._clock_ms = clock_ms
        self._true_ms = true_ms
        self._boot = boot
        self._settling: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._lock: int | None = None
        self._outbox: Outbox | None = None
        self.refuses = False
        """Whether what was last to be written could not be."""
        self._short = False

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except (sqlite3.OperationalError, OSError) as error:
            self._refused(error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settling:
            self._settling.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    @property
    def stream(self) -> StreamId | None:
        """That of new packs; None while the outbox could not be opened yet."""
        return self._outbox.stream if self._outbox else None

    @property
    def newest_ms(self) -> int:
        """When the newest pack of earlier runs was made; 0 if that isn't known."""
        return self._outbox.newest_ms if self._outbox else 0

    @property
    def clock_was_trusted(self) -> bool:
        """Whether the file says that the time has been known since the machine was switched on."""
        return self._outbox is not None and self._outbox.clock_was_trusted

    @property
    def set_aside(self) -> list[str]:
        """The names of the damaged files that wait for whoever wants to look into them, the newest last."""
        return sorted(
            path.name for path in self._folder.glob(f"{FILE}.damaged-*") if not path.name.endswith(_PARTS[1:])
        )

    def limit_to(self, limit_bytes: int) -> None:
        """From the next pack on."""
        self._limit_bytes = limit_bytes
        if self._outbox:
            self._outbox.limit_bytes = limit_bytes

    async def add(self, reported: Sequence[Reported], lost: int = 0, refused: Callable[[], None] | None = None) -> int:
        """`refused` is called once if these readings have to wait for the disk."""
        now_ms, now_s = self._clock_ms(), asyncio.get_running_loop().time()
        return await self._patiently(
            lambda: self._on_thread(
                Outbox.add,
                reported,
                now_ms,
                now_s,
                lost=lost,
                clock_ms=self._true_ms(),
                disk_is_short=self._is_short(),
            ),
            refused,
        )

    async def waiting(
        self,
        urgency: Urgency,
        *,
        since_s: float | None = None,
        before_s: float | None = None,
        but: Sequence[PackKey] = (),
        most: int,
    ) -> list[Row]:
        """Seconds are the event loop's."""
        return await self._do(Outbox.waiting, urgency, since_s=since_s, before_s=before_s, but=but, most=most)

    async def named(self, keys: Sequence[PackKey]) -> list[Row]:
        return await self._do(Outbox.named, keys)

    async def settle(self, receipts: Sequence[Receipt]) -> None:
        await self._patiently(lambda: self._on_thread(Outbox.settle, receipts))
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._commit_soon())

    async def correct(self) -> None:
        """Move all guessed times that can still be moved. The clock is trusted by now."""
        true_ms = self._true_ms()
        assert true_ms is not None
        while await self._patiently(lambda: self._on_thread(Outbox.correct, true_ms)):
            pass

    @property
    def guesses(self) -> bool:
        """Whether packs may hold guessed times that can still be moved."""
        return self._outbox is not None and self._outbox.guesses

    def let_go(self) -> None:
        """Guessed times leave as they are from now on: nobody comes to put them right."""
        if self._outbox:
            self._outbox.holds = False

    async def ledger(self) -> Ledger:
        return await self._do(Outbox.ledger)

    async def _commit_soon(self) -> None:
        await asyncio.sleep(SETTLED_S)
        await self._patiently(lambda: self._on_thread(Outbox.commit))

    async def _do(self, call: Callable[Concatenate[Outbox, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """For what only reads: that it can says nothing of a disk that is full."""
        return await self._patiently(lambda: self._on_thread(call, *args, **kwargs), writes=False)

    def _on_thread(self, call: Callable[Concatenate[Outbox, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        outbox = self._outbox or self._open()
        try:
            return call(outbox, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            if _code(error) not in _DAMAGED:
                raise
            outbox.close()
            return call(self._open_anew(error), *args, **kwargs)

    async def _patiently(
        self, call: Callable[[], T], refused: Callable[[], None] | None = None, *, writes: bool = True
    ) -> T:
        while True:
            try:
                result = await asyncio.get_running_loop().run_in_executor(self._thread, call)
            except (sqlite3.OperationalError, OSError) as error:
                self._refused(error)
                if refused:
                    refused()
                    refused = None
                await asyncio.sleep(RETRY_S)
            else:
                if self.refuses and writes:
                    log.info("disk is back")
                    self.refuses = False
                return result

    def _refused(self, error: Exception) -> None:
        if not self.refuses:
            log.error("disk refuses; readings wait in memory, alarms leave without a number", why=str(error))
        self.refuses = True

    def _open(self) -> Outbox:
        """Raises ConfigError, or what may pass."""
        try:
            self._take_folder()
            self._outbox = self._opened()
        except BlockingIOError as error:
            raise ConfigError("{folder}: another edge agent uses this folder", folder=self._folder) from error
        except OSError as error:
            if error.errno not in _OPERATORS:
                raise
            raise ConfigError(
                "{folder}: no outbox can be kept here: {why}", folder=self._folder, why=why(error)
            ) from error
        except sqlite3.DatabaseError as error:
            if _code(error) in _FORBIDDEN and self._is_forbidden():
                file = self._folder / FILE
                raise ConfigError("{folder}: no outbox can be kept here: {why}", folder=file, why=why(error)) from error
            if _code(error) not in _DAMAGED:
                raise
            return self._open_anew(error)
        return self._outbox

    def _is_short(self) -> bool:
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return False  # what is wrong is said by whoever opens a file there
        free_bytes = found.f_bavail * found.f_frsize
        short = free_bytes < min(RESERVE_BYTES, found.f_blocks * found.f_frsize * RESERVE_SHARE)
        if short != self._short:
            self._short = short
            if short:
                log.warning("disk is nearly full; from now on the oldest periodic readings give way", free=free_bytes)
            else:
                log.info("disk has room again", free=free_bytes)
        return short

    def _take_folder(self) -> None:
        if self._lock is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _is_forbidden(self) -> bool:
        """Whether it is a permission that is missing, and not a disk that nobody can write on just now."""
        if os.statvfs(self._folder).f_flag & os.ST_RDONLY:
            return False
        paths = [self._folder, *(path for part in _PARTS if (path := self._folder / f"{FILE}{part}").exists())]
        return any(not os.access(path, os.R_OK | os.W_OK) for path in paths) or (self._folder / FILE).is_dir()

    def _opened(self) -> Outbox:
        return Outbox(self._folder / FILE, self._edge, self._limit_bytes, new_stream, self._boot)

    def _open_anew(self, why: sqlite3.DatabaseError) -> Outbox:
        self._outbox = None
        aside = f"{FILE}.damaged-{self._clock_ms()}"
        for part in _PARTS:
            if (path := self._folder / f"{FILE}{part}").exists():
                path.rename(self._folder / f"{aside}{part}")
        kept = sorted(path for path in self._folder.glob(f"{FILE}.damaged-*") if not path.name.endswith(_PARTS[1:]))
        for old in kept[: -1 if self._is_short() else -MOST_SET_ASIDE]:
            for part in _PARTS:
                old.with_name(old.name + part).unlink(missing_ok=True)
        self._outbox = self._opened()
        log.error("outbox is damaged, set aside; a new stream begins", why=str(why), aside=aside, stream=self.stream)
        return self._outbox

    def _close(self) -> None:
        if self._outbox:
            self._outbox.close()
        if self._lock is not None:
            os.close(self._lock)


def _code(error: sqlite3.Error) -> int:
    """The primary result code; what `Outbox` itself calls damage has none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def new_stream() -> StreamId:
    """A name that no other stream of this edge has had."""
    return StreamId("".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=12)))
