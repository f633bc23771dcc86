import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from messages.settings import ConfigError
from rules.store import database as databases
from rules.store import tables as db
from rules.store.database import (
    Database,
    DatabaseAway,
    DatabaseDamaged,
    counter,
    located,
    next_seqs,
    set_aside,
    set_counter,
)
from tests.rules.course import reading
from tests.rules.room import Room


def test_what_leaves_the_process_is_on_the_disk_first(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/rules.db").writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_database_itself_admits_one_open_alarm_per_device_and_rule(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    with room.database.reading() as connection:
        row = dict(connection.execute(select(db.alarms)).one()._mapping)
    with pytest.raises(IntegrityError), room.database.writing() as connection:
        connection.execute(insert(db.alarms).values(row | {"id": "another"}))
    with room.database.writing() as connection:
        connection.execute(insert(db.alarms).values(row | {"id": "another", "open": False}))


def test_an_exception_undoes_all_of_a_transaction(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rules.db")
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        list(next_seqs(connection, 2 // (len(next_seqs(connection, 2)) - 2)))
    with database.writing() as connection:
        assert list(next_seqs(connection, 3)) == [1, 2, 3]
    with database.writing() as connection:
        assert list(next_seqs(connection, 1)) == [4]


def test_a_locked_database_is_away_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "BUSY_TIMEOUT_MS", 10)
    database = Database(f"sqlite:///{tmp_path}/rules.db")
    other = sqlite3.connect(tmp_path / "rules.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseAway, match="locked"), database.writing():
        pass
    with database.reading() as connection:
        assert connection.scalar(select(db.counters.c.value).where(db.counters.c.name == "log")) == 0
    other.rollback()
    other.close()
    with database.writing():
        pass


def test_a_file_that_is_no_database_is_known_as_damaged_and_can_be_set_aside(tmp_path: Path) -> None:
    path, url = tmp_path / "rules.db", f"sqlite:///{tmp_path}/rules.db"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(DatabaseDamaged, match="not a database"):
        Database(url)
    assert set_aside(url, 5) == tmp_path / "rules.db.damaged-5"
    assert (tmp_path / "rules.db.damaged-5").read_bytes().startswith(b"not a database")
    Database(url).close()


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rules.db")
    with database.writing() as connection:
        connection.execute(update(db.counters).where(db.counters.c.name == "schema").values(value=99))
    with pytest.raises(ConfigError, match="schema 99"):
        Database(f"sqlite:///{tmp_path}/rules.db")


def test_a_relative_path_starts_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    assert located("sqlite:///rules.db", tmp_path) == f"sqlite:///{tmp_path}/rules.db"
    assert located("sqlite:////var/rules.db", tmp_path) == "sqlite:////var/rules.db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rules.db", "an address such as"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///absent/rules.db", "no such folder"),
        ("postgresql://localhost/rules", "only sqlite:/// is supported so far"),
    ],
)
def test_an_address_that_can_not_work_is_refused(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        located(url, tmp_path)


@pytest.mark.parametrize("follow", [True, False])
def test_only_who_follows_goes_on_with_the_file_that_takes_the_place_of_the_old_one(
    tmp_path: Path, follow: bool
) -> None:
    url = f"sqlite:///{tmp_path}/rules.db"
    ours = Database(url, follow=follow)
    set_counter(ours, "log", 7)
    aside = set_aside(url, 5)
    assert counter(ours, "log") == 7, "while there is no other one, the old one is all there is"
    assert not (tmp_path / "rules.db").exists()
    Database(url).close()
    assert counter(ours, "log") == (0 if follow else 7)
    assert aside.exists()
    ours.close()
