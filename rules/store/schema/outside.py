"""What is brought in by other systems, and what they are told."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table

from rules.store.schema.metadata import metadata
from rules.store.words import Prose, Words

tickets = Table(  # what other systems have brought in, by their own numbers (rules.outside)
    "tickets",
    metadata,
    Column("system", String(40), primary_key=True),  # whose token it came by
    Column("reference", String(80), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("case", String(40), nullable=False, index=True),  # where it is now, if that was not merged
    Column("code", String(20), nullable=False, unique=True),  # by which the one who reported may ask
    Column("photo", JSON(none_as_null=True)),
    Column("at_ms", BigInteger, nullable=False),
)

upstream = Table(  # under which number the platform above keeps a case: one for one
    "upstream",
    metadata,
    Column("case", String(40), primary_key=True),
    Column("system", String(40), nullable=False),
    Column("reference", String(80), nullable=False),
    Index("upstream_by_reference", "system", "reference", unique=True),
)

hooks = Table(  # webhooks: how far in the log each has come, and whether it is still served
    "hooks",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),  # how many were taken
    Column("sent_at_ms", BigInteger),
    Column("disabled_at_ms", BigInteger),
    Column("why", Words(200), nullable=False),  # of the latest failure
)

deliveries = Table(  # what a webhook has to tell and nobody has taken yet
    "deliveries",
    metadata,
    Column("hook", String(63), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the log's line
    Column("about", String(40), nullable=False),  # the case, or the alarm: in that order they are told
    Column("content_type", String(40), nullable=False),
    Column("body", Prose(), nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
)
