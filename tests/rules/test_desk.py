import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from messages.ids import DeviceId
from messages.reading import Quality
from rules.desk import Desk
from rules.engine.work import Work
from rules.records import ActionRefused, AlarmState, Case, CaseState, Position
from rules.store import tables as db
from rules.store.database import Database
from tests.rules.course import at, reading
from tests.rules.room import EDGE, PLACE, SITE, Room, mend


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path, database_url)
    room.announce("gas-1", "gas_alarm")
    room.announce("cover-1", "manhole_cover")
    room.announce("sewer-1", "sewer_level", depth=2.0)
    room.announce("door-1", "door_access")
    yield room
    room.database.close()


def leak(room: Room, at_s: float = 0) -> Case:
    room.hear(reading(at_s, "gas_concentration", 30.0, device="gas-1"))
    case = room.the_alarm().case
    assert case
    return case


def vent(room: Room, at_s: float, device: str = "gas-1") -> None:
    """The air is good again, and stays so for the five minutes of the rule."""
    room.hear(reading(at_s, "gas_concentration", 0.0, device=device))
    room.hear(reading(at_s, "alarm_contact", False, device=device))
    room.hear(*(reading(at_s + later_s, "gas_concentration", 0.0, device=device) for later_s in (100, 200, 300)))


def test_an_alarm_is_shown_with_all_that_a_page_needs(room: Room) -> None:
    case = leak(room, 1)
    alarm = room.the_alarm()
    assert (alarm.site, alarm.edge, alarm.device, alarm.kind) == (SITE, EDGE, "gas-1", "gas_alarm")
    assert (alarm.rule, alarm.level, alarm.state, alarm.late) == ("leak", "red", AlarmState.UNACK, False)
    assert (alarm.raised_at_ms, alarm.changed_at_ms, alarm.known_at_ms) == (at(1), at(1), at(1))
    assert alarm.title.zh == "燃气泄漏"
    assert alarm.advice
    assert alarm.place == PLACE
    assert alarm.evidence == {"gas_concentration": 30.0}
    assert alarm.channels == ("gas_concentration", "alarm_contact")
    assert alarm.limits == {"gas_concentration": 10.0}
    assert (case.state, case.accept_by_ms, case.arrive_by_ms) == (CaseState.REGISTERED, at(61), at(601))
    assert (case.site, case.place, case.kind, case.subject) == (SITE, PLACE, "gas_alarm", "gas-1")
    assert (case.title, case.level, case.origin) == (alarm.title, "red", "alarm")
    assert room.desk.case(case.id) == case
    assert room.desk.case("none") is None
    assert room.desk.alarm(alarm.id) == alarm
    assert room.desk.alarm("none") is None


def test_limits_are_those_of_the_device(room: Room) -> None:
    room.hear(reading(0, "water_level", 1.7, device="sewer-1"), reading(10, "water_level", 1.7, device="sewer-1"))
    assert room.the_alarm().limits == {"water_level": 1.6}


def test_from_the_call_to_the_closed_case(room: Room) -> None:
    case = leak(room)
    assert room.desk.accept(case.id, actor="wang", at_ms=at(20)).accepted_by == "wang"
    assert room.the_alarm().state is AlarmState.ACKED
    assert room.desk.arrive(case.id, actor="wang", at_ms=at(200)).state is CaseState.ON_SITE
    vent(room, 300)
    assert room.the_alarm().state is AlarmState.LATCH_ACK
    closed = mend(room.desk, case.id, at_ms=at(700), outcome="mended")
    assert (closed.state, closed.outcome) == (CaseState.CLOSED, "mended")
    assert room.the_alarm().state is AlarmState.NORM
    assert room.desk.alarms() == []
    log = room.desk.log_of(room.the_alarm().id)
    assert [(entry.event, entry.actor, entry.at_ms) for entry in log] == [
        ("alarm.raised", "rules", at(0)),
        ("case.registered", "rules", at(0)),
        ("notify.queued", "rules", at(0)),
        ("case.accepted", "wang", at(20)),
        ("alarm.acknowledged", "wang", at(20)),
        ("case.on_site", "wang", at(200)),
        ("alarm.latched", "rules", at(600)),
        ("case.feedback", "wang", at(700)),
        ("case.verified", "zhao", at(700)),
        ("case.closed", "zhao", at(700)),
        ("alarm.reset", "zhao", at(700)),
    ]
    assert [(entry.event, entry.detail) for entry in log if entry.detail][1:] == [
        ("case.on_site", "manual"),
        ("case.feedback", "mended"),
        ("case.closed", "mended"),
    ]
    assert [entry.number for entry in log] == list(range(1, 12))
    assert {entry.case for entry in log} == {case.id}
    assert {(entry.event.partition(".")[0], entry.alarm) for entry in log} == {
        ("alarm", room.the_alarm().id),
        ("case", None),
        ("notify", None),
    }
    assert room.desk.log_of_case(case.id) == log
    assert room.desk.alarms_of(case.id) == [room.the_alarm()]
    assert [entry.seq for entry in log] == list(range(1, 12))


