"""The rules' database: transactions over its tables (rules.store.tables), in SQLite or PostgreSQL.

It holds the truth: whatever leaves the process was committed here before. The engines and the console open it from
processes of their own; one writes at a time, from its first read on, so what it decided still holds when it
writes. What the rows mean is `rules.store.rows`' affair; who may change what, `rules.desk`'s and `rules.store.facts`'.
"""

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, cast

from sqlalchemy import URL, Connection, Engine, bindparam, make_url, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from messages.language import Phrase, Unfit
from messages.settings import ConfigError
from rules.store import migration
from rules.store.tables import counters

TURN_S = 5.0
"""How long a thread waits for another one of this process: as long as for another process."""

_COUNT_ON = (
    update(counters)
    .where(counters.c.name == "log")
    .values(value=counters.c.value + bindparam("more"))
    .returning(counters.c.value)
)


class Overtaken(Exception):
    """Somebody else has come first: nothing is wrong with what was to be written, but it isn't ours to write."""


class DatabaseAway(Exception):
    """The database can't be reached or is locked: wait and do the same again."""


class DatabaseDamaged(DatabaseAway):
    """What is there is no database, or no whole one. A start begins a new one; while running, it is away."""


class Dialect(Protocol):
    """What differs between the databases: a module each."""

    def connect(self, url: URL, *, follow: bool, migrates: bool) -> Engine: ...
    def prepared(self, connection: Connection, *, write: bool) -> Connection: ...
    def begin(self, connection: Connection, *, write: bool) -> None: ...
    def verdict(self, error: DBAPIError, *, write: bool) -> Literal["away", "damaged"] | None: ...
    def located(self, url: URL, folder: Path) -> URL: ...


DIALECTS = {"sqlite": "rules.store.sqlite", "postgresql+psycopg": "rules.store.postgresql"}
"""Their modules, loaded when they are needed: psycopg takes longer to load than all of the store."""


class Database:
    """Connections to one database, from any thread, with the tables of this software. Raises DatabaseAway when it
    can't be opened, and ConfigError when what is there was made by a newer version, or one too old.

    `follow`: when another file takes its place, go on with that one. For who keeps nothing of it in memory.
    """

    def __init__(self, url: str, *, follow: bool = False) -> None:
        self._url = make_url(url)
        self._dialect = dialect(self._url)
        self._writer = threading.Lock()
        self._engine = self._dialect.connect(self._url, follow=follow, migrates=False)
        try:
            self._bring_up_to_date()
        except ConfigError as error:
            self.close()
            raise ConfigError("{url}: {why}", url=Phrase(repr(self._url)), why=error.phrase) from error
        except DatabaseAway:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._transaction(self._engine, write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing, and nobody else writes meanwhile. Committed when the block ends without an exception."""
        with self._turn(), self._transaction(self._engine, write=True) as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite's writers try again and again, at ever longer intervals: our own threads take turns before they ask it."""
        if not self._writer.acquire(timeout=TURN_S):
            raise DatabaseAway(f"{self._url!r}: another thread of ours is writing")
        try:
            yield
        finally:
            self._writer.release()

    def refuses(self, error: Exception) -> bool:
        """Whether what was to be written can't be, now or later; else the database is away, and the same may be done again."""
        return _refuses(self._dialect, error)

    def close(self) -> None:
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        with self.reading() as connection:
            if migration.revision(connection) == migration.HEAD:
                return
        engine = self._dialect.connect(self._url, follow=False, migrates=True)
        try:
            with self._transaction(engine, write=True) as connection:
                migration.upgrade(connection)
        finally:
            engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine, *, write: bool) -> Iterator[Connection]:
        try:
            with engine.connect() as plain:
                connection = self._dialect.prepared(plain, write=write)
                with connection.begin():
                    self._dialect.begin(connection, write=write)
                    yield connection
        except PoolExhausted as error:
            raise DatabaseAway(f"{self._url!r}: {error}") from error
        except DBAPIError as error:
            verdict = self._dialect.verdict(error, write=write)
            if verdict is None:
                raise
            if verdict == "damaged":
                self._engine.dispose()  # the next connection is to whatever lies there then
                raise DatabaseDamaged(f"{self._url!r}: {error.orig}") from error
            raise DatabaseAway(f"{self._url!r}: {error.orig}") from error


def refuses(connection: Connection, error: Exception) -> bool:
    """The same of a transaction that goes on, within which a part has failed in a savepoint of its own."""
    return _refuses(dialect(connection.engine.url), error)


def _refuses(dialect: Dialect, error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return dialect.verdict(error, write=True) is None
    return not isinstance(error, DatabaseAway | PoolExhausted | Overtaken)


def dialect(url: URL) -> Dialect:
    """Its own ways."""
    return cast(Dialect, importlib.import_module(DIALECTS[url.drivername]))


def is_there(url: str) -> bool:
    """Whether there is a database to look into; of a server that is asked only when it is used."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").exists()


def located(url: str, folder: Path) -> str:
    """`url` with a relative path resolved against `folder`. It may hold a password: not for logs. Raises ValueError for
    what is no usable address."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Unfit(
            'an address such as "sqlite:///rules.db" or "postgresql+psycopg://user@host/rules" is wanted'
        ) from error
    if parsed.drivername not in DIALECTS:
        raise Unfit("begin with sqlite:/// or postgresql+psycopg://, not {name}://", name=parsed.drivername)
    return dialect(parsed).located(parsed, folder).render_as_string(hide_password=False)


def next_seqs(connection: Connection, count: int) -> range:
    """The next `count` numbers of the log. Holding the counter's row keeps their order that of the commits."""
    last = connection.execute(_COUNT_ON, {"more": count}).scalar_one()
    return range(last - count + 1, last + 1)


def counter(database: Database, name: str) -> int:
    with database.reading() as connection:
        return connection.scalar(select(counters.c.value).where(counters.c.name == name)) or 0


def set_counter(database: Database, name: str, value: int) -> None:
    with database.writing() as connection:
        connection.execute(update(counters).where(counters.c.name == name).values(value=value))
