"""Readings that come late, or are told again: history, unless somebody may be in danger still (guarantee 5)."""

from dataclasses import replace
from pathlib import Path

import pytest

from messages.reading import Quality
from rules.records import AlarmState
from tests.rules.course import at, course, reading, tilt
from tests.rules.room import Room, mend


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("it", "manhole_cover")
    return room


def test_a_late_event_is_history_without_a_case(room: Room) -> None:
    room.hear(*tilt((0, 60.0), (10, 2.0), (80, 2.0)), now_s=5000)
    alarm = room.the_alarm()
    assert (alarm.state, alarm.late, alarm.case, alarm.raised_at_ms) == (AlarmState.NORM, True, None, at(0))
    assert room.desk.alarms() == []
    assert [(entry.event, entry.detail) for entry in room.desk.log_of(alarm.id)] == [
        ("alarm.raised", "late"),
        ("alarm.cleared", "late"),
    ]


def test_a_late_event_that_still_stands_calls_somebody(room: Room) -> None:
    room.hear(*tilt((0, 60.0)), now_s=5000)
    late = room.the_alarm()
    assert late.case is None
    room.hear(*tilt((5001, 60.0)))
    room.wake(5001)
    alarm = room.the_alarm()
    assert (alarm.id, alarm.state, alarm.late) == (late.id, AlarmState.UNACK, False)
    assert alarm.case
    assert (alarm.case.opened_at_ms, alarm.raised_at_ms) == (at(5001), at(0))


def test_a_leak_that_is_learnt_a_day_late_rings_at_once(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"), now_s=86_400)
    alarm = room.the_alarm()
    assert (alarm.state, alarm.late, alarm.raised_at_ms, alarm.known_at_ms) == (
        AlarmState.UNACK,
        False,
        at(0),
        at(86_400),
    )


def test_a_leak_in_a_backlog_that_follows_live_readings_rings_and_is_held(room: Room) -> None:
    """Live before backlog (guarantee 4) must not bury a cry (guarantee 5)."""
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "alarm_contact", False, device="gas-1"))
    gas = [(0.0, 0.0), (1000.0, 0.0), (100.0, 30.0), (160.0, 0.0)]
    for at_s, value in gas:
        room.hear(reading(at_s, "gas_concentration", value, device="gas-1"), now_s=max(1000, at_s))
    alarm = room.the_alarm()
    assert (alarm.state, alarm.raised_at_ms) == (AlarmState.LATCH_UNACK, at(100))
    assert alarm.case


def test_a_leak_in_a_backlog_stays_active_until_the_present_knows_that_it_is_over(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    bad = reading(1000, "gas_concentration", 0.0, device="gas-1", quality=Quality.BAD)
    room.hear(reading(0, "alarm_contact", False, device="gas-1"), bad)
    room.hear(reading(100, "gas_concentration", 30.0, device="gas-1"), now_s=1000)
    assert room.the_alarm().state is AlarmState.UNACK
    room.start()
    room.hear(reading(1100, "gas_concentration", 7.0, device="gas-1"))  # between the limits: no end
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(reading(1200, "gas_concentration", 0.0, device="gas-1"))
    assert (room.the_alarm().state, room.the_alarm().raised_at_ms) == (AlarmState.LATCH_UNACK, at(100))
    room.hear(reading(1300, "gas_concentration", 30.0, device="gas-1"))
    assert room.the_alarm().state is AlarmState.UNACK


def test_a_held_leak_is_active_again_when_another_one_comes_to_light_that_may_still_last(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "alarm_contact", False, device="gas-1"))
    room.hear(*course("gas_concentration", (0, 30.0), (10, 0.0), (311, 0.0), device="gas-1"))
    assert room.the_alarm().state is AlarmState.LATCH_UNACK
    room.hear(reading(1000, "gas_concentration", 0.0, device="gas-1", quality=Quality.BAD))
    room.hear(reading(600, "gas_concentration", 30.0, device="gas-1"), now_s=1000)
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(reading(1200, "gas_concentration", 0.0, device="gas-1"))
    assert room.the_alarm().state is AlarmState.LATCH_UNACK


