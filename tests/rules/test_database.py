from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from rules.store import sqlite
from rules.store import tables as db
from rules.store.database import (
    Database,
    DatabaseAway,
    DatabaseDamaged,
    counter,
    located,
    next_seqs,
    set_counter,
)
from rules.store.postgresql import SESSION_LIMITS
from rules.store.sqlite import set_aside
from tests import services
from tests.rules.course import reading
from tests.rules.room import Room

PASSWORD = services.PASSWORD


def test_what_leaves_the_process_is_on_the_disk_first(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/rules.db").writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_database_itself_admits_one_open_alarm_per_device_and_rule(database_url: str, tmp_path: Path) -> None:
    room = Room(tmp_path, database_url)
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    with room.database.reading() as connection:
        row = dict(connection.execute(select(db.alarms)).one()._mapping)
    with pytest.raises(IntegrityError), room.database.writing() as connection:
        connection.execute(insert(db.alarms).values(row | {"id": "another"}))
    with room.database.writing() as connection:
        connection.execute(insert(db.alarms).values(row | {"id": "another", "open": False}))
    room.database.close()


def test_an_exception_undoes_all_of_a_transaction(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        list(next_seqs(connection, 2 // (len(next_seqs(connection, 2)) - 2)))
    with database.writing() as connection:
        assert list(next_seqs(connection, 3)) == [1, 2, 3]
    with database.writing() as connection:
        assert list(next_seqs(connection, 1)) == [4]
    database.close()


def test_one_writes_at_a_time_and_whoever_waits_too_long_is_told_that_the_database_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Database(database_url)
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    monkeypatch.setitem(SESSION_LIMITS, "lock_timeout", "10ms")
    impatient = Database(database_url)
    with ours.writing() as connection:
        assert list(next_seqs(connection, 1)) == [1]
        with pytest.raises(DatabaseAway, match="lock"), impatient.writing():
            pass
        assert counter(impatient, "log") == 0, "who reads waits for nobody, and sees what was committed"
    with impatient.writing() as connection:
        assert list(next_seqs(connection, 1)) == [2]
    ours.close()
    impatient.close()


def test_what_is_read_is_one_view_however_long_it_takes(database_url: str) -> None:
    ours, other = Database(database_url), Database(database_url)
    asked = select(db.counters.c.value).where(db.counters.c.name == "log")
    with ours.reading() as connection:
        assert connection.scalar(asked) == 0
        set_counter(other, "log", 7)
        assert connection.scalar(asked) == 0
    assert counter(ours, "log") == 7
    ours.close()
    other.close()


def test_a_file_that_is_no_database_is_known_as_damaged_and_can_be_set_aside(tmp_path: Path) -> None:
    path, url = tmp_path / "rules.db", f"sqlite:///{tmp_path}/rules.db"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(DatabaseDamaged, match="not a database"):
        Database(url)
    assert set_aside(url, 5) == tmp_path / "rules.db.damaged-5"
    assert (tmp_path / "rules.db.damaged-5").read_bytes().startswith(b"not a database")
    Database(url).close()


def test_a_relative_path_starts_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    assert located("sqlite:///rules.db", tmp_path) == f"sqlite:///{tmp_path}/rules.db"
    assert located("sqlite:////var/rules.db", tmp_path) == "sqlite:////var/rules.db"
    server = f"postgresql+psycopg://rules:{PASSWORD}@db/gridcall?sslmode=require"
    assert located(server, tmp_path) == server


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rules.db", "an address such as"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///absent/rules.db", "no such folder"),
        (f"postgresql://rules:{PASSWORD}@localhost/rules", "begin with sqlite:/// or postgresql"),
        ("mysql://localhost/rules", "begin with"),
        (f"postgresql+psycopg://rules:{PASSWORD}@localhost", "name the database"),
    ],
)
def test_an_address_that_can_not_work_is_refused(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        located(url, tmp_path)
    assert PASSWORD not in str(refused.value)


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


@pytest.mark.needs("postgres", "initdb")
def test_a_server_that_ends_and_returns_is_away_and_then_there_again_and_its_password_is_said_nowhere() -> None:
    with services.postgresql() as server, server.database() as url:
        ours = Database(url)
        set_counter(ours, "log", 7)
        with pytest.raises(DatabaseAway) as ended:
            _write(ours, server.kill)
        with pytest.raises(DatabaseAway) as absent:
            counter(ours, "log")
        with pytest.raises(DatabaseAway) as never_there:
            Database(url)
        server.start()
        assert counter(ours, "log") == 7
        for error in (ended, absent, never_there):
            assert PASSWORD not in str(error.value)
        ours.close()


@pytest.mark.needs("postgres", "initdb")
def test_a_database_that_is_set_to_be_read_only_is_not_written_by_who_has_read_it(postgresql: str) -> None:
    Database(postgresql).close()
    server = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    server.dispose()
    ours = Database(postgresql)
    assert counter(ours, "log") == 0
    with pytest.raises(DatabaseAway, match="read-only"):
        set_counter(ours, "log", 7)
    assert counter(ours, "log") == 0
    ours.close()


@pytest.mark.needs("postgres", "initdb")
def test_who_stands_still_while_it_writes_loses_its_turn_on_a_server(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(postgresql)
    monkeypatch.setitem(SESSION_LIMITS, "idle_in_transaction_session_timeout", "100ms")
    ours = Database(postgresql)
    with pytest.raises(DatabaseAway):  # the other one waits for our lock until the server takes it from us
        _write(ours, lambda: set_counter(other, "published", 1))
    assert (counter(other, "log"), counter(other, "published")) == (0, 1)
    ours.close()
    other.close()


def _write(database: Database, meanwhile: Callable[[], None]) -> None:
    with database.writing() as connection:
        next_seqs(connection, 5)
        meanwhile()
        next_seqs(connection, 5)
