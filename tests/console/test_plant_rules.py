"""Rules in words, and dry runs in a process of their own, which write nothing."""

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest

from console.fragments import Fragments
from console.plant.dry_runs import DryRun, DryRuns, new_id
from console.plant.sentences import lasting, spoken
from console.rights import Scope
from console.words import load_words
from messages.kind import load_kinds
from rules.language.library import SHIPPED, load_rules
from rules.store import versions
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in
from tests.console.test_plant_devices import opened

KINDS = load_kinds()
MINUTE_MS = 60_000

ENGINE = """
name = "rules-1"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
[broker]
host = "127.0.0.1"
"""


@pytest.fixture
def tried(junmen: Block) -> Block:
    """With the shipped rules in force, a leak of two hours ago in the history, and an engineer."""
    engine = junmen.folder / "rules.toml"
    engine.write_text(ENGINE)
    junmen.config = junmen.config.model_copy(update={"rules": engine})
    junmen.accounts.add("wei", PASSWORD, "engineer")
    versions.keep(junmen.database, load_rules(KINDS), NOON_MS)
    junmen.add_device("gas-1", silent_from_ms=NOON_MS + 1000)
    samples = [(NOON_MS - (120 - minute) * MINUTE_MS, 12.0 if 10 <= minute < 20 else 1.0) for minute in range(60)]
    junmen.measure("gas-1", "gas_concentration", *samples)
    return junmen


async def ended(browser: httpx.AsyncClient, path: str) -> str:
    """The page of a dry run when that is over."""
    await no_dry_run()
    return (await browser.get(path)).text


async def no_dry_run() -> None:
    """Waits for the threads of dry runs, which end with their processes."""
    for thread in threading.enumerate():
        if thread.name == "dry run":
            await asyncio.to_thread(thread.join, 60)
            assert not thread.is_alive()


async def test_rules_are_told_in_words_with_what_they_raised(tried: Block) -> None:
    tried.raise_alarm("gas-1")
    async with opened(tried) as browser:
        await log_in(browser)
        page = (await browser.get("/rules?q=gas_alarm")).text
        kind = (await browser.get("/rules/gas_alarm")).text
        assert (await browser.get("/rules/nothing")).status_code == 404
        assert (await browser.get("/rules/..%2f..%2fx")).status_code == 404
    assert "燃气浓度」 ≥" in page
    assert "gas_concentration" in kind  # the sentence itself stands beside its words
    assert "<textarea" not in kind  # an operator tries no rules


async def test_the_rules_of_a_kind_show_what_is_open_of_it_however_many_graver_ones_there_are(tried: Block) -> None:
    for number in range(201):
        tried.raise_alarm(f"sos-{number}", kind="sos_button", rule="pressed")
    alarm = tried.raise_alarm("gas-9", level="blue", rule="battery_low")
    async with opened(tried) as browser:
        await log_in(browser)
        assert f"/alarms/{alarm.id}" in (await browser.get("/rules/gas_alarm")).text


def test_a_sentence_is_spoken_in_both_languages(junmen: Block) -> None:
    channels = {"leakage": {"name": {"zh": "漏电流", "en": "Leakage"}}}
    settings: dict[str, dict[str, Any]] = {"leaks_at": {"value": 30.0, "unit": "mA"}, "on": {"value": True}}
    words = load_words(junmen.config.zone)
    source = "leakage >= leaks_at and not silent_for(leakage) < 5 or on"
    assert spoken(source, settings, channels, words["en"]) == "Leakage ≥ 30 mA and not silence of(Leakage) < 5 or yes"
    assert spoken(source, settings, channels, words["zh"]).startswith("「漏电流」 ≥ 30 mA 且 非 无数据时长(「漏电流」)")


def test_of_other_devices_and_spans_a_sentence_speaks_in_words_too(junmen: Block) -> None:
    fragments = Fragments(load_words(junmen.config.zone), KINDS, junmen.config.site_name)
    words = fragments.words("zh")
    part = {"part": {"value": 0.8, "unit": "1"}}
    source = 'count_devices("sewer_level", "not reachable", window="15min") >= part'
    said = spoken(source, part, {}, words, lambda name: fragments.named(name, words))
    assert said == "附近设备数(“下水道液位计”, “非 联网”, 时间=15 分钟) ≥ 0.8"
    held = {"held_after": {"value": 30.0, "unit": "s"}}
    assert [lasting(one, held, words) for one in ("5min", "held_after", "0s")] == ["5 分钟", "30 s", ""]


