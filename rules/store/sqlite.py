"""What is SQLite's own: its file, its pragmas, its one writer, its damage."""

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, DBAPIError, InvalidatePoolError, OperationalError

from messages.language import Unfit
from rules.store.connection import engine

BUSY_TIMEOUT_MS = 5000
"""How long a writer waits for another one: far longer than any transaction of ours."""


def connect(url: URL, *, follow: bool, migrates: bool) -> Engine:
    """`migrates`: foreign keys are not enforced, since a table is altered by making it anew."""
    made = engine(url, max_overflow=-1)
    event.listen(made, "connect", partial(_open, not migrates))
    if follow:
        path = url.database or ""
        event.listen(made, "connect", partial(_note_file, path))
        event.listen(made, "checkout", partial(_same_file, path))
    return made


def prepared(connection: Connection, *, write: bool) -> Connection:
    del write
    return connection


def begin(connection: Connection, *, write: bool) -> None:
    connection.execute(text("BEGIN IMMEDIATE" if write else "BEGIN"))


def verdict(error: DBAPIError, *, write: bool) -> Literal["away", "damaged"] | None:
    """None: our own statement is wrong."""
    del write
    if type(error) not in (DatabaseError, OperationalError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number says more than we need
    return "damaged" if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else "away"


def located(url: URL, folder: Path) -> URL:
    """Its relative path resolved against `folder`. Raises ValueError."""
    if not url.database or url.database == ":memory:":
        raise Unfit("a database in memory forgets every alarm: name a file")
    path = folder / url.database
    if not path.parent.is_dir():
        raise Unfit("no such folder: {folder}", folder=path.parent)
    return url.set(database=str(path))


def set_aside(url: str, now_ms: int) -> Path:
    """Rename a damaged database, so that a new one can begin and a person can look at the old one. Its new place."""
    path = Path(make_url(url).database or "")
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    path.rename(aside)
    for more in ("-wal", "-shm"):
        if (file := path.with_name(path.name + more)).exists():
            file.rename(aside.with_name(aside.name + more))
    return aside


def _open(foreign_keys: bool, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits on power loss
    connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")


def _note_file(path: str, _connection: Any, record: Any) -> None:
    record.info["file"] = _file(path)


def _same_file(path: str, _connection: Any, record: Any, _proxy: Any) -> None:
    """A connection whose file has been replaced would show the old one for ever. A file that is merely gone has no
    successor yet; to connect would put an empty one in its place."""
    if (found := _file(path)) is not None and found != record.info["file"]:
        raise InvalidatePoolError(f"{path} is another file now")


def _file(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
