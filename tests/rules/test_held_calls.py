"""A call that the database refuses waits by itself: all others of its step go at once, and the case goes on. On SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rules.cases.practice import Practice
from rules.duty.ladder import Ladder, Person
from rules.engine.work import Work
from rules.escalation import queue
from rules.escalation.loop import Escalation
from rules.records import AlarmState, Case, CaseState
from rules.store import facts, refusals
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.refusing import accept, refuse
from tests.rules.room import EDGE, SITE, Room

LIN, WANG, CHEN = (Person(name, name, "grid_worker") for name in ("lin", "wang", "chen"))
STREET = Person("street", "street", "street")


def on_duty(*workers: Person) -> Practice:
    return Practice(ladder=lambda *_about: Ladder((workers, (STREET,), ())))


PRACTICE = on_duty(LIN, WANG, CHEN)
REFUSED = "{person} = 'wang'"


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    found = Room(tmp_path, database_url)
    found.announce("gas-1", "gas_alarm")
    yield found
    found.database.close()


def leak(room: Room, at_s: float = 0, value: float = 30.0, practice: Practice = PRACTICE) -> None:
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(at_s, "gas_concentration", value, device="gas-1")], at(at_s))
    facts.commit(room.database, work, at(at_s), practice=practice)
    room.facts.adopt(work)


def look(room: Room, at_s: float) -> None:
    """As the engine does five times a second."""
    Escalation(room.database, PRACTICE, lambda: at(at_s), lambda: None)._look()


def called(room: Room, person: str | None = None) -> list[tuple[float, str]]:
    """When (seconds) whom."""
    its = (db.notices.c.queued_at_ms, db.notices.c.person)
    with room.database.reading() as connection:
        found = sorted(((ms - at(0)) / 1000, whom) for ms, whom in connection.execute(select(*its)))
    return [one for one in found if person in (None, one[1])]


def held(room: Room) -> list[str]:
    with room.database.reading() as connection:
        return [row.call["person"] for row in connection.execute(select(db.held_calls))]


def refused(room: Room) -> set[tuple[str, str]]:
    with room.database.reading() as connection:
        return {(one.what, one.name.rpartition("/")[2]) for one in refusals.waiting(connection, {SITE})}


def the_case(room: Room) -> Case:
    (case,) = room.desk.cases()
    return case


def test_who_else_is_called_by_a_raise_is_called_with_it(room: Room) -> None:
    refuse(room.database, "notices", REFUSED)
    leak(room)
    assert called(room) == [(0, "chen"), (0, "lin")]
    assert refused(room) == {("new call", "wang")}, "and people are told"
    assert ("notify.refused", "wang") in [(one.event, one.detail) for one in room.desk.log_of_case(the_case(room).id)]


def test_the_steps_after_it_come_when_they_are_due_and_it_goes_out_when_it_is_taken(room: Room) -> None:
    refuse(room.database, "notices", REFUSED)
    leak(room)
    for now_s in (20, 40, 60):
        look(room, now_s)
    assert called(room, "lin") == [(0, "lin"), (20, "lin"), (40, "lin")]
    assert called(room, "street") == [(60, "street")]
    accept(room.database, "notices")
    for now_s in (79, 80, 100, 120):
        look(room, now_s)
    assert called(room, "wang") == [(80, "wang"), (100, "wang"), (120, "wang")], "of 20, of 40, and of 0, at 60 in vain"
    assert held(room) == []


def test_it_is_tried_once_a_minute_and_no_more_when_its_case_is_over(room: Room) -> None:
    refuse(room.database, "notices", REFUSED)
    leak(room)
    with room.database.writing() as connection:
        assert not queue.is_due(connection, at(59))
        assert queue.is_due(connection, at(60))
        assert queue.put_again(connection, at(60)) == 0
        assert not queue.is_due(connection, at(61))
    assert held(room) == ["wang"]
    with room.database.writing() as connection:
        connection.execute(update(db.cases).values(state=CaseState.CLOSED, closed_at_ms=at(70)))
        queue.put_again(connection, at(120))
    assert held(room) == []


def test_a_clock_that_is_set_back_lets_it_wait_no_longer_than_a_minute(room: Room) -> None:
    refuse(room.database, "notices", REFUSED)
    leak(room, 7200)
    accept(room.database, "notices")
    look(room, 3600)
    assert (3600, "wang") in called(room)


def test_red_that_comes_again_rings_though_the_call_to_its_owner_is_refused(room: Room) -> None:
    leak(room)
    room.desk.accept(the_case(room).id, actor="wang", at_ms=at(5))
    refuse(room.database, "notices", REFUSED)
    for now_s, value in ((10, 1.0), (320, 1.0), (400, 30.0)):
        leak(room, now_s, value)
    (again,) = room.desk.alarms()
    assert (again.occurrences, again.state) == (2, AlarmState.UNACK)
    assert refused(room) == {("new call", "wang")}


def test_help_that_somebody_asks_for_is_red_though_the_call_to_its_owner_is_refused(room: Room) -> None:
    leak(room)
    case = room.desk.accept(the_case(room).id, actor="wang", at_ms=at(5))
    refuse(room.database, "notices", REFUSED)
    assert room.desk.help(case.id, actor="resident:h-1", at_ms=at(6)).reason == "help"


def test_of_many_calls_all_but_those_that_are_refused_are_written(room: Room) -> None:
    many = [Person(f"p-{number}", "", "grid_worker") for number in range(50)]
    refuse(room.database, "notices", "{person} IN ('p-0', 'p-17', 'p-18', 'p-49')")
    leak(room, practice=on_duty(*many))
    assert len(called(room)) == 46
    assert sorted(held(room)) == ["p-0", "p-17", "p-18", "p-49"]