def test_a_refused_act_leaves_no_trace(room: Room) -> None:
    case = leak(room)
    room.desk.accept(case.id, actor="wang", at_ms=at(1))
    room.desk.arrive(case.id, actor="wang", at_ms=at(2))
    room.desk.finish(case.id, actor="wang", at_ms=at(3), outcome="mended")
    before = room.the_alarm(), room.desk.position()
    with pytest.raises(ActionRefused, match="still-active"):
        room.desk.verify(case.id, actor="zhao", at_ms=at(3), passed=True)
    with pytest.raises(ActionRefused, match="taken"):
        room.desk.accept(case.id, actor="li", at_ms=at(4))
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.accept("no-case", actor="li", at_ms=at(4))
    assert (room.the_alarm(), room.desk.position()) == before
    assert room.desk.accept(case.id, actor="wang", at_ms=at(9)) == before[0].case
    assert room.desk.position() == before[1]


def test_a_case_that_holds_several_alarms_ends_with_the_last_of_them(room: Room) -> None:
    room.announce("gas-2", "gas_alarm")
    case = leak(room)
    room.hear(reading(1, "gas_concentration", 30.0, device="gas-2"))
    first, second = room.desk.alarms()
    with room.database.writing() as connection:
        connection.execute(update(db.alarms).where(db.alarms.c.id == second.id).values(case=case.id))
    assert [alarm.id for alarm in room.desk.alarms_of(case.id)] == [first.id, second.id]
    room.desk.accept(case.id, actor="wang", at_ms=at(2))
    assert {alarm.state for alarm in room.desk.alarms()} == {AlarmState.ACKED}
    room.desk.arrive(case.id, actor="wang", at_ms=at(3))
    vent(room, 10)
    with pytest.raises(ActionRefused, match="still-active"):
        mend(room.desk, case.id, at_ms=at(400), outcome="mended")
    vent(room, 401, "gas-2")
    seen = room.desk.position().seq
    mend(room.desk, case.id, at_ms=at(702), outcome="mended")
    assert room.desk.alarms() == []
    assert [alarm.id for alarm in room.desk.alarms_in(room.desk.log_after(seen))] == [first.id, second.id]


def test_what_returned_by_itself_keeps_its_case_until_somebody_has_seen_to_it(room: Room) -> None:
    room.hear(reading(0, "door_open", True, device="door-1"))
    room.wake(60)
    room.hear(reading(70, "door_open", False, device="door-1"))
    room.wake(75)
    alarm = room.the_alarm()
    assert alarm.state is AlarmState.RTN_UNACK
    assert room.desk.alarms() == [alarm]
    assert alarm.case
    room.desk.accept(alarm.case.id, actor="wang", at_ms=at(80))
    assert room.the_alarm().state is AlarmState.NORM
    assert len(room.desk.alarms()) == 1
    room.desk.arrive(alarm.case.id, actor="wang", at_ms=at(81))
    mend(room.desk, alarm.case.id, at_ms=at(82), outcome="no_cause_found")
    assert room.desk.alarms() == []


def test_what_is_raised_anew_is_the_same_alarm_and_case_and_rings_again(room: Room) -> None:
    case = leak(room)
    room.desk.accept(case.id, actor="wang", at_ms=at(1))
    vent(room, 10)
    assert leak(room, 400).id == case.id
    alarm = room.the_alarm()
    assert (alarm.state, alarm.raised_at_ms) == (AlarmState.UNACK, at(0))
    assert alarm.case
    assert alarm.case.accepted_by == "wang"
    assert room.events().count("alarm.raised") == 2
    assert room.events().count("case.registered") == 1


