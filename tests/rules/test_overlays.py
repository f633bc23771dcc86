"""What lies over alarms, in a real database: by people, by design, by doubt; and over none that guards lives."""

from pathlib import Path

import pytest

from messages.alarm import encode
from messages.ids import DeviceId, EdgeId
from rules.alarms.overlays import upkeep
from rules.alarms.overlays.hold import MOST_SHELF_MS
from rules.alarms.published import published
from rules.cases.practice import Practice
from rules.desk import Desk
from rules.engine.work import Work
from rules.records import ActionRefused, Alarm, AlarmState, CaseState, Overlays
from tests.rules.course import ALL_RULES, at, reading
from tests.rules.room import EDGE, SITE, Room, mend

HOUR = 3600.0


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.status(0, online=True)
    room.announce("gas-1", "gas_alarm")
    room.announce("cover-1", "manhole_cover")
    room.announce("sewer-1", "sewer_level", depth=2.0)
    room.announce("door-1", "door_access")
    return room


def hold_door(room: Room, from_s: float = 0, device: str = "door-1") -> None:
    """Held open for longer than a door may."""
    room.hear(reading(from_s, "door_open", True, device=device))
    room.pass_time(from_s + 60)


def let_go(room: Room, at_s: float, device: str = "door-1") -> None:
    room.hear(reading(at_s, "door_open", False, device=device))
    room.pass_time(at_s + 5)


def still(room: Room, at_s: float, device: str = "door-1") -> None:
    """It says that it is as it was: else its alarms would be in doubt."""
    room.hear(reading(at_s, "door_open", True, device=device))


def of(room: Room, device: str) -> Alarm:
    """Its latest alarm."""
    found = [alarm for alarm in room.desk.alarms(open_only=False) if alarm.device == device]
    return max(found, key=lambda alarm: alarm.known_at_ms)


def shelve(room: Room, device: str, at_s: float, hours: float = 1, **more: bool) -> Alarm:
    until_ms = at(at_s + hours * HOUR)
    return room.desk.shelve(of(room, device).id, until_ms=until_ms, reason="dust", actor="li", at_ms=at(at_s), **more)


def said(room: Room, alarm: Alarm) -> list[str]:
    return [f"{entry.event} {entry.actor}" for entry in room.desk.log_of(alarm.id) if entry.alarm]


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


def test_a_shelf_ends_by_itself_and_the_alarm_rings_again(room: Room) -> None:
    hold_door(room)
    alarm = shelve(room, "door-1", 70)
    assert alarm.overlays.shelved
    assert (alarm.overlays.shelved.actor, alarm.overlays.shelved.reason) == ("li", "dust")
    assert room.desk.quiet() == [alarm]
    room.look(70 + HOUR - 1)
    assert not of(room, "door-1").overlays.annunciated
    room.start()
    still(room, 70 + HOUR)
    room.look(70 + HOUR)
    again = of(room, "door-1")
    assert (again.state, again.overlays) == (AlarmState.UNACK, Overlays())
    assert [line for line in said(room, alarm) if "certain" not in line][-2:] == [
        "alarm.unshelved rules",
        "alarm.realarmed rules",
    ]
    assert room.desk.holds() == []


def test_other_systems_are_told_what_lies_over_an_alarm(room: Room) -> None:
    hold_door(room)
    alarm = shelve(room, "door-1", 70)
    room.status(80, online=False)
    room.look(81)
    told = published(of(room, "door-1"))
    assert (told.shelved_until_ms, told.uncertain, told.suppressed_by) == (at(70 + HOUR), ["edge"], [])
    assert b'"shelved_until_ms"' not in encode(published(room.desk.unshelve(alarm.id, actor="li", at_ms=at(90))))


