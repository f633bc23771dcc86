"""From schema 3 to the tables of this release. Until it is out, whoever changes a table in rules/store/schema changes this too.

A new table: `op.create_table`, as r0001 does. A new column of an old table, which must say what rows from before have in it:

    with op.batch_alter_table("alarms") as alarms:
        alarms.add_column(sa.Column("shelved_until_ms", sa.BigInteger))
        alarms.add_column(sa.Column("occurrences", sa.Integer, nullable=False, server_default="1"))

`tests/rules/test_migration.py` compares the outcome with the tables, and tries it on rows from before, on SQLite and on PostgreSQL.
No import of ours: what it does must not change with the software.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ALL: dict[str, Any] = {
    "handle": None,
    "verify": "24h",
    "check_in": "24h",
    "call_s": [0, 20, 40],
    "street_s": None,
    "department_s": None,
    "again_s": 3600,
    "remind_s": 14400,
    "everyone": True,
    "verifier": "sensor",
    "reopen_s": 86400,
}
_GRAVE: dict[str, Any] = _ALL | {
    "verifier": "other",
    "street_s": 60,
    "department_s": 180,
    "again_s": 60,
    "remind_s": 300,
}
POLICIES: dict[str, dict[str, Any]] = {
    "red": _GRAVE | {"accept": "60s", "arrive": "10min"},
    "orange": _GRAVE | {"accept": "180s", "arrive": "30min", "street_s": 180, "department_s": 600},
    "yellow": _ALL | {"accept": "30min", "arrive": None},
    "blue": _ALL | {"accept": None, "arrive": None},
}
"""What 0001's software promised, and how calls go on; it kept it in no row."""

FRESH: dict[str, Any] = {
    "origin": "alarm",
    "owner": "",
    "situation": "",
    "first_rung": 1,
    "rung": 1,
    "reason": "",
    "reopened": 0,
}
"""What a case is before anything else has happened to it."""

GUARDS = ("gas_alarm", "reflex")
"""Kinds of 0001 on which lives hang: nothing may silence their alarms."""


def upgrade() -> None:
    counters = sa.table("counters", sa.column("name", sa.String))
    op.execute(counters.delete().where(counters.c.name == "schema"))  # alembic keeps the revision
    _cases_of_their_own()
    _calls()
    _what_lies_over_alarms()
    _rules_that_change()
    _workers()
    _other_systems()
    _labels()
    _refusals_and_the_gone()
    _many_rows()


