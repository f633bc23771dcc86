"""Each edge speaks for the devices that it has announced: what it says of others waits, within bounds, and what is withdrawn is gone."""

from pathlib import Path

import pytest
from sqlalchemy import select

from messages.ids import DeviceId, EdgeId
from rules.engine import draft, strangers
from rules.engine.work import Work
from rules.records import AlarmState
from rules.store import tables as db
from tests.rules.course import at, course, reading, tilt
from tests.rules.room import EDGE, SITE, Room, announced


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("it", "manhole_cover")
    return room


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
    room.withdraw("it")
    room.start()
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(*tilt((10, 0.0)), edge=other)
    room.wake(71)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK
    room.hear(*tilt((80, 60.0)))
    assert list(room.facts.waiting) == [(SITE, EDGE, "it")]


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
    room.withdraw("it")
    assert Work(room.facts).announce(SITE, EDGE, DeviceId("bin-2"), announced("waste_bin"), at(0))


def test_an_edge_is_online_since_it_came_not_since_it_last_said_so(room: Room) -> None:
    for at_s, online in ((1, True), (2, True), (3, False), (4, False)):
        work = Work(room.facts)
        work.status(SITE, EDGE, online=online, at_ms=at(at_s), now_ms=at(at_s))
        room.write(work, at_s)
    (edge,) = room.desk.edges(at(4))
    assert (edge.online, edge.since_ms) == (False, at(3))


def test_of_a_device_that_is_gone_no_row_is_left(room: Room) -> None:
    room.announce("it", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 1.0))
    with room.database.reading() as connection:
        assert connection.execute(select(db.states)).all()
    room.withdraw("it")
    with room.database.reading() as connection:
        for table in (db.states, db.silences, db.devices):
            assert connection.execute(select(table).where(table.c.device == "it")).all() == []
    room.start()
    assert not any(key[1] == "it" for key in room.facts.watches)