def test_what_a_shelf_hides_is_raised_without_a_case_and_gets_one_when_it_is_over(room: Room) -> None:
    hold_door(room)
    first = shelve(room, "door-1", 70)
    assert first.case
    let_go(room, 80)
    room.desk.accept(first.case.id, actor="wang", at_ms=at(90))
    room.desk.arrive(first.case.id, actor="wang", at_ms=at(91))
    mend(room.desk, first.case.id, at_ms=at(92), outcome="no_cause_found")
    assert room.desk.alarms() == []
    hold_door(room, 200)
    second = of(room, "door-1")
    assert second.id != first.id
    assert (second.case, second.state, second.overlays.shelved) == (None, AlarmState.UNACK, first.overlays.shelved)
    still(room, 70 + HOUR)
    room.look(70 + HOUR)
    called = of(room, "door-1").case
    assert called
    assert said(room, second) == [
        "alarm.raised rules",
        "alarm.shelved li",
        "alarm.unshelved rules",
        "alarm.realarmed rules",
    ]


def test_a_shelf_is_taken_away_by_hand(room: Room) -> None:
    hold_door(room)
    shelve(room, "door-1", 70)
    alarm = room.desk.unshelve(of(room, "door-1").id, actor="wang", at_ms=at(80))
    assert alarm.overlays.annunciated
    assert said(room, alarm)[-2:] == ["alarm.unshelved wang", "alarm.realarmed rules"]
    room.look(81)
    assert of(room, "door-1").overlays.annunciated
    with pytest.raises(ActionRefused, match="not-shelved"):
        room.desk.unshelve(alarm.id, actor="wang", at_ms=at(90))


def test_a_shelf_for_one_time_does_not_come_back(room: Room) -> None:
    hold_door(room)
    shelve(room, "door-1", 70, one_shot=True)
    let_go(room, 80)
    room.look(90)
    assert of(room, "door-1").overlays == Overlays()
    hold_door(room, 100)
    assert of(room, "door-1").overlays == Overlays()
    assert room.desk.holds() == []


@pytest.mark.parametrize(
    ("hours", "reason", "why"),
    [(8.01, "dust", "too-long"), (0, "dust", "over-already"), (1, "  ", "no-reason"), (1, "x" * 201, "too-many-words")],
)
def test_a_shelf_has_a_reason_and_lasts_a_shift_at_most(room: Room, hours: float, reason: str, why: str) -> None:
    hold_door(room)
    before = room.desk.position()
    until_ms = at(70 + hours * HOUR)
    with pytest.raises(ActionRefused, match=why):
        room.desk.shelve(of(room, "door-1").id, until_ms=until_ms, reason=reason, actor="li", at_ms=at(70))
    assert (room.desk.position(), room.desk.holds()) == (before, [])
    full = at(70) + MOST_SHELF_MS
    room.desk.shelve(of(room, "door-1").id, until_ms=full, reason="dust", actor="li", at_ms=at(70))


def test_maintenance_has_an_end_and_comes_back(room: Room) -> None:
    room.announce("door-2", "door_access")
    hold_door(room)
    door = of(room, "door-1")
    hold = room.desk.out_of_service(
        SITE, DeviceId("door-1"), until_ms=at(HOUR), reason="new lock", actor="li", at_ms=at(70)
    )
    assert of(room, "door-1").overlays.out_of_service == hold.pause
    hold_door(room, 100, "door-2")
    assert of(room, "door-2").overlays.annunciated
    room.start()
    still(room, HOUR)
    room.look(HOUR)
    assert of(room, "door-1").overlays.annunciated
    assert room.events().count("device.returned_to_service") == 1
    assert said(room, door)[-2:] == ["alarm.returned_to_service rules", "alarm.realarmed rules"]
    with pytest.raises(ActionRefused, match="ended-already"):
        room.desk.return_to_service(hold.id, actor="li", at_ms=at(HOUR + 1))
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.out_of_service(SITE, DeviceId("none"), until_ms=at(99), reason="r", actor="li", at_ms=at(1))


def test_work_on_a_device_that_is_done_early_is_said_by_whom(room: Room) -> None:
    hold_door(room)
    one = room.desk.out_of_service(SITE, DeviceId("door-1"), until_ms=at(999), reason="r", actor="li", at_ms=at(70))
    room.desk.return_to_service(one.id, actor="wang", at_ms=at(80))
    assert said(room, of(room, "door-1"))[-2:] == ["alarm.returned_to_service wang", "alarm.realarmed rules"]


