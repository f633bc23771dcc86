"""Alarms, and what is laid over them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, true

from rules.store.schema.metadata import metadata, partial
from rules.store.words import Words

alarms = Table(
    "alarms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("edge", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("level", String(10), nullable=False),
    Column("latch", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("open", Boolean, nullable=False),  # not norm, or its case is not closed
    Column("late", Boolean, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("known_at_ms", BigInteger, nullable=False),
    Column("returned_at_ms", BigInteger),  # by the readings' own time
    Column("title", JSON, nullable=False),
    Column("advice", JSON(none_as_null=True)),
    Column("place", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("guards", Boolean, nullable=False),  # nothing may silence it
    Column("annunciated", Boolean, nullable=False),  # nothing does
    Column("overlays", JSON, nullable=False),
    Column("returned", Boolean, nullable=False),  # the rule has seen it clear, and is not believed yet
    Column("occurrences", Integer, nullable=False),
    Column("times", JSON, nullable=False),  # of occurrences, by the readings' own time; bounded
    Column("since_ms", BigInteger, nullable=False),  # the latest of them
    Column("flapped_at_ms", BigInteger, nullable=False),  # when its rule last raised or cleared it
    Column("version", String(16), nullable=False),  # of the rule
    Column("thresholds", JSON, nullable=False),
    Column("before", JSON(none_as_null=True)),  # readings up to the raise; null: the history was not asked yet
    Column("situation", String(63), nullable=False),  # the word by which its rule makes it one case with others
    Column("owner", Words(63), nullable=False),  # whose the device is, as it announces
    Column("lat", Float),
    Column("lon", Float),
    Column("gathers", JSON(none_as_null=True)),  # "kind.rule" of what it suppresses while it is active
    Column("case", String(40), ForeignKey("cases.id"), index=True),  # null: of the past, it rang nowhere
    Index("alarms_by_rule", "site", "device", "rule", "raised_at_ms"),
    Index("alarms_by_news", "known_at_ms"),
    Index("alarms_by_raise", "raised_at_ms", "kind", "rule", "late", "site"),
)
partial(  # the parents of others: asked for with each raise
    "gathering_alarms",
    alarms.c.site,
    sqlite=alarms.c.gathers.is_not(None),
    postgresql=alarms.c.gathers.is_not(None),
)
partial(
    "one_open_alarm",
    alarms.c.site,
    alarms.c.device,
    alarms.c.rule,
    unique=True,
    sqlite=alarms.c.open == true(),  # as our queries ask: SQLite looks into it for no others
    postgresql=alarms.c.open,
)

holds = Table(  # what people lay over alarms for a time: shelves, maintenance, work permits
    "holds",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("what", String(10), nullable=False),
    Column("site", String(63), nullable=False),
    Column("device", String(63)),  # null: any, as in the next four
    Column("rule", String(63)),
    Column("grid", String(63)),
    Column("building", Words(40)),
    Column("unit", Words(40)),
    Column("reason", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("holder", Words(200), nullable=False),
    Column("one_shot", Boolean, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, index=True),
    Column("ended_by", Words(80)),
)

floods = Table(  # sites with more new alarms than their operators can read
    "floods",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)
