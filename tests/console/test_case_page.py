"""A case's page: what it shows, what may be done there and by whom, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import insert, select

from console.operator.lines import said
from console.rights import Scope
from console.words import load_words
from rules.records import Alarm, Case, CaseState, LogEntry
from rules.store import tables as db
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in
from tests.console.test_pages import seen

JSON = {"accept": "application/json"}
HOUR_MS = 3_600_000


@pytest.fixture
async def desk(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    await log_in(browser)
    return browser


@asynccontextmanager
async def logged_in_as(
    junmen: Block, name: str, role: str = "operator", scope: Scope | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    junmen.accounts.add(name, PASSWORD, role, scope or Scope())  # type: ignore[arg-type]
    transport = httpx.ASGITransport(junmen.console())
    headers = {"accept": "text/html", "accept-language": "zh-CN"}
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as client:
        await log_in(client, name)
        yield client


async def do(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form with this login's token."""
    page = await client.get("/")
    return await client.post(path, data={"token": hidden(page.text, "token"), **fields}, headers=JSON)


def case_of(junmen: Block, alarm: Alarm) -> Case:
    case = junmen.alarm(alarm.id).case
    assert case
    return case


async def test_it_shows_what_it_holds_who_was_told_and_every_step(desk: httpx.AsyncClient, junmen: Block) -> None:
    door = junmen.raise_alarm("door-1", level="yellow", kind="door_access", evidence={"door_open": True})
    case = case_of(junmen, door)
    junmen.desk.dispatch(case.id, actor="chen", at_ms=junmen.now_ms, to="lin")
    with junmen.database.writing() as connection:
        notice = connection.execute(select(db.notices)).one()
        tried = {
            "id": 1,
            "notice": notice.key,
            "case": case.id,
            "channel": "sms",
            "receiver": "13800000001",
            "person": "lin",
            "level": "yellow",
            "more": 0,
            "begun_at_ms": junmen.now_ms,
            "outcome": "failed",
            "answer": "503 <busy>",
        }
        connection.execute(insert(db.sendings), tried)
    junmen.desk.note(case.id, actor="chen", at_ms=junmen.now_ms, words="搬家中")
    page = await desk.get(f"/cases/{case.id}")
    text = seen(page)
    for words in ("已派遣，待接单", "给 林小梅", "第一网格"):
        assert words in text
    for words in ("短信 13800000001", "运营商答复：503 &lt;busy&gt;", "排队待发", "备注 陈志强 搬家中", "门状态"):
        assert words in text
    assert "还剩 30:00" in text
    assert "<busy>" not in page.text


