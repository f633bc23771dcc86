"""What becomes of open alarms as time goes on, in a real database: acknowledged, ringing again, swept, stale; chattering; and very many."""

from pathlib import Path

import pytest

from rules.alarms.overlays import upkeep
from rules.records import ActionRefused, AlarmState, CaseState
from tests.rules.course import at, reading
from tests.rules.overlaid import HOUR, furnished, hold_door, let_go, of, said
from tests.rules.room import SITE, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return furnished(tmp_path)


def test_to_acknowledge_stops_the_sound_and_not_the_work(room: Room) -> None:
    hold_door(room)
    alarm = room.desk.acknowledge(of(room, "door-1").id, actor="li", at_ms=at(70))
    assert alarm.state is AlarmState.ACKED
    assert alarm.case
    assert alarm.case.state is CaseState.REGISTERED
    with pytest.raises(ActionRefused, match="acknowledged-already"):
        room.desk.acknowledge(alarm.id, actor="wang", at_ms=at(71))
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.acknowledge("no-such-alarm", actor="wang", at_ms=at(71))
    assert said(room, alarm) == ["alarm.raised rules", "alarm.acknowledged li"]


def flap(room: Room, from_s: float, times: int, device: str) -> float:
    """Something without an off-delay comes and goes, three times a minute."""
    for number in range(times):
        at_s = from_s + number * 20
        room.hear(reading(at_s, "raised", True, device=device), reading(at_s + 10, "raised", False, device=device))
    return from_s + times * 20


def test_what_chatters_is_one_alarm_one_case_and_one_wish_to_mend_it(room: Room) -> None:
    room.announce("siren-reflex", "reflex")
    end_s = flap(room, 0, 180, "siren-reflex")  # an hour
    found = [alarm for alarm in room.desk.alarms(open_only=False) if alarm.device == "siren-reflex"]
    assert sorted(alarm.rule for alarm in found) == ["acting", "chattering"]
    acting, mend = sorted(found, key=lambda alarm: alarm.rule)
    assert acting.overlays.chattering
    assert (acting.occurrences, len(acting.times), acting.times[0]) == (180, 20, at(0))
    assert (mend.level, mend.occurrences) == ("yellow", 1) if acting.guards else ("blue", 1)
    assert room.events().count("case.registered") == 2
    assert len(said(room, acting)) == 6
    room.start()
    room.look(end_s + 60)
    assert room.desk.alarm(acting.id) == acting
    room.look(end_s + 1800)
    room.look(end_s + 1801)
    states = {alarm.rule: alarm.state for alarm in room.desk.alarms(open_only=False) if alarm.device == "siren-reflex"}
    assert states == {"acting": AlarmState.RTN_UNACK, "chattering": AlarmState.RTN_UNACK}
    assert said(room, acting)[-2:] == ["alarm.settled rules", "alarm.cleared rules"]


def test_an_unfinished_case_makes_its_alarm_ring_again(room: Room) -> None:
    float_up = [reading(minute * 60, "float_switch", True, device="sewer-1") for minute in range(0, 125, 5)]
    room.hear(*float_up)
    alarm = of(room, "sewer-1")
    assert (alarm.level, alarm.case is not None) == ("orange", True)
    assert alarm.case
    room.desk.accept(alarm.case.id, actor="wang", at_ms=at(600))
    room.look(600 + 2 * HOUR - 1)
    assert of(room, "sewer-1").state is AlarmState.ACKED
    room.look(600 + 2 * HOUR)
    assert of(room, "sewer-1").state is AlarmState.UNACK
    assert said(room, alarm)[-1] == "alarm.realarmed rules"
    room.look(601 + 2 * HOUR)
    assert said(room, alarm).count("alarm.realarmed rules") == 1


def test_what_is_active_for_a_day_is_stale_and_listed(room: Room) -> None:
    hold_door(room)
    assert room.desk.stale(at(24 * HOUR)) == []
    room.look(60 + 24 * HOUR)
    room.look(61 + 24 * HOUR)
    (stale,) = room.desk.stale(at(61 + 24 * HOUR))
    assert stale.overlays.stale
    assert said(room, stale).count("alarm.stale rules") == 1


def test_an_operator_sweeps_what_came_back_a_day_ago(room: Room) -> None:
    hold_door(room)
    let_go(room, 100)
    alarm = of(room, "door-1")
    assert room.desk.sweep(SITE, actor="li", at_ms=at(HOUR)) == []
    assert room.desk.sweep(SITE, actor="li", at_ms=at(105 + 24 * HOUR)) == [alarm.id]
    assert of(room, "door-1").state is AlarmState.NORM
    assert said(room, alarm)[-1] == "alarm.acknowledged li"


def test_a_flood_shows_red_ones_and_counts_the_rest_and_ends(room: Room) -> None:
    for number in range(11):
        room.announce(f"gate-{number}", "door_access")
        hold_door(room, number, f"gate-{number}")
        room.look(number + 60)
        assert (room.desk.flood(SITE) is not None) == (number == 10)
    room.hear(reading(80, "gas_concentration", 30.0, device="gas-1"))
    room.start()
    flood = room.desk.flood(SITE)
    assert flood
    assert [alarm.device for alarm in flood.reds] == ["gas-1"]
    assert flood.rest == {("door_access", "held_open", "blue"): 11}
    room.look(600)
    assert room.desk.flood(SITE)
    room.look(681)
    assert room.desk.flood(SITE) is None
    events = [entry for entry in room.desk.log_after(0) if "flood" in entry.event]
    assert [(entry.event, entry.detail) for entry in events] == [
        ("alarm.flood_started", "junmen: 11 in 10 min"),
        ("alarm.flood_ended", "junmen: 0 in 10 min"),
    ]


def test_of_very_many_open_alarms_some_are_looked_at_each_second_and_none_is_left_out(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MOST_LOOKED_AT", 10)
    doors = [f"door-{number}" for number in range(2, 32)]
    for door in doors:
        room.announce(door, "door_access")
        room.hear(reading(0, "door_open", True, device=door))
    room.pass_time(60)
    aged = list[int]()
    for second in range(200):
        room.look(25 * HOUR + second)
        aged.append(sum(alarm.overlays.stale for alarm in room.desk.alarms()))
    assert aged[0] < 15
    assert aged[-1] == len(doors)


def test_when_much_happens_at_once_the_gravest_alarms_come_first_and_the_rest_a_look_later(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rules.alarms.overlays.upkeep.MOST_AT_ONCE", 1)
    hold_door(room)
    room.hear(reading(61, "tilt", 90.0, device="cover-1"))
    room.status(70, online=False)
    room.look(71)
    assert (of(room, "cover-1").overlays.uncertain, of(room, "door-1").overlays.uncertain) == (("edge",), ())
    room.look(72)
    assert of(room, "door-1").overlays.uncertain == ("edge",)
