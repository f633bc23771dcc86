"""Looks every ten seconds for what should have moved and hasn't. It trusts no other part of the engine: it reads the tables alone.

What it finds is said in the log and as an alarm of the site itself (`site.stalled`), which goes another way than what is stuck: it is a
rule like any other. A timer that is missing is set.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from messages.ids import SiteId
from rules.cases.practice import Practice
from rules.escalation import timers
from rules.escalation.program import running
from rules.records import OVER
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

LOOK_S = 10.0
LATE_MS = 5_000
"""A timer that is overdue for longer is not merely late."""
ANNOUNCED_MS = 5_000
"""So long after its raise an alarm must have a case."""
MOST = 100
"""Findings of one sort that are named; more are as bad."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that stands still."""

    site: SiteId
    what: str
    """"no-timer", "overdue", "notice", "no-case"."""
    name: str
    """Of the case, the alarm, or the notice's key."""


def look(database: Database, sites: Collection[SiteId], practice: Practice, now_ms: int) -> list[Stuck]:
    """What is stuck at these sites. Sets missing timers."""
    with database.writing() as connection:
        found = [
            *_without_timer(connection, sites, practice, now_ms),
            *_overdue(connection, sites, now_ms),
            *_notices(connection, sites, now_ms),
            *_without_case(connection, sites, now_ms),
        ]
        lines = [rows.Line("audit.found", None, None, "auditor", f"{one.what}: {one.name}") for one in found]
        rows.append(connection, lines, now_ms)
    return found


def _without_timer(connection: Connection, sites: Collection[SiteId], practice: Practice, now_ms: int) -> list[Stuck]:
    kept = {(row.case, row.leg) for row in connection.execute(select(db.timers.c.case, db.timers.c.leg))}
    found = []
    for case in rows.cases_where(connection, db.cases.c.site.in_(sites), db.cases.c.state.not_in(OVER)):
        if any((case.id, leg) not in kept for leg in running(case)):
            timers.wind(connection, case, practice)
            found.append(Stuck(case.site, "no-timer", case.id))
    return found[:MOST]


def _overdue(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    query = select(db.cases.c.site, db.timers.c.case, db.timers.c.leg).join(db.cases, db.cases.c.id == db.timers.c.case)
    its = (db.timers.c.due_at_ms < now_ms - LATE_MS, db.cases.c.site.in_(sites))
    return [
        Stuck(row.site, "overdue", f"{row.case} {row.leg}") for row in connection.execute(query.where(*its).limit(MOST))
    ]


def _notices(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    query = select(db.cases.c.site, db.notices.c.key).join(db.cases, db.cases.c.id == db.notices.c.case)
    its = (db.notices.c.state == timers.SENDING, db.notices.c.due_at_ms < now_ms - LATE_MS, db.cases.c.site.in_(sites))
    return [Stuck(row.site, "notice", row.key) for row in connection.execute(query.where(*its).limit(MOST))]


def _without_case(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    its = (
        db.alarms.c.open,
        db.alarms.c.case.is_(None),
        db.alarms.c.annunciated,
        ~db.alarms.c.late,
        db.alarms.c.changed_at_ms < now_ms - ANNOUNCED_MS,
        db.alarms.c.site.in_(sites),
    )
    query = select(db.alarms.c.site, db.alarms.c.id).where(*its).limit(MOST)
    return [Stuck(row.site, "no-case", row.id) for row in connection.execute(query)]
