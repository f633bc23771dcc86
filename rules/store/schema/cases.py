"""Cases, and the clocks of those that run."""

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table

from rules.store.schema.metadata import metadata
from rules.store.words import Prose, Words

cases = Table(
    "cases",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("place", JSON, nullable=False),
    Column("lat", Float),
    Column("lon", Float),
    Column("kind", String(63), nullable=False),  # a device kind, or the class of a report
    Column("subject", String(63), nullable=False),  # the device, or empty
    Column("owner", Words(63), nullable=False),
    Column("situation", String(63), nullable=False),
    Column("title", JSON, nullable=False),
    Column("level", String(10), nullable=False),
    Column("origin", String(10), nullable=False),
    Column("policy", JSON, nullable=False),  # as it was when the case was opened
    Column("state", String(16), nullable=False, index=True),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("clock_from_ms", BigInteger, nullable=False),
    Column("accept_by_ms", BigInteger),
    Column("arrive_by_ms", BigInteger),
    Column("handle_by_ms", BigInteger),
    Column("first_rung", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("escalated_at_ms", BigInteger),
    Column("dispatched_at_ms", BigInteger),
    Column("dispatched_to", Words(80)),
    Column("accepted_at_ms", BigInteger),
    Column("accepted_by", Words(80)),
    Column("checked_in_at_ms", BigInteger),
    Column("checked_in_by", Words(80)),
    Column("on_site_at_ms", BigInteger),
    Column("on_site_by", Words(80)),
    Column("on_site_how", String(10)),
    Column("handling_at_ms", BigInteger),
    Column("feedback_at_ms", BigInteger),
    Column("feedback_by", Words(80)),
    Column("outcome", String(40)),
    Column("photo", JSON(none_as_null=True)),
    Column("verified_by", Words(80)),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", Words(80)),
    Column("archived_at_ms", BigInteger),
    Column("extension_until_ms", BigInteger),
    Column("extension_by", Words(80)),
    Column("extension_at_ms", BigInteger),
    Column("suspended_until_ms", BigInteger),
    Column("reason", Prose(), nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("parent", String(40)),
    Index("cases_by_situation", "site", "kind", "origin", "situation", "opened_at_ms"),
)

timers = Table(  # the clocks of cases that run (rules.escalation.program)
    "timers",
    metadata,
    Column("case", String(40), ForeignKey("cases.id"), primary_key=True),
    Column("leg", String(16), primary_key=True),
    Column("from_ms", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),  # of the step that comes next
    Column("due_at_ms", BigInteger, nullable=False, index=True),
    Column("shift_ms", BigInteger, nullable=False),  # by how much the server's clock was set since it began
)
