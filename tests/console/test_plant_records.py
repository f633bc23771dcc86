"""Roster, quality and the log: what they show, who may change what, and what they refuse."""

from pathlib import Path

import httpx
import pytest

from console.rights import Scope
from messages.ids import SiteId
from rules import chronicle
from rules.chronicle import Search
from rules.duty.sheets import sheet
from rules.duty.site import load_site
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in

HOUR_MS = 3_600_000


@pytest.fixture
async def wang(junmen: Block, browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Logged in as the supervisor."""
    junmen.accounts.add("wang", PASSWORD, "supervisor")
    await log_in(browser, "wang")
    return browser


async def token(browser: httpx.AsyncClient) -> str:
    return hidden((await browser.get("/roster")).text, "token")


async def test_the_roster_shows_who_is_on_duty_now_this_week_and_the_holes(wang: httpx.AsyncClient) -> None:
    page = (await wang.get("/roster?site=junmen")).text
    site = load_site(Path("deploy/sites/junmen.toml"))
    assert any(person.name in page for person in site.people.values())
    assert "网格员" in page
    assert "周一" in page


async def test_leave_is_entered_withdrawn_and_never_rubbed_out(junmen: Block, wang: httpx.AsyncClient) -> None:
    person, other = list(load_site(Path("deploy/sites/junmen.toml")).people)[:2]
    fields = {"token": await token(wang), "person": person, "begins": "2026-11-22T08:00", "ends": "2026-11-23T08:00"}
    done = await wang.post("/roster/junmen/absence", data=fields | {"instead": other, "reason": "<b>ill</b>"})
    assert done.headers["location"] == "/roster?site=junmen&done=entered"
    page = (await wang.get("/roster")).text
    assert "&lt;b&gt;ill&lt;/b&gt;" in page
    entry = hidden(page, "entry")
    gone = await wang.post("/roster/junmen/withdraw", data={"token": fields["token"], "entry": entry})
    assert gone.status_code == 303
    assert "已撤回" in (await wang.get("/roster")).text
    assert (
        await wang.post("/roster/junmen/withdraw", data={"token": fields["token"], "entry": "d-1"})
    ).status_code == 404
    lines = [line for line in junmen.desk.log_after(0) if line.event == "roster.changed"]
    assert [line.actor for line in lines] == ["wang", "wang"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ends": "2026-11-21T09:00", "begins": "2026-11-21T08:00"}, "时间已经过去"),
        ({"ends": "2026-11-22T08:00"}, "结束时间早于开始时间"),
        ({"begins": "soon"}, "请填写开始和结束时间"),
        ({"instead": "same"}, "自己不能给自己顶班"),
    ],
)
async def test_leave_that_can_not_be_meant_is_refused_in_words(
    wang: httpx.AsyncClient, changed: dict[str, str], words: str
) -> None:
    person = next(iter(load_site(Path("deploy/sites/junmen.toml")).people))
    fields = {"token": await token(wang), "person": person, "begins": "2026-11-22T09:00", "ends": "2026-11-23T08:00"}
    fields |= {name: person if value == "same" else value for name, value in changed.items()}
    answer = await wang.post("/roster/junmen/absence", data=fields)
    assert answer.status_code == 400
    assert words in answer.text


async def test_who_does_not_keep_the_roster_can_not_change_or_export_it(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    await log_in(browser)  # an operator
    page = (await browser.get("/roster")).text
    assert 'action="/roster/junmen/absence"' not in page
    form = {"token": hidden(page, "token"), "text": "x"}
    for path in ("absence", "extra", "withdraw", "sheet"):
        assert (await browser.post(f"/roster/junmen/{path}", data=form)).status_code == 403
    assert (await browser.get("/roster/junmen/sheet.csv")).status_code == 403
    junmen.accounts.add("far", PASSWORD, "supervisor", Scope(("elsewhere",)))
    await browser.post("/logout", data=form)
    await log_in(browser, "far")
    assert (await browser.get("/roster?site=junmen")).status_code == 404
    assert (await browser.get("/roster/junmen/sheet.csv")).status_code == 403


async def test_a_sheet_goes_out_comes_in_whole_or_says_line_and_column(junmen: Block, wang: httpx.AsyncClient) -> None:
    out = await wang.get("/roster/junmen/sheet.csv")
    assert out.text == sheet(load_site(Path("deploy/sites/junmen.toml")))
    fields = {"token": await token(wang)}
    bad = out.text.replace("grid_worker", "gridworker")
    refused = await wang.post("/roster/junmen/sheet", data=fields | {"text": bad})
    assert refused.status_code == 400
    assert "角色" in refused.text
    assert not (junmen.folder / "sites/junmen.people.csv").exists()
    taken = await wang.post("/roster/junmen/sheet", data=fields | {"text": out.text + "dr,\u200b郝医生" + "," * 16})
    assert taken.status_code == 303, taken.text
    assert "郝医生" in (await wang.get("/roster")).text
    assert [line.event for line in junmen.desk.log_after(0)] == ["roster.exported", "roster.imported"]


async def test_a_sheet_larger_than_any_roster_is_not_read(wang: httpx.AsyncClient) -> None:
    fields = {"token": await token(wang), "text": "x" * 1_100_000}
    assert (await wang.post("/roster/junmen/sheet", data=fields)).status_code == 413


async def test_quality_stands_beside_its_guidance_and_as_a_sheet(junmen: Block, browser: httpx.AsyncClient) -> None:
    alarm = junmen.raise_alarm("gas-1", ago_ms=HOUR_MS)
    assert alarm.case
    junmen.desk.accept(alarm.case.id, actor="lin", at_ms=NOON_MS - HOUR_MS + 30_000)
    await log_in(browser)
    page = (await browser.get("/quality")).text
    for words in ("2026-11", "参考", "junmen", "lin", "30 秒"):
        assert words in page, words
    rows = (await browser.get("/quality.csv?month=2026-11")).text
    assert "junmen,site,,alarms,1," in rows
    assert "junmen" not in (await browser.get("/quality.csv?month=2026-10")).text
    assert "这个月没有日志" in (await browser.get("/quality?month=2026-10")).text
    assert (await browser.get("/quality?month=never")).status_code == 200
    assert (await browser.get("/quality?site=nowhere")).status_code == 404


async def test_a_rate_of_a_young_log_is_of_the_time_since_it_began_and_that_is_said(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    junmen.now_ms = NOON_MS - 48 * HOUR_MS
    for number in range(4):
        junmen.raise_alarm(f"gas-{number}")
    junmen.now_ms = NOON_MS
    await log_in(browser)
    page = (await browser.get("/quality")).text
    assert "<b>2</b>" in page, "four in two days of this month's twenty-one"
    assert "2026-11-19 12:00:00 至 2026-11-21 12:00:00，共 2 天" in page
    assert "日志从这时才开始" in page
    assert "site,,rings per operator and day,2.000," in (await browser.get("/quality.csv")).text
    junmen.now_ms = NOON_MS - 47 * HOUR_MS
    page = (await browser.get("/quality")).text
    assert "<b>96</b>" not in page, "four in an hour are no ninety-six a day"
    assert '<td class="number">—</td>' in page
    assert "不足一天，不作判断" in page


async def test_quality_shows_one_site_at_a_time_and_the_sheet_has_all(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    junmen.raise_alarm("gas-1", ago_ms=HOUR_MS)
    junmen.raise_alarm("gas-2", ago_ms=HOUR_MS, site=SiteId("zhongshan"))
    await log_in(browser)
    first, second = (await browser.get("/quality")).text, (await browser.get("/quality?site=zhongshan")).text
    assert first.count('<section class="card"') == second.count('<section class="card"') == 1
    for page, here, there in ((first, "军门社区", "zhongshan"), (second, "zhongshan", "军门社区")):
        assert f'<h2 id="s-1">{here} ' in page
        assert f'">{there}</a>' in page
    rows = (await browser.get("/quality.csv?month=2026-11")).text
    assert "junmen,site,,alarms,1," in rows
    assert "zhongshan,site,,alarms,1," in rows


async def test_the_log_is_found_by_actor_event_time_and_case(junmen: Block, wang: httpx.AsyncClient) -> None:
    alarm, other = junmen.raise_alarm("gas-1"), junmen.raise_alarm("gas-2")
    assert alarm.case
    assert other.case
    junmen.desk.accept(alarm.case.id, actor="lin", at_ms=NOON_MS)
    database = junmen.database
    chronicle.write(database, "roster.changed", "wang", "junmen d-1: =2+2", NOON_MS + HOUR_MS)

    def found(**asked: object) -> list[str]:
        return [line.event for line in reversed(chronicle.found(database, Search(**asked)))]  # type: ignore[arg-type]

    assert found(actor=("lin",)) == ["case.accepted", "alarm.acknowledged"]
    assert found(event="roster.") == ["roster.changed"]
    assert found(case=other.case.id) == ["alarm.raised", "case.registered"]
    assert found(case=alarm.id) == ["alarm.raised", "alarm.acknowledged"]
    assert found(from_ms=NOON_MS + 1) == ["roster.changed"]
    assert "roster.changed" not in found(until_ms=NOON_MS + 1)
    assert found(words=("2+2",)) == ["roster.changed"]
    assert found(words=("%",)) == []
    page = (await wang.get("/audit?actor=lin")).text
    assert "接单" in page
    assert alarm.case.id in page
    assert "junmen d-1" not in page
    assert ",'=" not in (csv := (await wang.get("/audit.csv?event=roster.")).text)
    assert "junmen d-1: =2+2" in csv


async def test_an_account_reads_the_lines_of_its_own_places_alone(junmen: Block, browser: httpx.AsyncClient) -> None:
    junmen.raise_alarm("gas-1", grid="grid-1")
    junmen.raise_alarm("gas-2", grid="grid-2")
    chronicle.write(junmen.database, "roster.changed", "wang", "junmen d-1: away", NOON_MS)
    chronicle.write(junmen.database, "roster.changed", "wang", "junmen-2 d-2: away", NOON_MS)

    def seen(*grids: str, site: str = "junmen") -> int:
        return len(chronicle.found(junmen.database, Search(sites=(site,), grids=grids)))

    assert (seen(), seen("grid-1"), seen("junmen/grid-2"), seen(site="junmen-2")) == (5, 3, 3, 1)
    junmen.accounts.add("far", PASSWORD, "auditor", Scope(("elsewhere",)))
    await log_in(browser, "far")
    assert "没有符合的内容" in (await browser.get("/audit")).text
    assert len((await browser.get("/audit.csv")).text.splitlines()) == 1


async def test_the_log_is_for_who_may_read_it(browser: httpx.AsyncClient) -> None:
    await log_in(browser)  # an operator
    assert (await browser.get("/audit")).status_code == 403
    assert (await browser.get("/audit.csv")).status_code == 403
