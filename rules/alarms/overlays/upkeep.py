"""The engine's look at the open alarms, once a second: what is due by time, by people's word, or by the plant.

Inside one transaction. `rules.alarms.overlays.oversight`, `chatter` and `flood` decide. A restart loses nothing: what became due meanwhile is due
at the first look.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select
from sqlalchemy.sql import ColumnElement, Select

from messages.ids import SiteId
from rules.alarms.condition import ACTIVE, AlarmEvent
from rules.alarms.figures import Flood
from rules.alarms.overlays import chatter, flood, holds, surroundings
from rules.alarms.overlays.concerned import concerned
from rules.alarms.overlays.hold import Hold, What
from rules.alarms.overlays.oversight import due
from rules.alarms.standing import Event, Move
from rules.cases.acting import carried
from rules.cases.practice import PLAIN, Practice
from rules.store import rows
from rules.store import tables as db
from rules.store.rows import Line

ACTOR = "rules"

_NARROW = [
    db.alarms.c[name]
    for name in (
        "id",
        "site",
        "edge",
        "device",
        "kind",
        "rule",
        "level",
        "place",
        "state",
        "latch",
        "changed_at_ms",
        "guards",
        "overlays",
        "returned",
        "since_ms",
        "flapped_at_ms",
        "case",
    )
]
"""What is asked of an open alarm; the rest is read of those to which something happens."""

_GRAVEST = case({"red": 0, "orange": 1, "yellow": 2}, value=db.alarms.c.level, else_=3)
OPENED: Select[Any] = (
    select(*_NARROW, db.cases.c.state.label("case_state"))
    .outerjoin(db.cases, db.cases.c.id == db.alarms.c.case)
    .where(db.alarms.c.open)
    .order_by(_GRAVEST, db.alarms.c.known_at_ms, db.alarms.c.id)
)

MOST_LOOKED_AT = 2_000
"""Open alarms that are looked at each second, of those for which something may be due. Of more it is a sixteenth at each look, so that nobody waits a second for the writer's place."""
PARTS = 16
MOST_AT_ONCE = 200
"""Alarms to which something happens in one look, the gravest first: nobody else can write meanwhile. The others' turn is a second later."""


Each = Callable[[Row[Any], Callable[[], list[Line]]], list[Line]]


def look(
    connection: Connection,
    now_ms: int,
    operators: Mapping[SiteId, int] | None = None,
    practice: Practice = PLAIN,
    each: Each | None = None,
) -> list[Line]:
    """Everything that is due, and the lines that tell it. `operators`: how many share a site's alarms, if not one. `each`: as of `settled`."""
    lines = settled(connection, now_ms, practice, each)
    return lines + _floods(connection, now_ms, operators or {}, practice.figures.flood)


def settled(connection: Connection, now_ms: int, practice: Practice = PLAIN, each: Each | None = None) -> list[Line]:
    """What is due of holds and of alarms; whether there is a flood is the engine's to say, who knows how many operators there are.
    `each`: how to do what happens to an alarm, if one must not hold up the others."""
    lines = _end_holds(connection, now_ms)
    wide = surroundings.of_open(connection, now_ms)
    opened = _opened(connection, concerned(wide, now_ms, practice.figures), now_ms)
    around = surroundings.of_some(connection, {(row.site, row.device) for row in opened}, now_ms)
    chattering = _chattering(connection, opened)
    found: dict[str, list[Event]] = {}
    for row in opened:
        events = due(surroundings.watched(row, rows.standing_of(row)), around, now_ms, practice.figures)
        if row.rule == chatter.RULE and row.state in ACTIVE and (row.site, row.device) not in chattering:
            events.append(Move(AlarmEvent.RETURNED, detail="quiet"))
        if events:
            found[row.id] = events
        if len(found) == MOST_AT_ONCE:
            break
    if found:
        whole = rows.alarms_with_cases().where(db.alarms.c.id.in_(found))
        by_id = {row.id: row for row in connection.execute(whole)}
        for alarm_id, events in found.items():
            happen = partial(carried, connection, by_id[alarm_id], events, now_ms, practice)
            lines += each(by_id[alarm_id], happen) if each else happen()
    return lines


