"""What is PostgreSQL's own: one writer at a time by an advisory lock, and limits for whoever hangs (docs/decisions/0030)."""

from pathlib import Path
from typing import Literal

import psycopg
from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from messages.language import Unfit
from rules.store.connection import engine

WRITER = 0x6772_6964  # "grid": the advisory lock of whoever writes; it is of one database, not of the server
SESSION_LIMITS = {
    "lock_timeout": "5s",  # how long a writer waits for another one
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "5s",  # who was stopped while it wrote holds nobody up for longer
}
PLANS = {"random_page_cost": "1.1"}
"""What is asked for by key is looked up, not read through for: a server supposes disks that turn, unless it is told otherwise, and reads all alarms
to find fifty of them."""
LINK = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
"""A server that vanished without a word is noticed in seconds."""

MOST_CONNECTIONS, CONNECTION_WAIT_S = 20, 5.0
"""Of one process. A server admits 100 of all unless told otherwise."""


def connect(url: URL, *, follow: bool, migrates: bool) -> Engine:
    del follow, migrates  # a server is one place, and it alters tables where they are
    options = " ".join(f"-c {name}={limit}" for name, limit in (SESSION_LIMITS | PLANS).items())
    given = {name: value for name, value in LINK.items() if name not in url.query}
    return engine(
        url,
        pool_size=5,
        max_overflow=MOST_CONNECTIONS - 5,
        pool_timeout=CONNECTION_WAIT_S,
        pool_pre_ping=True,  # after a restart of the server a page needs no second try
        connect_args={"options": options, "application_name": "gridcall", **given},
    )


def prepared(connection: Connection, *, write: bool) -> Connection:
    """Never by `postgresql_readonly`: given back, such a connection begins READ WRITE, and writes to a database that was set to be read only,
    as hosts set one whose disk is nearly full, and people one that they move."""
    return connection if write else connection.execution_options(isolation_level="REPEATABLE READ")


def begin(connection: Connection, *, write: bool) -> None:
    """The lock goes with the transaction. What is read after it was written by whoever had it before."""
    if write:
        connection.execute(text("SELECT pg_advisory_xact_lock(:writer)"), {"writer": WRITER})


def verdict(error: DBAPIError, *, write: bool) -> Literal["away", "damaged"] | None:
    """None: our own statement is wrong, or may not be done by this user."""
    if error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError):
        return "away"
    standby = write and isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction)
    return "away" if standby else None


def located(url: URL, folder: Path) -> URL:
    """Raises ValueError."""
    del folder
    if not url.database:
        raise Unfit("name the database: postgresql+psycopg://USER@HOST/DATABASE")
    return url
