"""Databases of every age: brought up to date with what is in them, or refused in words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, insert, make_url, select, text, update
from sqlalchemy.exc import IntegrityError

from messages.settings import ConfigError
from rules.language.answering import with_answers
from rules.language.library import load_rules
from rules.records import AlarmState, CaseState
from rules.store import database as databases
from rules.store import migration
from rules.store import tables as db
from rules.store.database import Database
from tests.rules.course import KINDS, at, reading, write_rules
from tests.rules.room import Room, mend
from tests.services import PASSWORD

GOLDEN = Path(__file__).parent.parent / "golden/rules"

GAS = """[rules.leak]
level = "red"
title = { zh = "燃气泄漏", en = "Gas leak" }
raise = "gas_concentration >= 10"
clear = "gas_concentration < 5"
clear_delay = "5min"
latch = true
"""
DOOR = """[rules.held_open]
level = "yellow"
title = { zh = "门未关", en = "Door held open" }
raise = "door_open"
raise_delay = "60s"
clear = "not door_open"
clear_delay = "5s"
"""


@contextmanager
def plain(url: str) -> Iterator[Connection]:
    """Without our software over it."""
    engine = databases.dialect(make_url(url)).connect(make_url(url), follow=False, migrates=True)
    with engine.connect() as connection, connection.begin():
        yield connection
    engine.dispose()


def as_it_was(url: str) -> None:
    """The database that the software of schema 3 left: two leaks, one of them seen and one held, a door just opened, a case
    that is closed, and a reading of a device that nobody had announced."""
    found = json.loads((GOLDEN / "database-0001.json").read_text())
    with plain(url) as connection:
        migration.upgrade(connection, migration.FIRST)
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("DELETE FROM counters"))
        tables = MetaData()
        tables.reflect(connection)
        for name, rows in found.items():
            if rows:
                connection.execute(insert(tables.tables[name]), rows)


def test_alarms_cases_and_delays_that_were_open_live_on_after_an_upgrade(database_url: str, tmp_path: Path) -> None:
    as_it_was(database_url)
    for kind, rules in {"gas_alarm": GAS, "door_access": DOOR}.items():
        write_rules(tmp_path / "own", kind, rules)
    room = Room(tmp_path, database_url, with_answers(load_rules(KINDS, tmp_path / "own"), KINDS))
    alarms = {str(alarm.device): alarm for alarm in room.desk.alarms()}
    assert {name: alarm.state for name, alarm in alarms.items()} == {
        "gas-1": AlarmState.ACKED,
        "gas-2": AlarmState.LATCH_UNACK,
    }
    for alarm in alarms.values():
        assert alarm.case
        assert (alarm.guards, alarm.occurrences, alarm.times) == (True, 1, (alarm.raised_at_ms,))
        assert (alarm.case.subject, alarm.case.title) == (alarm.device, alarm.title)
        assert {"alarm.raised", "case.registered"} <= {entry.event for entry in room.desk.log_of(alarm.id)}
    lines = len(room.events())
    room.hear(reading(450, "gas_concentration", 31.0, device="gas-1"))
    assert len(room.events()) == lines, "the leak is known"
    room.pass_time(500)
    assert {str(alarm.device): alarm.raised_at_ms for alarm in room.desk.alarms()}["door-1"] == at(500), (
        "its delay ran on"
    )
    room.announce("gas-3", "gas_alarm", 501)
    assert any(alarm.device == "gas-3" for alarm in room.desk.alarms()), "what waited was heard"
    room.hear(reading(510, "gas_concentration", 0.0, device="gas-1"))
    room.pass_time(820)
    for name, actor in (("gas-1", "wang"), ("gas-2", "li")):
        case = alarms[name].case
        assert case
        room.desk.accept(case.id, actor=actor, at_ms=at(830))
        room.desk.arrive(case.id, actor=actor, at_ms=at(831))
        assert mend(room.desk, case.id, actor=actor, at_ms=at(832)).state is CaseState.CLOSED
    assert {alarm.device for alarm in room.desk.alarms()} >= {"gas-3", "door-1"}
    assert not {alarm.device for alarm in room.desk.alarms()} & {"gas-1", "gas-2"}
    room.hear(reading(900, "gas_concentration", 50.0, device="gas-1"))
    assert [str(one.device) for one in room.desk.alarms(open_only=False)].count("gas-1") == 2, "the closed one stays"
    with room.database.reading() as connection:
        row = dict(connection.execute(select(db.alarms).where(db.alarms.c.open).limit(1)).one()._mapping)
    with pytest.raises(IntegrityError), room.database.writing() as connection:
        connection.execute(insert(db.alarms).values(row | {"id": "another"}))
    assert [entry.seq for entry in room.desk.log_after(0)] == list(range(1, len(room.events()) + 1))
    room.database.close()


def test_two_programs_that_open_an_old_database_at_once_bring_it_up_to_date_once(database_url: str) -> None:
    as_it_was(database_url)
    together, opened = Barrier(2), list[Database]()

    def open_it() -> None:
        together.wait(60)
        opened.append(Database(database_url))

    programs = [Thread(target=open_it) for _ in range(2)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)
    assert len(opened) == 2
    for database in opened:
        database.close()


@pytest.mark.parametrize(("schema", "said"), [(2, "schema 2, which is too old"), (99, "schema 99, which is newer")])
def test_a_database_of_before_the_first_revision_is_refused(tmp_path: Path, schema: int, said: str) -> None:
    url = f"sqlite:///{tmp_path}/rules.db"
    as_it_was(url)
    with plain(url) as connection:
        connection.execute(update(db.counters).where(db.counters.c.name == "schema").values(value=schema))
    with pytest.raises(ConfigError, match=said):
        Database(url)


def test_a_database_of_a_newer_gridcall_is_refused(database_url: str) -> None:
    Database(database_url).close()
    with plain(database_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    with pytest.raises(ConfigError, match="a newer Gridcall wrote it") as refused:
        Database(database_url)
    assert "revision 0099" in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("begun", ["at the first revision", "at once"])
def test_the_revisions_lead_to_the_tables(database_url: str, begun: str) -> None:
    if begun == "at the first revision":
        with plain(database_url) as connection:
            migration.upgrade(connection, migration.FIRST)
    database = Database(database_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        assert compare_metadata(context, db.metadata) == [], "change rules/store/migrations/versions/r0002.py too"
    database.close()


def test_a_new_column_that_the_revisions_forget_is_found(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rules.db")
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE log ADD COLUMN more TEXT"))
        context = MigrationContext.configure(connection)
        assert [change[0] for change in compare_metadata(context, db.metadata)] == ["remove_column"]
    database.close()


def test_the_last_revision_is_the_one_that_this_software_wants() -> None:
    assert migration.revisions() == [migration.FIRST, migration.HEAD]
