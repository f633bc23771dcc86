"""A call for help beside another one: of another flat, or while the first is not yet closed."""

from pathlib import Path

import pytest

from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from rules.engine.work import Work
from rules.records import AlarmState, CaseState
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room
from tests.rules.test_telling import Street


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


@pytest.fixture
def street(tmp_path: Path) -> Street:
    (tmp_path / "street").mkdir()
    return Street(tmp_path / "street")


def test_who_has_accepted_is_told_at_once_that_the_button_was_pressed_again_and_how_often(street: Street) -> None:
    button(street.room, "sos-101", "101")
    press(street.room, "sos-101", 0)
    street.run(0, 5)
    street.room.desk.accept(street.case(), actor="lin", at_ms=at(10))
    for at_s in (
        20,
        20,
        200,
    ):  # one within the minute that counts as one call, told twice by the radio; and one long after
        press(street.room, "sos-101", at_s)
        street.room.pass_time(at_s)
        street.run(at_s, at_s + 1)
    again = [(now_s, to, message.text) for now_s, _, to, message in street.told if "再次告警" in message.text]
    assert [(now_s, to) for now_s, to, _ in again] == [(20, "LinXiaoMei"), (200, "LinXiaoMei")]
    assert "共2次" in again[0][2]
    assert "共3次" in again[1][2]
    assert street.room.the_alarm().occurrences == 3


def test_a_button_that_is_pressed_all_the_time_is_told_of_every_ten_seconds(street: Street) -> None:
    button(street.room, "sos-101", "101")
    press(street.room, "sos-101", 0)
    street.room.desk.accept(street.case(), actor="lin", at_ms=at(10))
    for at_s in range(20, 50):
        press(street.room, "sos-101", at_s)
        street.run(at_s, at_s)
    street.run(50, 70)
    again = [message.text for *_, message in street.told if "再次告警" in message.text]
    assert 3 <= len(again) <= 7
    assert "共31次" in again[-1]  # none is left out of the count


def test_a_call_that_nobody_has_accepted_is_called_for_as_before(street: Street) -> None:
    button(street.room, "sos-101", "101")
    press(street.room, "sos-101", 0)
    press(street.room, "sos-101", 10)
    assert not [name for name in street.states() if name.endswith("/again")]
    assert street.room.the_alarm().occurrences == 2


def test_another_red_alarm_of_the_same_person_tells_who_has_accepted(street: Street) -> None:
    button(street.room, "sos-101", "101")
    press(street.room, "sos-101", 0)
    street.room.desk.accept(street.case(), actor="lin", at_ms=at(10))
    street.room.hear(reading(30, "held", True, device="sos-101"))
    street.run(30, 31)
    assert [(to, "情况加重" in message.text) for *_, to, message in street.told] == [("LinXiaoMei", True)]
    assert len(street.room.desk.cases()) == 1
