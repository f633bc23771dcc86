"""One SQLite file as the collector uses it: write-ahead log, every commit on the disk, errors in the store's words.

Readers in other processes never wait for the writer, and the writer never for them. The file is opened at the
first use and opened again after an error, so that a disk that was away may come back.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from collector.stores.base import StoreAway, StoreRefused

BUSY_TIMEOUT_S = 5.0
_OF_THE_CONTENT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError)
"""What the rows themselves cause. Every other error of SQLite is the disk's, the file's or a lock's."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SqliteFile:
    """A database file with a fixed schema. One thread at a time.

    `replaceable`: what it holds is worth less than going on. When it is damaged it is set aside under another name and
    the next use makes a new one.
    """

    def __init__(self, path: Path, schema: str, *, replaceable: bool = False) -> None:
        self.path = path
        self._schema = schema
        self._replaceable = replaceable
        self._connection: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when the block ends. Makes the file. Raises StoreAway or StoreRefused."""
        with self._in_our_words():
            connection = self._opened("rwc")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For queries. Raises StoreAway, also if nobody has made the file yet."""
        with self._in_our_words():
            yield self._opened("rw")

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _opened(self, mode: str) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode={mode}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                if mode == "rwc":
                    connection.executescript(f"BEGIN IMMEDIATE; {self._schema} COMMIT;")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except _OF_THE_CONTENT as error:
            raise StoreRefused(f"{self.path}: {error}") from error
        except sqlite3.Error as error:
            self.close()
            if self._replaceable and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise StoreAway(f"{self.path}: {error}; set aside as {self._set_aside()}, a new one begins") from error
            raise StoreAway(f"{self.path}: {error}") from error

    def _set_aside(self) -> str:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return aside.name
