"""What lacks a timer is found by the database alone, and just as `running` says which legs run."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select

from rules.cases.case import opened
from rules.cases.practice import PLAIN
from rules.escalation import timers
from rules.escalation.program import running
from rules.records import Case, CaseState
from rules.store import rows
from rules.store import tables as db
from tests.rules.course import at
from tests.rules.room import Room
from tests.rules.situation import about

STAMPS = (
    "arrive_by_ms",
    "handle_by_ms",
    "feedback_at_ms",
    "suspended_until_ms",
    "closed_at_ms",
    "extension_at_ms",
    "escalated_at_ms",
    "checked_in_at_ms",
)


def every_sort() -> list[Case]:
    """Cases in each state: with each stamp alone, with all, with all but one, with none; on the lowest rung and on the highest."""
    some: list[set[str]] = [set(), set(STAMPS), *({one} for one in STAMPS), *(set(STAMPS) - {one} for one in STAMPS)]
    plain, found = opened("c", about(), at(0)), list[Case]()
    for number, (state, stamps, rung) in enumerate(itertools.product(CaseState, some, (1, 3))):
        its: dict[str, Any] = {name: at(100) if name in stamps else None for name in STAMPS}
        found.append(replace(plain, id=f"c-{number}", state=state, rung=rung, **its))
    return found


def test_a_case_lacks_a_timer_if_a_leg_of_it_runs_that_has_none(tmp_path: Path) -> None:
    room, cases = Room(tmp_path), every_sort()
    with room.database.writing() as connection:
        rows.insert_cases(connection, cases)
        assert {one.id for one in timers.lacking(connection)} == {one.id for one in cases if running(one)}
        assert timers.wind_some(connection, cases, PLAIN) == sum(bool(running(one)) for one in cases)
        assert timers.lacking(connection) == []
        legs = connection.scalars(select(db.timers.c.leg).distinct()).all()
        assert len(legs) == 8, "each leg there is"
        for leg in legs:
            its = {one.id for one in cases if leg in running(one)}
            connection.execute(delete(db.timers).where(db.timers.c.leg == leg))
            assert {one.id for one in timers.lacking(connection)} == its, leg
            assert timers.wind_some(connection, timers.lacking(connection), PLAIN) == len(its)
        assert connection.scalar(select(func.count()).select_from(db.timers)) == sum(len(running(one)) for one in cases)
