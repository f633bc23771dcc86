"""Who is on duty: the sites' files, changes to them, what shifts hand over, and times of practice."""

from sqlalchemy import JSON, BigInteger, Column, Index, String, Table, Text

from rules.store.schema.metadata import metadata
from rules.store.words import Prose, Words

sites = Table(  # the last good file of each site (rules.duty.last_good)
    "sites",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("content", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # when it was last read
)

roster = Table(  # changes to who is on duty: a person is away, or at a post beyond its shifts
    "roster",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("person", String(63), nullable=False),
    Column("instead", String(63)),  # who stands in
    Column("post", String(63)),  # where extra duty is; an absence has none
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("reason", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("withdrawn_at_ms", BigInteger),
    Column("withdrawn_by", Words(80)),
)

handovers = Table(  # what one shift at the desk tells the next
    "handovers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("words", Prose(), nullable=False),
    Column("facts", JSON, nullable=False),  # what stood open when it was written: numbers by name
    Column("actor", Words(80), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("signed_by", Words(80)),
    Column("signed_at_ms", BigInteger),
    Index("handovers_of_site", "site", "at_ms"),
)

drills = Table(  # times in which a site practises
    "drills",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("why", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, index=True),
    Column("ended_by", Words(80)),
)
