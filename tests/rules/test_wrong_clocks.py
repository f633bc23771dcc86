"""An edge whose clock is wrong, by minutes or a day, in either direction: it changes nothing of what others say, and red of its own rings."""

from pathlib import Path

import pytest

from messages.ids import EdgeId
from messages.reading import Reading, Value
from rules.engine.work import Work
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

OTHER = EdgeId("pi-2")
DAY_S = 86_400
WRONG_S = [-DAY_S, -900, -5, 5, 900, DAY_S]
KINDS = {"gas": "gas_alarm", "lamp": "smart_lamp", "door": "door_access", "bin": "waste_bin"}
STEP_S, END_S = 10, 3_000


def said(at_s: int) -> dict[str, dict[str, Value]]:
    """What goes on before each of the edges: all of it raises, and ends."""
    happens = 300 <= at_s < 1500
    return {
        "gas": {"gas_concentration": 30.0 if happens else 0.0},
        "lamp": {"leakage": 50.0 if happens else 1.0},
        "door": {"door_open": happens},
        "bin": {"temperature": 80.0 if happens else 20.0},
    }


def block(folder: Path, *, wrong_s: int | None) -> Room:
    """Half an hour of two edges; of the second nothing is heard if its clock is not said to be wrong."""
    folder.mkdir()
    room = Room(folder)
    edges = {EDGE: 0} | ({OTHER: wrong_s} if wrong_s is not None else {})
    for edge in edges:
        for name, kind in KINDS.items():
            room.announce(f"{name}-{edge}", kind, edge=edge)
    for at_s in range(0, END_S, STEP_S):
        work = Work(room.facts)
        for edge, ahead_s in edges.items():
            if at_s % 30 == 0:
                clock_ms = at(at_s + ahead_s)
                work.status(SITE, edge, online=True, at_ms=min(clock_ms, at(at_s)), now_ms=at(at_s), clock_ms=clock_ms)
            work.collect(SITE, edge, readings(edge, at_s, ahead_s))
        work.settle(at(at_s))
        room.write(work, at_s)
        room.pass_time(at_s + STEP_S - 1)
        room.look(at_s + STEP_S - 1)
    return room


def readings(edge: EdgeId, at_s: int, ahead_s: int) -> list[Reading]:
    return [
        reading(at_s + ahead_s, channel, value, device=f"{name}-{edge}")
        for name, channels in said(at_s).items()
        for channel, value in channels.items()
    ]


def story(room: Room, edge: EdgeId) -> list[tuple[str, str, str, int]]:
    """All that happened to the alarms of an edge's devices, and when by the server's clock."""
    alarms = {one.id: (str(one.device), one.rule) for one in room.desk.alarms(open_only=False) if one.edge == edge}
    return sorted(
        (*alarms[line.alarm], line.event, line.at_ms) for line in room.desk.log_after(0, 10_000) if line.alarm in alarms
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str, int]]:
    return story(block(tmp_path_factory.mktemp("alone") / "room", wrong_s=None), EDGE)


@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_it_changes_nothing_of_its_neighbours_and_its_own_red_rings_and_ends(
    tmp_path: Path, wrong_s: int, alone: list[tuple[str, str, str, int]]
) -> None:
    room = block(tmp_path / "room", wrong_s=wrong_s)
    assert {(device, event) for device, _, event, _ in alone} >= {(f"{name}-{EDGE}", "alarm.raised") for name in KINDS}
    assert story(room, EDGE) == alone
    its = {(str(one.device), one.rule): one for one in room.desk.alarms(open_only=False) if one.edge == OTHER}
    for name, rule in (("gas", "leak"), ("lamp", "leakage")):
        alarm = its[f"{name}-{OTHER}", rule]
        assert (alarm.level, alarm.case is not None) == ("red", True)
        raised = [line.at_ms for line in room.desk.log_of(alarm.id) if line.event == "alarm.raised"]
        assert raised[0] <= at(300 + STEP_S), "at once, by the server's clock"
        assert str(alarm.state) in ("rtn_unack", "latch_unack"), "and it has ended"


@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_what_an_edge_with_a_wrong_clock_says_of_a_device_ends_no_red_that_another_edge_hears(
    tmp_path: Path, wrong_s: int
) -> None:
    """Both speak of one lamp: the one hears its leak, the other tells, by a clock of its own, of a calm that is long past."""
    room = Room(tmp_path)
    for edge in (EDGE, OTHER):
        room.announce("lamp-1", "smart_lamp", edge=edge)
    for at_s in range(0, 1800, 30):
        room.hear(reading(at_s, "leakage", 50.0, device="lamp-1"))
        room.hear(reading(at_s + 10 + wrong_s, "leakage", 0.0, device="lamp-1"), now_s=at_s + 10, edge=OTHER)
        room.pass_time(at_s + 29)
    alarm = room.the_alarm()
    assert (alarm.level, str(alarm.state)) == ("red", "unack")
    assert "alarm.cleared" not in room.events()