async def test_a_changed_rule_is_tried_beside_the_one_in_use_and_nothing_is_written(tried: Block) -> None:
    shipped = (SHIPPED / "gas_alarm.toml").read_text()
    changed = shipped.replace("value = 10.0", "value = 50.0")
    assert changed != shipped
    async with opened(tried) as browser:
        await log_in(browser, "wei")
        page = (await browser.get("/rules/gas_alarm")).text
        assert "value = 10.0" in page
        fields = {"token": hidden(page, "token"), "kind": "gas_alarm", "text": changed, "days": "1", "site": "junmen"}
        before = len(tried.desk.log_after(0))
        done = await browser.post("/dry-runs", data=fields)
        assert done.status_code == 303, done.text
        assert (await browser.post("/dry-runs", data=fields)).status_code == 409  # one at a time
        page = await ended(browser, done.headers["location"])
    assert "已完成" in page, page
    assert page.count('class="bar"') == 1  # by day: a bar for what would have been, none for 0
    # the rules now would have raised it, the changed ones would not
    assert "相同 0，时间不同 0，少了 1，多了 0" in page
    assert re.search(r"alarm_at.*?>10<.*?>50<", page, re.S)  # what was changed
    assert "第一网格" in page
    assert "燃气泄漏<small" in page
    assert "12:00:00 试算" in page  # and not as of now
    assert 'class="as-of"' not in page
    assert tried.desk.alarms() == []
    assert [line.event for line in tried.desk.log_after(before)] == ["rule.tried"]


async def test_each_difference_to_what_was_is_said_with_its_reason(tried: Block) -> None:
    leaks_ms = NOON_MS - 110 * MINUTE_MS
    tried.raise_alarm("gas-1", ago_ms=NOON_MS - leaks_ms - 5 * MINUTE_MS)  # five minutes after the rules of now would
    tried.raise_alarm("gas-gone", ago_ms=90 * MINUTE_MS)
    tried.raise_alarm("bin-1", kind="waste_bin", rule="full", level="yellow", ago_ms=90 * MINUTE_MS)
    async with opened(tried) as browser:
        await log_in(browser, "wei")
        page, english = await tried_again(browser)
    assert "相同 0，时间不同 1，少了 1，多了 0" in page
    assert "早 5 分钟" in page
    assert "<b>− 1</b> 不再告警: 设备已无人通告" in page
    assert "<b>− 1</b> gone: the device is not announced any more" in english
    assert "waste_bin" not in page, "a dry run of gas alarms is of gas alarms, also where nothing was changed"


async def tried_again(browser: httpx.AsyncClient, text: str = "") -> tuple[str, str]:
    """The page of one more run, in Chinese and in English."""
    token = hidden((await browser.get("/rules/gas_alarm")).text, "token")
    fields = {"token": token, "kind": "gas_alarm", "text": text, "days": "1"}
    path = (await browser.post("/dry-runs", data=fields)).headers["location"]
    return await ended(browser, path), (await browser.get(f"{path}?language=en")).text


async def test_a_text_that_is_no_rule_says_file_and_line(tried: Block) -> None:
    async with opened(tried) as browser:
        await log_in(browser, "wei")
        page, english = await tried_again(browser, "[rules.leak]\nlevel = 'purple'\n")
    assert "没有完成" in page
    assert "而不是" in page
    assert "not &#39;purple&#39;" in english
    assert "gas_alarm.toml:" in page
    assert "/tmp" not in page


async def test_dry_runs_are_for_who_may_and_for_their_own_sites(tried: Block) -> None:
    tried.accounts.add("far", PASSWORD, "engineer", Scope(("elsewhere",)))
    fields = {"kind": "gas_alarm", "text": "x", "days": "1", "site": "junmen"}
    for name in ("chen", "far"):
        async with opened(tried) as browser:
            await log_in(browser, name)
            token = hidden((await browser.get("/rules")).text, "token")
            assert (await browser.post("/dry-runs", data=fields | {"token": token})).status_code == 403


async def test_who_counts_in_a_grid_alone_tries_no_rules_and_sees_no_run_of_whole_sites(tried: Block) -> None:
    tried.accounts.add("grid", PASSWORD, "engineer", Scope((), ("junmen/grid-2",)))
    async with opened(tried) as browser:
        await log_in(browser, "wei")
        token = hidden((await browser.get("/rules/gas_alarm")).text, "token")
        fields = {"kind": "gas_alarm", "text": "", "days": "1"}
        path = (await browser.post("/dry-runs", data=fields | {"token": token})).headers["location"]
        await no_dry_run()
        assert (await browser.get(path)).status_code == 200
        browser.cookies.clear()
        await log_in(browser, "grid")
        page = (await browser.get("/rules/gas_alarm")).text
        assert path not in page
        assert "<textarea" not in page
        assert (await browser.get(path)).status_code == 404
        fields |= {"token": hidden(page, "token")}
        assert (await browser.post("/dry-runs", data=fields)).status_code == 403
        assert (await browser.post(f"{path}/stop", data=fields)).status_code == 404


def a_run(**more: object) -> DryRun:
    return DryRun(new_id(), "wei", "gas_alarm", 1, (), None, NOON_MS, **more)  # type: ignore[arg-type]


async def test_a_run_that_takes_too_long_or_is_stopped_ends(tried: Block) -> None:
    assert tried.config.rules
    runs = DryRuns(tried.config.rules, most_s=0.05)
    run = a_run()
    runs.start(run)
    await no_dry_run()
    assert run.state == "too_long"
    runs.close()
    runs = DryRuns(tried.config.rules)
    run = a_run()
    runs.start(run)
    runs.stop(run)
    assert run.state == "stopped"
    runs.close()
