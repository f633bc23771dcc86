from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Quality, Reading
from rules.engine import draft, strangers
from rules.engine import work as engine
from rules.engine.stream import Stream
from rules.engine.work import Work
from rules.records import AlarmState
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import KINDS, at, course, reading
from tests.rules.room import EDGE, PLACE, SITE, Room, announced, mend

STREAM = (SITE, EDGE, StreamId("s-1"))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("it", "manhole_cover")
    return room


def tilt(*points: tuple[float, float]) -> list[Reading]:
    return course("tilt", *points)


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


def test_an_earlier_episode_of_an_open_alarm_is_a_line_in_its_log(room: Room) -> None:
    room.hear(*tilt((1000, 60.0)))
    before = room.the_alarm()
    room.hear(*tilt((100, 60.0)), now_s=1001)
    assert room.the_alarm() == before
    assert room.desk.log_of(before.id)[-1].detail == f"late, also at {at(100)}"


def test_a_late_occurrence_does_not_ring_a_held_alarm_again(room: Room) -> None:
    room.hear(*tilt((0, 60.0), (10, 0.0), (71, 0.0)))
    before = room.the_alarm()
    assert before.state is AlarmState.LATCH_UNACK
    room.hear(*tilt((100, 60.0), (110, 0.0), (171, 0.0)), now_s=9000)
    assert replace(room.the_alarm(), case=None) == replace(before, case=None)
    spoken = [entry.detail for entry in room.desk.log_of(before.id) if entry.alarm]
    assert spoken[-1] == f"late, again at {at(100)}"


def test_readings_of_an_unannounced_device_wait_and_are_heard_in_order(room: Room) -> None:
    room.hear(*course("temperature", (0, 70.0), (31, 70.0), (60, 20.0), device="bin-1"))
    assert room.desk.alarms() == []
    room.start()
    room.announce("bin-1", "waste_bin", now_s=60)
    assert room.the_alarm().raised_at_ms == at(30)
    assert room.facts.waiting == {}
    room.start()
    assert room.facts.waiting == {}


def test_readings_and_announcement_in_one_work_are_heard_too(room: Room) -> None:
    room.hear(*course("temperature", (0, 70.0), device="bin-1"))
    work = Work(room.facts)
    work.hear(SITE, EDGE, course("temperature", (31, 70.0), device="bin-1"), at(31))
    work.announce(SITE, EDGE, DeviceId("bin-1"), announced("waste_bin"), at(31))
    work.hear(SITE, EDGE, course("temperature", (32, 70.0), device="bin-1"), at(32))
    room.write(work, 32)
    assert room.the_alarm().raised_at_ms == at(30)
    assert room.facts.waiting == {}


def test_the_room_for_unannounced_devices_is_bounded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MOST_WAITING", 3)
    work = Work(room.facts)
    work.hear(SITE, EDGE, course("temperature", *((float(t), 1.0) for t in range(5)), device="bin-1"), at(5))
    room.write(work, 5)
    assert work.dropped == 2
    later = Work(room.facts)
    later.hear(SITE, EDGE, course("temperature", (9, 1.0), device="bin-2"), at(9))
    assert later.dropped == 1


def test_an_edge_speaks_for_its_own_devices_only(room: Room) -> None:
    room.hear(*tilt((0, 60.0)), edge=EdgeId("pi-2"))
    assert room.desk.alarms() == []
    room.announce("it", "manhole_cover", edge=EdgeId("pi-2"))  # it was moved there
    assert room.the_alarm().edge == "pi-2"


def test_two_edges_that_announce_one_device_are_both_heard(room: Room) -> None:
    other = EdgeId("pi-2")
    room.announce("it", "manhole_cover", edge=other)
    room.hear(*tilt((0, 20.0)))
    room.hear(*tilt((10, 20.0)), edge=other)
    room.start()
    room.wake(31)  # the state is the device's: one alarm, in the name of the edge that spoke last
    assert (room.the_alarm().raised_at_ms, room.the_alarm().edge) == (at(30), other)
    assert room.facts.waiting == {}
    room.hear(*tilt((40, 60.0)))
    assert {(alarm.rule, alarm.edge) for alarm in room.desk.alarms()} == {("moved", other), ("open", EDGE)}


