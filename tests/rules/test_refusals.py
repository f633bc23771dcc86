"""One thing that the database doesn't take stops nothing else, and is not silent: on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import String, delete, select, update
from typer.testing import CliRunner

from messages.ids import DeviceId
from messages.settings import ConfigError
from rules.cases.practice import PLAIN
from rules.commands import app
from rules.engine.found import Audited
from rules.engine.work import Work
from rules.escalation import auditor, timers
from rules.escalation.loop import fire_apart, wind_all
from rules.records import AlarmState, Case
from rules.store import facts, refusals, rows, versions, words
from rules.store import tables as db
from rules.store.refusals import Refusal
from rules.store.rows import Line
from tests.rules.course import ALL_RULES, at, reading
from tests.rules.refusing import accept, refuse
from tests.rules.room import EDGE, SITE, Room
from tests.rules.situation import about

GAS = ("gas-1", "gas-2", "gas-3")
BAD = "\x00 half a pair: \ud83d, " + "长" * 5_000


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    found = Room(tmp_path, database_url)
    for device in GAS:
        found.announce(device, "gas_alarm")
    yield found
    found.database.close()


def leaks(room: Room, at_s: float = 1, value: float = 30.0) -> None:
    """All in one work."""
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(at_s, "gas_concentration", value, device=device) for device in GAS], at(at_s))
    room.write(work, at_s)


def kept(room: Room) -> list[Refusal]:
    with room.database.reading() as connection:
        return refusals.waiting(connection)


def leaking(room: Room) -> dict[str, AlarmState]:
    return {str(one.device): one.state for one in room.desk.alarms() if one.rule == "leak"}


def test_a_finding_that_is_refused_for_what_it_says_rings_without_it_and_the_others_as_ever(room: Room) -> None:
    refuse(room.database, "alarms", "{device} = 'gas-2' AND LENGTH(CAST({evidence} AS TEXT)) > 2")
    leaks(room)
    assert leaking(room) == dict.fromkeys(GAS, AlarmState.UNACK)
    found = {str(one.device): one for one in room.desk.alarms() if one.rule == "leak"}
    assert found["gas-1"].evidence == {"gas_concentration": 30.0}
    assert (found["gas-2"].level, found["gas-2"].evidence) == ("red", {})
    assert found["gas-2"].case, "somebody is called"
    assert [(one.site, one.what) for one in kept(room)] == [(SITE, "finding")]
    assert kept(room)[0].name.startswith("gas-2/leak: Raised(")
    assert [entry.seq for entry in room.desk.log_after(0)] == list(range(1, len(room.events()) + 1))


def test_a_finding_that_is_refused_whole_is_an_alarm_of_the_site_and_the_engine_goes_on(room: Room) -> None:
    refuse(room.database, "alarms", "{device} = 'gas-2'")
    leaks(room)
    assert leaking(room) == {"gas-1": AlarmState.UNACK, "gas-3": AlarmState.UNACK}
    assert [one.what for one in kept(room)] == ["finding", "plain finding"]
    found = auditor.look(room.database, {SITE}, PLAIN, at(2))
    assert {one.what for one in found} == {"refused"}
    work = Work(room.facts)
    work.audited(SITE, Audited(stuck=len(found)), at(2))
    room.write(work, 2)
    (stalled,) = [one for one in room.desk.alarms() if one.rule == "stalled"]
    assert (stalled.level, str(stalled.device)) == ("red", SITE)
    room.start()  # and so it stands after a restart
    leaks(room, 10, 40.0)
    assert set(leaking(room)) == {"gas-1", "gas-3"}
    with room.database.writing() as connection:
        assert refusals.see(connection, "li", at(20)) == len(found)
    assert "refused" not in {one.what for one in auditor.look(room.database, {SITE}, PLAIN, at(21))}
    assert room.events().count("refusal.seen") == len(found)


def test_a_device_a_state_and_a_reading_that_waits_are_refused_alone(room: Room) -> None:
    for table in ("devices", "states", "waiting"):
        refuse(room.database, table, "{device} = 'gas-4'")
    refuse(room.database, "silences", "{device} = 'gas-4'")
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(1, "gas_concentration", 1.0, device=device) for device in ("gas-4", "gas-5")], at(1))
    room.write(work, 1)
    room.announce("gas-4", "gas_alarm", 2)
    room.announce("gas-5", "gas_alarm", 2)
    assert {one.what for one in kept(room)} >= {"devices", "silences", "reading"}
    room.start()
    assert {device for _, _, device in room.facts.devices} == {*GAS, "gas-5"}
    assert not room.facts.waiting


def test_a_step_of_a_case_that_is_refused_waits_and_the_other_cases_call(room: Room) -> None:
    first, second = case(room, 0), case(room, 1)
    refuse(room.database, "timers", f"""{{"case"}} = '{first.id}' AND {{number}} > 1""")
    assert fire_apart(room.database, PLAIN, at(30)) >= 1
    assert [(one.what, one.name) for one in kept(room)] == [("step", first.id)]
    assert fire_apart(room.database, PLAIN, at(31)) == 0, "it is not tried again at once"
    assert steps(room)[second.id] > steps(room)[first.id]
    accept(room.database, "timers")
    assert fire_apart(room.database, PLAIN, at(30) + timers.AGAIN_MS) >= 1
    assert steps(room)[first.id] > 1


def case(room: Room, at_s: float) -> Case:
    return room.desk.report(about("red", origin="ticket", subject=""), actor="12345", at_ms=at(at_s))


def steps(room: Room) -> dict[str, int]:
    its = (db.timers.c.case, db.timers.c.number)
    with room.database.reading() as connection:
        return {row.case: row.number for row in connection.execute(select(*its).where(db.timers.c.leg == "accept"))}


def test_the_auditor_finds_a_case_that_can_not_be_mended_and_mends_the_others(room: Room) -> None:
    first, second = case(room, 0), case(room, 1)
    with room.database.writing() as connection:
        connection.execute(delete(db.timers))
    refuse(room.database, "timers", f"""{{"case"}} = '{first.id}'""")
    for at_s in (10, 20):
        found = auditor.look(room.database, {SITE}, PLAIN, at(at_s))
        assert ("no-timer", first.id) in {(one.what, one.name) for one in found}, "it is seen each time"
    assert set(steps(room)) == {second.id}
    assert [(one.site, one.what, one.name) for one in kept(room)] == [(SITE, "case", first.id)]
    accept(room.database, "timers")
    auditor.look(room.database, {SITE}, PLAIN, at(30))
    assert set(steps(room)) == {first.id, second.id}


def test_the_auditor_goes_on_where_a_clock_left_a_case_behind_that_can_not_be_written(room: Room) -> None:
    first, second = case(room, 1_000), case(room, 1_001)
    refuse(room.database, "cases", f"{{id}} = '{first.id}'")
    found = auditor.look(room.database, {SITE}, PLAIN, at(10))
    assert {one.name for one in found if one.what == "clock"} == {first.id, second.id}
    right = {one.id: one.clock_from_ms for one in (room.desk.case(first.id), room.desk.case(second.id)) if one}
    assert right == {first.id: at(1_000), second.id: at(10)}


def test_the_auditor_that_may_not_say_what_it_finds_has_found_it_all_the_same(room: Room) -> None:
    late = case(room, 0)
    with room.database.writing() as connection:
        connection.execute(update(db.timers).values(due_at_ms=at(1)))
    refuse(room.database, "log", "{event} = 'audit.found'")
    found = auditor.look(room.database, {SITE}, PLAIN, at(100))
    assert ("overdue", f"{late.id} accept") in {(one.what, one.name) for one in found}
    assert [(one.what, one.name) for one in kept(room)] == [("audit", "log")]


def test_a_case_whose_timers_are_refused_at_the_start_holds_up_no_other(room: Room) -> None:
    first, second = case(room, 0), case(room, 1)
    with room.database.writing() as connection:
        connection.execute(delete(db.timers))
    refuse(room.database, "timers", f"""{{"case"}} = '{first.id}'""")
    assert wind_all(room.database, PLAIN, at(2)) == 1
    assert set(steps(room)) == {second.id}


def test_a_rule_that_can_not_be_remembered_judges_all_the_same(room: Room) -> None:
    refuse(room.database, "rule_versions", "{rule} = 'leak' AND {kind} = 'gas_alarm'")
    versions.keep(room.database, ALL_RULES, at(1), "all of them")
    assert [(one.what, one.name) for one in kept(room)] == [("rule", "gas_alarm/leak")]
    with room.database.reading() as connection:
        others = connection.scalars(select(db.rule_versions.c.rule).where(db.rule_versions.c.kind == "gas_alarm")).all()
    assert others
    assert "leak" not in others
    assert "rule.changed" in room.events()
    room.start()
    leaks(room, 2)
    assert set(leaking(room)) == set(GAS)


def test_an_alarm_to_which_nothing_can_happen_any_more_holds_up_no_other(room: Room) -> None:
    leaks(room)
    refuse(room.database, "alarms", "{device} = 'gas-2'")
    room.status(2, online=False)
    for at_s in (3, 4, 5):
        room.look(at_s)
    uncertain = {str(one.device) for one in room.desk.alarms() if one.overlays.uncertain}
    assert uncertain == {"gas-1", "gas-3"}
    assert [(one.what, one.site) for one in kept(room)] == [("alarm", SITE)], "said once, not every second"


def test_a_work_that_the_database_does_not_take_at_all_is_no_refusal(room: Room) -> None:
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(1, "gas_concentration", 30.0, device="gas-1")], at(1))
    with room.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE pulse")
    with pytest.raises(Exception, match="pulse"):
        facts.commit(room.database, work, at(1))
    assert kept(room) == []


def test_every_free_text_may_be_asked_for_by_any_text(room: Room) -> None:
    columns = [
        one for table in db.metadata.sorted_tables for one in table.c if isinstance(one.type, words.Words | words.Prose)
    ]
    assert len(columns) > 30
    with room.database.reading() as connection:
        for column in columns:
            assert connection.scalar(select(column).where(column == BAD).limit(1)) is None


def test_the_log_and_a_case_keep_what_can_be_kept_of_a_text(room: Room) -> None:
    said = case(room, 0)
    with room.database.writing() as connection:
        rows.append(connection, [Line("case.note", None, said.id, BAD, BAD)], at(1))
    (line,) = [one for one in room.desk.log_after(0) if one.event == "case.note"]
    assert line.actor.startswith("� half a pair: �")
    assert (len(line.actor), line.actor[-1], len(line.detail)) == (80, "…", len(BAD))
    room.desk.escalate(said.id, actor="li", at_ms=at(2), reason="\x00\ud83d x")
    found = room.desk.case(said.id)
    assert found
    assert "x" in found.reason


def test_what_json_has_no_word_for_is_kept_in_other_words(room: Room) -> None:
    odd = {"text": "a\x00b\ud83d", "far": 2**70, "nothing": float("nan"), "list": ["\x00"], "true": True}
    with room.database.writing() as connection:
        values = {"place": odd, "settings": {}, "kind": "k", "model": BAD, "guards": False}
        connection.execute(db.devices.insert().values(site=SITE, edge=EDGE, device="odd", **values))
    with room.database.reading() as connection:
        device = DeviceId("odd")
        row = connection.execute(select(db.devices).where(db.devices.c.device == device)).one()
        grid = connection.scalar(select(db.devices.c.place["text"].as_string()).where(db.devices.c.device == device))
    assert row.place == {"text": "a�b�", "far": float(2**70), "nothing": None, "list": ["�"], "true": True}
    assert grid == "a�b�"
    assert len(row.model) == 80


def test_a_text_that_fits_is_kept_as_it_is() -> None:
    for text in ("", "3号楼2单元", "two\nlines", "👷🏽 e\u0301", "x" * 80):
        assert words.written(text, 80) == text
    assert words.written("x" * 81, 80) == "x" * 79 + "…"
    assert isinstance(words.Words(80).impl_instance, String)


RULES = """
name = "r"
database = "{url}"
store = "sqlite:history.db"
[broker]
username = "rules"
password = "x"
"""


def test_a_command_lists_what_was_refused_and_ends_its_alarm_by_the_name_of_who_has_looked(
    room: Room, database_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "rules.toml"
    config.write_text(RULES.format(url=database_url), encoding="utf-8")

    def said(*words: str) -> str:
        found = CliRunner().invoke(app, ["refusals", str(config), *words])
        assert found.exit_code == 0, found.output
        return found.output

    assert said() == "nothing was refused\n"
    refuse(room.database, "alarms", "{device} = 'gas-2'")
    leaks(room)
    listed = said()
    assert f"  {SITE}  finding  gas-2/leak: Raised(" in listed
    assert "  plain finding  gas-2/leak" in listed
    assert "efused" in listed.splitlines()[1], "and why"
    assert said() == listed, "to list is not to see"
    nameless = CliRunner().invoke(app, ["refusals", str(config), "--seen"])
    assert isinstance(nameless.exception, ConfigError)
    assert "--actor" in str(nameless.exception)
    assert said("--seen", "--actor", "li").endswith("2 seen\n")
    assert said() == "nothing was refused\n"
    assert [entry.actor for entry in room.desk.log_after(0) if entry.event == "refusal.seen"] == ["li", "li"]


def test_the_command_says_that_a_database_is_away(tmp_path: Path) -> None:
    config = tmp_path / "rules.toml"
    config.write_text(RULES.format(url=f"sqlite:///{tmp_path}/no-such-folder/rules.db"), encoding="utf-8")
    found = CliRunner().invoke(app, ["refusals", str(config)])
    assert isinstance(found.exception, ConfigError)
