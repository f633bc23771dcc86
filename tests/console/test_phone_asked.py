"""What somebody sees and may do who was asked how she is, by the link of that message: a question, two buttons, and nothing else."""

from dataclasses import replace

import httpx
import pytest

from messages.settings import Text
from rules.cases.acts import SAFE
from rules.cases.policy import UNSEEN
from rules.records import Case, CaseState
from rules.store import rows
from tests.console.block import Block
from tests.console.browsing import hidden
from tests.console.phones import JSON, case_of, events, link_to, now, press, seen

SHE, SON = "resident:h-3-2-301", "contact-1:h-3-2-301"
SHUT = Text(zh="老人家门长时间未开", en="An elderly person's door stays shut")
ENGLISH = {"accept-language": "en"}


def asked_of(block: Block) -> Case:
    """A yellow case of her door, of which she is being asked."""
    case = case_of(
        block,
        name="door-301",
        kind="elderly_door",
        rule="not_opened",
        level="yellow",
        title=SHUT,
        place="3号楼2单元301",
        evidence={"open": False},
        latch=False,
    )
    with block.database.writing() as connection:
        rows.write_case(connection, replace(case, situation=UNSEEN, policy=replace(case.policy, ask_s=300.0)))
    return now(block, case)


async def answer(phone: httpx.AsyncClient, link: str, word: str) -> httpx.Response:
    """As the browser sends the form of the page, without any script."""
    token = hidden((await phone.get(link)).text, "token")
    return await phone.post(f"{link}/{word}", data={"token": token})


@pytest.mark.parametrize(
    ("headers", "person", "words"),
    [
        ({}, SHE, ["您还好吗？", "我没事", "需要帮助"]),
        ({}, SON, ["老人还好吗？", "已联系上，没事", "需要帮助"]),
        (ENGLISH, SHE, ["Are you well?", "I’m fine", "I need help"]),
        (ENGLISH, SON, ["Is all well there?", "I have asked: all is well", "I need help"]),
    ],
)
async def test_the_question_has_two_buttons_in_both_languages(
    stranger: httpx.AsyncClient, lin: Block, headers: dict[str, str], person: str, words: list[str]
) -> None:
    page = await stranger.get(link_to(lin, asked_of(lin), person), headers=headers)
    assert page.status_code == 200
    assert all(word in seen(page) for word in words)
    assert page.text.count("<button class=") == 2


async def test_i_am_fine_is_thanked_for_and_stands_in_the_log_under_her_name(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = asked_of(lin)
    link = link_to(lin, case, SHE)
    assert (await answer(stranger, link, "safe")).status_code == 303
    assert "谢谢，知道没事了。" in seen(await stranger.get(link))
    done = now(lin, case)
    assert (done.state, done.outcome, done.feedback_by) == (CaseState.FEEDBACK, SAFE, SHE)
    assert ("case.answered", SHE) in events(lin, case)


async def test_what_she_says_closes_the_case_where_the_sensor_shows_the_same(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = asked_of(lin)
    (alarm,) = lin.desk.alarms_of(case.id)
    lin.return_to_normal(alarm)
    await answer(stranger, link_to(lin, case, SHE), "safe")
    assert (now(lin, case).state, now(lin, case).outcome) == (CaseState.CLOSED, SAFE)


async def test_i_need_help_makes_it_red_and_says_that_somebody_comes_also_after_i_am_fine(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = asked_of(lin)
    link = link_to(lin, case, SHE)
    await answer(stranger, link, "safe")
    await answer(stranger, link, "help")
    page = await stranger.get(link)
    assert "工作人员已接到通知，会来看望。" in seen(page)
    assert f"{link}/help" not in page.text
    helped = now(lin, case)
    assert (helped.level, helped.state, helped.accept_by_ms) == ("red", CaseState.REOPENED, lin.now_ms + 60_000)


async def test_a_gateway_that_takes_a_key_answers_with_the_token_of_the_link(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = asked_of(lin)
    await press(stranger, link_to(lin, case, SHE), "help")
    assert now(lin, case).level == "red"


async def test_her_link_shows_nothing_of_the_work_and_takes_no_act_of_a_worker(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = asked_of(lin)
    link = link_to(lin, case, SON)
    page = await stranger.get(link)
    for secret in ("陈阿婆", "陈建军", "李秀珍", "何楼长", "听力不好", "13800000031", "/accept", "/finish", "door-301"):
        assert secret not in page.text
    token = hidden(page.text, "token")
    for step in ("accept", "arrive", "finish", "note", "reject"):
        refused = await stranger.post(f"{link}/{step}", data={"token": token}, headers=JSON)
        assert refused.status_code == 403
    assert (await stranger.get(f"{link}/photo")).status_code == 403
    assert now(lin, case).state is CaseState.REGISTERED


async def test_a_workers_link_answers_for_nobody(stranger: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    link = link_to(lin, case, "lin")
    for word in ("safe", "help"):
        assert (await answer(stranger, link, word)).status_code == 403
    assert (now(lin, case).state, now(lin, case).level) == (CaseState.REGISTERED, "yellow")


async def test_a_form_of_another_page_answers_nothing(stranger: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    link = link_to(lin, case, SHE)
    assert (await stranger.post(f"{link}/safe", data={"token": "x"})).status_code == 403
    assert now(lin, case).state is CaseState.REGISTERED


async def test_workers_and_desk_read_who_has_answered_by_the_masked_name(phone: httpx.AsyncClient, lin: Block) -> None:
    case = asked_of(lin)
    lin.desk.safe(case.id, actor=SHE, at_ms=lin.now_ms)
    page = await phone.get(f"/w/cases/{case.id}")
    assert "住户回答 陈**" in seen(page)
    assert "陈阿婆" not in page.text
