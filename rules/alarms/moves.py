"""What happens to an alarm, carried out: its events, its row, its lines, and its case if somebody must be called.

Inside the caller's transaction, under the write lock. `rules.alarms.standing` and `rules.alarms.overlays.oversight` decide.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row

from messages.alarm import Level
from messages.announcement import Place
from messages.settings import Text
from rules.alarms.overlays import holds, surroundings
from rules.alarms.overlays.oversight import due
from rules.alarms.standing import Event, Said, Standing, happen
from rules.cases import docket
from rules.cases.case import Situation
from rules.cases.practice import PLAIN, Practice
from rules.records import Case
from rules.store import rows
from rules.store.rows import Line


def carry(
    connection: Connection,
    row: Row[Any],
    events: Iterable[Event],
    now_ms: int,
    practice: Practice = PLAIN,
    *,
    look: bool = False,
    **more: Any,
) -> list[Line]:
    """Let `events` happen to the alarm of `row` (as `alarms_with_cases` has it), one after the other.

    `look`: and before and after them what is around it, so that no overlay is older or younger than the event. `more`:
    further columns to write.
    """
    before = rows.standing_of(row)
    now, said = before, list[Said]()
    case = rows.case_in(row)
    if look:
        around = surroundings.of_one(connection, surroundings.watched(row, before, **more), now_ms)

        def seen() -> list[Event]:
            return due(surroundings.watched(row, now, **more), around, now_ms, practice.figures)

        steps: tuple[Callable[[], Iterable[Event]], ...] = (seen, lambda: events, seen)
    else:
        steps = (lambda: events,)
    for step in steps:
        now, more_said = _happened(now, step(), now_ms)
        said += more_said
    if look and case is None:
        case = surroundings.parents_case(connection, now, around)
    lines = [Line(one.event, row.id, case.id if case else None, one.actor, one.detail) for one in said]
    if now.calls and case is None:
        case, told = _called(connection, row, now_ms, practice, **more)
        lines = [Line(line.event, line.alarm, case.id, line.actor, line.detail) for line in lines] + told
    rows.write_standing(connection, row.id, now, case, was_open=row.open, **more)
    shelf = before.overlays.shelved
    taken = any(one.event == "alarm.unshelved" for one in said)
    if shelf and now.overlays.shelved is None and (shelf.one_shot or taken):
        holds.end_shelf(connection, row, now_ms)
    return lines


def _happened(standing: Standing, events: Iterable[Event], now_ms: int) -> tuple[Standing, list[Said]]:
    said: list[Said] = []
    for event in events:
        moved = happen(standing, event, now_ms)
        standing = moved.standing
        said += moved.said
    return standing, said


def _called(
    connection: Connection, row: Row[Any], now_ms: int, practice: Practice, **more: Any
) -> tuple[Case, list[Line]]:
    """The case of an alarm for which somebody must go there: perhaps one that is known."""
    about = situation_of(row._mapping, practice, more.get("level", row.level))
    return docket.for_alarm(connection, f"c-{row.id}", about, row.rule, now_ms, practice)


def situation_of(alarm: Mapping[Any, Any], practice: Practice, level: Level) -> Situation:
    """What the case of an alarm is about, given its row."""
    return Situation(
        site=alarm["site"],
        place=Place(**alarm["place"]),
        lat=alarm["lat"],
        lon=alarm["lon"],
        kind=alarm["kind"],
        subject=alarm["device"],
        owner=practice.owner(alarm["site"], alarm["device"], alarm["owner"]),
        situation=alarm["situation"],
        title=Text(**alarm["title"]),
        level=level,
        origin="alarm",
    )
