"""Looks every ten seconds for what should have moved and hasn't. It trusts no other part of the engine: it reads the tables alone.

What it finds is said in the log and as an alarm of the site itself (`site.stalled`), which goes another way than what is stuck: it is a
rule like any other. A timer that is missing is set; so is
what a clock has left behind that was set back. What the database refuses of that holds up nothing else (rules.store.refusals).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from messages.alarm import Level
from messages.ids import SiteId
from rules.alarms.condition import ACTIVE
from rules.cases.case import promises
from rules.cases.practice import Practice
from rules.escalation import timers
from rules.notices.notice import WAITING
from rules.records import OVER, TAKEN, Case, CaseState
from rules.records import WAITING as CASE_WAITING
from rules.store import refusals, rows
from rules.store import tables as db
from rules.store.database import Database
from rules.store.refusals import Apart

LOOK_S = 10.0
LATE_MS = 5_000
"""A timer that is overdue for longer is not merely late."""
ANNOUNCED_MS = 5_000
"""So long after its raise an alarm must have a case."""
UNSENT_MS: Mapping[Level, int] = {"red": 10_000, "orange": 60_000, "yellow": 600_000, "blue": 600_000}
"""A call that is due and that nobody has begun to send for so long."""
AHEAD_MS = 5_000
"""What was written so far after now was written by a clock that has been set back since; clocks of two machines differ by less."""
MOST = 100
"""Findings of one sort that are named; more are as bad."""

log = structlog.get_logger("rules")


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that stands still."""

    site: SiteId
    what: str
    """"no-timer", "overdue", "notice", "no-case", "asleep", "clock", "refused"."""
    name: str
    """Of the case, the alarm, or the notice's key."""


def look(database: Database, sites: Collection[SiteId], practice: Practice, now_ms: int) -> list[Stuck]:
    """What is stuck at these sites. Sets missing timers. As long as nothing is stuck, nobody who writes waits for this."""
    with database.reading() as connection:
        if _all_moves(connection, sites, now_ms):
            return []
    try:
        with database.writing() as connection:
            return _look(connection, None, sites, practice, now_ms)
    except Exception as error:
        if not database.refuses(error):
            raise
        log.error("the database refuses what the auditor mends: it goes on case by case", why=str(error)[:500])
    with database.writing() as connection:
        return _look(connection, Apart(connection, now_ms), sites, practice, now_ms)


def _look(
    connection: Connection, apart: Apart | None, sites: Collection[SiteId], practice: Practice, now_ms: int
) -> list[Stuck]:
    """`apart`: something is refused; of each part and each case by itself."""
    parts: dict[str, Callable[[], list[Stuck]]] = {
        "clock": partial(_ahead, connection, apart, sites, practice, now_ms),
        "no-timer": partial(_without_timer, connection, apart, sites, practice),
        "overdue": partial(_overdue, connection, sites, now_ms),
        "notice": partial(_notices, connection, sites, now_ms),
        "no-case": partial(_without_case, connection, sites, now_ms),
        "asleep": partial(_asleep, connection, sites, now_ms),
    }
    looked = [part() if apart is None else apart.done(SiteId(""), "audit", name, part) for name, part in parts.items()]
    found = [*(one for some in looked for one in some or ()), *_refused(connection, sites)]
    tell = partial(rows.append, connection, [_line(one) for one in found], now_ms)
    if apart is None:
        tell()
    else:
        apart.done(SiteId(""), "audit", "log", tell)
    return found


def _all_moves(connection: Connection, sites: Collection[SiteId], now_ms: int) -> bool:
    """Whether a look would find nothing, and mend nothing."""
    of_sites = db.cases.c.site.in_(sites)
    mended = (
        select(db.cases.c.id).where(*_set_back(sites, now_ms)),
        select(db.notices.c.key).where(*_called_ahead(now_ms)),
        timers.lacking_ids(of_sites, db.cases.c.state.not_in(OVER)),
    )
    if any(connection.execute(query.limit(1)).first() for query in mended) or _refused(connection, sites):
        return False
    return not any(find(connection, sites, now_ms) for find in (_overdue, _notices, _without_case, _asleep))


def _line(one: Stuck) -> rows.Line:
    return rows.Line("audit.found", None, None, "auditor", f"{one.what}: {one.name}")


def _mended(apart: Apart | None, case: Case, acts: Sequence[Callable[[], object]]) -> None:
    """A case is put right, or left as it is if that is refused: found it is all the same."""

    def mend() -> bool:
        for act in acts:
            act()
        return True

    if apart is None:
        mend()
    else:
        apart.done(case.site, "case", case.id, mend)


