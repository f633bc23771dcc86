"""Many rows in one statement are the rows that they would be one by one, in either database; and a flood takes no more statements than one alarm."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from messages.ids import DeviceId
from messages.reading import Reading
from rules.cases.practice import PLAIN
from rules.engine.work import Work
from rules.notices import outbox
from rules.notices.plan import Habits
from rules.store import facts, many
from rules.store import tables as db
from rules.store.database import Database
from tests.rules.course import at
from tests.rules.room import EDGE, SITE, Room

DEVICE = {
    "site": "junmen",
    "edge": "pi-1",
    "kind": "gas_alarm",
    "place": {"grid": "g1", "text": "3号楼 'a' \"b\" \\ %s"},
}
ODD = {
    "plain": {"model": "m", "settings": {"lat": 26.05, "on": True, "off": None, "many": [1, {"a": "é😀"}]}},
    "long": {"model": "x" * 200, "settings": {}},
    "nul": {"model": "a\x00b", "settings": {"text": "a\x00b"}},
    "half": {"model": "a\ud83d", "settings": {"text": "\ud83d"}},
    "large": {"model": "m", "settings": {"number": 2**70, "none": float("nan")}},
    "backslash": {"model": "\\u0000", "settings": {"text": "\\u0000"}},
}
"""What devices may announce, and a database or JSON may have no room for."""


def row(name: str, **more: Any) -> dict[str, Any]:
    return {**DEVICE, "device": name, "guards": name == "long", **more}


def known(connection: Connection) -> list[dict[str, Any]]:
    found = connection.execute(select(db.devices).order_by(db.devices.c.device))
    return [dict(one._mapping) for one in found]


@pytest.mark.parametrize("name", ODD)
def test_a_row_of_many_is_what_it_would_be_by_itself(database_url: str, name: str) -> None:
    database = Database(database_url)
    some = [row(f"{name}-{number}", **ODD[name]) for number in range(3)]
    with database.writing() as connection:
        connection.execute(insert(db.devices), some)
        alone = known(connection)
        many.remove(connection, db.devices, [(one["site"], one["edge"], one["device"]) for one in some])
        assert known(connection) == []
        many.insert(connection, db.devices, some)
        assert known(connection) == alone
        many.put(connection, db.devices, [row(f"{name}-1", model="other", settings={})])
        many.put(connection, db.devices, some)
        assert known(connection) == alone
        many.change(connection, db.devices, [{**one, "guards": not one["guards"]} for one in some])
        assert known(connection) == [{**one, "guards": not one["guards"]} for one in alone]
    database.close()


def test_what_is_put_is_new_in_all_its_columns_and_what_is_changed_only_in_those_that_are_named(
    database_url: str,
) -> None:
    database = Database(database_url)
    edge = {"site": "junmen", "edge": "pi-1", "online": True, "since_ms": 5, "clock_trusted": True}
    with database.writing() as connection:
        behind = select(db.edges.c.behind_ms, db.edges.c.since_ms)
        many.insert(connection, db.edges, [{**edge, "behind_ms": 7}])
        many.change(connection, db.edges, [{"site": "junmen", "edge": "pi-1", "since_ms": 6}])
        assert tuple(connection.execute(behind).one()) == (7, 6)
        many.put(connection, db.edges, [edge])
        assert tuple(connection.execute(behind).one()) == (None, 5)
        many.change(connection, db.edges, [{"site": "junmen", "edge": "pi-2", "since_ms": 6}])
        assert len(known_edges := connection.execute(select(db.edges)).all()) == 1, known_edges
    database.close()


class Statements:
    """How many are carried out in a database; one for many rows that go one by one is as many as these."""

    def __init__(self, database: Database) -> None:
        self.counts = Counter[str]()
        event.listen(database._engine, "before_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, text: str, given: Any, _context: Any, many_rows: bool) -> None:
        self.counts[text.split()[0]] += len(given) if many_rows else 1

    def taken(self) -> int:
        count, self.counts = sum(self.counts.values()), Counter()
        return count


@pytest.mark.needs("postgres", "initdb")
def test_a_flood_takes_as_many_statements_as_one_alarm_and_its_calls_to_the_desk_as_one_call(
    tmp_path: Path, postgresql: str
) -> None:
    room = Room(tmp_path, url=postgresql)
    for number in range(41):
        room.announce(f"gas-{number}", "gas_alarm")
    statements, taken = Statements(room.database), list[tuple[int, int]]()
    for numbers in (range(1), range(1, 41)):
        work = Work(room.facts)
        for number in numbers:
            name = DeviceId(f"gas-{number}")
            leak = Reading(device=name, channel="gas_concentration", at_ms=at(1), value=30.0, unit="%LEL")
            work.collect(SITE, EDGE, [leak])
        work.settle(at(1))
        assert len(work.found) == len(numbers)
        statements.taken()
        facts.commit(room.database, work, at(1))
        room.facts.adopt(work)
        written = statements.taken()
        with room.database.writing() as connection:
            outbox.take(connection, {}, lambda *_: (), PLAIN, Habits(), "", at(2))
        taken.append((written, statements.taken()))
    assert taken[0] == taken[1]
    with room.database.reading() as connection:
        assert set(connection.scalars(select(db.notices.c.state))) == {"handed_over"}
        assert len(connection.execute(select(db.notices)).all()) >= 41
    room.database.close()
