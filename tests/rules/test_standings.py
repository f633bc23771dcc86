"""What pages ask of a big database: counted there, and found without reading what is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from messages.ids import DeviceId
from rules import plant
from rules.records import AlarmState
from rules.store.database import Database
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

DAY_S = 86_400.0


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path, database_url)
    for number in range(4):
        room.announce(f"gas-{number}", "gas_alarm")
    room.announce("door-1", "door_access")
    yield room
    room.database.close()


def test_what_stands_open_is_counted_as_the_lists_show_it(room: Room) -> None:
    leaks = [reading(0, "gas_concentration", 30.0, device=f"gas-{number}") for number in range(3)]
    room.hear(*leaks, reading(1, "door_open", True, device="door-1"))
    room.wake(62)
    desk, now_ms = room.desk, at(DAY_S + 7200)
    every = desk.alarms()
    (held,) = (alarm for alarm in every if alarm.device == "door-1")
    desk.shelve(held.id, until_ms=at(7200 + 3600), reason="dust", actor="wei", at_ms=at(7200))
    taken = next(alarm.case for alarm in every if alarm.device == "gas-0")
    assert taken
    desk.accept(taken.id, actor="lin", at_ms=at(10))
    found = desk.standings(now_ms)
    assert set(found) == {SITE}
    assert dict(found[SITE]) == {
        "red": 3,
        held.level: 1,
        "shelved": sum(alarm.overlays.shelved is not None for alarm in desk.quiet()),
        "stale": len(desk.stale(now_ms)),
        "waiting": sum(case.accepted_by is None for case in desk.work()),
    }
    assert (found[SITE]["shelved"], found[SITE]["stale"], found[SITE]["waiting"]) == (1, 4, 3)
    assert desk.standings(now_ms, sites=["elsewhere"]) == desk.standings(now_ms, grids=["elsewhere"]) == {}


def test_what_calls_is_known_without_the_rest_of_it(room: Room) -> None:
    room.hear(*(reading(number, "gas_concentration", 30.0, device=f"gas-{number}") for number in range(3)))
    room.hear(reading(9, "door_open", True, device="door-1"))
    room.wake(70)
    first = room.desk.alarms()[0]
    assert first.case
    room.desk.accept(first.case.id, actor="lin", at_ms=at(10))
    found = room.desk.calling(limit=500)
    others = [alarm for alarm in room.desk.alarms() if alarm.level == "red" and alarm.id != first.id]
    assert [(one.id, one.state, one.changed_at_ms) for one in found] == [
        (alarm.id, AlarmState.UNACK, alarm.changed_at_ms) for alarm in others
    ]
    assert room.desk.calling(limit=1) == found[:1]
    assert room.desk.calling(limit=500, sites=["elsewhere"]) == []


def test_a_glimpse_of_a_device_says_what_the_whole_of_it_does(room: Room) -> None:
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-2"))
    whole = {(one.site, one.edge, one.device): one for one in plant.devices(room.database, at(9000))}
    short = plant.glimpses(room.database, at(9000))
    assert [one.key for one in short] == list(whole)
    for one in short:
        its = whole[one.key]
        assert (one.kind, one.model, one.silent, one.open, one.level) == (
            its.kind,
            its.model,
            its.silent,
            its.open,
            its.level,
        )
        assert (one.grid, one.building or "", one.text) == (its.place.grid, its.place.building, its.place.text)
    wanted = [short[3].key, short[0].key, (SITE, EDGE, DeviceId("nobody"))]
    assert [one.device for one in plant.devices(room.database, at(9000), only=wanted)] == [
        short[3].device,
        short[0].device,
    ]
    assert plant.glimpses(room.database, at(9000), grids=["elsewhere"]) == []


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT id FROM alarms WHERE alarms.open = 1 ORDER BY level", "one_open_alarm"),
        ("SELECT DISTINCT event FROM log", "log_by_event"),
        ("SELECT alarm FROM log WHERE at_ms >= 5 AND at_ms < 9", "log_by_time"),
        ("SELECT kind, rule, count(*) FROM alarms WHERE raised_at_ms >= 5 GROUP BY kind, rule", "alarms_by_raise"),
    ],
)
def test_sqlite_looks_into_the_index_for_what_every_page_asks(tmp_path: Path, query: str, index: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'rules.db'}")
    with database.reading() as connection:
        plan = " ".join(str(row) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    database.close()
    assert index in plan