def _opened(connection: Connection, its: ColumnElement[bool], now_ms: int) -> list[Row[Any]]:
    """The open alarms for which something may be due, or some of them: their ids are evenly spread, and which it is is left to chance, since
    looks may come at any pace."""
    found = list(connection.execute(OPENED.where(its).limit(MOST_LOOKED_AT + 1)))
    if len(found) <= MOST_LOOKED_AT:
        return found
    part = random.Random(now_ms).randrange(PARTS)
    return list(connection.execute(OPENED.where(its, db.alarms.c.id.startswith(f"{part:x}"))))


def _chattering(connection: Connection, opened: Sequence[Row[Any]]) -> set[tuple[str, str]]:
    """Devices that are to be mended and of which an alarm still chatters."""
    devices = {row.device for row in opened if row.rule == chatter.RULE}
    if not devices:
        return set()
    query = select(db.alarms.c.site, db.alarms.c.device, db.alarms.c.overlays).where(db.alarms.c.open)
    found = connection.execute(query.where(db.alarms.c.device.in_(devices)))
    return {(row.site, row.device) for row in found if row.overlays.get("chattering")}


def _end_holds(connection: Connection, now_ms: int) -> list[Line]:
    lines = []
    for hold in holds.lasting(connection, db.holds.c.until_ms <= now_ms):
        holds.end(connection, hold.id, ACTOR, now_ms)
        if line := ended(connection, hold, ACTOR, "over"):
            lines.append(line)
    return lines


def ended(connection: Connection, hold: Hold, actor: str, why: str) -> Line | None:
    """The line that a hold has of its own. A shelf over an open alarm has none: the alarm says it."""
    match hold.what:
        case What.PERMIT:
            return Line("permit.closed", None, None, actor, f"{hold.id} {scope(hold)}: {why}")
        case What.SERVICE:
            return Line("device.returned_to_service", None, None, actor, f"{scope(hold)}: {why}")
        case What.SHELF:
            its = (db.alarms.c.site == hold.site, db.alarms.c.device == hold.device, db.alarms.c.rule == hold.rule)
            if connection.scalar(select(db.alarms.c.id).where(*its, db.alarms.c.open)):
                return None
            return Line("alarm.unshelved", None, None, actor, f"{scope(hold)}: {why}")


def scope(hold: Hold) -> str:
    """What a hold lies over, e.g. "junmen/gas-1/leak", or "junmen grid g1 building 3"."""
    if hold.device:
        return "/".join(part for part in (hold.site, hold.device, hold.rule) if part)
    places = (("grid", hold.grid), ("building", hold.building), ("unit", hold.unit))
    return " ".join([hold.site, *(f"{name} {value}" for name, value in places if value)])


def _floods(connection: Connection, now_ms: int, operators: Mapping[SiteId, int], figures: Flood) -> list[Line]:
    fresh = _fresh(connection, now_ms - round(figures.window * 1000))
    before = {row.site: row.since_ms for row in connection.execute(select(db.floods))}
    lines = []
    for site in sorted({*fresh, *before}):
        count = fresh.get(site, 0)
        now = flood.floods(before=site in before, fresh=count, figures=figures, operators=operators.get(site, 1))
        if now == (site in before):
            continue
        if now:
            connection.execute(insert(db.floods).values(site=site, since_ms=now_ms))
        else:
            connection.execute(delete(db.floods).where(db.floods.c.site == site))
        event = "alarm.flood_started" if now else "alarm.flood_ended"
        lines.append(Line(event, None, None, ACTOR, f"{site}: {count} in {figures.window / 60:g} min"))
    return lines


def _fresh(connection: Connection, since_ms: int) -> dict[SiteId, int]:
    """How many alarms began to call people within the window, by site."""
    new = (db.alarms.c.known_at_ms > since_ms, ~db.alarms.c.late, db.alarms.c.annunciated)
    query = select(db.alarms.c.site, func.count().label("fresh")).where(*new).group_by(db.alarms.c.site)
    found: list[Row[Any]] = list(connection.execute(query))
    return {row.site: row.fresh for row in found}