def test_closing_ends_an_alarm_that_was_raised_anew_and_that_nobody_looked_at(room: Room) -> None:
    room.hear(reading(0, "door_open", True, device="door-1"))
    room.wake(60)
    case = room.the_alarm().case
    assert case
    room.desk.accept(case.id, actor="wang", at_ms=at(61))
    room.desk.arrive(case.id, actor="wang", at_ms=at(62))
    for begin_s in (70, 200):
        room.hear(reading(begin_s, "door_open", False, device="door-1"))
        room.wake(begin_s + 5)
        if begin_s == 70:
            room.hear(reading(100, "door_open", True, device="door-1"))
            room.wake(160)
    assert room.the_alarm().state is AlarmState.RTN_UNACK
    mend(room.desk, case.id, at_ms=at(300), outcome="mended")
    assert room.the_alarm().state is AlarmState.NORM
    assert room.desk.alarms() == []


def test_red_comes_first_then_the_oldest_and_what_is_over_last(room: Room) -> None:
    room.hear(reading(0, "door_open", True, device="door-1"))
    room.wake(60)
    room.hear(reading(61, "tilt", 60.0, device="cover-1"))
    room.hear(reading(62, "float_switch", True, device="sewer-1"))
    room.wake(64)
    room.hear(reading(65, "gas_concentration", 30.0, device="gas-1"))
    assert [alarm.level for alarm in room.desk.alarms()] == ["red", "red", "orange", "blue"]
    assert [alarm.device for alarm in room.desk.alarms()][:2] == ["cover-1", "gas-1"]
    case = room.desk.alarms()[1].case
    assert case
    room.desk.accept(case.id, actor="wang", at_ms=at(66))
    room.desk.arrive(case.id, actor="wang", at_ms=at(67))
    vent(room, 68)
    mend(room.desk, case.id, at_ms=at(400), outcome="mended")
    everything = room.desk.alarms(open_only=False)
    assert [alarm.device for alarm in everything] == ["cover-1", "sewer-1", "door-1", "gas-1"]
    assert room.desk.alarms(open_only=False, limit=2) == everything[:2]


def test_the_log_is_read_on_from_any_line(room: Room) -> None:
    leak(room)
    everything = room.desk.log_after(0)
    assert [entry.seq for entry in everything] == [1, 2, 3]
    assert room.desk.position().seq == 3
    assert room.desk.log_after(1) == everything[1:]
    assert room.desk.log_after(0, limit=1) == everything[:1]
    assert room.desk.log_after(3) == []


def test_the_pulse_and_the_edges_say_how_fresh_everything_is(room: Room) -> None:
    pulse = room.desk.pulse()
    assert pulse
    assert pulse.last_reading_at_ms is None
    leak(room, 7)
    pulse = room.desk.pulse()
    assert pulse
    assert (pulse.last_reading_at_ms, pulse.readings) == (at(7), 1)
    (edge,) = room.desk.edges(at(7))
    assert (edge.site, edge.edge, edge.last_reading_at_ms, edge.devices) == (SITE, EDGE, at(7), 4)


def test_an_empty_database_has_no_alarms_and_no_pulse(tmp_path: Path) -> None:
    desk = Desk(Database(f"sqlite:///{tmp_path}/rules.db"))
    assert (desk.alarms(), desk.edges(at(7)), desk.log_after(0), desk.position().seq, desk.pulse()) == (
        [],
        [],
        [],
        0,
        None,
    )


