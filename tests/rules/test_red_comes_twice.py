"""A call for help beside another one: of another flat, or while the first is not yet closed."""

from pathlib import Path

import pytest

from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from rules.engine.work import Work
from rules.records import AlarmState, CaseState
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def button(room: Room, device: str, flat: str) -> None:
    place = Place(grid="g1", building="3", unit="2", text=f"3号楼2单元{flat}")
    work = Work(room.facts)
    work.announce(
        SITE, EDGE, DeviceId(device), Announcement(kind="sos_button", model="m", place=place, settings={}), at(0)
    )
    room.write(work, 0)


def press(room: Room, device: str, at_s: float, now_s: float | None = None, pressed: bool = True) -> None:
    room.hear(reading(at_s, "pressed", pressed, device=device), now_s=now_s)


def test_a_call_for_help_of_another_flat_is_a_case_of_its_own(room: Room) -> None:
    button(room, "sos-101", "101")
    button(room, "sos-501", "501")
    press(room, "sos-101", 0)
    (first,) = room.desk.cases()
    room.desk.accept(first.id, actor="wang", at_ms=at(10))
    press(room, "sos-501", 120)
    second = next(one.case for one in room.desk.alarms() if one.device == "sos-501")
    assert second
    assert (second.id != first.id, second.state) == (True, CaseState.REGISTERED)


def test_smoke_in_an_outage_rings_though_an_earlier_alarm_is_not_yet_checked(room: Room) -> None:
    room.announce("smoke-1", "smoke_alarm")
    room.hear(reading(0, "smoke", True, device="smoke-1"), reading(60, "smoke", False, device="smoke-1"))
    (case,) = room.desk.cases()
    room.desk.accept(case.id, actor="wang", at_ms=at(100))
    room.desk.arrive(case.id, actor="wang", at_ms=at(200))
    room.desk.finish(case.id, actor="wang", at_ms=at(300), outcome="mended")
    assert room.the_alarm().state is AlarmState.LATCH_ACK
    room.hear(reading(2000, "smoke", False, device="smoke-1"))  # what is live comes first
    for now_s in (2001, 2002):  # and then what was said in the outage, once or twice
        room.hear(reading(1000, "smoke", True, device="smoke-1"), now_s=now_s)
        known = room.desk.case(case.id)
        assert known
        assert (known.state, room.the_alarm().state) == (CaseState.REOPENED, AlarmState.LATCH_UNACK)
    assert room.the_alarm().occurrences == 2
