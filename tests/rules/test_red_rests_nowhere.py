"""Red in a case that somebody has put aside or called done: it calls as if it were new."""

from pathlib import Path

import pytest
from sqlalchemy import select

from rules.records import AlarmState, CaseState
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("cover-1", "manhole_cover", depth=2.0)
    return room


def tilt(room: Room, now_s: float, degrees: float) -> None:
    room.hear(reading(now_s, "tilt", degrees, device="cover-1"))


def moved(room: Room) -> str:
    """An orange case of a cover that stands askew."""
    tilt(room, 0, 30.0)
    room.pass_time(30)
    case = room.the_alarm().case
    assert case
    assert case.level == "orange"
    return case.id


def calls(room: Room, since_s: float) -> set[tuple[str, str]]:
    room.fire_cases(since_s + 1)
    with room.database.reading() as connection:
        found = connection.execute(select(db.notices).where(db.notices.c.queued_at_ms >= at(since_s)))
        return {(row.person, row.level) for row in found}


def state(room: Room, case: str) -> CaseState:
    found = room.desk.case(case)
    assert found
    return found.state


def test_what_becomes_red_while_it_is_suspended_is_called_for_at_once(room: Room) -> None:
    case = moved(room)
    room.desk.suspend(case, actor="chief", at_ms=at(40), review_ms=at(86_400), reason="parts")
    tilt(room, 60, 80.0)
    assert {one.case.id for one in room.desk.alarms() if one.case} == {case}
    assert state(room, case) is CaseState.REOPENED
    assert ("desk", "red") in calls(room, 60)


def test_what_becomes_red_after_it_was_said_to_be_done_is_called_for_at_once(room: Room) -> None:
    case = moved(room)
    room.desk.accept(case, actor="wang", at_ms=at(40))
    room.desk.arrive(case, actor="wang", at_ms=at(41))
    room.desk.finish(case, actor="wang", at_ms=at(42), outcome="mended")
    tilt(room, 60, 80.0)
    assert state(room, case) is CaseState.REOPENED
    assert ("desk", "red") in calls(room, 60)


def test_who_has_taken_what_becomes_red_is_told_at_once(room: Room) -> None:
    case = moved(room)
    room.desk.accept(case, actor="wang", at_ms=at(40))
    tilt(room, 60, 80.0)
    assert state(room, case) is CaseState.ACCEPTED
    assert ("wang", "red") in calls(room, 60)


def test_red_that_comes_again_in_a_suspended_case_is_called_for_at_once(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    case = room.the_alarm().case
    assert case
    for now_s in (10, 100, 200, 320):
        room.hear(reading(now_s, "gas_concentration", 0.0, device="gas-1"))
    assert room.the_alarm().state is AlarmState.LATCH_UNACK
    room.desk.suspend(case.id, actor="chief", at_ms=at(710), review_ms=at(86_400), reason="the flat is locked")
    room.hear(reading(800, "gas_concentration", 30.0, device="gas-1"))
    assert state(room, case.id) is CaseState.REOPENED
    assert ("desk", "red") in calls(room, 800)


@pytest.mark.parametrize("done", [False, True])
def test_red_that_is_merged_into_what_is_put_aside_or_done_is_called_for(room: Room, done: bool) -> None:
    into = moved(room)
    if done:
        room.desk.accept(into, actor="wang", at_ms=at(40))
        room.desk.arrive(into, actor="wang", at_ms=at(41))
        room.desk.finish(into, actor="wang", at_ms=at(42), outcome="mended")
    else:
        room.desk.suspend(into, actor="chief", at_ms=at(40), review_ms=at(86_400), reason="parts")
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(50, "gas_concentration", 30.0, device="gas-1"))
    leak = next(one.case for one in room.desk.alarms() if one.device == "gas-1")
    assert leak
    room.desk.merge(leak.id, actor="chief", at_ms=at(60), into=into)
    assert state(room, into) is CaseState.REOPENED
    assert ("desk", "red") in calls(room, 60)
