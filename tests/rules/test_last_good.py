"""Calls go by the last good file of a site over a restart, and whatever is not as it lies on disk is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from deploy import doctor
from messages.announcement import Place
from messages.ids import SiteId
from rules.commands import app
from rules.duty import last_good
from rules.duty.folder import SiteFolder
from rules.duty.ladder import DESK, Address
from rules.duty.last_good import Fault, LastGood
from rules.duty.roll import Roll
from rules.engine.found import Audited
from rules.engine.work import Work
from rules.store import refusals
from rules.store import tables as db
from rules.store.database import Database
from tests.rules.course import at
from tests.rules.refusing import refuse
from tests.rules.room import SITE, Room
from tests.rules.test_telling import PEOPLE

RULES = """
name = "r"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
site_files = "sites"
[broker]
username = "rules"
password = "x"
"""


@dataclass
class Town:
    """A folder of sites and a database; `start` is what a restart leaves: these two."""

    folder: Path
    url: str
    now_s: float = 0
    roll: Roll = field(init=False)
    known: LastGood = field(init=False)

    def __post_init__(self) -> None:
        self.file().parent.mkdir()
        self.file().write_text(PEOPLE, encoding="utf-8")
        self.database = Database(self.url)
        self.start()

    def file(self, name: str = SITE) -> Path:
        return self.folder / "sites" / f"{name}.toml"

    def start(self) -> None:
        self.roll = Roll(SiteFolder(self.folder / "sites"), desk=(Address("sms", "110"),))
        self.roll.folder.look()
        self.known = LastGood(self.database, self.roll.folder)
        self.look()

    def look(self) -> bool:
        self.now_s += 10
        return self.known.look(at(self.now_s))

    def called(self, site: str = SITE) -> list[str]:
        place = Place(grid="g1", text="x")
        rungs = self.roll.ladder(SiteId(site), "gas_alarm", "red", place, "", at(self.now_s)).rungs
        return [person.id for rung in rungs for person in rung]

    def fault(self, site: str = SITE) -> Fault | None:
        return self.known.faults.get(SiteId(site))


EVERYBODY = ["lin", "chen", "street-desk"]


@pytest.fixture
def town(tmp_path: Path, database_url: str) -> Iterator[Town]:
    there = Town(tmp_path, database_url)
    yield there
    there.database.close()


def test_a_file_that_is_broken_at_a_start_is_not_missed_by_those_who_are_called(town: Town) -> None:
    good_at_ms = at(town.now_s)
    town.file().write_text(PEOPLE.replace("[grids.g1]", "[grids.g1"), encoding="utf-8")
    town.start()
    assert town.called() == EVERYBODY
    fault = town.fault()
    assert fault is not None
    assert fault.since_ms == good_at_ms
    assert f"{town.file()}:" in fault.why
    assert not town.look()  # said once
    town.file().write_text(PEOPLE.replace('shifts = [{ people = ["lin"] }]', 'shifts = [{ people = ["chen"] }]'))
    assert town.look()
    assert town.fault() is None
    assert "lin" not in town.called()


def test_a_sheet_that_is_broken_at_a_start_is_not_missed_either(town: Town) -> None:
    town.file().with_suffix(".people.csv").write_text("person,nmae\n", encoding="utf-8")
    town.start()
    assert town.called() == EVERYBODY
    assert "no such column" in str(town.fault())


def test_a_site_whose_file_is_renamed_calls_whom_it_called_and_says_so(town: Town) -> None:
    town.file().rename(town.file("junmen-2"))
    assert town.look()
    assert town.called() == EVERYBODY
    assert "no such file any more" in str(town.fault())
    town.start()
    assert town.called() == EVERYBODY
    assert town.fault() is not None


def test_the_whole_folder_may_be_gone(town: Town) -> None:
    town.file().parent.rename(town.folder / "elsewhere")
    town.start()
    assert town.called() == EVERYBODY
    assert town.fault() is not None


def test_a_site_that_is_forgotten_on_purpose_is_no_fault(town: Town) -> None:
    town.file().unlink()
    assert town.look()
    with town.database.writing() as connection:
        assert last_good.forget(connection, SITE, "zhao", at(0))
        assert not last_good.forget(connection, SITE, "zhao", at(0))
    assert town.look()
    assert town.fault() is None
    assert town.called() == [DESK.id] * 3


def test_a_site_without_a_file_that_has_devices_is_a_fault_and_the_desk_is_told_by_its_own_channels(
    tmp_path: Path,
) -> None:
    room = Room(tmp_path)
    room.announce("gas-1", "gas_alarm")
    town = Town(tmp_path, f"sqlite:///{tmp_path}/rules.db")
    assert town.fault() is None
    with town.database.writing() as connection:
        last_good.forget(connection, SITE, "zhao", at(0))
    town.file().rename(town.file("junmen2"))
    town.start()
    fault = town.fault()
    assert fault is not None
    assert fault.unstaffed
    assert "junmen2" in fault.why  # the name that may be meant
    assert town.called() == [DESK.id] * 3
    assert town.roll.find(SITE, DESK.id) == (Address("sms", "110"),)


def test_households_are_not_kept(tmp_path: Path) -> None:
    home = '[buildings.b3]\ngrid = "g1"\n[households.h1]\nbuilding = "b3"\nresident = "王奶奶"\nconsent = 2026-01-01\n'
    town = Town(tmp_path, f"sqlite:///{tmp_path}/rules.db")
    town.file().write_text(PEOPLE + home, encoding="utf-8")
    town.look()
    assert town.roll.folder.sites[SITE].households
    town.file().write_text("[", encoding="utf-8")
    town.start()
    assert town.called() == EVERYBODY
    assert not town.roll.folder.sites[SITE].households


def test_an_old_roster_and_none_are_alarms_of_the_site_until_they_are_mended(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for now_s, found in ((0, Audited(roster_old=True)), (100, Audited(unstaffed=True)), (200, Audited())):
        work = Work(room.facts)
        work.audited(SITE, found, at(now_s))
        room.write(work, now_s)
        room.pass_time(now_s + 90)
    raised = {(alarm.rule, alarm.level): alarm for alarm in room.desk.alarms(open_only=False)}
    assert raised.keys() == {("roster_old", "orange"), ("unstaffed", "red")}
    assert all(alarm.case is not None for alarm in raised.values())
    assert [event for event in room.events() if event == "alarm.cleared"] == ["alarm.cleared"] * 2


def test_the_doctor_says_which_roster_is_in_force_and_why(tmp_path: Path) -> None:
    town = Town(tmp_path, f"sqlite:///{tmp_path}/rules.db")
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    said = CliRunner().invoke(doctor.app, ["--rules", str(tmp_path / "rules.toml")]).output
    assert "ok    rosters of 1 site(s)" in said
    assert "the desk is told by the pages alone" in said
    town.file().write_text("[", encoding="utf-8")
    ill = CliRunner().invoke(doctor.app, ["--rules", str(tmp_path / "rules.toml")])
    assert ill.exit_code == 1
    assert f"WRONG roster of {SITE}: {town.file()}" in ill.output
    assert "calls go by the last good file, of 2025-10-0" in ill.output
    town.file().unlink()
    (tmp_path / "rules.toml").write_text(RULES.replace('"r"', '"r"\ndesk = ["sms:110"]'), encoding="utf-8")
    gone = CliRunner().invoke(doctor.app, ["--rules", str(tmp_path / "rules.toml")]).output
    assert "no such file any more" in gone
    assert "the desk is told by" not in gone
    assert "WRONG the desk is to be reached by `sms`, and there is no [channels.sms]" in gone


def test_a_site_is_forgotten_by_a_command_once_its_file_is_away(tmp_path: Path) -> None:
    town = Town(tmp_path, f"sqlite:///{tmp_path}/rules.db")
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    words = ["roster", "forget", str(tmp_path / "rules.toml"), SITE, "--actor", "zhao"]
    assert "still there" in str(CliRunner().invoke(app, words).exception)
    town.file().unlink()
    assert "forgotten" in CliRunner().invoke(app, words).output
    assert town.look() is False
    assert town.called() == [DESK.id] * 3


def test_a_file_that_the_database_refuses_is_used_all_the_same_and_what_was_kept_stays(town: Town) -> None:
    before = town.file().read_text(encoding="utf-8")
    refuse(town.database, "sites", "{site} = 'junmen' AND {content} LIKE '%Ms Refused%'")
    town.file().write_text(before.replace("林小梅", "Ms Refused"), encoding="utf-8")
    town.file("other").write_text(before, encoding="utf-8")
    town.look()
    assert town.called() == EVERYBODY
    with town.database.reading() as connection:
        assert [(one.site, one.what) for one in refusals.waiting(connection)] == [(SITE, "roster")]
        assert set(connection.scalars(select(db.sites.c.site))) == {SITE, "other"}
    town.file().write_text("broken", encoding="utf-8")
    town.start()
    assert town.called() == EVERYBODY
