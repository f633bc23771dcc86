"""An edge that burnt down withdraws nothing: a person says that it is gone."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from messages import pack, topics
from messages.announcement import OWN_MODEL, Announcement, Place, encode
from messages.bus import Incoming
from messages.ids import COLLECTOR, DeviceId, EdgeId, ledger_of
from rules import gone
from rules.engine import own
from rules.engine.work import Work
from rules.records import CaseState
from rules.shell.absent import Absent
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

OTHER = EdgeId("pi-2")
OF_DEVICES = (db.devices, db.silences, db.states, db.waiting, db.streams)


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    found = Room(tmp_path, database_url)
    for device in ("gas-1", "shared"):
        found.announce(device, "gas_alarm")
    found.status(0, online=True)
    found.announce("shared", "gas_alarm", edge=OTHER)
    found.status(0, online=True, edge=OTHER)
    work = Work(found.facts)
    leaks = [reading(1, "gas_concentration", 30.0, device=device) for device in ("gas-1", "shared", "nobody-knows-me")]
    work.hear(SITE, EDGE, leaks, at(1))
    work.heard((SITE, EDGE, "s-1"), 1, at(1))  # type: ignore[arg-type]
    found.write(work, 1)
    found.status(10, online=False)
    found.pass_time(1_000)
    yield found
    found.database.close()


def forget(room: Room, at_s: float = 2_000, edge: EdgeId = EDGE) -> gone.Ended:
    with room.database.writing() as connection:
        return gone.forget(connection, SITE, edge, "li", "the box burnt", at(at_s))


def standing(room: Room) -> set[str]:
    """What is not the other edge's own."""
    return {str(one.device) for one in room.desk.alarms()} - {str(own.link_of(OTHER))}


def follow(room: Room, at_s: float = 2_001) -> None:
    """As the engine does."""
    work = Work(room.facts)
    work.forget(SITE, EDGE, at(at_s))
    room.write(work, at_s)


def test_what_stands_for_it_is_ended_by_the_one_who_said_so_and_nothing_rings(room: Room) -> None:
    before = {(str(one.device), one.rule): one for one in room.desk.alarms()}
    assert {("gas-1", "leak"), (str(own.link_of(EDGE)), "away"), ("shared", "leak")} <= before.keys()
    ended = forget(room)
    assert (ended.devices, ended.left) == (2, ())
    assert standing(room) == {"shared"}
    leak = before["gas-1", "leak"]
    assert leak.case
    case = room.desk.case(leak.case.id)
    assert case
    assert (case.state, case.outcome, case.closed_by) == (CaseState.CANCELLED, "nothing_there", "li")
    lines = [entry for entry in room.desk.log_of(leak.id) if entry.alarm and entry.at_ms == at(2_000)]
    assert {(entry.actor, entry.detail) for entry in lines} == {("li", "edge forgotten: the box burnt")}
    assert [entry.event for entry in lines][-1] in ("alarm.reset", "alarm.cleared")
    follow(room)
    room.pass_time(100_000)
    room.look(100_000)
    room.fire_cases(100_000)
    assert standing(room) == {"shared"}
    with room.database.reading() as connection:
        its = (db.notices.c.queued_at_ms > at(2_000), db.notices.c.case.in_([leak.case.id]))
        assert connection.execute(select(db.notices).where(*its)).all() == []


def test_its_devices_vanish_from_the_memory_and_from_every_table_but_those_of_which_another_edge_speaks(
    room: Room,
) -> None:
    forget(room)
    assert room.facts.knows_of((SITE, EDGE))
    follow(room)
    for _ in range(2):
        assert not room.facts.knows_of((SITE, EDGE))
        assert room.facts.knows_of((SITE, OTHER))
        assert {(edge, device) for _, edge, device in room.facts.devices if edge != own.ENGINE} == {(OTHER, "shared")}
        assert "gas-1" not in {device for _, device, _ in room.facts.watches}
        assert any(device == "shared" for _, device, _ in room.facts.watches)
        room.start()
    with room.database.reading() as connection:
        for table in OF_DEVICES:
            if "edge" in table.c and table is not db.states:
                assert connection.execute(select(table).where(table.c.edge == EDGE)).all() == [], table.name
        assert connection.execute(select(db.states).where(db.states.c.device == "gas-1")).all() == []
    assert {state.edge for state in room.desk.edges(at(2_010))} == {OTHER}


