"""What stands in the pages, and what the three buttons do, as a browser without scripts sees it."""

import re

import httpx
import pytest

from console import routes
from messages.settings import Text
from rules.desk import Desk
from rules.records import AlarmState, CaseState, LogEntry
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in, press

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"
JSON = {"accept": "application/json"}


@pytest.fixture
async def desk(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """An operator who is logged in."""
    await log_in(browser)
    return browser


def seen(page: httpx.Response) -> str:
    """The page's text without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


async def test_while_nothing_is_wrong_the_page_says_so_with_the_time_of_the_newest_reading(
    desk: httpx.AsyncClient,
) -> None:
    page = seen(await desk.get("/"))
    assert "一切正常" in page
    assert "最新读数：12:00:00" in page


async def test_with_an_edge_offline_it_does_not_say_that_all_is_well(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.put_edge("pi-2", online=False)
    page = seen(await desk.get("/"))
    assert "一切正常" not in page
    assert "边缘网关 pi-2 离线已 1 分钟" in page


async def test_open_alarms_come_red_first_then_oldest_first(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.raise_alarm("d-1", level="blue", place="blue, old", ago_ms=900_000)
    junmen.raise_alarm("d-2", level="red", place="red, new", ago_ms=1_000)
    junmen.raise_alarm("d-3", level="red", place="red, old", ago_ms=60_000)
    places = re.findall(r'class="where">([^<]*)<', (await desk.get("/")).text)
    assert places == ["red, old", "red, new", "blue, old"]


async def test_a_row_says_level_place_values_and_the_time_left(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.raise_alarm(evidence={"gas_concentration": 23.4, "alarm_contact": True}, ago_ms=18_000)
    page = seen(await desk.get("/"))
    for text in (
        "红 I",
        "燃气泄漏",
        "3号楼2单元101厨房",
        "燃气浓度 23.4 %LEL",
        "报警触点 报警",
        "接单还剩 0:42",
        "11:59:42",
    ):
        assert text in page


async def test_a_row_says_what_keeps_its_alarm_quiet_and_does_not_ring(desk: httpx.AsyncClient, junmen: Block) -> None:
    cover = junmen.raise_alarm("cover-1", kind="manhole_cover", rule="open")
    assert "row red calls" in (await desk.get("/")).text
    until_ms = junmen.now_ms + 3_600_000
    junmen.desk.shelve(cover.id, until_ms=until_ms, reason="r", actor="li", at_ms=junmen.now_ms)
    page = await desk.get("/")
    assert "row red calls" not in page.text
    assert "已搁置" in seen(page)
    assert "已搁置" in seen(await desk.get(f"/alarms/{cover.id}"))


async def test_a_promise_that_is_broken_says_for_how_long(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.raise_alarm(ago_ms=125_000)
    assert "接单超时 1:05" in seen(await desk.get("/"))


async def test_the_buttons_carry_a_case_from_the_call_to_its_end_and_somebody_else_checks_it(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm()
    path = f"/alarms/{alarm.id}"
    for step, state in (("accept", CaseState.ACCEPTED), ("arrive", CaseState.ON_SITE)):
        answer = await press(desk, path, step)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        case = junmen.alarm(alarm.id).case
        assert case
        assert case.state is state
    junmen.return_to_normal(alarm)
    await press(desk, path, "finish", outcome="mended")
    own = await press(desk, path, "verify", passed="true")
    assert "处置人不能核查自己的工单" in seen(await desk.get(own.headers["location"]))
    junmen.accounts.add("zhao", PASSWORD)
    transport = httpx.ASGITransport(junmen.console())
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=desk.headers) as other:
        await log_in(other, "zhao")
        await press(other, path, "verify", passed="true")
    done = junmen.alarm(alarm.id)
    assert done.state is AlarmState.NORM
    assert done.case
    assert (done.case.state, done.case.outcome) == (CaseState.CLOSED, "mended")
    assert {done.case.accepted_by, done.case.on_site_by, done.case.feedback_by} == {"chen"}
    assert {done.case.verified_by, done.case.closed_by} == {"zhao"}
    page = await desk.get(path)
    assert "已修复" in seen(page)
    assert '<button class="button big' not in page.text


async def test_every_step_stands_in_the_timeline_with_who_did_it(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    junmen.now_ms += 21_000
    await press(desk, f"/alarms/{alarm.id}", "accept")
    page = seen(await desk.get(f"/alarms/{alarm.id}"))
    assert "12:00:21 接单 陈志强" in page
    assert "12:00:00 告警发生 系统" in page
    assert "到场还剩 9:39" in page


async def test_from_the_feed_the_button_leads_back_to_the_feed(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    answer = await press(desk, "/", "accept", on=f"/alarms/{alarm.id}", back="feed")
    assert answer.headers["location"] == "/"


async def test_the_second_who_accepts_is_told_who_was_first(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    assert alarm.case
    junmen.desk.accept(alarm.case.id, actor="王建国", at_ms=junmen.now_ms)
    answer = await press(desk, f"/alarms/{alarm.id}", "accept")
    assert "王建国 已经接单了" in seen(await desk.get(answer.headers["location"]))
    answer = await press(desk, "/", "accept", on=f"/alarms/{alarm.id}", back="feed")
    assert "王建国 已经接单了" in seen(await desk.get(answer.headers["location"]))


@pytest.mark.parametrize(
    ("steps", "press_now", "words"),
    [
        ((), "arrive", "要先接单"),
        ((), "finish", "要先接单"),
        (("accept",), "finish", "要先到场"),
        (("accept", "arrive"), "verify", "还没有处置完"),
    ],
)
async def test_a_step_out_of_turn_is_refused_in_words(
    desk: httpx.AsyncClient, junmen: Block, steps: tuple[str, ...], press_now: str, words: str
) -> None:
    path = f"/alarms/{junmen.raise_alarm().id}"
    for step in steps:
        await press(desk, path, step)
    answer = await press(desk, path, press_now, outcome="mended")
    assert answer.status_code == 303
    assert words in seen(await desk.get(answer.headers["location"]))


async def test_our_module_gets_the_same_answers_short(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    token = hidden((await desk.get("/")).text, "token")
    refused = await desk.post(f"/alarms/{alarm.id}/arrive", data={"token": token}, headers=JSON)
    assert (refused.status_code, refused.json()) == (409, {"complaint": "要先接单。"})
    done = await desk.post(f"/alarms/{alarm.id}/accept", data={"token": token}, headers=JSON)
    assert (done.status_code, done.json()) == (200, {"complaint": ""})
    missing = await desk.post(f"/alarms/{alarm.id}/finish", data={"token": token}, headers=JSON)
    assert (missing.status_code, missing.json()) == (400, {"complaint": "请选择结果。"})
    unknown = await desk.post("/alarms/nothing/accept", data={"token": token}, headers=JSON)
    assert (unknown.status_code, unknown.json()) == (404, {"complaint": "没有这条告警。"})


@pytest.mark.parametrize("outcome", ["", "eaten by a dog"])
async def test_a_case_is_not_closed_without_an_outcome_of_the_list(
    desk: httpx.AsyncClient, junmen: Block, outcome: str
) -> None:
    alarm = junmen.raise_alarm()
    for step in ("accept", "arrive"):
        await press(desk, f"/alarms/{alarm.id}", step)
    junmen.return_to_normal(alarm)
    answer = await press(desk, f"/alarms/{alarm.id}", "finish", outcome=outcome)
    assert "请选择结果" in seen(await desk.get(answer.headers["location"]))
    case = junmen.alarm(alarm.id).case
    assert case
    assert case.state is CaseState.ON_SITE


async def test_whatever_a_device_or_a_person_is_called_it_stays_text(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.add(EVIL[:40], "a long password")
    alarm = junmen.raise_alarm(
        EVIL,
        title=Text(zh=EVIL, en=EVIL),
        place=EVIL,
        kind=EVIL,
        rule=EVIL,
        evidence={EVIL: EVIL},
        advice=Text(zh=EVIL, en=EVIL),
    )
    junmen.put_edge(EVIL)
    assert alarm.case
    junmen.desk.accept(alarm.case.id, actor=EVIL, at_ms=junmen.now_ms)
    for path in (
        "/",
        f"/alarms/{alarm.id}",
        f"/alarms/{alarm.id}?refused=taken",
        f"/?refused={EVIL}",
        f"/login?to={EVIL}",
    ):
        page = (await desk.get(path)).text
        assert "<script>alert" not in page
        assert "<img" not in page
    desk.cookies.clear()
    page = (await log_in(desk, EVIL, "wrong password", to=EVIL)).text
    assert "<script>alert" not in page
    assert "<img" not in page


async def test_no_page_holds_a_script_or_a_style_that_the_policy_refuses(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm(limits={"gas_concentration": 10.0})
    junmen.measure(alarm.device, "gas_concentration", (NOON_MS - 60_000, 2.0), (NOON_MS - 1_000, 23.4))
    for path in ("/", f"/alarms/{alarm.id}", "/login", "/nowhere"):
        page = (await desk.get(path)).text
        assert re.findall(r"\sstyle=|<style|\son\w+=|<script(?![^>]*src=\"/static/)|javascript:", page) == []
        assert re.findall(r"(?:src|href|action)=\"(?!/|#|\?)[^\"]*", page) == []


async def test_the_history_is_drawn_with_limit_and_the_moment_of_the_alarm(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm(evidence={"gas_concentration": 23.4}, limits={"gas_concentration": 10.0}, ago_ms=60_000)
    junmen.measure(alarm.device, "gas_concentration", *[(NOON_MS - s * 1000, 30.0 - s / 10) for s in range(0, 300, 10)])
    page = await desk.get(f"/alarms/{alarm.id}")
    assert 'class="course"' in page.text
    assert "界限 10 %LEL" in page.text
    assert 'class="moment raised"' in page.text
    assert "30 %LEL · 12:00:00" in seen(page)


async def test_without_the_history_the_page_says_so_and_the_buttons_work(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm()
    assert not (junmen.folder / "history.db").exists()
    page = await desk.get(f"/alarms/{alarm.id}")
    assert "现在读不到历史数据" in page.text
    assert (await press(desk, f"/alarms/{alarm.id}", "accept")).status_code == 303


async def test_a_late_alarm_has_no_case_and_says_that_nobody_was_called(desk: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm(ago_ms=7_200_000)
    with junmen.database.writing() as connection:
        connection.exec_driver_sql(f'UPDATE alarms SET late = 1, known_at_ms = {NOON_MS}, "case" = NULL')
    page = seen(await desk.get(f"/alarms/{alarm.id}"))
    assert "发生 2 小时 0 分后才收到" in page
    assert "没有工单" in page
    answer = await press(desk, "/", "accept", on=f"/alarms/{alarm.id}", back="feed")
    assert "没有这张工单" in seen(await desk.get(answer.headers["location"]))


async def test_an_unknown_alarm_is_said_in_words(desk: httpx.AsyncClient) -> None:
    answer = await desk.get("/alarms/nothing")
    assert answer.status_code == 404
    assert "没有这条告警" in answer.text


async def test_the_language_is_the_browsers_until_somebody_chooses(desk: httpx.AsyncClient) -> None:
    assert "未办结的告警" in (await desk.get("/")).text
    assert "Open alarms" in (await desk.get("/", headers={"accept-language": "en"})).text
    chosen = await desk.get("/?language=en")
    assert "Open alarms" in chosen.text
    assert "Open alarms" in (await desk.get("/")).text
    await desk.get("/?language=zh")
    assert "未办结的告警" in (await desk.get("/", headers={"accept-language": "en"})).text
    assert "未办结的告警" in (await desk.get("/?language=tlh")).text


async def test_a_page_that_no_script_keeps_fresh_says_when_it_was_made(desk: httpx.AsyncClient) -> None:
    page = await desk.get("/")
    assert 'data-verdict="waiting"' in page.text
    assert "这是 12:00:00 的情况" in page.text
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page.text


async def test_without_its_database_the_page_says_so_instead_of_showing_nothing(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    with junmen.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE alarms RENAME TO alarms_elsewhere")
    answer = await desk.get("/")
    assert answer.status_code == 503
    assert "读不到告警数据库" in answer.text


async def test_silent_devices_stand_in_the_list_of_edges_and_all_is_not_well(
    desk: httpx.AsyncClient, junmen: Block
) -> None:
    junmen.add_device("gas-3-2-101", silent_from_ms=NOON_MS - 1)
    junmen.add_device("gas-3-2-102", silent_from_ms=NOON_MS)
    page = await desk.get("/")
    assert "一切正常" not in page.text
    assert "1 台设备无数据（共 2 台）：gas-3-2-101" in page.text.split('id="edges"')[1]


async def test_without_a_broker_the_page_does_not_say_that_all_is_well(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.beat(hears=False)
    page = seen(await desk.get("/"))
    assert "一切正常" not in page
    assert "不是实时" in page


async def test_the_counts_are_of_all_open_alarms_also_of_those_without_room(
    desk: httpx.AsyncClient, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_ROWS", 2)
    for number in range(3):
        junmen.raise_alarm(f"d-{number}")
    page = (await desk.get("/")).text
    assert page.count('class="row red') == 2
    assert '<li class="red" data-level="red"><b>3</b>' in page


async def test_what_happens_while_an_alarms_page_is_made_is_told_once_more(
    desk: httpx.AsyncClient, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm, before = junmen.raise_alarm(), junmen.desk.position()
    assert alarm.case
    case_id, log_of = alarm.case.id, Desk.log_of

    def meanwhile(self: Desk, alarm_id: str) -> list[LogEntry]:
        found = log_of(self, alarm_id)
        junmen.desk.accept(case_id, actor="wang", at_ms=junmen.now_ms)
        return found

    monkeypatch.setattr(Desk, "log_of", meanwhile)
    page = await desk.get(f"/alarms/{alarm.id}")
    assert f'data-seq="{before}"' in page.text
    assert junmen.desk.position() != before
