"""Guarantee 9: every path by which something that guards lives might be kept quiet."""

from dataclasses import replace
from pathlib import Path

import pytest

from messages.ids import DeviceId
from rules.alarms.overlays import holds
from rules.alarms.overlays.hold import What
from rules.records import ActionRefused, AlarmState
from tests.rules.course import at, reading
from tests.rules.overlaid import flood_shafts, furnished, hold_door, of, shelve
from tests.rules.room import SITE, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return furnished(tmp_path)


def leak(room: Room, at_s: float = 10) -> None:
    room.hear(reading(at_s, "gas_concentration", 30.0, device="gas-1"))


def rings(room: Room) -> bool:
    gas = of(room, "gas-1")
    return gas.overlays.annunciated and gas.case is not None and gas.state is AlarmState.UNACK


def test_a_storm_hides_no_red_alarm(room: Room) -> None:
    flood_shafts(room)
    room.hear(reading(100, "tilt", 90.0, device="cover-1"))
    assert of(room, "cover-1").overlays.annunciated


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