def test_it_can_be_forgotten_twice_and_come_back(room: Room) -> None:
    forget(room)
    follow(room)
    room.status(3_000, online=True)
    with pytest.raises(gone.NotGone, match="is online"):
        forget(room, 3_001)
    with room.database.writing() as connection:
        assert list(gone.edges(connection)) == [(SITE, EDGE)]
        gone.come_back(connection, (SITE, EDGE), at(3_002))
        assert gone.edges(connection) == {}
    room.status(3_003, online=False)
    forget(room, 3_004)
    follow(room, 3_005)
    assert [event for event in room.events() if event.startswith("edge.")] == [
        "edge.forgotten",
        "edge.returned",
        "edge.forgotten",
    ]
    with pytest.raises(gone.NotGone, match="no edge 'pi-9' is known"):
        forget(room, 3_006, EdgeId("pi-9"))


def test_a_device_that_was_withdrawn_leaves_nothing_in_memory(room: Room) -> None:
    for at_s in range(3):
        room.announce("gas-9", "gas_alarm", 2_000 + at_s)
        room.hear(reading(2_000 + at_s, "gas_concentration", 30.0, device="gas-9"))
        work = Work(room.facts)
        work.withdraw(SITE, EDGE, reading(0, "x", 1.0, device="gas-9").device, at(2_000.5 + at_s))
        room.write(work, 2_000.5 + at_s)
        room.pass_time(2_000.9 + at_s)
    assert "gas-9" not in {device for _, device, _ in room.facts.watches}


def keep_ledger(room: Room, edge: EdgeId, at_s: float) -> None:
    """As the collector does of each edge."""
    said = Announcement(kind="edge_ledger", model=OWN_MODEL, place=Place(grid="g1", text="x"))
    work = Work(room.facts)
    work.announce(SITE, COLLECTOR, ledger_of(edge), said, at(at_s))
    work.hear(SITE, COLLECTOR, [reading(at_s, "balanced", False, device=ledger_of(edge))], at(at_s))
    room.write(work, at_s)


def test_its_ledger_goes_with_it_and_what_stands_for_that(room: Room) -> None:
    for edge in (EDGE, OTHER):
        keep_ledger(room, edge, 1_000)
    room.pass_time(1_100)
    assert {ledger_of(EDGE), ledger_of(OTHER)} <= standing(room)
    forget(room)
    assert standing(room) == {"shared", ledger_of(OTHER)}
    follow(room)
    for _ in range(2):
        assert {device for _, edge, device in room.facts.devices if edge == COLLECTOR} == {ledger_of(OTHER)}
        assert ledger_of(EDGE) not in {device for _, device, _ in room.facts.watches}
        room.start()


async def test_what_the_collector_goes_on_saying_of_its_ledger_is_not_heard_until_it_is_back(room: Room) -> None:
    forget(room)
    follow(room)

    async def insist(act: Any) -> Any:
        return act()

    writer: Any = SimpleNamespace(turn=asyncio.Lock(), facts=room.facts)
    tenure: Any = SimpleNamespace(database=room.database, mine={SITE})
    clerk: Any = SimpleNamespace(insist=insist)
    absent = Absent(writer, tenure, clerk, lambda: at(3_000))
    await absent.learn()
    message = partial(Incoming, retain=False, ack=lambda: None)

    def readings(*edges: EdgeId) -> Incoming:
        some = [reading(2_999, "balanced", True, device=ledger_of(edge)) for edge in edges]
        return message(topic=topics.readings(SITE, COLLECTOR), payload=pack.encode_unnumbered(some))

    def announced(device: DeviceId) -> Incoming:
        said = Announcement(kind="edge_ledger", model=OWN_MODEL, place=Place(grid="g1", text="x"))
        return message(topic=topics.announcement(SITE, COLLECTOR, device), payload=encode(said))

    broken = message(topic=topics.readings(SITE, COLLECTOR), payload=b"[")
    of_others = [announced(ledger_of(OTHER)), announced(DeviceId("collector")), readings(OTHER), broken]
    of_it = [announced(ledger_of(EDGE)), readings(EDGE)]
    mixed = [readings(EDGE, OTHER)]
    assert await absent.hears([*of_it, *of_others, *mixed]) == [*of_others, *mixed]
    back = message(topic=topics.announcement(SITE, EDGE, DeviceId("gas-1")), payload=announced(DeviceId("x")).payload)
    assert await absent.hears([back, *of_it]) == [back, *of_it]