def test_under_a_permit_nothing_calls_and_what_is_held_calls_when_nobody_has_checked(room: Room) -> None:
    permit = room.desk.open_permit(
        SITE,
        device=DeviceId("cover-1"),
        holder="drainage co.",
        reason="pump",
        until_ms=at(HOUR),
        actor="li",
        at_ms=at(0),
    )
    room.hear(reading(10, "tilt", 90.0, device="cover-1"))
    alarm = of(room, "cover-1")
    assert (alarm.level, alarm.case, alarm.overlays.suppressed) == ("red", None, (permit.cause,))
    room.hear(reading(600, "tilt", 0.0, device="cover-1"))
    room.hear(reading(700, "tilt", 0.0, device="cover-1"))
    assert of(room, "cover-1").state is AlarmState.LATCH_UNACK
    room.start()
    room.look(HOUR)
    assert of(room, "cover-1").case


def test_who_worked_there_has_checked_what_the_work_set_off(room: Room) -> None:
    permit = room.desk.open_permit(
        SITE, grid="g1", building="3", holder="co.", reason="pump", until_ms=at(HOUR), actor="li", at_ms=at(0)
    )
    room.hear(reading(10, "tilt", 90.0, device="cover-1"))
    hold_door(room, 20)
    room.hear(reading(600, "tilt", 0.0, device="cover-1"), reading(700, "tilt", 0.0, device="cover-1"))
    room.desk.close_permit(permit.id, actor="wang", at_ms=at(800), checked=True)
    assert (of(room, "cover-1").state, of(room, "cover-1").case) == (AlarmState.NORM, None)
    assert "alarm.reset wang" in said(room, of(room, "cover-1"))
    assert of(room, "door-1").case  # it still stands open
    assert room.events().count("permit.closed") == 1


def test_what_a_permit_held_is_dealt_with_as_the_desk_that_ends_it_was_told(room: Room) -> None:
    """The console's desk has the practice of the engine's settings, and of the sites' files."""
    desk = Desk(room.database, Practice(owner=lambda site, device, announced: "drainage"))
    permit = desk.open_permit(SITE, grid="g1", holder="co.", reason="r", until_ms=at(HOUR), actor="li", at_ms=at(0))
    hold_door(room, 20)
    assert of(room, "door-1").case is None
    desk.close_permit(permit.id, actor="wang", at_ms=at(800))
    case = of(room, "door-1").case
    assert case
    known = desk.case(case.id)
    assert known
    assert known.owner == "drainage"


def test_a_permit_is_for_somebody_and_somewhere_and_for_its_own_time(room: Room) -> None:
    def asked(**more: object) -> None:
        given = {"holder": "co.", "reason": "r", "until_ms": at(200), "actor": "li", "at_ms": at(0)} | more
        room.desk.open_permit(SITE, **given)  # type: ignore[arg-type]

    for wrong, why in (({"holder": " "}, "no-holder"), ({}, "no-place"), ({"device": "none"}, "unknown")):
        with pytest.raises(ActionRefused, match=why):
            asked(**wrong)
    asked(grid="g1", from_ms=at(100))
    hold_door(room)
    assert of(room, "door-1").overlays.annunciated
    room.look(100)
    assert not of(room, "door-1").overlays.annunciated
    room.look(200)
    assert of(room, "door-1").overlays.annunciated


def flood_shafts(room: Room, count: int = 6, from_s: float = 0) -> None:
    for number in range(count):
        room.announce(f"shaft-{number}", "sewer_level", depth=2.0, lat=26.07 + number * 6e-4, lon=119.3)
    for second in (from_s, from_s + 11):
        for number in range(count):
            room.hear(reading(second + number, "water_level", 1.9, device=f"shaft-{number}"))
    room.pass_time(from_s + 30)


