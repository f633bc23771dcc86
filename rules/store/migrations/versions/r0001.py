"""The first tables that had alarms in them: schema 3, as the software before migrations made them. Never changed any more."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _plant()
    _rules()
    _alarms()
    _marks()


def _plant() -> None:
    op.create_table(
        "devices",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("edge", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("place", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
    )
    op.create_table(
        "silences",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("edge", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "edges",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("edge", sa.String(63), primary_key=True),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("last_reading_at_ms", sa.BigInteger),
    )
    op.create_table(
        "streams",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("edge", sa.String(63), primary_key=True),
        sa.Column("stream", sa.String(80), primary_key=True),
        sa.Column("heard", sa.JSON, nullable=False),
        sa.Column("said", sa.BigInteger, nullable=False),
        sa.Column("used_at_ms", sa.BigInteger, nullable=False),
    )


def _rules() -> None:
    op.create_table(
        "waiting",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("edge", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("reading", sa.JSON, nullable=False),
    )
    op.create_index("waiting_by_device", "waiting", ["site", "device"])
    op.create_table(
        "states",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("rule", sa.String(63), primary_key=True),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("wake_at_ms", sa.BigInteger),
        sa.Column("edge", sa.String(63)),
    )


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("edge", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("rule", sa.String(63), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("latch", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("known_at_ms", sa.BigInteger, nullable=False),
        sa.Column("returned_at_ms", sa.BigInteger),
        sa.Column("title", sa.JSON, nullable=False),
        sa.Column("advice", sa.JSON(none_as_null=True)),
        sa.Column("place", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("channels", sa.JSON, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
    )
    op.create_index("alarms_by_rule", "alarms", ["site", "device", "rule", "raised_at_ms"])
    op.create_index(
        "one_open_alarm",
        "alarms",
        ["site", "device", "rule"],
        unique=True,
        sqlite_where=sa.text("open"),
        postgresql_where=sa.text("open"),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("alarm", sa.String(40), sa.ForeignKey("alarms.id"), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("accept_by_ms", sa.BigInteger),
        sa.Column("arrive_by_ms", sa.BigInteger),
        sa.Column("accepted_at_ms", sa.BigInteger),
        sa.Column("accepted_by", sa.String(80)),
        sa.Column("on_site_at_ms", sa.BigInteger),
        sa.Column("on_site_by", sa.String(80)),
        sa.Column("closed_at_ms", sa.BigInteger),
        sa.Column("closed_by", sa.String(80)),
        sa.Column("outcome", sa.String(40)),
    )


def _marks() -> None:
    op.create_table(
        "log",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("alarm", sa.String(40)),
        sa.Column("case", sa.String(40)),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("ix_log_alarm", "log", ["alarm"])
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_reading_at_ms", sa.BigInteger),
        sa.Column("readings", sa.BigInteger, nullable=False),
        sa.Column("hears", sa.Boolean, nullable=False),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
