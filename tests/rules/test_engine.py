"""Works, facts and a real database: what was written is known after a restart, and what was not never happened."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messages.ids import DeviceId, StreamId
from messages.reading import Quality, Reading
from rules.engine import work as engine
from rules.engine.stream import Stream
from rules.engine.work import Work
from rules.records import AlarmState
from rules.store import facts
from tests.rules.course import KINDS, at, course, reading, tilt
from tests.rules.room import EDGE, PLACE, SITE, Room, mend

STREAM = (SITE, EDGE, StreamId("s-1"))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("it", "manhole_cover")
    return room


def test_a_restart_between_any_two_readings_changes_no_alarm(room: Room, tmp_path: Path) -> None:
    readings = tilt((0, 20.0), (10, 21.0), (31, 20.0), (60, 2.0), (90, 20.0), (100, 2.0), (130, 2.0), (161, 2.0))
    room.hear(*readings)
    (other_folder := tmp_path / "other").mkdir()
    other = Room(other_folder)
    other.announce("it", "manhole_cover")
    for one in readings:
        other.start()
        other.hear(one)
    assert other.the_alarm() == room.the_alarm()
    assert other.desk.log_after(0) == room.desk.log_after(0)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK


def test_a_timer_survives_a_restart(room: Room) -> None:
    room.hear(*tilt((0, 20.0)))
    room.start()
    assert room.facts.next_wake_ms() == at(30)
    room.wake(29.9)
    assert room.desk.alarms() == []
    room.wake(500)
    assert room.the_alarm().raised_at_ms == at(30)
    assert room.facts.next_wake_ms() is None


def test_everything_the_engine_knew_is_there_after_a_restart(room: Room) -> None:
    room.announce("sewer-1", "sewer_level", depth=2.5)
    room.hear(*tilt((0, 20.0)), *course("temperature", (1, 1.0), device="bin-1"))
    before = room.facts
    room.start()
    for name in ("devices", "edges", "streams", "watches", "waiting"):
        assert getattr(room.facts, name) == getattr(before, name)
    assert room.facts.devices[SITE, EDGE, DeviceId("sewer-1")].place == PLACE


def test_a_work_that_was_not_written_never_happened(room: Room) -> None:
    lost = Work(room.facts)
    lost.hear(SITE, EDGE, tilt((0, 60.0)), at(0))
    lost.heard(STREAM, 1, at(0))
    again = Work(room.facts)
    assert not again.is_heard(STREAM, 1)
    again.hear(SITE, EDGE, tilt((0, 60.0)), at(0))
    room.write(again, 0)
    assert room.the_alarm().rule == "open"


def test_one_reading_may_move_several_rules_and_each_has_its_alarm(room: Room) -> None:
    room.hear(*tilt((0, 20.0), (30, 20.0), (40, 60.0)))
    assert {(alarm.rule, alarm.level) for alarm in room.desk.alarms()} == {("moved", "orange"), ("open", "red")}


@pytest.mark.parametrize("how", ["another kind", "withdrawn", "no such rule"])
def test_an_alarm_whose_rule_is_gone_returns_so_that_its_case_can_be_closed(room: Room, how: str) -> None:
    room.hear(*tilt((0, 60.0)))
    case = room.the_alarm().case
    assert case
    match how:
        case "another kind":
            room.announce("it", "waste_bin", now_s=10)
        case "withdrawn":
            room.withdraw("it")
        case _:
            room.facts = facts.load(room.database, KINDS, {})
            work = Work(room.facts)
            work.renew(at(10))
            room.write(work, 10)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK
    assert room.desk.log_of(room.the_alarm().id)[-1].detail
    room.desk.accept(case.id, actor="wang", at_ms=at(20))
    room.desk.arrive(case.id, actor="wang", at_ms=at(30))
    mend(room.desk, case.id, at_ms=at(40), outcome="handed_on")
    assert room.desk.alarms() == []


def test_a_start_with_the_same_rules_abandons_nothing(room: Room) -> None:
    room.hear(*tilt((0, 60.0)))
    room.start()
    work = Work(room.facts)
    work.renew(at(10))
    assert work.empty


def test_of_too_many_streams_the_one_unused_for_longest_is_forgotten(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STREAMS_PER_EDGE", 2)
    for at_s, name in enumerate(["a", "b", "a", "c"]):
        work = Work(room.facts)
        work.heard((SITE, EDGE, StreamId(name)), at_s + 1, at(at_s))
        room.write(work, at_s)
    room.start()
    assert sorted(stream for _, _, stream in room.facts.streams) == ["a", "c"]


def test_a_reading_that_can_not_be_true_is_not_evaluated(room: Room) -> None:
    impossible = [
        reading(0, "tilt", True),
        reading(0, "tilt", 400.0),
        reading(0, "lean", 60.0),
        Reading(device=DeviceId("it"), channel="tilt", at_ms=at(0), value=1.5, unit="rad"),
    ]
    work = Work(room.facts)
    work.hear(SITE, EDGE, impossible, at(0))
    assert (work.refused, work.readings, work.watches) == (4, 0, {})
    bad = Work(room.facts)
    bad.hear(SITE, EDGE, [reading(0, "tilt", 400.0, quality=Quality.BAD)], at(0))
    assert (bad.refused, bad.readings, bad.found) == (0, 1, [])


def test_a_device_that_becomes_another_kind_leaves_no_timer_behind(room: Room) -> None:
    room.hear(*tilt((0, 20.0)))
    room.announce("it", "waste_bin")
    room.wake(31)
    assert room.desk.alarms() == []
    assert room.facts.next_wake_ms() is None


def test_a_device_of_a_kind_without_rules_raises_nothing(room: Room) -> None:
    room.announce("it", "spaceship")
    room.hear(*tilt((0, 60.0)))
    assert room.desk.alarms() == []


def test_new_settings_count_from_the_next_reading(room: Room) -> None:
    room.hear(*tilt((0, 50.0)))
    room.announce("it", "manhole_cover", installed_tilt=50.0)
    room.hear(*tilt((1, 50.0)))
    room.wake(61)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK


def test_heard_packs_are_kept_as_ranges_with_their_readings(room: Room) -> None:
    for number in (1, 2, 5, 3):
        work = Work(room.facts)
        work.heard(STREAM, number, at(0))
        room.write(work, 0)
    work = Work(room.facts)
    work.said(STREAM, 9, at(0))
    work.said(STREAM, 4, at(1))
    room.write(work, 0)
    room.start()
    assert room.facts.streams[STREAM] == Stream(heard=((1, 3), (5, 5)), said=9, used_at_ms=at(0))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0.0, 20.0, 60.0])), min_size=1, max_size=12),
    st.data(),
)
def test_packs_told_twice_in_any_order_and_restarts_double_no_alarm(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float]], data: st.DataObject
) -> None:
    at_s, packs = 0, []
    for number, (gap_s, value) in enumerate(steps, start=1):
        at_s += gap_s
        packs.append((number, reading(at_s, "tilt", value)))
    plain, troubled = Room(tmp_path_factory.mktemp("plain")), Room(tmp_path_factory.mktemp("troubled"))
    for room in (plain, troubled):
        room.announce("it", "manhole_cover")
    _hear_packs(plain, packs)
    doubled = [pack for pack in packs for _ in range(data.draw(st.integers(1, 2)))]
    _hear_packs(troubled, doubled, restart=True)
    _hear_packs(troubled, data.draw(st.permutations(packs)), restart=True)
    assert troubled.desk.alarms(open_only=False) == plain.desk.alarms(open_only=False)
    assert troubled.events() == plain.events()


def _hear_packs(room: Room, packs: list[tuple[int, Reading]], *, restart: bool = False) -> None:
    for number, one in packs:
        if restart:
            room.start()
        work = Work(room.facts)
        if not work.is_heard(STREAM, number):
            work.hear(SITE, EDGE, [one], one.at_ms)
            work.heard(STREAM, number, one.at_ms)
        facts.commit(room.database, work, one.at_ms)
        room.facts.adopt(work)
