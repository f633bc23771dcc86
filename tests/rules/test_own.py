"""What the engine knows of edges and sites as devices of its own: a dead edge is one situation, not forty."""

from pathlib import Path

import pytest

from messages.ids import DeviceId, EdgeId
from messages.kind import Channel
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.records import Alarm, AlarmState
from tests.rules.course import KINDS, RULES, at, reading
from tests.rules.room import EDGE, SITE, Room
from tests.rules.test_functions import Tap


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "room").mkdir()
    return Room(tmp_path / "room")


def open_alarms(room: Room) -> list[Alarm]:
    return sorted(room.desk.alarms(), key=lambda alarm: (alarm.device, alarm.rule))


def test_an_edge_that_the_broker_says_is_gone_is_an_alarm_after_a_minute_and_clears_when_it_is_back(room: Room) -> None:
    room.status(0, online=True)
    room.status(100, online=False)
    room.pass_time(159)
    assert open_alarms(room) == []
    room.pass_time(161)
    (alarm,) = open_alarms(room)
    assert (alarm.rule, alarm.device, alarm.level) == ("away", f"{EDGE}-link", "orange")
    for now_s in range(200, 300, 30):
        room.status(now_s, online=True)
    room.pass_time(400)
    (alarm,) = open_alarms(room)
    assert alarm.state is AlarmState.RTN_UNACK


def test_an_edge_that_merely_falls_silent_is_noticed_too(room: Room) -> None:
    for now_s in range(0, 300, 30):
        room.status(now_s, online=True)
    room.pass_time(270 + 359)
    assert open_alarms(room) == []
    room.pass_time(270 + 361)
    assert [alarm.rule for alarm in open_alarms(room)] == ["away"]


def test_the_engines_own_devices_are_no_edges_no_silent_devices_and_no_readings(room: Room) -> None:
    room.status(0, online=True)
    assert [edge.edge for edge in room.desk.edges(at(1e6))] == [EDGE]
    assert room.desk.edges(at(1e6))[0].silent == ()
    assert room.desk.pulse().readings == 0  # type: ignore[union-attr]


def test_the_link_stands_where_the_edge_says_it_is(room: Room) -> None:
    room.status(0, online=True)
    room.announce("pi", "edge_agent")
    room.status(10, online=False)
    room.pass_time(100)
    assert open_alarms(room)[0].place.text == "3号楼2单元101厨房"


def test_three_edges_away_are_a_situation_of_the_site(room: Room) -> None:
    edges = [EdgeId(f"pi-{number}") for number in range(4)]
    for edge in edges:
        room.status(0, online=True, edge=edge)
    for edge in edges[:3]:
        room.status(10, online=False, edge=edge)
    room.pass_time(200)
    found = {(alarm.device, alarm.rule) for alarm in open_alarms(room)}
    assert found == {(SITE, "edges_away"), *((f"pi-{number}-link", "away") for number in range(3))}


def test_behind_a_dead_edge_no_device_counts_as_silent_until_it_is_back(tmp_path: Path, room: Room) -> None:
    (tmp_path / "tap").mkdir()
    tap = Tap(tmp_path / "tap")
    silent = tap.rule('silent_for(door) >= "2h"', 'silent_for(door) < "1h"')
    room.facts.kinds = {**KINDS, "tap": tap.kind}
    room.facts.rules = with_answers({**RULES, "tap": (silent,)}, room.facts.kinds)
    room.status(0, online=True)
    room.announce("it", "tap")
    room.hear(reading(0, "door", True))
    room.status(60, online=False)
    room.pass_time(3 * 3600)
    assert [alarm.rule for alarm in open_alarms(room)] == ["away"]
    for now_s in range(3 * 3600 + 10, 3 * 3600 + 200, 30):
        room.status(now_s, online=True)
    room.pass_time(3 * 3600 + 190)
    assert [alarm.rule for alarm in open_alarms(room)] == ["it", "away"]


def test_readings_of_one_batch_are_heard_in_their_own_order(room: Room) -> None:
    room.announce("it", "manhole_cover")
    for order in ((0, 1), (1, 0)):
        packs = [[reading(0, "tilt", 20.0)], [reading(40, "tilt", 21.0)]]
        work = Work(room.facts)
        for index in order:
            work.collect(SITE, EDGE, packs[index])
        work.settle(at(41))
        assert [found.change.at_ms for found in work.found] == [at(30)]


def test_what_was_said_before_an_announcement_was_said_of_the_device_as_it_was(room: Room) -> None:
    room.announce("it", "manhole_cover")
    work = Work(room.facts)
    work.collect(SITE, EDGE, [reading(0, "tilt", 60.0)])
    work.withdraw(SITE, EDGE, DeviceId("it"), at(1))
    assert [found.rule.id for found in work.found] == ["open"]
    assert isinstance(KINDS["manhole_cover"].channels["tilt"], Channel)
