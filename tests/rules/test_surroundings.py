"""Storms, dead edges and wrong clocks, in a real database: what goes on around alarms makes them one situation, or doubtful."""

from pathlib import Path

import pytest

from messages.ids import EdgeId
from rules.alarms.overlays import surroundings
from rules.engine.work import Work
from rules.records import AlarmState, Overlays
from tests.rules.course import at, reading
from tests.rules.overlaid import flood_shafts, furnished, hold_door, of, said
from tests.rules.room import EDGE, SITE, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return furnished(tmp_path)


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


def test_a_look_reads_of_the_alarmed_devices_only_those_that_are_silent_and_doubts_their_alarms(room: Room) -> None:
    hold_door(room, 0)
    assert of(room, "door-1").overlays == Overlays()
    (spoke_until_ms,) = {from_ms for key, from_ms in room.facts.silent_from.items() if key[2] == "door-1"}
    for later_ms, silent in ((-1, False), (0, True)):
        with room.database.reading() as connection:
            around = surroundings.of_open(connection, spoke_until_ms + later_ms)
        assert around.tellers == ({(SITE, "door-1"): [EDGE]} if silent else {})
        room.look((spoke_until_ms + later_ms - at(0)) / 1000)
        assert of(room, "door-1").overlays.uncertain == (("silent",) if silent else ())


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
