"""Alarms that are raised for the first time, with their cases: many of them in as few statements as one.

In a flood nearly every finding is of that sort. Nothing is decided here that isn't decided for any other alarm (rules.alarms.findings, rules.alarms.moves,
rules.cases.docket), by the same pure functions; but what is around all of them is read at once, and what they are is written at once. One to which anything else
applies is left to the others: one that is known from before, that lies under something, that may be part of another case or gather others.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, tuple_

from messages.ids import SiteId
from rules.alarms import findings
from rules.alarms.condition import AlarmEvent, Condition
from rules.alarms.findings import Key, key_of
from rules.alarms.moves import situation_of
from rules.alarms.overlays import surroundings
from rules.alarms.overlays.oversight import Around, Watched, due
from rules.alarms.standing import Move, Standing, happen
from rules.cases import case as cases
from rules.cases.acts import RULES
from rules.cases.practice import Practice
from rules.engine.found import Abandoned, Found
from rules.escalation.clocks import Clocks
from rules.language.change import Raised
from rules.records import OVER, AlarmState, Case, CaseState
from rules.store import rows
from rules.store import tables as db

_KEY = (db.alarms.c.site, db.alarms.c.device, db.alarms.c.rule)
_GONE = (CaseState.ARCHIVED, CaseState.CANCELLED, CaseState.MERGED)
"""A case that is any of these never comes again."""
_KNOWN = (
    select(*_KEY)
    .outerjoin(db.cases, db.cases.c.id == db.alarms.c.case)
    .where(
        *(column.in_(bindparam(f"{column.name}s", expanding=True)) for column in _KEY),
        or_(db.alarms.c.open, db.cases.c.state.not_in(_GONE), db.alarms.c.id.in_(bindparam("ids", expanding=True))),
    )
)
_REPORTED = (
    select(db.cases.c.site, db.cases.c.kind)
    .distinct()
    .where(
        tuple_(db.cases.c.site, db.cases.c.kind).in_(bindparam("kinds", expanding=True)),
        db.cases.c.origin.in_(("report", "ticket")),
        db.cases.c.opened_at_ms >= bindparam("from_ms"),
        db.cases.c.state.not_in(sorted(OVER)),
    )
)
"""Made once, as in rules.store.rows. SQLite takes no index for more than two columns in one IN: so more are asked for than are wanted."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An alarm as its row, with the case that it opens and the lines that tell it."""

    alarm: dict[str, Any]
    case: Case
    lines: list[rows.Line]


def among(
    connection: Connection, found: Sequence[Found | Abandoned], now_ms: int, practice: Practice
) -> dict[int, Newcomer]:
    """Those of a work's findings, by their position. They are not written yet."""
    wanted = {at: (one, one.change) for at, one in _candidates(found) if isinstance(one.change, Raised)}
    if not wanted:
        return {}
    known = _known(connection, [(key_of(one), findings.id_of(one, change.at_ms)) for one, change in wanted.values()])
    reported = _reported(connection, {(one.device.site, one.device.kind) for one, _ in wanted.values()}, now_ms)
    around = surroundings.of_some(connection, {(one.device.site, one.device.id) for one, _ in wanted.values()}, now_ms)
    new = {}
    for at, (one, change) in wanted.items():
        if key_of(one) in known or (one.device.site, one.device.kind) in reported:
            continue
        if (newcomer := _newcomer(one, change, around, now_ms, practice)) is not None:
            new[at] = newcomer
    return new


def write(connection: Connection, new: Collection[Newcomer], clocks: Clocks) -> None:
    """Them and their cases; the clocks of these begin."""
    rows.insert_cases(connection, [one.case for one in new])
    rows.insert_alarms(connection, [one.alarm for one in new])
    for one in new:
        clocks.begin(one.case)


def _candidates(found: Sequence[Found | Abandoned]) -> list[tuple[int, Found]]:
    """What is raised once in this work, now, as a situation of its own, and at no site where something gathers others meanwhile."""
    times = Counter(map(key_of, found))
    gathering = {one.device.site for one in found if isinstance(one, Found) and one.rule.gathers}
    return [
        (at, one)
        for at, one in enumerate(found)
        if isinstance(one, Found)
        and isinstance(one.change, Raised)
        and not one.change.late
        and not one.rule.shadow
        and not one.rule.situation
        and times[key_of(one)] == 1
        and one.device.site not in gathering
    ]


def _known(connection: Connection, asked: Sequence[tuple[Key, str]]) -> set[Key]:
    """Of whose rule and device an alarm is open, or has this id, or is in a case that may come again."""
    known = set[Key]()
    for some in rows.parts(asked):
        sites, devices, names = (sorted({key[at] for key, _ in some}) for at in range(3))
        its = {"sites": sites, "devices": devices, "rules": names, "ids": [alarm_id for _, alarm_id in some]}
        known |= {(row.site, row.device, row.rule) for row in connection.execute(_KNOWN, its)}
    return known


def _reported(connection: Connection, kinds: Collection[tuple[SiteId, str]], now_ms: int) -> set[tuple[SiteId, str]]:
    """Of which kinds a person or another system has lately reported something that nobody has ended."""
    reported = set[tuple[SiteId, str]]()
    for some in rows.parts(kinds):
        its = {"kinds": some, "from_ms": now_ms - cases.REPORT_WITHIN_MS}
        reported |= {(row.site, row.kind) for row in connection.execute(_REPORTED, its)}
    return reported


def _newcomer(found: Found, change: Raised, around: Around, now_ms: int, practice: Practice) -> Newcomer | None:
    """None: something lies over it."""
    values = findings.alarm_values(found, change, now_ms)
    before = Standing(Condition(AlarmState.NORM, values["latch"], now_ms), guards=values["guards"], called=False)
    moved = happen(before, Move(AlarmEvent.RAISED), now_ms)
    if any(due(_watched(values, found, one), around, now_ms, practice.figures) for one in (before, moved.standing)):
        return None
    case = cases.opened(f"c-{values['id']}", situation_of(values, practice, values["level"]), now_ms, practice)
    lines = [rows.Line(one.event, values["id"], case.id, one.actor, one.detail) for one in moved.said]
    lines.append(rows.Line(f"case.{case.state}", None, case.id, RULES))
    return Newcomer(values | rows.standing_values(moved.standing, case) | {"late": False}, case, lines)


def _watched(values: Mapping[str, Any], found: Found, standing: Standing) -> Watched:
    return Watched(
        id=values["id"],
        site=found.device.site,
        edge=found.device.edge,
        device=found.device.id,
        kind=found.device.kind,
        rule=found.rule.id,
        level=values["level"],
        place=found.device.place,
        standing=standing,
        since_ms=values["since_ms"],
        flapped_at_ms=values["flapped_at_ms"],
    )
