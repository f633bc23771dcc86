"""Of several workers each fires the timers of its own sites: it knows who is on duty there. None is lost, and none comes twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from messages.announcement import Place
from messages.ids import SiteId
from rules.cases.case import Situation
from rules.cases.practice import PLAIN, Practice
from rules.duty.ladder import Address, Ladder, Person
from rules.escalation import timers
from rules.escalation.loop import fire_apart
from rules.notices import outbox
from rules.notices.plan import Habits
from rules.records import Case
from rules.store import leases
from rules.store import tables as db
from rules.store.leases import Holder
from rules.tenure import Tenure
from tests.rules.course import at
from tests.rules.room import Room
from tests.rules.situation import about
from tests.rules.test_notices import way

OURS, THEIRS, NOBODYS = SiteId("ours"), SiteId("theirs"), SiteId("nobodys")


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    found = Room(tmp_path, database_url)
    yield found
    found.database.close()


def worker(room: Room, name: str, *sites: SiteId) -> Holder:
    holder = Holder(name)
    with room.database.writing() as connection:
        leases.enter(connection, holder)
        leases.take(connection, holder, sites)
    return holder


def reported(room: Room, site: SiteId) -> Case:
    seen: Situation = replace(about("red", origin="ticket", subject=""), site=site)
    return room.desk.report(seen, actor="12345", at_ms=at(0))


def knowing(name: str) -> Practice:
    """Whoever goes by it calls one person, by its own name: a worker with a roster of its own."""
    person = Person(name, name, "grid", addresses=(Address("sms", "1"),))

    def ladder(_site: SiteId, _kind: str, _level: str, _place: Place, _owner: str, _at_ms: int) -> Ladder:
        return Ladder(((person,), (person,), (person,)))

    return replace(PLAIN, ladder=ladder)


def fire(room: Room, who: str, others: list[Holder], now_s: float, *, apart: bool = False) -> int:
    tokens = [one.token for one in others]
    if apart:
        return fire_apart(room.database, knowing(who), at(now_s), tokens)
    with room.database.writing() as connection:
        return timers.fire_due(connection, knowing(who), at(now_s), others=tokens)


def called(room: Room) -> list[tuple[str, str, str]]:
    """Site, who called, and the step."""
    query = select(db.cases.c.site, db.notices.c.person, db.notices.c.key).join(db.cases)
    with room.database.reading() as connection:
        return sorted((row.site, row.person, row.key.rsplit("/", 1)[0]) for row in connection.execute(query))


@pytest.mark.parametrize("apart", [False, True])
def test_each_calls_for_its_own_sites_and_anybody_for_what_nobody_owns(room: Room, apart: bool) -> None:
    first, second = worker(room, "first", OURS), worker(room, "second", THEIRS)
    for site in (OURS, THEIRS, NOBODYS):
        reported(room, site)
    fire(room, "first", [second], 0, apart=apart)
    assert {(site, who) for site, who, _ in called(room)} == {(OURS, "first"), (NOBODYS, "first")}
    with room.database.reading() as connection:
        assert timers.next_due_ms(connection, [second.token]) == at(20)
        assert timers.next_due_ms(connection, [first.token]) == at(0)
    fire(room, "second", [first], 0, apart=apart)
    assert {(site, who) for site, who, _ in called(room)} >= {(THEIRS, "second")}
    assert len(called(room)) == 3


def test_a_worker_that_is_dead_keeps_nobodys_timers_to_itself(room: Room) -> None:
    """Its lease stands until somebody takes it, and where nobody may own the site nobody ever does."""
    worker(room, "dead", THEIRS)
    reported(room, THEIRS)
    fire(room, "first", [], 0)
    assert {(site, who) for site, who, _ in called(room)} == {(THEIRS, "first")}


def test_a_site_that_changes_hands_between_the_look_and_the_step_loses_none_and_doubles_none(room: Room) -> None:
    first, second = worker(room, "first", OURS), worker(room, "second")
    reported(room, OURS)
    with room.database.reading() as connection:
        assert timers.next_due_ms(connection, [second.token]) == at(0)
    with room.database.writing() as connection:  # and in this moment it is thought to be dead
        leases.take(connection, second, [OURS])
    assert fire(room, "first", [second], 0) == 0
    assert fire(room, "second", [first], 0) == 1
    for now_s in (20, 40):
        fire(room, "first", [second], now_s)
        fire(room, "second", [first], now_s)
    with room.database.writing() as connection:  # given up, and not yet taken: both may, and one does
        connection.execute(delete(db.leases))
    for who, other in (("first", second), ("second", first), ("first", second)):
        fire(room, who, [other], 60)
    steps = [step for _, _, step in called(room)]
    assert len(steps) == len(set(steps)) == 4
    assert Counter(who for _, who, _ in called(room)) == {"second": 3, "first": 1}


def test_a_worker_knows_the_others_that_live(room: Room) -> None:
    now_s = 0.0
    tenures = [Tenure(room.database, Holder(name), lambda: now_s) for name in ("a", "b")]
    for tenure in tenures:
        tenure.enter()
    tenures[0].look()
    assert tenures[0].others == {tenures[1].holder.token}
    now_s = 60.0
    tenures[0].look()
    assert tenures[0].others == frozenset()


def test_a_call_by_name_is_left_to_the_worker_that_knows_a_way_to_the_person(room: Room) -> None:
    first, second = worker(room, "first", OURS), worker(room, "second", THEIRS)
    case = reported(room, THEIRS)
    room.desk.dispatch(case.id, actor="zhao", at_ms=at(1), to="lin")

    def takes(find: outbox.Find, others: list[Holder], now_s: float) -> list[str]:
        tokens = [one.token for one in others]
        with room.database.writing() as connection:
            begun = outbox.take(connection, {"sms": way("sms")}, find, PLAIN, Habits(), "", at(now_s), others=tokens)
        return [one.to for one in begun]

    assert takes(lambda *_: (), [second], 2) == []
    assert takes(lambda *_: (Address("sms", "138"),), [first], 3) == ["138"]
    room.desk.dispatch(case.id, actor="zhao", at_ms=at(10), to="chen")
    assert takes(lambda *_: (), [], 11) == [], "nobody else lives: it is said that there is no way"
    with room.database.reading() as connection:
        states = dict(connection.execute(select(db.notices.c.person, db.notices.c.state)).all())
    assert states["chen"] not in ("queued", "sending")