def _refused(connection: Connection, sites: Collection[SiteId]) -> list[Stuck]:
    """What the database did not take, and nobody has looked at."""
    found = refusals.waiting(connection, {*sites, SiteId("")}, MOST)
    return [Stuck(one.site or min(sites), "refused", f"{one.what} {one.name}") for one in found] if sites else []


def _without_timer(
    connection: Connection, apart: Apart | None, sites: Collection[SiteId], practice: Practice
) -> list[Stuck]:
    found = []
    for case in timers.lacking(connection, db.cases.c.site.in_(sites), db.cases.c.state.not_in(OVER)):
        _mended(apart, case, [partial(timers.wind, connection, case, practice)])
        found.append(Stuck(case.site, "no-timer", case.id))
    return found[:MOST]


def _overdue(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    query = select(db.cases.c.site, db.timers.c.case, db.timers.c.leg).join(db.cases, db.cases.c.id == db.timers.c.case)
    its = (db.timers.c.due_at_ms < now_ms - LATE_MS, db.cases.c.site.in_(sites))
    return [
        Stuck(row.site, "overdue", f"{row.case} {row.leg}") for row in connection.execute(query.where(*its).limit(MOST))
    ]


def _notices(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    """Sends that hang, and calls that nobody sends."""
    query = select(db.cases.c.site, db.notices.c.key).join(db.cases, db.cases.c.id == db.notices.c.case)
    state, due = db.notices.c.state, db.notices.c.due_at_ms
    unsent = (and_(db.notices.c.level == level, due < now_ms - late_ms) for level, late_ms in UNSENT_MS.items())
    stuck = or_(and_(state == timers.SENDING, due < now_ms - LATE_MS), and_(state.in_(WAITING), or_(*unsent)))
    return [
        Stuck(row.site, "notice", row.key)
        for row in connection.execute(query.where(stuck, db.cases.c.site.in_(sites)).limit(MOST))
    ]


def _ahead(
    connection: Connection, apart: Apart | None, sites: Collection[SiteId], practice: Practice, now_ms: int
) -> list[Stuck]:
    """The clock was set back while no engine ran, which would have moved the timers (rules.shell.timekeeper): what it had written down
    would wait until it has come there again. All promises count from now."""
    late_ms = now_ms + AHEAD_MS
    found = []
    for case in rows.cases_where(connection, *_set_back(sites, now_ms)):
        back: dict[str, Any] = {
            name: now_ms for name in ("clock_from_ms", "accepted_at_ms") if (getattr(case, name) or 0) > late_ms
        }
        right = replace(case, **back, **promises(case.policy, now_ms, practice.calendar))
        write, wind = partial(rows.write_case, connection, right), partial(timers.wind, connection, right, practice)
        _mended(apart, case, [write, wind])
        found.append(Stuck(case.site, "clock", case.id))
    connection.execute(update(db.notices).where(*_called_ahead(now_ms)).values(queued_at_ms=now_ms, due_at_ms=now_ms))
    return found[:MOST]


def _set_back(sites: Collection[SiteId], now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Cases of which a clock says that they began after now."""
    moved = select(db.timers.c.case).where(db.timers.c.shift_ms < 0)  # an engine saw it happen: nothing waits
    running = (db.cases.c.site.in_(sites), db.cases.c.state.in_((*CASE_WAITING, *TAKEN)), db.cases.c.id.not_in(moved))
    stamps = (db.cases.c.clock_from_ms, db.cases.c.accepted_at_ms)
    return (*running, or_(*(one > now_ms + AHEAD_MS for one in stamps)))


def _called_ahead(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    return db.notices.c.state.in_(WAITING), db.notices.c.queued_at_ms > now_ms + AHEAD_MS


def _asleep(connection: Connection, sites: Collection[SiteId], now_ms: int) -> list[Stuck]:
    """What holds and rings, in a case for which nobody is called."""
    case, alarm = db.cases.c, db.alarms.c
    over = or_(case.state.in_(OVER), and_(case.state == CaseState.SUSPENDED, alarm.level == "red"))
    holds = (alarm.open, alarm.state.in_(ACTIVE), ~alarm.returned, alarm.annunciated, alarm.site.in_(sites))
    query = select(alarm.site, alarm.id).join(db.cases, case.id == alarm.case).where(*holds, over)
    rests = query.where(alarm.changed_at_ms < now_ms - ANNOUNCED_MS).limit(MOST)
    return [Stuck(row.site, "asleep", row.id) for row in connection.execute(rests)]


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