def test_what_else_comes_to_light_later_is_history(room: Room) -> None:
    room.hear(*tilt((0, 0.0), (1000, 0.0)))
    room.hear(*tilt((100, 60.0), (200, 0.0), (261, 0.0)), now_s=1001)
    alarm = room.the_alarm()
    assert (alarm.rule, alarm.late, alarm.state, alarm.case) == ("open", True, AlarmState.NORM, None)
    assert room.events() == ["alarm.raised", "alarm.cleared"]


@pytest.mark.parametrize("closed", [False, True])
def test_a_known_episode_that_is_told_again_from_its_middle_is_no_second_one(room: Room, closed: bool) -> None:
    episode = tilt((0, 60.0), (50, 60.0), (100, 0.0), (161, 0.0), (1000, 0.0))
    room.hear(*episode)
    case = room.the_alarm().case
    assert case
    if closed:
        room.desk.accept(case.id, actor="wang", at_ms=at(1000))
        room.desk.arrive(case.id, actor="wang", at_ms=at(1000))
        mend(room.desk, case.id, at_ms=at(1000), outcome="mended")
    before = room.the_alarm(), room.desk.position()
    room.hear(*episode[1:4], now_s=1001)
    assert (room.the_alarm(), room.desk.position()) == before


def test_one_that_is_late_and_stands_is_no_second_one_when_it_is_told_again_from_its_middle(room: Room) -> None:
    room.hear(*tilt((0, 60.0), (10, 60.0), (20, 60.0)), now_s=5000)
    room.hear(*tilt((10, 60.0), (15, 60.0)), now_s=5001)
    assert [alarm.raised_at_ms for alarm in room.desk.alarms(open_only=False)] == [at(0)]


def test_an_earlier_episode_of_an_open_alarm_is_a_line_in_its_log(room: Room) -> None:
    room.hear(*tilt((1000, 60.0)))
    before = room.the_alarm()
    room.hear(*tilt((100, 60.0)), now_s=1001)
    assert room.the_alarm() == before
    assert room.desk.log_of(before.id)[-1].detail == f"late, also at {at(100)}"


@pytest.mark.parametrize(("at_s", "level"), [(1900, "orange"), (100, "blue")])
def test_a_graver_moment_that_comes_to_light_makes_an_open_alarm_graver_unless_it_is_too_old(
    room: Room, at_s: float, level: str
) -> None:
    room.announce("road-1", "road_ponding")
    room.hear(*course("water_depth", (0, 0.05), (1, 0.05), (2000, 0.05), device="road-1"))
    assert room.the_alarm().level == "blue"
    room.hear(*course("water_depth", (at_s, 0.5), (at_s + 1, 0.5), device="road-1"), now_s=2001)
    assert (room.the_alarm().level, room.the_alarm().raised_at_ms) == (level, at(1))
    assert room.events().count("alarm.severity_changed") == (level == "orange")


def test_a_late_occurrence_does_not_ring_a_held_alarm_again(room: Room) -> None:
    room.hear(*tilt((0, 60.0), (10, 0.0), (71, 0.0)))
    before = room.the_alarm()
    assert before.state is AlarmState.LATCH_UNACK
    room.hear(*tilt((100, 60.0), (110, 0.0), (171, 0.0)), now_s=9000)
    assert replace(room.the_alarm(), case=None) == replace(before, case=None)
    spoken = [entry.detail for entry in room.desk.log_of(before.id) if entry.alarm]
    assert spoken[-1] == f"late, again at {at(100)}"


def test_an_episode_of_a_clock_that_was_ahead_is_no_second_one_when_it_is_told_again(room: Room) -> None:
    ahead = tilt((100, 60.0), (110, 0.0), (171, 0.0))
    for one, now_s in zip(ahead, (0, 10, 71), strict=True):
        room.hear(one, now_s=now_s)
    before = room.the_alarm(), room.desk.position()
    assert before[0].state is AlarmState.LATCH_UNACK
    case = before[0].case
    assert case
    for act in (room.desk.accept, room.desk.arrive):
        act(case.id, actor="wang", at_ms=at(80))
    mend(room.desk, case.id, at_ms=at(80), outcome="mended")
    before = room.the_alarm(), room.desk.position()
    for now_s in (120, 150, 300):  # while its time is not yet come, in between, and long after
        room.hear(*ahead, now_s=now_s)
    assert (room.the_alarm(), room.desk.position()) == before