def test_of_many_who_accept_at_once_one_has_it_and_all_learn_who(room: Room) -> None:
    case = leak(room)
    people = [f"worker-{number}" for number in range(8)]
    start, taken, refused = threading.Barrier(len(people)), list[Case](), list[ActionRefused]()

    def accept(actor: str) -> None:
        database = Database(room.url)  # a connection of one's own, as in another process
        start.wait()
        try:
            taken.append(Desk(database).accept(case.id, actor=actor, at_ms=at(5)))
        except ActionRefused as refusal:
            refused.append(refusal)
        database.close()

    threads = [threading.Thread(target=accept, args=(actor,)) for actor in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (owned,) = taken
    assert [(refusal.reason, refusal.case) for refusal in refused] == [("taken", owned)] * 7
    assert room.events().count("case.accepted") == 1


def test_a_device_that_says_nothing_for_two_and_a_half_intervals_is_silent(room: Room) -> None:
    room.hear(reading(0, "gas_concentration", 1.0, device="gas-1"), reading(0, "tilt", 1.0, device="cover-1"))

    def silent(at_s: float) -> tuple[str, ...]:
        (edge,) = room.desk.edges(at(at_s))
        return edge.silent

    assert silent(150) == ()
    assert silent(151) == ("gas-1",)
    room.hear(reading(60, "gas_concentration", 1.0, device="gas-1"))
    assert silent(210) == ()
    room.start()
    assert silent(211) == ("gas-1",)
    assert silent(751) == ("gas-1", "sewer-1")  # announced, and never heard
    assert silent(86_400) == ("cover-1", "door-1", "gas-1", "sewer-1")
    room.hear(reading(86_400, "gas_concentration", 1.0, device="gas-1"))
    assert silent(86_400) == ("cover-1", "door-1", "sewer-1")


def test_a_device_that_keeps_its_interval_is_never_silent_however_seldom_that_is_written_down(room: Room) -> None:
    room.hear(reading(0, "gas_concentration", 1.0, device="gas-1"))
    for second in range(59, 600, 59):
        (edge,) = room.desk.edges(at(second))
        assert "gas-1" not in edge.silent
        room.hear(reading(second, "gas_concentration", 1.0, device="gas-1"))
    before = dict(room.facts.silent_from)
    room.hear(reading(second + 1, "gas_concentration", 1.0, device="gas-1"))
    assert room.facts.silent_from == before


def test_a_sensor_that_is_broken_or_ahead_of_time_does_not_hide_its_silence(room: Room) -> None:
    room.hear(reading(140, "gas_concentration", 1.0, device="gas-1", quality=Quality.BAD))
    assert room.desk.edges(at(151))[0].silent == ("gas-1",)
    room.hear(reading(9_999, "gas_concentration", 1.0, device="gas-1"), now_s=152)
    assert room.desk.edges(at(302))[0].silent == ()
    assert room.desk.edges(at(303))[0].silent == ("gas-1",)


def test_a_device_that_was_withdrawn_is_not_missed_and_one_of_another_kind_is_given_its_time(room: Room) -> None:
    work = Work(room.facts)
    work.status(SITE, EDGE, online=True, at_ms=at(0), now_ms=at(0))
    work.withdraw(SITE, EDGE, DeviceId("gas-1"), at(0))
    room.write(work, 1)
    room.announce("sewer-1", "door_access", now_s=700)
    assert room.desk.edges(at(1_600))[0].silent == ("door-1",)
    room.start()
    assert (SITE, EDGE, DeviceId("gas-1")) not in room.facts.silent_from


def test_when_there_is_no_room_for_all_the_red_ones_that_nobody_has_accepted_come_first(room: Room) -> None:
    room.announce("gas-2", "gas_alarm")
    case = leak(room)
    room.hear(reading(1, "gas_concentration", 30.0, device="gas-2"))
    room.hear(reading(2, "door_open", True, device="door-1"))
    room.wake(62)
    room.desk.accept(case.id, actor="wang", at_ms=at(63))
    assert [alarm.device for alarm in room.desk.alarms()] == ["gas-2", "gas-1", "door-1"]
    assert [alarm.device for alarm in room.desk.alarms(limit=1)] == ["gas-2"]
    assert room.desk.counts() == {"red": 2, "blue": 1}


def test_a_position_in_the_log_tells_one_database_from_another(room: Room, tmp_path: Path) -> None:
    here = room.desk.position()
    room.start()
    assert room.desk.position() == here
    another = Desk(Database(f"sqlite:///{tmp_path}/another.db")).position()
    assert (another.seq, another.mark == here.mark) == (here.seq, False)
    assert Position.parse(str(here)) == here


@pytest.mark.parametrize("text", ["", "7", "-", "a-", "a-b", "a--1", "a-1-2", "a-²", "a-" + "9" * 60])
def test_what_is_no_position_is_none(text: str) -> None:
    assert Position.parse(text) is None