def test_in_a_storm_water_alarms_are_one_case_but_for_those_that_somebody_has_taken_up(room: Room) -> None:
    room.announce("early-1", "sewer_level", depth=2.0, lat=26.1, lon=119.3)
    for device in ("sewer-1", "early-1"):
        room.hear(reading(0, "water_level", 1.9, device=device), reading(11, "water_level", 1.9, device=device))
    taken, waiting = of(room, "sewer-1").case, of(room, "early-1").case
    assert taken
    assert waiting
    room.desk.accept(taken.id, actor="wang", at_ms=at(40))
    flood_shafts(room, from_s=100)
    room.look(140)
    room.look(141)
    storm = next(alarm for alarm in room.desk.alarms() if alarm.rule == "storm")
    cases = {str(alarm.device): alarm.case.id for alarm in room.desk.alarms() if alarm.case}
    assert cases.pop("sewer-1") == taken.id
    assert set(cases.values()) == {cases[SITE]} != {waiting.id}
    assert of(room, "sewer-1").overlays.annunciated
    assert of(room, "early-1").overlays.suppressed == of(room, "shaft-5").overlays.suppressed == (f"storm {storm.id}",)
    hold_door(room, 200)
    assert of(room, "door-1").overlays.annunciated


def test_a_storm_hides_no_red_alarm(room: Room) -> None:
    flood_shafts(room)
    room.hear(reading(100, "tilt", 90.0, device="cover-1"))
    assert of(room, "cover-1").overlays.annunciated


def test_a_dead_edge_is_one_situation_and_its_devices_alarms_are_in_doubt(room: Room) -> None:
    room.announce("door-1-link", "device_link")
    room.hear(
        reading(1, "line_open", True, device="door-1-link"),
        reading(1, "guards_lives", False, device="door-1-link"),
        reading(1, "answering", False, device="door-1-link"),
    )
    room.pass_time(62)
    hold_door(room, 100)
    room.status(170, online=False)
    room.look(171)
    link, door = of(room, "door-1-link"), of(room, "door-1")
    assert (link.overlays.suppressed, link.overlays.uncertain) == (("edge pi-1",), ("edge",))
    assert (door.overlays.suppressed, door.overlays.uncertain) == ((), ("edge",))
    room.status(300, online=True)
    room.look(301)
    assert (of(room, "door-1-link").overlays, of(room, "door-1").overlays) == (Overlays(), Overlays())
    assert said(room, door)[-2:] == ["alarm.uncertain rules", "alarm.certain rules"]


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


def test_a_device_that_another_edge_still_hears_is_not_in_doubt(room: Room) -> None:
    room.status(0, online=True, edge=EdgeId("pi-2"))
    room.announce("door-1", "door_access", edge=EdgeId("pi-2"))
    hold_door(room)
    room.status(70, online=False)
    room.look(71)
    assert of(room, "door-1").overlays == Overlays()


def test_an_alarm_in_doubt_does_not_clear_by_a_timer(room: Room) -> None:
    hold_door(room)
    room.hear(reading(70, "door_open", False, device="door-1"))
    room.status(72, online=False)
    room.look(73)
    room.pass_time(80)
    assert of(room, "door-1").state is AlarmState.UNACK
    room.start()
    room.status(100, online=True)
    room.look(101)
    assert of(room, "door-1").state is AlarmState.RTN_UNACK


def test_a_clock_that_guesses_puts_alarms_in_doubt(room: Room) -> None:
    hold_door(room)
    work = Work(room.facts)
    work.status(SITE, EDGE, online=True, at_ms=at(70), now_ms=at(70), clock_trusted=False)
    room.write(work, 70)
    room.start()
    room.look(71)
    assert of(room, "door-1").overlays.uncertain == ("clock",)
    room.status(80, online=True)
    room.look(81)
    assert of(room, "door-1").overlays.uncertain == ()


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


