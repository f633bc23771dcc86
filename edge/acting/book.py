"""What was told, done and announced, on disk: each command's id with its last word, how each reflex stands, which devices.

One SQLite file beside the outbox. A command's id is in it before its device is told, so that neither a broker that
delivers twice nor a power cut carries it out twice. Ids are forgotten a day after their command expired. A damaged file is
set aside and a new one begun, whenever it shows: it says so, since an old command might then be taken for new. A book that
could not be opened is tried again whenever it is wanted.

Its methods block, so they run on a thread of its own, one at a time and in order: `await book.do(Book.entry, id)`. They
raise sqlite3.Error or OSError where the disk refuses, also for want of an open file: the edge runs on without a book.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import structlog

from messages.command import Command, Outcome, Result
from messages.ids import DeviceId

FILE = "acting.sqlite"
KEPT_MS = 24 * 3600 * 1000
INTERRUPTED = "the edge was stopped while the device was told; it may have been done"

_TABLES = """
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    content TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,
    sent INTEGER NOT NULL,
    keep_until_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS announced (device TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reflexes (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger("acting")


@dataclass(frozen=True, slots=True)
class Entry:
    """One command and the last word on it."""

    device: DeviceId
    command: Command
    result: Result


class Book:
    """`async with Book(folder, clock_ms) as book`."""

    def __init__(self, folder: Path, clock_ms: Callable[[], int]) -> None:
        self._path = folder / FILE
        self._clock_ms = clock_ms
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="book")

    async def __aenter__(self) -> Self:
        try:
            await self.do(Book.open)
        except (sqlite3.Error, OSError) as error:
            log.error("no book can be kept: commands are refused, reflexes act from memory", why=str(error))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.do(Book.close)
        self._thread.shutdown()

    async def do(self, call: Callable[Concatenate["Book", P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._on_thread(lambda: call(self, *args, **kwargs))
        )

    def fail_interrupted(self) -> None:
        """Commands that were under way when the edge stopped, or turned to another configuration, have failed."""
        now_ms = self._clock_ms()
        with self._open_db as db:
            db.execute("DELETE FROM commands WHERE keep_until_ms < ?", (now_ms,))
            db.execute(
                "UPDATE commands SET outcome = ?, at_ms = ?, detail = ?, sent = 0 WHERE outcome = ?",
                (Outcome.FAILED, now_ms, INTERRUPTED, Outcome.ACCEPTED),
            )

    def open(self) -> None:
        """Commands that were under way when the edge stopped are failed from now on."""
        try:
            self._db = self._opened()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._set_aside(error)
            self._db = self._opened()
        self.fail_interrupted()

    def _on_thread(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except sqlite3.DatabaseError as error:
            if self._db is None or getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            self.close()
            self._set_aside(error)
            return call()

    def _set_aside(self, why: sqlite3.DatabaseError) -> None:
        aside = self._path.with_name(f"{FILE}.damaged-{self._clock_ms()}")
        for part in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(FILE + part).rename(aside.with_name(aside.name + part))
        log.error(
            "book of commands is damaged, set aside; a repeated command would be new", why=str(why), aside=aside.name
        )

    def close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None

    def entry(self, command_id: str) -> Entry | None:
        row = self._open_db.execute(
            "SELECT device, content, outcome, at_ms, detail FROM commands WHERE id = ?", (command_id,)
        ).fetchone()
        return _entry(command_id, row) if row else None

    def write(self, device: DeviceId, command: Command, result: Result) -> None:
        """Durable when it returns. A later word takes the place of an earlier one."""
        with self._open_db as db:
            db.execute("DELETE FROM commands WHERE keep_until_ms < ?", (result.at_ms,))
            keep_until_ms = max(command.expires_at_ms, result.at_ms) + KEPT_MS
            db.execute(
                "INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                (
                    command.id,
                    device,
                    command.model_dump_json(),
                    result.outcome,
                    result.at_ms,
                    result.detail,
                    keep_until_ms,
                ),
            )

    def unsent(self) -> list[Entry]:
        """Last words that no broker has yet, oldest first."""
        rows = self._open_db.execute(
            "SELECT id, device, content, outcome, at_ms, detail FROM commands WHERE NOT sent ORDER BY at_ms"
        ).fetchall()
        return [_entry(command_id, row) for command_id, *row in rows]

    def is_sent(self, result: Result) -> None:
        """A broker has this word; if there is a later one by now, that still has to go."""
        with self._open_db as db:
            db.execute("UPDATE commands SET sent = 1 WHERE id = ? AND outcome = ?", (result.id, result.outcome))

    def reflexes(self) -> dict[str, str]:
        """The states that `keep` was given, by reflex."""
        return dict(self._open_db.execute("SELECT id, state FROM reflexes").fetchall())

    def keep(self, reflex: str, state: str) -> None:
        with self._open_db as db:
            db.execute("INSERT OR REPLACE INTO reflexes VALUES (?, ?)", (reflex, state))

    def former(self, devices: Iterable[DeviceId]) -> list[DeviceId]:
        """Those that were announced at some time and are none of `devices`, which are noted as announced."""
        now = set(devices)
        with self._open_db as db:
            known = {DeviceId(device) for (device,) in db.execute("SELECT device FROM announced")}
            db.executemany("INSERT INTO announced VALUES (?)", [(device,) for device in sorted(now - known)])
        return sorted(known - now)

    def forget(self, device: DeviceId) -> None:
        """It is withdrawn."""
        with self._open_db as db:
            db.execute("DELETE FROM announced WHERE device = ?", (device,))

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            self.open()
            log.info("a book of commands is kept again")
        assert self._db
        return self._db

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(verdict)
            db.executescript(_TABLES)
        except BaseException:
            db.close()
            raise
        return db


def _entry(command_id: str, row: list[object] | tuple[object, ...]) -> Entry:
    device, content, outcome, at_ms, detail = row
    return Entry(
        DeviceId(str(device)),
        Command.model_validate_json(str(content)),
        Result(id=command_id, outcome=Outcome(str(outcome)), at_ms=int(str(at_ms)), detail=str(detail)),
    )
