from pathlib import Path

import pytest

from collector.stores.base import Batch, PackRow, Point, StoreAway
from collector.stores.sqlite import SqliteStore
from messages.ids import StreamId
from messages.reading import Reading
from rules.alarms import evidence
from tests.rules.course import ALL_RULES, at, course, reading
from tests.rules.refusing import refuse
from tests.rules.room import EDGE, SITE, Room


def stored(folder: Path, *readings: Reading) -> SqliteStore:
    store = SqliteStore(folder / "history.db")
    pack = PackRow(StreamId("s"), 1, readings[0].at_ms, readings[-1].at_ms, len(readings))
    points = [Point(one, "sewer_level", "m", "3") for one in readings]
    store.write([Batch(site=SITE, edge=EDGE, points=points, packs=[pack])])
    return store


def test_an_alarm_keeps_the_last_readings_up_to_its_raise_and_none_after_it(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("sewer-1", "sewer_level", depth=2.0)
    said = course("water_level", *((minute * 60, 1.0 + minute / 10) for minute in range(20)), device="sewer-1")
    room.hear(*said)
    (alarm,) = [alarm for alarm in room.desk.alarms() if alarm.rule == "high"]
    assert alarm.before is None
    store = stored(tmp_path, *said)
    known_s = (alarm.known_at_ms - at(0)) / 1000
    assert evidence.wanting(room.database, at(known_s + 2.9)) == []
    room.start()
    (wanting,) = [one for one in evidence.wanting(room.database, at(known_s + 3)) if one.id == alarm.id]
    evidence.keep(room.database, [(wanting, evidence.course(store, wanting))], at(0))
    kept = room.desk.alarm(alarm.id)
    assert kept
    assert kept.before
    until = [(one.at_ms, one.value) for one in said if one.at_ms <= alarm.raised_at_ms]
    assert kept.before["water_level"] == until[-evidence.MOST_READINGS :]
    assert kept.before["float_switch"] == [] if "float_switch" in alarm.channels else True
    assert alarm.id not in [one.id for one in evidence.wanting(room.database, at(known_s + 4))]


def test_a_channel_that_says_more_than_fits_is_asked_for_the_last_minutes(tmp_path: Path) -> None:
    said = course("water_level", *((tenth / 2, float(tenth % 7)) for tenth in range(7_000)), device="sewer-1")
    store = stored(tmp_path, *said)
    wanting = evidence.Wanting("a", SITE, said[0].device, ("water_level",), said[-1].at_ms)
    found = evidence.course(store, wanting)["water_level"]
    assert found == [(one.at_ms, one.value) for one in said[-evidence.MOST_READINGS :]]


def test_a_history_that_is_away_is_asked_again_for_a_day(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    (wanting,) = evidence.wanting(room.database, at(10))
    with pytest.raises(StoreAway):
        evidence.course(SqliteStore(tmp_path / "none.db"), wanting)
    assert evidence.wanting(room.database, at(86_399)) == [wanting]
    assert evidence.wanting(room.database, at(86_400)) == []


def test_a_course_that_the_database_refuses_is_none_and_the_others_are_kept(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for name in ("gas-1", "gas-2"):
        room.announce(name, "gas_alarm")
        room.hear(reading(0, "gas_concentration", 30.0, device=name))
    some = {one.device: one for one in evidence.wanting(room.database, at(10))}
    refuse(room.database, "alarms", "{device} = 'gas-1' AND {before} LIKE '%31%'")
    found = [(one, {"gas_concentration": [(at(0), 31.0)]}) for one in some.values()]
    evidence.keep(room.database, found, at(10))
    kept = {alarm.device: alarm.before for alarm in room.desk.alarms()}
    assert kept == {"gas-1": {}, "gas-2": {"gas_concentration": [(at(0), 31.0)]}}
    assert evidence.wanting(room.database, at(10)) == []


def test_evidence_says_by_which_rule_and_which_thresholds(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("sewer-1", "sewer_level", depth=2.0)
    room.hear(reading(0, "water_level", 1.9, device="sewer-1"), reading(11, "water_level", 1.9, device="sewer-1"))
    alarm = room.the_alarm()
    (rule,) = [rule for rule in ALL_RULES["sewer_level"] if rule.id == "high"]
    assert (alarm.version, alarm.thresholds["depth"], alarm.evidence) == (rule.version, 2.0, {"water_level": 1.9})