def test_evidence_says_by_which_rule_and_which_thresholds(room: Room) -> None:
    room.hear(reading(0, "water_level", 1.9, device="sewer-1"), reading(11, "water_level", 1.9, device="sewer-1"))
    alarm = of(room, "sewer-1")
    (rule,) = [rule for rule in ALL_RULES["sewer_level"] if rule.id == "high"]
    assert (alarm.version, alarm.thresholds["depth"], alarm.evidence) == (rule.version, 2.0, {"water_level": 1.9})


# Guarantee 9: every path by which something that guards lives might be kept quiet.


def leak(room: Room, at_s: float = 10) -> None:
    room.hear(reading(at_s, "gas_concentration", 30.0, device="gas-1"))


def rings(room: Room) -> bool:
    gas = of(room, "gas-1")
    return gas.overlays.annunciated and gas.case is not None and gas.state is AlarmState.UNACK


def test_a_gas_alarm_can_not_be_shelved(room: Room) -> None:
    leak(room)
    before = room.desk.position()
    for one_shot in (False, True):
        with pytest.raises(ActionRefused, match="guards-lives"):
            shelve(room, "gas-1", 20, one_shot=one_shot)
    assert (room.desk.position(), room.desk.holds(), rings(room)) == (before, [], True)


def test_a_gas_alarm_can_not_be_put_out_of_service_nor_worked_on_in_silence(room: Room) -> None:
    gas = DeviceId("gas-1")
    with pytest.raises(ActionRefused, match="guards-lives"):
        room.desk.out_of_service(SITE, gas, until_ms=at(99), reason="r", actor="li", at_ms=at(0))
    with pytest.raises(ActionRefused, match="guards-lives"):
        room.desk.out_of_service(SITE, gas, rule="leak", until_ms=at(99), reason="r", actor="li", at_ms=at(0))
    with pytest.raises(ActionRefused, match="guards-lives"):
        room.desk.open_permit(SITE, device=gas, holder="co.", reason="r", until_ms=at(99), actor="li", at_ms=at(0))
    leak(room)
    assert rings(room)


def test_a_permit_for_a_whole_building_lets_its_gas_alarms_ring(room: Room) -> None:
    room.desk.open_permit(SITE, grid="g1", holder="co.", reason="r", until_ms=at(99), actor="li", at_ms=at(0))
    leak(room)
    room.look(20)
    assert rings(room)
    hold_door(room, 25)
    assert not of(room, "door-1").overlays.annunciated


def test_a_hold_that_came_into_the_database_by_another_way_silences_no_gas_alarm(room: Room) -> None:
    from dataclasses import replace

    from rules.alarms.overlays import holds
    from rules.alarms.overlays.hold import What

    hold_door(room)
    shelve(room, "door-1", 70)
    (shelf,) = room.desk.holds()
    with room.database.writing() as connection:
        for number, what in enumerate(What):
            false = replace(shelf, id=f"h{number}", what=what, device=DeviceId("gas-1"), rule="leak", until_ms=at(9999))
            holds.lay(connection, false)
    leak(room, 80)
    room.look(90)
    assert rings(room)


def test_a_shelf_of_a_device_that_became_a_gas_sensor_is_none(room: Room) -> None:
    hold_door(room)
    shelve(room, "door-1", 70)
    room.announce("door-1", "gas_alarm", now_s=80)
    room.hear(reading(90, "gas_concentration", 30.0, device="door-1"))
    alarm = of(room, "door-1")
    assert (alarm.kind, alarm.overlays.annunciated, alarm.case is not None) == ("gas_alarm", True, True)


def test_neither_storm_nor_dead_edge_nor_chatter_nor_flood_keeps_a_leak_quiet(room: Room) -> None:
    flood_shafts(room)
    for number in range(12):
        room.announce(f"gate-{number}", "door_access")
        hold_door(room, 40 + number, f"gate-{number}")
    room.status(120, online=False)
    room.look(121)
    assert room.desk.flood(SITE)
    leak(room, 130)
    assert rings(room)
    room.look(131)
    assert of(room, "gas-1").overlays.suppressed == ()


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
