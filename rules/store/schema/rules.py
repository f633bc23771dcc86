"""The rules: their versions, where each stands for each device, and what those in shadow would have raised."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, String, Table

from rules.store.schema.metadata import metadata
from rules.store.words import Words

rule_versions = Table(  # the rules that are in force, and those that something still runs by
    "rule_versions",
    metadata,
    Column("version", String(16), primary_key=True),
    Column("kind", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("position", Integer, nullable=False),  # in its file
    Column("written", JSON, nullable=False),  # from which it can be made again
    Column("in_force", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # when it last came into force
)

states = Table(
    "states",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("rule", String(63), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("wake_at_ms", BigInteger),  # the timer: when `step` wants to be called without a reading
    Column("edge", String(63)),  # who spoke last
    Column("version", String(16)),  # of the rule that this is the state of
)

shadows = Table(  # what rules in shadow would have raised
    "shadows",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("model", Words(80), nullable=False),
    Column("grid", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("version", String(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False, index=True),
    Column("cleared_at_ms", BigInteger),
    Column("known_at_ms", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
)
