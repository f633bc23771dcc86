"""What is promised on the pages is what the engine's settings say, and what the case was opened with; whoever mended it doesn't check it."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from console import commands
from console.rights import right_for
from messages.alarm import Level
from messages.announcement import Place
from messages.settings import ConfigError
from rules.cases.case import Situation
from rules.cases.practice import PLAIN, Practice
from rules.config import practice_in
from rules.records import AlarmState, CaseState
from tests.console.block import GAS, NOON_MS, SITE, Block, settings
from tests.console.browsing import log_in
from tests.console.test_case_page import case_of, do, logged_in_as
from tests.console.test_pages import seen
from tests.services import free_port

RULES = """
name = "rules-1"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
policies = "policies.toml"
[alarms]
realarm = { red = "10min" }
flood = { begins_above = 2, ends_below = 1 }
[calendar]
days_off = [2026-11-23, 2026-11-24]
[broker]
host = "127.0.0.1"
"""
POLICIES = """
[levels.red]
accept = "7min"
verifier = "sensor"
[levels.yellow]
verify = "2 working days"
[kinds.gas_alarm]
verifier = "sensor"
"""


@pytest.fixture
def engine(junmen: Block) -> Path:
    """The engine's settings, which the console's name too."""
    path = junmen.folder / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    (junmen.folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    return path


def test_the_console_promises_what_the_engine_does(
    junmen: Block, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings(junmen.folder, free_port())
    found: list[Practice] = []

    async def served(web: FastAPI, listening: socket.socket) -> None:
        listening.close()
        found.append(web.state.parts.desk.practice)

    monkeypatch.setattr(commands, "serve", served)
    assert junmen.config.site_files
    site = junmen.config.site_files / "junmen.toml"
    listed = '[owners.drainage]\ndevices = ["cover-9"]\n'
    site.write_text(site.read_text(encoding="utf-8").replace("[owners.drainage]\n", listed), encoding="utf-8")
    commands.run(own)
    own.write_text(f'rules = "{engine.name}"\n{own.read_text(encoding="utf-8")}', encoding="utf-8")
    commands.run(own)
    assert [one.policies.of("red", "gas_alarm").accept for one in found] == ["60s", "7min"]
    assert [one.owner(SITE, "cover-9", "") for one in found] == ["drainage"] * 2
    assert [one.figures.realarm.red for one in found] == [1800.0, 600.0]
    assert [one.calendar.is_holiday(NOON_MS + 2 * 86_400_000) for one in found] == [False, True]


def test_a_policy_that_can_not_be_read_is_named(engine: Path) -> None:
    (engine.parent / "policies.toml").write_text('[levels.red]\naccept = "soon"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"policies.toml:2: levels.red.accept"):
        practice_in(engine)


@pytest.mark.parametrize(("level", "verifier"), [("red", "other"), ("orange", "other"), ("yellow", "sensor")])
def test_no_file_lets_a_sensor_check_what_is_red_or_orange(engine: Path, level: Level, verifier: str) -> None:
    assert practice_in(engine).policies.of(level, "gas_alarm").verifier == verifier


@pytest.mark.parametrize("ends", [False, True])
async def test_a_permit_is_looked_at_with_the_engines_figures(junmen: Block, engine: Path, ends: bool) -> None:
    """An alarm rings again when the engine's settings say so, and whether there is a flood is left to the engine, who knows how many
    operators there are."""
    junmen.practice = practice_in(engine)
    alarm = junmen.raise_alarm(ago_ms=11 * 60_000)
    for number in range(3):
        junmen.raise_alarm(f"bin-{number}", kind="waste_bin", level="blue")
    junmen.desk.acknowledge(alarm.id, actor="li", at_ms=junmen.now_ms - 11 * 60_000)
    when: Any = {"actor": "li", "at_ms": junmen.now_ms - 10_000 if ends else junmen.now_ms}
    permit = junmen.desk.open_permit(
        SITE, grid="grid-2", holder="He", reason="r", until_ms=junmen.now_ms + 60_000, **when
    )
    if ends:
        junmen.desk.close_permit(permit.id, actor="li", at_ms=junmen.now_ms)
    known = junmen.desk.alarm(alarm.id)
    assert known
    assert (known.state, junmen.desk.floods()) == (AlarmState.UNACK, {})


async def test_what_somebody_reports_and_what_is_to_be_checked_is_promised_by_the_engines_settings(
    junmen: Block, engine: Path
) -> None:
    junmen.practice = practice_in(engine)
    about = Situation(
        site=SITE,
        place=Place(grid="grid-1", building="3", text="3号楼"),
        kind="gas_alarm",
        subject="",
        title=GAS,
        level="yellow",
        origin="report",
    )
    by: Any = {"actor": "12345", "at_ms": junmen.now_ms}
    case = junmen.desk.report(about, **by)
    async with logged_in_as(junmen, "li") as li:
        page = await li.get(f"/cases/{case.id}")
        await do(li, f"/cases/{case.id}/register", level="red")
        case = junmen.desk.case(case.id) or case
        assert case.accept_by_ms == junmen.now_ms + 7 * 60_000
        page = await li.get(f"/cases/{case.id}")
        assert f'data-by="{case.accept_by_ms}"' in page.text

        other = junmen.desk.report(replace(about, place=Place(grid="grid-1", building="1", text="1号楼")), **by)
        await do(li, f"/cases/{other.id}/register")
        for act in ("accept", "arrive"):
            await do(li, f"/cases/{other.id}/{act}")
        await do(li, f"/cases/{other.id}/finish", outcome="mended")
        assert (junmen.desk.case(other.id) or other).state is CaseState.FEEDBACK
        thursday_ms = junmen.now_ms + 5 * 86_400_000
        assert f'data-by="{thursday_ms}"' in (await li.get(f"/cases/{other.id}")).text, "Monday and Tuesday are off"


async def test_a_case_keeps_the_promises_it_was_opened_with(
    browser: httpx.AsyncClient, junmen: Block, engine: Path
) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    junmen.practice = practice_in(engine)
    await log_in(browser)
    for path in ("/", f"/cases/{case.id}", "/map"):
        assert f'data-by="{junmen.now_ms + 60_000}"' in (await browser.get(path)).text


@pytest.mark.parametrize("level", ["red", "orange"])
@pytest.mark.parametrize("door", ["alarm", "case"])
async def test_both_doors_let_the_same_people_check_a_case(junmen: Block, door: str, level: Level) -> None:
    alarm = junmen.raise_alarm(level=level, latch=False)
    case = case_of(junmen, alarm)
    path = f"/alarms/{alarm.id}" if door == "alarm" else f"/cases/{case.id}"
    async with (
        logged_in_as(junmen, "mender") as mender,
        logged_in_as(junmen, "wu", "worker") as worker,
        logged_in_as(junmen, "sun", "auditor") as auditor,
        logged_in_as(junmen, "li") as other,
    ):
        for act in ("accept", "arrive"):
            assert (await do(mender, f"{path}/{act}")).status_code == 200
        assert (await do(mender, f"{path}/finish", outcome="mended")).status_code == 200
        junmen.return_to_normal(alarm)
        own = await do(mender, f"{path}/verify", passed="true")
        assert (own.status_code, own.json()["complaint"]) == (409, "处置人不能核查自己的工单。")
        for nobody in (worker, auditor):
            assert (await do(nobody, f"{path}/verify", passed="true")).status_code == 403
        for one, offered in ((mender, False), (worker, False), (auditor, False), (other, True)):
            page = await one.get(path)
            assert ('name="passed"' in page.text) is offered
        assert "由值班台的其他人核查" in seen(await mender.get(path))
        assert (await do(other, f"{path}/verify", passed="true")).status_code == 200
    done = case_of(junmen, alarm)
    assert (done.state, done.verified_by) == (CaseState.CLOSED, "li")


def test_to_check_is_the_desks() -> None:
    assert right_for("verify") == "dispatch"
    assert right_for("finish") == "work"
    assert PLAIN.policies.of("red", "gas_alarm").verifier == "other"