async def test_the_desk_carries_a_case_through_every_act(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm("cover-1", kind="manhole_cover", rule="open", level="orange")
    path = f"/cases/{case_of(junmen, alarm).id}"
    until = "2026-11-23T12:00"
    acts = [
        ("dispatch", {"person": "chen"}, CaseState.DISPATCHED),
        ("accept_for", {"person": "lin"}, CaseState.ACCEPTED),
        ("note", {"words": "on the way"}, CaseState.ACCEPTED),
        ("extend", {"until": until, "reason": "parts"}, CaseState.ACCEPTED),
        ("escalate", {"reason": "too deep"}, CaseState.DISPATCHED),
        ("accept", {}, CaseState.ACCEPTED),
        ("arrive", {}, CaseState.ON_SITE),
        ("finish", {"outcome": "mended"}, CaseState.FEEDBACK),
        ("reopen", {"reason": "it is still open"}, CaseState.REOPENED),
        ("suspend", {"until": until, "reason": "frost"}, CaseState.SUSPENDED),
        ("resume", {}, CaseState.REGISTERED),
    ]
    for act, fields, state in acts:
        answer = await do(desk, f"{path}/{act}", **fields)
        assert (answer.status_code, answer.json()) == (200, {"complaint": ""}), act
        assert case_of(junmen, alarm).state is state, act
    going = await do(desk, f"{path}/cancel", outcome="false_alarm")
    assert going.status_code == 409
    assert "还在发生" in going.json()["complaint"]
    junmen.return_to_normal(alarm)
    assert (await do(desk, f"{path}/cancel", outcome="false_alarm")).status_code == 200
    over = case_of(junmen, alarm)
    assert (over.state, over.outcome) == (CaseState.CANCELLED, "false_alarm")


async def test_accepting_for_somebody_says_who_wrote_it_down(desk: httpx.AsyncClient, junmen: Block) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    await do(desk, f"/cases/{case.id}/accept_for", person="lin")
    found = junmen.desk.case(case.id)
    assert found
    assert found.accepted_by == "lin"
    line = next(line for line in junmen.desk.log_of_case(case.id) if line.event == "case.accepted")
    assert (line.actor, line.detail) == ("chen", "for lin")
    text = seen(await desk.get(f"/cases/{case.id}"))
    assert "接单 陈志强 代 林小梅 接单" in text
    assert "已接单 · 林小梅" in text


async def test_more_time_is_granted_by_somebody_else(desk: httpx.AsyncClient, junmen: Block) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    await do(desk, f"/cases/{case.id}/accept")
    await do(desk, f"/cases/{case.id}/extend", until="2026-11-23T12:00", reason="parts")
    own = await do(desk, f"/cases/{case.id}/grant", granted="true")
    assert own.json() == {"complaint": "不能批准自己的申请。"}
    async with logged_in_as(junmen, "zhao") as other:
        assert "陈志强 申请延期到 2026-11-23 12:00:00" in seen(await other.get(f"/cases/{case.id}"))
        assert (await do(other, f"/cases/{case.id}/grant", granted="true")).status_code == 200
    found = junmen.desk.case(case.id)
    assert found
    assert found.handle_by_ms == NOON_MS + 48 * HOUR_MS


@pytest.mark.parametrize(
    ("act", "fields", "complaint"),
    [
        ("dispatch", {}, "请选择人。"),
        ("accept_for", {"person": "  "}, "请选择人。"),
        ("dispatch", {"person": "nobody"}, "请选择人。"),
        ("accept_for", {"person": "linn"}, "请选择人。"),
        ("cancel", {"outcome": "bored"}, "请选择结果。"),
        ("suspend", {"until": "tomorrow", "reason": "r"}, "时间填得不对。"),
        ("escalate", {"reason": " "}, "请写明原因。"),
        ("explode", {}, "没有这张工单。"),
    ],
)
async def test_what_is_missing_is_said_in_words(
    desk: httpx.AsyncClient, junmen: Block, act: str, fields: dict[str, str], complaint: str
) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    answer = await do(desk, f"/cases/{case.id}/{act}", **fields)
    assert (answer.status_code, answer.json()["complaint"]) == (409, complaint)
    assert junmen.desk.case(case.id) == case


async def test_without_scripts_a_refusal_comes_back_to_the_page(desk: httpx.AsyncClient, junmen: Block) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    token = hidden((await desk.get(f"/cases/{case.id}")).text, "token")
    answer = await desk.post(f"/cases/{case.id}/escalate", data={"token": token})
    assert answer.status_code == 303
    assert "请写明原因" in seen(await desk.get(answer.headers["location"]))


async def test_gas_can_be_neither_shelved_nor_taken_out_of_service_and_the_page_says_why(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    gas = junmen.raise_alarm()
    junmen.add_device("gas-1", silent_from_ms=junmen.now_ms + HOUR_MS)
    page = await desk.get(f"/cases/{case_of(junmen, gas).id}")
    assert "这类告警关系生命安全" in seen(page)
    assert "/shelve" not in page.text
    for path, fields in (
        (f"/alarms/{gas.id}/shelve", {"reason": "noise"}),
        (f"/alarms/{gas.id}/out-of-service", {"reason": "noise", "until": "2026-11-21T14:00"}),
        ("/permits", {"site": "junmen", "device": "gas-1", "holder": "He", "reason": "r", "until": "2026-11-21T14:00"}),
    ):
        answer = await do(desk, path, **fields)
        assert answer.status_code == 409, path
        assert "关系生命安全" in answer.json()["complaint"], path
    assert junmen.desk.holds() == []
    assert junmen.alarm(gas.id).overlays.annunciated


async def test_an_alarm_is_acknowledged_shelved_and_taken_out_of_service_with_who_why_and_until(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    bin_ = junmen.raise_alarm("bin-1", kind="waste_bin", rule="full", level="blue", evidence={"fill_level": 90.0})
    junmen.announce("bin-1")
    path = f"/alarms/{bin_.id}"
    for address, fields in (
        (f"{path}/acknowledge", {}),
        (f"{path}/shelve", {"minutes": "30", "reason": "van at two"}),
        (f"{path}/out-of-service", {"until": "2026-11-21T18:00", "reason": "new sensor", "whole": "true"}),
    ):
        assert (await do(desk, address, **fields)).status_code == 200, address
    over = junmen.alarm(bin_.id).overlays
    assert over.shelved
    assert over.out_of_service
    assert (over.shelved.until_ms, over.shelved.actor) == (NOON_MS + 1_800_000, "chen")
    text = seen(await desk.get(f"/cases/{case_of(junmen, bin_).id}"))
    assert "已搁置 chen，到 12:30:00 · van at two" in text
    assert "停用检修 chen，到 18:00:00 · new sensor" in text
    assert (await do(desk, f"{path}/unshelve")).status_code == 200
    (hold,) = junmen.desk.holds()
    assert (await do(desk, f"/holds/{hold.id}/end")).status_code == 200
    assert junmen.alarm(bin_.id).overlays.annunciated
    assert (await do(desk, f"/holds/{hold.id}/end")).json() == {"complaint": "已经结束了。"}
    assert (await do(desk, f"{path}/shelve", minutes="600", reason="long")).json()["complaint"].startswith("时间太长")


async def test_another_grids_operator_sees_and_does_nothing(junmen: Block) -> None:
    alarm = junmen.raise_alarm("cover-1", kind="manhole_cover", rule="open")
    case = case_of(junmen, alarm)
    async with logged_in_as(junmen, "other", scope=Scope(("junmen",), ("grid-2",))) as other:
        assert (await other.get(f"/cases/{case.id}")).status_code == 404
        for path in (f"/cases/{case.id}/accept", f"/alarms/{alarm.id}/shelve", f"/alarms/{alarm.id}/acknowledge"):
            assert (await do(other, path, reason="r")).status_code == 404, path
        permit = {"site": "junmen", "grid": "grid-1", "holder": "x", "reason": "r", "until": "2026-11-21T14:00"}
        assert (await do(other, "/permits", **permit)).status_code == 403
    assert junmen.desk.case(case.id) == case


async def test_a_worker_accepts_and_writes_and_does_not_dispatch_and_an_auditor_only_reads(junmen: Block) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    async with logged_in_as(junmen, "lin", "worker") as worker:
        page = await worker.get(f"/cases/{case.id}")
        assert "/dispatch" not in page.text
        assert (await do(worker, f"/cases/{case.id}/dispatch", person="chen")).status_code == 403
        assert (await do(worker, f"/cases/{case.id}/accept")).status_code == 200
        assert (await do(worker, f"/cases/{case.id}/note", words="here")).status_code == 200
    async with logged_in_as(junmen, "audit", "auditor") as auditor:
        page = await auditor.get(f"/cases/{case.id}")
        assert page.status_code == 200
        assert 'class="button big' not in page.text
        assert (await do(auditor, f"/cases/{case.id}/note", words="x")).status_code == 403


async def test_a_form_from_elsewhere_changes_nothing(desk: httpx.AsyncClient, junmen: Block) -> None:
    case = case_of(junmen, junmen.raise_alarm())
    for path in (f"/cases/{case.id}/accept", "/permits", "/holds/x/end", "/alarms/x/shelve"):
        assert (await desk.post(path, data={"token": "forged"})).status_code == 403, path
    assert junmen.desk.case(case.id) == case


def line(event: str, detail: str) -> LogEntry:
    return LogEntry(seq=1, at_ms=NOON_MS, event=event, alarm=None, case="c", actor="rules", detail=detail)


@pytest.mark.parametrize(
    ("event", "detail", "words"),
    [
        ("case.tightened", "yellow -> red", "Yellow → Red"),
        ("case.suspended", f"{NOON_MS}: frost", "until 04:00:00 · frost"),
        ("case.escalated", "2: nobody-accepts", "Street and community · nobody accepts"),
        ("case.escalated", "3: too deep", "Departments · too deep"),
        ("case.feedback", f"mended {'a' * 64}", "Mended · with a photo"),
        ("case.dispatched", "lin", "to Lin"),
        ("sla.breached", "arrive", "arrival"),
        ("notify.queued", "late-arrive: Lin, Wu", "late to arrive: Lin, Wu"),
        ("case.note", "anything <else>", "anything <else>"),
    ],
)
def test_the_log_has_no_codes(event: str, detail: str, words: str) -> None:
    english = load_words(ZoneInfo("UTC"))["en"]
    assert said(line(event, detail), english, {"lin": "Lin"}, NOON_MS) == words
