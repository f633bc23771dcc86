"""The rules' database: transactions over its tables (rules.store.tables). SQLite; the types are PostgreSQL's too.

It holds the truth: whatever leaves the process was committed here before. The engine and the console open it from
processes of their own; a writer holds the write lock from its first read, so what it decided still holds when it
writes. What the rows mean is `rules.store.rows`' affair; who may change what, `rules.desk`'s and `rules.store.facts`'.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, create_engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DatabaseError, InvalidatePoolError, OperationalError

from messages.settings import ConfigError
from rules.store.tables import counters, metadata

SCHEMA = 6
BUSY_TIMEOUT_MS = 5000
"""How long a writer waits for another one: far longer than any transaction of ours."""


class DatabaseAway(Exception):
    """The database can't be reached or is locked: wait and do the same again."""


class DatabaseDamaged(DatabaseAway):
    """What is there is no database, or no whole one. A start begins a new one; while running, it is away."""


class Database:
    """Connections to one database, from any thread. Raises DatabaseAway when it can't be opened, and ConfigError
    when what is there was made by another version.

    `follow`: when another file takes its place, go on with that one. For who keeps nothing of it in memory.
    """

    def __init__(self, url: str, *, follow: bool = False) -> None:
        self._engine = create_engine(
            url,
            max_overflow=-1,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        event.listen(self._engine, "connect", _open)
        event.listen(self._engine, "begin", _begin)
        if follow:
            path = make_url(url).database or ""
            event.listen(self._engine, "connect", partial(_note_file, path))
            event.listen(self._engine, "checkout", partial(_same_file, path))
        with self.writing() as connection:
            metadata.create_all(connection)
            if (found := connection.scalar(select(counters.c.value).where(counters.c.name == "schema"))) is None:
                names = {"schema": SCHEMA, "life": secrets.randbits(62), "log": 0, "published": 0}
                connection.execute(insert(counters), [{"name": name, "value": value} for name, value in names.items()])
            elif found != SCHEMA:
                raise ConfigError(f"database {self._engine.url!r}: has schema {found}, this software needs {SCHEMA}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing, and nobody else writes meanwhile. Committed when the block ends without an exception."""
        with self._transaction(write=True) as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(gridcall_write=write)
                with connection.begin():
                    yield connection
        except DatabaseError as error:
            if type(error) not in (DatabaseError, OperationalError):
                raise  # our own statement is wrong
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number says more than we need
            kind = DatabaseDamaged if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else DatabaseAway
            if kind is DatabaseDamaged:
                self._engine.dispose()  # the next connection is to whatever lies there then
            raise kind(f"{self._engine.url!r}: {error.orig}") from error


def located(url: str, folder: Path) -> str:
    """`url` with a relative path resolved against `folder`. Raises ValueError for what is no usable address."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError('an address such as "sqlite:///rules.db" is wanted') from error
    if parsed.drivername != "sqlite":
        raise ValueError(f"only sqlite:/// is supported so far, not {parsed.drivername}")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("a database in memory forgets every alarm: name a file")
    path = folder / parsed.database
    if not path.parent.is_dir():
        raise ValueError(f"no such folder: {path.parent}")
    return str(parsed.set(database=str(path)))


def set_aside(url: str, now_ms: int) -> Path:
    """Rename a damaged database, so that a new one can begin and a person can look at the old one. Its new place."""
    path = Path(make_url(url).database or "")
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    path.rename(aside)
    for more in ("-wal", "-shm"):
        if (file := path.with_name(path.name + more)).exists():
            file.rename(aside.with_name(aside.name + more))
    return aside


def next_seqs(connection: Connection, count: int) -> range:
    """The next `count` numbers of the log. Holding the counter's row keeps their order that of the commits."""
    log_counter = counters.c.name == "log"
    connection.execute(update(counters).where(log_counter).values(value=counters.c.value + count))
    last = connection.scalar(select(counters.c.value).where(log_counter))
    assert last is not None
    return range(last - count + 1, last + 1)


def counter(database: Database, name: str) -> int:
    with database.reading() as connection:
        return connection.scalar(select(counters.c.value).where(counters.c.name == name)) or 0


def set_counter(database: Database, name: str, value: int) -> None:
    with database.writing() as connection:
        connection.execute(update(counters).where(counters.c.name == name).values(value=value))


def _open(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits on power loss
    connection.execute("PRAGMA foreign_keys = ON")


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


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("gridcall_write", True)
    connection.execute(text("BEGIN IMMEDIATE" if write else "BEGIN"))