def _cases_of_their_own() -> None:
    """A case says itself what it is about, and holds alarms; before, an alarm had a case."""
    read = sa.text(
        "SELECT cases.*, alarms.site, alarms.place, alarms.kind, alarms.device AS subject, alarms.title, alarms.level"
        " FROM cases JOIN alarms ON alarms.id = cases.alarm"
    ).columns(place=sa.JSON, title=sa.JSON)
    known = [dict(row._mapping) for row in op.get_bind().execute(read)]
    op.drop_table("cases")
    cases = op.create_table(
        "cases",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("place", sa.JSON, nullable=False),
        sa.Column("lat", sa.Float),
        sa.Column("lon", sa.Float),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("subject", sa.String(63), nullable=False),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("situation", sa.String(63), nullable=False),
        sa.Column("title", sa.JSON, nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("origin", sa.String(10), nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("clock_from_ms", sa.BigInteger, nullable=False),
        sa.Column("accept_by_ms", sa.BigInteger),
        sa.Column("arrive_by_ms", sa.BigInteger),
        sa.Column("handle_by_ms", sa.BigInteger),
        sa.Column("first_rung", sa.Integer, nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("escalated_at_ms", sa.BigInteger),
        sa.Column("dispatched_at_ms", sa.BigInteger),
        sa.Column("dispatched_to", sa.String(80)),
        sa.Column("accepted_at_ms", sa.BigInteger),
        sa.Column("accepted_by", sa.String(80)),
        sa.Column("checked_in_at_ms", sa.BigInteger),
        sa.Column("checked_in_by", sa.String(80)),
        sa.Column("on_site_at_ms", sa.BigInteger),
        sa.Column("on_site_by", sa.String(80)),
        sa.Column("on_site_how", sa.String(10)),
        sa.Column("handling_at_ms", sa.BigInteger),
        sa.Column("feedback_at_ms", sa.BigInteger),
        sa.Column("feedback_by", sa.String(80)),
        sa.Column("outcome", sa.String(40)),
        sa.Column("photo", sa.JSON(none_as_null=True)),
        sa.Column("verified_by", sa.String(80)),
        sa.Column("closed_at_ms", sa.BigInteger),
        sa.Column("closed_by", sa.String(80)),
        sa.Column("archived_at_ms", sa.BigInteger),
        sa.Column("extension_until_ms", sa.BigInteger),
        sa.Column("extension_by", sa.String(80)),
        sa.Column("extension_at_ms", sa.BigInteger),
        sa.Column("suspended_until_ms", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("reopened", sa.Integer, nullable=False),
        sa.Column("parent", sa.String(40)),
    )
    op.create_index("ix_cases_state", "cases", ["state"])
    with op.batch_alter_table("alarms") as alarms:
        alarms.add_column(sa.Column("case", sa.String(40)))
        alarms.create_foreign_key("alarms_case_fkey", "cases", ["case"], ["id"])
        alarms.create_index("ix_alarms_case", ["case"])
    with op.batch_alter_table("log") as log:
        log.add_column(sa.Column("number", sa.Integer))
        log.add_column(sa.Column("device_at_ms", sa.BigInteger))
        log.add_column(sa.Column("key", sa.String(80)))
        log.add_column(sa.Column("mark", sa.BigInteger))
        log.create_unique_constraint("log_key_key", ["key"])
    held = sa.table("alarms", sa.column("id", sa.String), sa.column("case", sa.String))
    for row in known:
        alarm = row.pop("alarm")
        new: dict[str, Any] = FRESH | row | {"policy": POLICIES[row["level"]], "clock_from_ms": row["opened_at_ms"]}
        op.execute(cases.insert().values(new))
        op.execute(held.update().where(held.c.id == alarm).values(case=row["id"]))


def _calls() -> None:
    op.create_table(
        "timers",
        sa.Column("case", sa.String(40), sa.ForeignKey("cases.id"), primary_key=True),
        sa.Column("leg", sa.String(16), primary_key=True),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("shift_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_timers_due_at_ms", "timers", ["due_at_ms"])
    op.create_table(
        "notices",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("case", sa.String(40), sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("leg", sa.String(16), nullable=False),
        sa.Column("person", sa.String(80), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("queued_at_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(63), nullable=False),
        sa.Column("address", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("ix_notices_case", "notices", ["case"])
    op.create_table(
        "held_calls",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("again_at_ms", sa.BigInteger, nullable=False),
        sa.Column("call", sa.JSON, nullable=False),
    )
    op.create_table(
        "sendings",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("notice", sa.String(200), nullable=False),
        sa.Column("case", sa.String(40), nullable=False),
        sa.Column("channel", sa.String(63), nullable=False),
        sa.Column("receiver", sa.String(200), nullable=False),
        sa.Column("person", sa.String(80), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("more", sa.Integer, nullable=False),
        sa.Column("begun_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("answer", sa.String(200), nullable=False),
    )
    op.create_index("ix_sendings_notice", "sendings", ["notice"])
    op.create_index("ix_sendings_begun_at_ms", "sendings", ["begun_at_ms"])
    op.create_table(
        "links",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("case", sa.String(40), nullable=False),
        sa.Column("person", sa.String(80), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
    )
    op.create_index("ix_links_case", "links", ["case"])
    op.create_table(
        "roster",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("person", sa.String(63), nullable=False),
        sa.Column("instead", sa.String(63)),
        sa.Column("post", sa.String(63)),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("withdrawn_at_ms", sa.BigInteger),
        sa.Column("withdrawn_by", sa.String(80)),
    )
    op.create_index("ix_roster_until_ms", "roster", ["until_ms"])
    op.create_table(
        "sites",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "handovers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("signed_by", sa.String(80)),
        sa.Column("signed_at_ms", sa.BigInteger),
    )
    op.create_index("handovers_of_site", "handovers", ["site", "at_ms"])
    op.create_table(
        "drills",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("ended_by", sa.String(80)),
    )
    op.create_index("ix_drills_ended_at_ms", "drills", ["ended_at_ms"])
    op.create_table(
        "shadows",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("grid", sa.String(63), nullable=False),
        sa.Column("rule", sa.String(63), nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger, nullable=False),
        sa.Column("cleared_at_ms", sa.BigInteger),
        sa.Column("known_at_ms", sa.BigInteger, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
    )
    op.create_index("ix_shadows_raised_at_ms", "shadows", ["raised_at_ms"])
    op.create_index("notices_by_state", "notices", ["state", "due_at_ms"])
    log, numbered = sa.table("log", *map(sa.column, ("seq", "case", "number"))), dict[str, int]()
    for seq, case in op.get_bind().execute(sa.select(log.c.seq, log.c.case).order_by(log.c.seq)).all():
        if case is not None:
            numbered[case] = numbered.get(case, 0) + 1
            op.execute(log.update().where(log.c.seq == seq).values(number=numbered[case]))
    op.create_index("log_of_case", "log", ["case", "number"], unique=True)


def _what_lies_over_alarms() -> None:
    no, nothing = sa.false(), sa.text("'{}'")
    with op.batch_alter_table("alarms") as alarms:
        for name in ("guards", "returned"):
            alarms.add_column(sa.Column(name, sa.Boolean, nullable=False, server_default=no))
        alarms.add_column(sa.Column("annunciated", sa.Boolean, nullable=False, server_default=sa.true()))
        for name in ("overlays", "thresholds"):
            alarms.add_column(sa.Column(name, sa.JSON, nullable=False, server_default=nothing))
        alarms.add_column(sa.Column("occurrences", sa.Integer, nullable=False, server_default="1"))
        alarms.add_column(sa.Column("times", sa.JSON, nullable=False, server_default=sa.text("'[]'")))
        for name in ("since_ms", "flapped_at_ms"):
            alarms.add_column(sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        alarms.add_column(sa.Column("version", sa.String(16), nullable=False, server_default=""))
        for name in ("before", "gathers"):
            alarms.add_column(sa.Column(name, sa.JSON(none_as_null=True)))
        for name in ("situation", "owner"):
            alarms.add_column(sa.Column(name, sa.String(63), nullable=False, server_default=""))
        for name in ("lat", "lon"):
            alarms.add_column(sa.Column(name, sa.Float))
    op.execute("UPDATE alarms SET since_ms = raised_at_ms, flapped_at_ms = changed_at_ms")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("UPDATE alarms SET times = json_build_array(raised_at_ms)")
    else:
        op.execute("UPDATE alarms SET times = '[' || raised_at_ms || ']'")
    with op.batch_alter_table("devices") as devices:
        devices.add_column(sa.Column("guards", sa.Boolean, nullable=False, server_default=no))
    for table in ("alarms", "devices"):
        some = sa.table(table, sa.column("kind", sa.String), sa.column("guards", sa.Boolean))
        op.execute(some.update().where(some.c.kind.in_(GUARDS)).values(guards=True))
    with op.batch_alter_table("edges") as edges:
        edges.add_column(sa.Column("clock_trusted", sa.Boolean, nullable=False, server_default=sa.true()))
        edges.add_column(sa.Column("behind_ms", sa.BigInteger))
    op.create_table(
        "holds",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("what", sa.String(10), nullable=False),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63)),
        sa.Column("rule", sa.String(63)),
        sa.Column("grid", sa.String(63)),
        sa.Column("building", sa.String(40)),
        sa.Column("unit", sa.String(40)),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("one_shot", sa.Boolean, nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("ended_by", sa.String(80)),
    )
    op.create_index("ix_holds_ended_at_ms", "holds", ["ended_at_ms"])
    op.create_table(
        "floods",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )


def _rules_that_change() -> None:
    with op.batch_alter_table("states") as states:
        states.add_column(sa.Column("version", sa.String(16)))
    op.create_table(
        "rule_versions",
        sa.Column("version", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("rule", sa.String(63), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("written", sa.JSON, nullable=False),
        sa.Column("in_force", sa.Boolean, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("works", sa.BigInteger, nullable=False),
        sa.Column("sites", sa.JSON(none_as_null=True)),
    )
    op.create_table(
        "leases",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("worker", sa.String(63), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
    )


def _other_systems() -> None:
    op.create_table(
        "tickets",
        sa.Column("system", sa.String(40), primary_key=True),
        sa.Column("reference", sa.String(80), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("case", sa.String(40), nullable=False),
        sa.Column("code", sa.String(20), nullable=False, unique=True),
        sa.Column("photo", sa.JSON(none_as_null=True)),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_tickets_case", "tickets", ["case"])
    op.create_table(
        "upstream",
        sa.Column("case", sa.String(40), primary_key=True),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("reference", sa.String(80), nullable=False),
    )
    op.create_index("upstream_by_reference", "upstream", ["system", "reference"], unique=True)
    op.create_table(
        "hooks",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger),
        sa.Column("disabled_at_ms", sa.BigInteger),
        sa.Column("why", sa.String(200), nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("hook", sa.String(63), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("about", sa.String(40), nullable=False),
        sa.Column("content_type", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("queued_at_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
    )


def _refusals_and_the_gone() -> None:
    op.create_table(
        "refusals",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("why", sa.String(1000), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger),
        sa.Column("seen_by", sa.String(80)),
    )
    op.create_index("ix_refusals_seen_at_ms", "refusals", ["seen_at_ms"])
    op.create_table(
        "gone",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("edge", sa.String(63), primary_key=True),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def _labels() -> None:
    op.create_table(
        "labels",
        sa.Column("code", sa.String(12), primary_key=True),
        sa.Column("site", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.String(80), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("ended_by", sa.String(80)),
        sa.Column("why", sa.String(200), nullable=False),
    )
    holds = sa.text("ended_at_ms IS NULL")
    op.create_index("one_label", "labels", ["site", "device"], unique=True, sqlite_where=holds, postgresql_where=holds)


def _many_rows() -> None:
    """What is asked for each second, with each raise and call, or by a page, is found without reading all that there is."""
    gathers = sa.text("gathers IS NOT NULL")
    op.create_index("devices_by_name", "devices", ["site", "device"])
    op.create_index("alarms_by_news", "alarms", ["known_at_ms"])
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("one_open_alarm", "alarms")
        columns, is_open = ["site", "device", "rule"], sa.text("open = 1")
        op.create_index("one_open_alarm", "alarms", columns, unique=True, sqlite_where=is_open)
    op.create_index("alarms_by_raise", "alarms", ["raised_at_ms", "kind", "rule", "late", "site"])
    op.create_index("log_by_time", "log", ["at_ms", "alarm"])
    op.create_index("log_by_event", "log", ["event", "at_ms"])
    op.create_index("gathering_alarms", "alarms", ["site"], sqlite_where=gathers, postgresql_where=gathers)
    op.create_index("cases_by_situation", "cases", ["site", "kind", "origin", "situation", "opened_at_ms"])
    op.create_index("sendings_to_person", "sendings", ["person", "begun_at_ms"])
    op.create_index("sendings_to_receiver", "sendings", ["receiver", "begun_at_ms"])