def test_that_two_edges_announce_one_device_is_said_once(room: Room) -> None:
    said = []
    for edge in (EDGE, EdgeId("pi-2"), EDGE, EdgeId("pi-2")):
        room.start()
        work = Work(room.facts)
        work.announce(SITE, edge, DeviceId("it"), announced("manhole_cover"), at(0))
        room.write(work, 0)
        said += [(new.edge, old.edge) for new, old in work.shared]
    assert said == [("pi-2", "pi-1")]


def test_a_withdrawn_announcement_is_that_edges_only(room: Room) -> None:
    other = EdgeId("pi-2")
    room.announce("it", "manhole_cover", edge=other)
    room.hear(*tilt((0, 60.0)))
    _withdraw(room, EDGE)
    room.start()
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(*tilt((10, 0.0)), edge=other)
    room.wake(71)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK
    room.hear(*tilt((80, 60.0)))
    assert list(room.facts.waiting) == [(SITE, EDGE, "it")]


def _withdraw(room: Room, edge: EdgeId) -> None:
    work = Work(room.facts)
    work.withdraw(SITE, edge, DeviceId("it"), at(0))
    room.write(work, 0)


@pytest.mark.parametrize("how", ["another kind", "withdrawn", "no such rule"])
def test_an_alarm_whose_rule_is_gone_returns_so_that_its_case_can_be_closed(room: Room, how: str) -> None:
    room.hear(*tilt((0, 60.0)))
    case = room.the_alarm().case
    assert case
    match how:
        case "another kind":
            room.announce("it", "waste_bin", now_s=10)
        case "withdrawn":
            _withdraw(room, EDGE)
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


def test_one_edge_can_not_take_all_the_room_for_unannounced_devices(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST_WAITING_OF_EDGE", 2)
    room.hear(*course("temperature", (0, 1.0), (1, 1.0), (2, 1.0), device="bin-1"))
    room.start()
    room.hear(*course("temperature", (3, 1.0), device="bin-1"))
    room.hear(*course("temperature", (3, 1.0), device="bin-1"), edge=EdgeId("pi-2"))
    assert {teller[1]: len(some) for teller, some in room.facts.waiting.items()} == {"pi-1": 2, "pi-2": 1}
    room.announce("bin-1", "waste_bin")
    room.hear(*course("temperature", (3, 1.0), device="bin-2"))
    assert (SITE, EDGE, "bin-2") in room.facts.waiting


def test_an_edge_has_room_for_so_many_devices(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "DEVICES_PER_EDGE", 2)
    work = Work(room.facts)
    told = [
        work.announce(SITE, EDGE, DeviceId(name), announced("waste_bin"), at(0)) for name in ("bin-1", "bin-2", "it")
    ]
    assert told == [True, False, True]
    _withdraw(room, EDGE)
    assert Work(room.facts).announce(SITE, EDGE, DeviceId("bin-2"), announced("waste_bin"), at(0))


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


def test_an_edge_is_online_since_it_came_not_since_it_last_said_so(room: Room) -> None:
    for at_s, online in ((1, True), (2, True), (3, False), (4, False)):
        work = Work(room.facts)
        work.status(SITE, EDGE, online=online, at_ms=at(at_s), now_ms=at(at_s))
        room.write(work, at_s)
    (edge,) = room.desk.edges(at(4))
    assert (edge.online, edge.since_ms) == (False, at(3))


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


def test_everything_the_engine_knew_is_there_after_a_restart(room: Room) -> None:
    room.announce("sewer-1", "sewer_level", depth=2.5)
    room.hear(*tilt((0, 20.0)), *course("temperature", (1, 1.0), device="bin-1"))
    before = room.facts
    room.start()
    for name in ("devices", "edges", "streams", "watches", "waiting"):
        assert getattr(room.facts, name) == getattr(before, name)
    assert room.facts.devices[SITE, EDGE, DeviceId("sewer-1")].place == PLACE


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


def test_of_a_device_that_is_gone_no_row_is_left(room: Room) -> None:
    room.announce("it", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 1.0))
    with room.database.reading() as connection:
        assert connection.execute(select(db.states)).all()
    _withdraw(room, EDGE)
    with room.database.reading() as connection:
        for table in (db.states, db.silences, db.devices):
            assert connection.execute(select(table).where(table.c.device == "it")).all() == []
    room.start()
    assert not any(key[1] == "it" for key in room.facts.watches)
