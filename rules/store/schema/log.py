"""What has happened, line by line; how far it is numbered and published; and what the database didn't take."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from rules.store.schema.metadata import metadata
from rules.store.words import Prose, Words

log = Table(  # append-only
    "log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("event", String(40), nullable=False),
    Column("alarm", String(40), index=True),
    Column("case", String(40)),
    Column("number", Integer),  # of the case's lines
    Column("actor", Words(80), nullable=False),
    Column("detail", Prose(), nullable=False),
    Column("device_at_ms", BigInteger),
    Column("key", String(80), unique=True),  # of an act: the same one twice is once
    Column(
        "mark", BigInteger
    ),  # random, of the transaction that wrote it; lines from before there were marks have none
    Index("log_of_case", "case", "number", unique=True),
    Index("log_by_time", "at_ms", "alarm"),
    Index("log_by_event", "event", "at_ms"),
)

counters = Table(  # "life", random; last seq of the "log", and that which was "published"
    "counters",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

refusals = Table(  # what the database did not take (rules.store.refusals)
    "refusals",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("site", Words(63), nullable=False),
    Column("what", Words(40), nullable=False),
    Column("name", Words(400), nullable=False),
    Column("why", Words(1000), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, index=True),
    Column("seen_by", Words(80)),
)
