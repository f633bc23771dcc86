"""Two edges that announce one device and disagree about it: each is believed for what it hears, and that they disagree is said."""

from pathlib import Path

import pytest

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId
from rules.engine.found import Audited
from rules.engine.work import Work
from rules.records import AlarmState
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

OTHER = EdgeId("pi-2")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def announce(room: Room, edge: EdgeId, kind: str, building: str = "3") -> None:
    place = Place(grid="g1", building=building, text=f"{building}号楼")
    work = Work(room.facts)
    work.announce(SITE, edge, DeviceId("d-1"), Announcement(kind=kind, model="m", place=place, settings={}), at(0))
    room.write(work, 0)


def test_two_that_agree_are_one_device_and_no_matter(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "smoke_alarm")
    assert room.facts.disputed(SITE) == []
    room.hear(reading(1, "smoke", True, device="d-1"))
    room.hear(reading(2, "smoke", True, device="d-1"), edge=OTHER)
    assert len(room.desk.alarms()) == 1


def test_the_edge_that_hears_it_is_believed_about_where_it_is(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm", "3")
    announce(room, OTHER, "smoke_alarm", "7")
    assert room.facts.disputed(SITE) == ["d-1"]
    room.hear(reading(2, "smoke", True, device="d-1"), edge=OTHER)
    assert room.the_alarm().place.building == "7"


@pytest.mark.parametrize("edge", [EDGE, OTHER])
def test_red_of_either_rings_by_its_own_kind(room: Room, edge: EdgeId) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "gas_alarm")
    assert room.facts.disputed(SITE) == ["d-1"]
    if edge == EDGE:
        room.hear(reading(1, "smoke", True, device="d-1"))
    else:
        room.hear(reading(1, "gas_concentration", 30.0, device="d-1"), edge=OTHER)
    alarm = room.the_alarm()
    assert (alarm.edge, alarm.level, alarm.case is not None) == (edge, "red", True)


def test_what_one_kind_has_raised_no_rule_of_another_kind_ends(room: Room) -> None:
    """Both kinds have a rule `pressed` or `called` of that name: a bracelet and a button at the bed."""
    announce(room, EDGE, "sos_button")
    announce(room, OTHER, "bracelet")
    room.hear(reading(0, "pressed", True, device="d-1"))
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(reading(90, "pressed", False, device="d-1"), edge=OTHER)
    assert room.the_alarm().state is AlarmState.UNACK
    room.pass_time(91)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK  # by its own rule: a person must look
    assert room.the_alarm().kind == "sos_button"


def test_one_that_is_taken_out_of_an_edge_is_disputed_no_longer(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "gas_alarm")
    work = Work(room.facts)
    work.withdraw(SITE, OTHER, DeviceId("d-1"), at(5))
    room.write(work, 5)
    assert room.facts.disputed(SITE) == []


def test_that_two_disagree_is_an_alarm_of_the_site_after_ten_minutes(room: Room) -> None:
    work = Work(room.facts)
    work.audited(SITE, Audited(disputed=1), at(0))
    room.write(work, 0)
    room.pass_time(599)
    assert room.desk.alarms() == []
    room.pass_time(600)
    assert [(alarm.rule, alarm.level) for alarm in room.desk.alarms()] == [("disputed", "yellow")]
