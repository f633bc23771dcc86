"""What is personal goes when its time is over, and no figure with it."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from typer.testing import CliRunner

from console.access.forgetting import forget, forgetting
from console.access.journal import Line
from console.access.tables import DAY_MS
from console.commands import app
from rules.cases import measures
from rules.notices import links
from rules.records import Case
from rules.store import tables as db
from tests.console.block import NOON_MS, Block
from tests.pictures import JPEG

WORDS = ("the key is with Mrs Li", "nobody opens", "still smells")


def closed_case(junmen: Block, name: str = "gas-1") -> Case:
    """A case with everything in it that is personal."""
    desk, at_ms = junmen.desk, junmen.now_ms
    alarm = junmen.raise_alarm(name)
    assert alarm.case
    case_id = alarm.case.id
    desk.note(case_id, actor="chen", at_ms=at_ms, words=WORDS[0])
    desk.accept(case_id, actor="lin", at_ms=at_ms + 1000)
    desk.escalate(case_id, actor="lin", at_ms=at_ms + 1500, reason=WORDS[1])
    desk.accept(case_id, actor="lin", at_ms=at_ms + 2000)
    desk.arrive(case_id, actor="lin", at_ms=at_ms + 3000)
    desk.finish(case_id, actor="lin", at_ms=at_ms + 4000, outcome="mended", photo=desk.keep_photo(JPEG))
    desk.verify(case_id, actor="chen", at_ms=at_ms + 5000, passed=False, reason=WORDS[2])
    desk.accept(case_id, actor="lin", at_ms=at_ms + 6000)
    desk.arrive(case_id, actor="lin", at_ms=at_ms + 7000)
    desk.finish(case_id, actor="lin", at_ms=at_ms + 8000, outcome="mended", photo=desk.keep_photo(JPEG))
    junmen.return_to_normal(alarm)
    notice: dict[str, Any] = {
        "key": f"k-{case_id}",
        "case": case_id,
        "leg": "accept",
        "person": "lin",
        "role": "grid_worker",
    }
    notice |= {"level": "red", "rung": 1, "reason": "due", "queued_at_ms": at_ms, "state": "sent", "channel": "sms"}
    notice |= {"address": 0, "attempts": 1, "due_at_ms": at_ms, "detail": {"name": "林小梅", "language": "zh"}}
    sending: dict[str, Any] = {
        "id": int(at_ms),
        "notice": notice["key"],
        "case": case_id,
        "channel": "sms",
        "receiver": "13800000001",
    }
    sending |= {"person": "lin", "level": "red", "more": 0, "begun_at_ms": at_ms, "outcome": "taken", "answer": "ok"}
    with junmen.database.writing() as connection:
        connection.execute(insert(db.notices), notice)
        connection.execute(insert(db.sendings), sending | {"id": len(name) + hash(name) % 10**9})
        links.make(connection, case_id, "lin", at_ms)
    return desk.verify(case_id, actor="chen", at_ms=at_ms + 9000, passed=True)


def everything(junmen: Block) -> str:
    """All that the tables say of cases, as text."""
    with junmen.database.reading() as connection:
        rows = [
            row
            for table in (db.cases, db.log, db.notices, db.sendings, db.links)
            for row in connection.execute(select(table))
        ]
    return "\n".join(map(str, rows))


def test_what_is_personal_in_a_case_goes_after_its_time_and_every_figure_stays(junmen: Block) -> None:
    case = closed_case(junmen)
    lines = junmen.desk.log_of_case(case.id)
    before = measures.course(lines)
    assert all(word in everything(junmen) for word in (*WORDS, "林小梅", "13800000001"))
    erased = forget(junmen.desk, junmen.accounts, 30, NOON_MS + 31 * DAY_MS, "test")
    told = everything(junmen)
    assert not any(word in told for word in (*WORDS, "林小梅", "13800000001"))
    after = junmen.desk.log_of_case(case.id)
    assert measures.course(after) == before
    assert [(line.seq, line.at_ms, line.event, line.actor) for line in after] == [
        (line.seq, line.at_ms, line.event, line.actor) for line in lines
    ]
    assert [line.detail for line in after if line.event == "case.feedback"] == ["mended", "mended"]
    assert case.photo
    assert junmen.desk.photo(case.photo) is None
    found = junmen.desk.case(case.id)
    assert found
    assert (found.photo, found.reason, found.outcome) == (None, "", "mended")
    assert (erased["photos"], erased["links"], erased["receivers"]) == (1, 1, 2)
    (line,) = junmen.accounts.journal(events=["personal.forgotten"])
    assert line.actor == "test"


def test_doing_it_twice_is_doing_it_once(junmen: Block) -> None:
    closed_case(junmen)
    late_ms = NOON_MS + 31 * DAY_MS
    forget(junmen.desk, junmen.accounts, 30, late_ms, "test")
    assert not any(forget(junmen.desk, junmen.accounts, 30, late_ms, "test").values())
    assert len(junmen.accounts.journal(events=["personal.forgotten"])) == 1


def test_a_case_that_is_open_or_young_keeps_what_it_has_and_a_photo_that_both_have(junmen: Block) -> None:
    closed_case(junmen)
    junmen.now_ms += 20 * DAY_MS
    young = closed_case(junmen, "gas-2")
    open_alarm = junmen.raise_alarm("gas-3")
    assert open_alarm.case
    junmen.desk.note(open_alarm.case.id, actor="chen", at_ms=NOON_MS, words=WORDS[0])
    forget(junmen.desk, junmen.accounts, 30, NOON_MS + 40 * DAY_MS, "test")
    assert [line.detail for line in junmen.desk.log_of_case(young.id) if line.event == "case.note"] == [WORDS[0]]
    assert [line.detail for line in junmen.desk.log_of_case(open_alarm.case.id) if line.event == "case.note"] == [
        WORDS[0]
    ]
    assert young.photo
    assert junmen.desk.photo(young.photo) == JPEG


def test_looks_at_households_are_counted_and_no_longer_named(junmen: Block) -> None:
    junmen.accounts.note(
        Line(at_ms=NOON_MS, event="person.looked", actor="chen", subject="junmen/h-1", cause="c", detail="call")
    )
    assert forget(junmen.desk, junmen.accounts, 30, NOON_MS + 31 * DAY_MS, "test")["journal"] == 1
    (line,) = junmen.accounts.journal(events=["person.looked"])
    assert (line.actor, line.cause, line.subject, line.detail) == ("chen", "c", "", "")


async def test_the_console_does_it_by_itself_where_it_is_set(junmen: Block) -> None:
    case = closed_case(junmen)
    task = asyncio.create_task(forgetting(junmen.desk, junmen.accounts, 30, lambda: NOON_MS + 31 * DAY_MS))
    async with asyncio.timeout(60):
        while not junmen.accounts.journal(events=["personal.forgotten"]):
            await asyncio.sleep(0.02)
    task.cancel()
    assert WORDS[0] not in {line.detail for line in junmen.desk.log_of_case(case.id)}
    await asyncio.wait_for(forgetting(junmen.desk, junmen.accounts, None, lambda: 0), 60)


def test_a_command_does_it_and_says_how_much(junmen: Block, tmp_path: Path) -> None:
    junmen.now_ms = 1_600_000_000_000  # the command has a real clock
    closed_case(junmen)
    config = str(tmp_path / "console.toml")
    ended = CliRunner().invoke(app, ["forget", config, "--days", "1"])
    assert ended.exit_code == 0
    assert "photos 1, receivers 2, links 1" in ended.output
