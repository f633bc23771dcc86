"""Brings a database up to the tables of this software, by alembic, in the transaction of whoever opens it.

The revisions are in `migrations/versions`, in a row. Several programs may open one database at once: the write lock of the
transaction lets one of them do it, and the others find it done. Alembic is loaded when there is something to bring up to date: a restart
needs none of it.
"""

import secrets
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Column, Connection, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy.schema import CreateIndex, CreateTable

from messages.language import phrase
from messages.settings import ConfigError
from rules.store.schema.metadata import told_for
from rules.store.tables import counters, metadata

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
FIRST, HEAD = "0001", "0002"

FIRST_SCHEMA = 3
"""What the software that knew no revisions wrote of the tables of revision 0001 into the counters."""

_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own; as it makes it, but for the name of the key."""
_ALEMBIC = threading.Lock()
"""Alembic's `op` and `context` are of the whole process."""


def revision(connection: Connection) -> str | None:
    """Of a database; None for an empty one. Raises ConfigError, which says of what age it is, if we can't begin with it."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found not in (FIRST, HEAD):
            raise ConfigError(
                "database: a newer Gridcall wrote it (revision {found}); this one knows {head} and none after",
                found=found,
                head=HEAD,
            )
        return str(found)
    if "counters" not in tables:
        return None
    schema = connection.scalar(select(counters.c.value).where(counters.c.name == "schema"))
    if schema == FIRST_SCHEMA:
        return FIRST
    too_old = schema is None or schema < FIRST_SCHEMA
    raise ConfigError(
        "database: it has schema {schema}, which is {age}: {first} can be brought up to date",
        schema=schema,
        age=phrase("too old") if too_old else phrase("newer than this software"),
        first=FIRST_SCHEMA,
    )


def upgrade(connection: Connection, target: str = HEAD) -> None:
    """Bring it from where it is to `target`; an empty one gets its tables and its first counters. Raises ConfigError."""
    found = revision(connection)
    if found is None and target == HEAD:
        _begin(connection)
    elif found != target:
        _migrate(connection, found, target)


def _begin(connection: Connection) -> None:
    """The tables as they are now, at once: a test holds them against the row of revisions."""
    for statement in _statements(f"{connection.dialect.name}+{connection.dialect.driver}"):
        connection.exec_driver_sql(statement)
    connection.execute(insert(_VERSION).values(version_num=HEAD))
    _first_counters(connection)


@cache
def _statements(dialect: str) -> tuple[str, ...]:
    """What makes all tables, e.g. for "sqlite+pysqlite"; to write them takes longer than to carry them out."""
    way = URL.create(dialect).get_dialect()()
    made: list[CreateTable | CreateIndex] = []
    for table in (*metadata.sorted_tables, _VERSION):
        made += [CreateTable(table), *(CreateIndex(told_for(index, way.name)) for index in table.indexes)]
    return tuple(str(one.compile(dialect=way)) for one in made)


def _migrate(connection: Connection, found: str | None, target: str) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    with _ALEMBIC:
        if found == FIRST:
            command.stamp(config, FIRST)  # it may be from before there were revisions
        command.upgrade(config, target)
    if connection.dialect.name == "sqlite":  # where they are not enforced meanwhile
        assert not connection.execute(text("PRAGMA foreign_key_check")).all(), "a migration has torn rows apart"
    if found is None:
        _first_counters(connection)


def _first_counters(connection: Connection) -> None:
    names = {"life": secrets.randbits(62), "log": 0, "published": 0}
    connection.execute(insert(counters), [{"name": name, "value": value} for name, value in names.items()])


def revisions() -> list[str]:
    """All there are, oldest first."""
    from alembic.script import ScriptDirectory

    return [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config
