"""The desk telephones about somebody who isn't seen, and writes down at her case what was said: by whom, to whom, with the same effect as her own button."""

import re

import httpx
import pytest

from rules.cases.acts import SAFE
from rules.records import CaseState
from tests.console.block import Block
from tests.console.browsing import log_in
from tests.console.phones import now, seen
from tests.console.test_case_page import do, logged_in_as
from tests.console.test_phone_asked import SHE, SON, asked_of


@pytest.fixture
async def desk(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    await log_in(browser)
    return browser


async def test_the_page_asks_whom_the_desk_has_called_and_names_nobody_in_full(
    desk: httpx.AsyncClient, lin: Block
) -> None:
    path = f"/cases/{asked_of(lin).id}"
    page = await desk.get(path)
    text = seen(page)
    for words in ("电话询问", "住户 陈** 059****0031", "联系人 陈**", "平安", "需要帮助", "没人接"):
        assert words in text
    assert "陈阿婆" not in page.text
    english = seen(await desk.get(path, headers={"accept-language": "en"}))
    for words in ("Asked by telephone", "Whom did you call?", "All is well", "Needs help", "No answer"):
        assert words in english


async def test_a_case_of_something_else_asks_nothing(desk: httpx.AsyncClient, lin: Block) -> None:
    leak = lin.raise_alarm().case
    assert leak
    assert "/answer" not in (await desk.get(f"/cases/{leak.id}")).text


async def test_well_is_hers_and_the_log_says_who_wrote_it_down_and_when(desk: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    done = await do(desk, f"/cases/{case.id}/answer", person=SHE, outcome="safe")
    assert (done.status_code, done.json()) == (200, {"complaint": ""})
    found = now(lin, case)
    assert (found.state, found.outcome, found.feedback_by) == (CaseState.FEEDBACK, SAFE, SHE)
    (line,) = [one for one in lin.desk.log_of_case(case.id) if one.event == "case.answered"]
    assert (line.actor, line.at_ms, line.detail) == ("chen", lin.now_ms, f"safe for {SHE}")
    assert "住户回答 陈志强 平安 · 电话询问 陈**" in seen(await desk.get(f"/cases/{case.id}"))


async def test_help_that_a_contact_asks_for_is_red(desk: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    await do(desk, f"/cases/{case.id}/answer", person=SON, outcome="help")
    assert now(lin, case).level == "red"
    assert "需要帮助 · 电话询问 陈**" in seen(await desk.get(f"/cases/{case.id}"))


async def test_no_answer_stands_in_the_log_and_moves_nothing_by_itself(desk: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    await do(desk, f"/cases/{case.id}/answer", person=SHE, outcome="none")
    assert now(lin, case) == case
    page = seen(await desk.get(f"/cases/{case.id}"))
    assert "电话无人接听 陈志强 陈**" in page
    assert re.search(r"住户 陈\*\* 059\*{4}0031 没人接 \d\d:\d\d", page), (
        "who calls next sees whom he needn't call again"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outcome": "safe"}, "请选择人"),
        ({"person": "lin", "outcome": "safe"}, "请选择人"),
        ({"person": "resident:h-9-9-999", "outcome": "help"}, "请选择人"),
        ({"person": SHE, "outcome": "mended"}, "请选择结果"),
    ],
)
async def test_an_answer_of_nobody_there_or_of_no_word_is_refused(
    desk: httpx.AsyncClient, lin: Block, fields: dict[str, str], words: str
) -> None:
    case = asked_of(lin)
    refused = await do(desk, f"/cases/{case.id}/answer", **fields)
    assert refused.status_code == 409
    assert words in refused.json()["complaint"]
    assert now(lin, case) == case


async def test_only_a_desk_writes_down_what_others_say(lin: Block) -> None:
    case = asked_of(lin)
    async with logged_in_as(lin, "lin-phone", "worker") as worker:
        assert "/answer" not in (await worker.get(f"/cases/{case.id}")).text
        assert (await do(worker, f"/cases/{case.id}/answer", person=SHE, outcome="safe")).status_code == 403
    assert now(lin, case) == case


async def test_who_is_on_the_way_reads_what_she_said_and_goes_all_the_same(desk: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    lin.desk.accept(case.id, actor="lin", at_ms=lin.now_ms)
    assert "他照常上门" in seen(await desk.get(f"/cases/{case.id}"))
    await do(desk, f"/cases/{case.id}/answer", person=SHE, outcome="safe")
    assert now(lin, case).state is CaseState.ACCEPTED


async def test_who_was_well_may_still_ask_for_help_and_nothing_else(desk: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    await do(desk, f"/cases/{case.id}/answer", person=SHE, outcome="safe")
    page = (await desk.get(f"/cases/{case.id}")).text
    assert ['value="safe"' in page, 'value="none"' in page, 'value="help"' in page] == [False, False, True]
    await do(desk, f"/cases/{case.id}/answer", person=SHE, outcome="help")
    assert (now(lin, case).state, now(lin, case).level) == (CaseState.REOPENED, "red")
