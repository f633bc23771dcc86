"""Notices: to whom, by which channel, and the links in them."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table

from rules.store.schema.metadata import metadata
from rules.store.words import Words

notices = Table(  # the outbox of calls: one person, one reason
    "notices",
    metadata,
    Column("key", String(200), primary_key=True),  # the same call is one row, whoever computes it and however often
    Column("case", String(40), ForeignKey("cases.id"), nullable=False, index=True),
    Column("leg", String(16), nullable=False),
    Column("person", Words(80), nullable=False),
    Column("role", Words(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("rung", Integer, nullable=False),
    Column("reason", Words(40), nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # section 2c of the field notes
    Column("channel", String(63), nullable=False),  # on which it is tried; empty: wherever the person can be reached
    Column("address", Integer, nullable=False),  # which of the person's addresses is tried
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),  # try it from then on; while SENDING, until when it may take
    Column("detail", JSON, nullable=False),  # the person's name, language and addresses when it was queued
    Index("notices_by_state", "state", "due_at_ms"),
)

held_calls = Table(  # calls that the table above refused (rules.escalation.queue)
    "held_calls",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("again_at_ms", BigInteger, nullable=False),  # when it is tried again
    Column("call", JSON, nullable=False),  # the row
)

sendings = Table(  # each try to hand a notice to a channel
    "sendings",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("notice", String(200), nullable=False, index=True),
    Column("case", String(40), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("receiver", Words(200), nullable=False),
    Column("person", Words(80), nullable=False),
    Column("level", String(10), nullable=False),
    Column("more", Integer, nullable=False),  # how many other notices were told in it
    Column("begun_at_ms", BigInteger, nullable=False, index=True),
    Column("ended_at_ms", BigInteger),
    Column("outcome", String(10), nullable=False),  # sending, taken, failed, throttled, lost
    Column("answer", Words(200), nullable=False),
    Index("sendings_to_person", "person", "begun_at_ms"),
    Index("sendings_to_receiver", "receiver", "begun_at_ms"),
)

links = Table(  # that open one case for one person without a login
    "links",
    metadata,
    Column("token", String(64), primary_key=True),  # its hash
    Column("case", String(40), nullable=False, index=True),
    Column("person", Words(80), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
)
