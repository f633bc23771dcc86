"""One's own account, keeping the accounts of others, and looking at households: who may, what it says, what is noted."""

import re
import sqlite3

import httpx
import pytest
from sqlalchemy import update

from console.access.delegation import within
from console.access.frame import program_in_words
from console.access.rim import SESSION_COOKIE
from console.rights import EVERYWHERE, Scope
from messages.settings import Text
from rules.duty.household import masked_name, masked_phone
from rules.store import tables as db
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in

NEW = "mended by noon"
SON = "13800000031"
STILL = Text(zh="久未开门", en="Door unopened")


@pytest.fixture
async def keeper(browser: httpx.AsyncClient, junmen: Block) -> httpx.AsyncClient:
    """An engineer, logged in."""
    junmen.accounts.add("li", PASSWORD, "engineer", now_ms=NOON_MS)
    await log_in(browser, "li")
    return browser


async def send(browser: httpx.AsyncClient, page: str, path: str, **fields: str | list[str]) -> httpx.Response:
    """A form of `page`, sent to `path`."""
    form = hidden((await browser.get(page)).text, "token")
    return await browser.post(path, data={"token": form, **fields})


def given(page: httpx.Response) -> str:
    found = re.search(r'class="secret">([^<]*)<', page.text)
    assert found
    return found[1]


async def test_one_sees_where_one_is_logged_in_and_ends_what_one_does_not_know(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    other = junmen.accounts.log_in("chen", PASSWORD, "203.0.113.9", NOON_MS, program="Mozilla/5.0 (Android) Chrome/120")
    await log_in(browser)
    page = (await browser.get("/account")).text
    assert "203.0.113.9" in page
    assert "Chrome · Android" in page
    answer = await send(browser, "/account", "/account/sessions/end", session=other.id)  # type: ignore[union-attr]
    assert answer.headers["location"] == "/account?done=ended"
    page = (await browser.get("/account")).text
    assert "203.0.113.9" not in page
    assert "这台设备" in page


async def test_nobody_ends_the_login_of_another(browser: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.add("li", PASSWORD)
    other = junmen.accounts.log_in("li", PASSWORD, "", NOON_MS)
    await log_in(browser)
    await send(browser, "/account", "/account/sessions/end", session=other.id)  # type: ignore[union-attr]
    assert len(junmen.accounts.sessions("li", NOON_MS)) == 1


async def test_a_new_password_is_taken_and_the_other_devices_are_out(browser: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.log_in("chen", PASSWORD, "", NOON_MS)
    await log_in(browser)
    answer = await send(browser, "/account/password", "/account/password", old=PASSWORD, new=NEW, again=NEW)
    assert answer.headers["location"] == "/account?done=password"
    assert (await browser.get("/")).status_code == 200
    assert len(junmen.accounts.sessions("chen", NOON_MS)) == 1
    assert junmen.accounts.log_in("chen", NEW, "", NOON_MS)


@pytest.mark.parametrize(
    ("old", "new", "again", "status", "said"),
    [
        (PASSWORD, NEW, "mended by moon", 400, "两次输入的新密码不一样"),
        ("not the old", NEW, NEW, 403, "现在的密码不对"),
        (PASSWORD, "short", "short", 400, "密码要有 10 到 200 个字"),
        (PASSWORD, "password123!", "password123!", 400, "这个密码太常见"),
        (PASSWORD, PASSWORD, PASSWORD, 400, "新密码和现在的一样"),
    ],
)
async def test_a_password_that_is_not_taken_is_refused_in_words(
    browser: httpx.AsyncClient, old: str, new: str, again: str, status: int, said: str
) -> None:
    await log_in(browser)
    answer = await send(browser, "/account/password", "/account/password", old=old, new=new, again=again)
    assert answer.status_code == status
    assert said in answer.text


async def test_an_account_made_on_the_page_logs_in_once_and_has_to_choose_a_password(
    keeper: httpx.AsyncClient, junmen: Block
) -> None:
    fields: dict[str, str | list[str]] = {
        "name": "王秀英",
        "role": "worker",
        "where": "some",
        "places": ["junmen/grid-1"],
        "person": "lin",
    }
    password = given(await send(keeper, "/accounts", "/accounts", **fields))
    (user,) = [one for one in junmen.accounts.users() if one.name == "王秀英"]
    assert (user.role, user.scope, user.person) == ("worker", Scope(("junmen",), ("junmen/grid-1",)), "lin")
    keeper.cookies.clear()
    assert (await log_in(keeper, "王秀英", password)).headers["location"] == "/w/"
    assert (await keeper.get("/")).headers["location"] == "/account/password"
    assert (await keeper.get("/feed", headers={"accept": "text/event-stream"})).status_code == 403
    page = (await keeper.get("/account/password")).text
    assert "请先设置自己的密码" in page
    assert "收到的一次性密码" in page
    await send(keeper, "/account/password", "/account/password", old=password, new=NEW, again=NEW)
    assert (await keeper.get("/")).status_code == 200


async def test_a_password_grows_old_by_setting(browser: httpx.AsyncClient, junmen: Block) -> None:
    access = junmen.config.access.model_copy(update={"password_days": 30})
    junmen.config = junmen.config.model_copy(update={"access": access})
    junmen.accounts.add("li", PASSWORD, now_ms=NOON_MS - 31 * 86_400_000)
    transport = httpx.ASGITransport(junmen.console())
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=browser.headers) as client:
        await log_in(client, "li")
        assert (await client.get("/")).headers["location"] == "/account/password"


async def test_an_account_is_changed_disabled_and_removed_and_all_of_it_is_in_the_journal(
    keeper: httpx.AsyncClient, junmen: Block
) -> None:
    chen = junmen.accounts.log_in("chen", PASSWORD, "", NOON_MS)
    page = "/accounts/one?name=chen"
    change: dict[str, str | list[str]] = {"name": "chen", "role": "auditor", "where": "some", "places": ["junmen"]}
    answer = await send(keeper, page, "/accounts/one/rights", **change)
    assert answer.headers["location"] == "/accounts/one?name=chen&done=changed"
    account = junmen.accounts.account("chen")
    assert account
    assert (account.user.role, account.user.scope) == ("auditor", Scope(("junmen",)))
    await send(keeper, page, "/accounts/one/enable", name="chen", enabled="false")
    assert junmen.accounts.session(chen.token, NOON_MS) is None  # type: ignore[union-attr]
    assert "已停用" in (await keeper.get("/accounts")).text
    await send(keeper, page, "/accounts/one/remove", name="chen")
    assert junmen.accounts.account("chen") is None
    journal = (await keeper.get("/accounts/journal?name=chen")).text
    for word in ("修改账号", "停用账号", "删除账号", "审计员 junmen"):
        assert word in journal


@pytest.mark.parametrize("act", ["rights", "password", "enable", "end", "free", "remove"])
async def test_nobody_keeps_himself_or_who_counts_elsewhere(
    browser: httpx.AsyncClient, junmen: Block, act: str
) -> None:
    junmen.accounts.add("li", PASSWORD, "engineer", Scope(("junmen",)))
    junmen.accounts.add("guo", PASSWORD, "worker", Scope(("other",)))
    await log_in(browser, "li")
    before = junmen.accounts.list()
    fields = {"role": "auditor", "where": "some", "places": "junmen", "enabled": "false"}
    for name in ("li", "guo", "chen", "nobody"):
        answer = await send(browser, "/accounts", f"/accounts/one/{act}", name=name, **fields)
        assert answer.status_code == 403
    assert [(one.user, one.one_time) for one in junmen.accounts.list()] == [(one.user, one.one_time) for one in before]
    assert "guo" not in (await browser.get("/accounts")).text


@pytest.mark.parametrize(("where", "places"), [("everywhere", []), ("some", ["other"])])
async def test_nobody_gives_what_he_has_not(
    browser: httpx.AsyncClient, junmen: Block, where: str, places: list[str]
) -> None:
    junmen.accounts.add("li", PASSWORD, "engineer", Scope(("junmen",)))
    await log_in(browser, "li")
    answer = await send(browser, "/accounts", "/accounts", name="guo", role="worker", where=where, places=places)
    assert answer.status_code == 403
    assert junmen.accounts.account("guo") is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "chen", "role": "worker", "where": "everywhere"}, "已有同名账号"),
        ({"name": " x", "role": "worker", "where": "everywhere"}, "登录名要有"),
        ({"name": "guo", "role": "king", "where": "everywhere"}, "请选择角色"),
        ({"name": "guo", "role": "worker", "where": "some"}, "至少一个社区"),
        ({"name": "guo", "role": "worker", "where": "some", "places": ["../etc"]}, "至少一个社区"),
        ({"name": "guo", "role": "worker", "where": "some", "places": ["junmen/grid-1", "other"]}, "不能同时选"),
    ],
)
async def test_an_account_that_makes_no_sense_is_refused_in_words(
    keeper: httpx.AsyncClient, junmen: Block, fields: dict[str, str | list[str]], said: str
) -> None:
    answer = await send(keeper, "/accounts", "/accounts", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert junmen.accounts.account("guo") is None


async def test_what_somebody_may_not_have_is_refused_and_noted(browser: httpx.AsyncClient, junmen: Block) -> None:
    await log_in(browser)
    for path in ("/accounts", "/accounts/one?name=chen", "/accounts/journal"):
        assert (await browser.get(path)).status_code == 403
    assert (await browser.post("/account/sessions/end", data={"token": "forged"})).status_code == 403
    assert [line.detail for line in junmen.accounts.journal(events=["refused"])] == [
        "form: POST /account/sessions/end",
        "right: GET /accounts/journal",
        "right: GET /accounts/one",
        "right: GET /accounts",
    ]


async def test_the_journal_of_one_place_does_not_tell_of_another(browser: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.add("li", PASSWORD, "auditor", Scope(("junmen",)))
    junmen.accounts.add("guo", PASSWORD, "worker", Scope(("other",)))
    junmen.accounts.log_in("guo", "a guess", "203.0.113.9", NOON_MS)
    await log_in(browser, "li")
    page = (await browser.get("/accounts/journal")).text
    assert "guo" not in page
    assert "203.0.113.9" not in page
    assert (await browser.get("/accounts/journal?before=x")).status_code == 400


async def test_a_new_token_reaches_the_browser_with_the_next_answer_and_its_open_forms_still_count(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm()
    await log_in(browser)
    page, old = (await browser.get("/")).text, browser.cookies[SESSION_COOKIE]
    junmen.now_ms += 5 * 3_600_000
    answer = await browser.get("/session")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert browser.cookies[SESSION_COOKIE] != old
    answer = await browser.post(f"/alarms/{alarm.id}/accept", data={"token": hidden(page, "token")})
    assert answer.status_code == 303
    assert junmen.alarm(alarm.id).case.accepted_by == "chen"  # type: ignore[union-attr]


async def test_a_household_is_masked_until_who_may_asks_for_it_and_each_look_is_noted(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm(
        "door-301", kind="elderly_door", rule="unopened", title=STILL, evidence={"open": False}, level="orange"
    )
    await log_in(browser)
    page = await browser.get(f"/alarms/{alarm.id}")
    assert "陈**" in page.text
    assert "138****0031" in page.text
    for secret in ("陈阿婆", "陈建军", SON, "听力不好"):
        assert secret not in page.text
    answer = await send(browser, f"/alarms/{alarm.id}", f"/people/{alarm.id}", why="call")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    for word in ("陈阿婆", "陈建军", f"tel:{SON}", "听力不好"):
        assert word in answer.text
    (line,) = junmen.accounts.journal(events=["person.looked"])
    assert alarm.case
    assert (line.actor, line.subject, line.cause, line.detail) == ("chen", "junmen/h-3-2-301", alarm.case.id, "call")
    again = await send(browser, f"/alarms/{alarm.id}", f"/people/{alarm.id}", why="other", words="a relative asks")
    assert "打电话询问" in again.text  # who looked before
    assert (await browser.get(f"/people/{alarm.id}")).status_code == 405


@pytest.mark.parametrize("role", ["worker", "engineer", "auditor"])
async def test_who_has_no_right_to_people_is_not_shown_the_button_and_refused_behind_it(
    browser: httpx.AsyncClient, junmen: Block, role: str
) -> None:
    junmen.accounts.add("guo", PASSWORD, role)  # type: ignore[arg-type]
    alarm = junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened")
    await log_in(browser, "guo")
    assert "/people/" not in (await browser.get(f"/alarms/{alarm.id}")).text
    answer = await send(browser, "/account", f"/people/{alarm.id}", why="call")
    assert answer.status_code == 403
    assert SON not in answer.text
    assert junmen.accounts.journal(events=["person.looked"]) == []
    assert len(junmen.accounts.journal(events=["refused"])) == 1


async def test_an_operator_of_another_grid_sees_nothing_of_a_household(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    junmen.accounts.add("guo", PASSWORD, "operator", Scope(("junmen",), ("grid-2",)))
    alarm = junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened")
    await log_in(browser, "guo")
    answer = await send(browser, "/account", f"/people/{alarm.id}", why="call")
    assert answer.status_code in (403, 404)
    assert SON not in answer.text


@pytest.mark.parametrize("fields", [{}, {"why": "curious"}, {"why": "other"}, {"why": "other", "words": "  "}])
async def test_without_a_reason_nothing_is_shown(
    browser: httpx.AsyncClient, junmen: Block, fields: dict[str, str]
) -> None:
    alarm = junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened")
    await log_in(browser)
    answer = await send(browser, f"/alarms/{alarm.id}", f"/people/{alarm.id}", **fields)
    assert answer.status_code == 400
    assert SON not in answer.text
    assert junmen.accounts.journal(events=["person.looked"]) == []


async def test_a_look_that_can_not_be_noted_is_not_shown(
    browser: httpx.AsyncClient, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened")
    await log_in(browser)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("console.access.journal.append", full)
    answer = await send(browser, f"/alarms/{alarm.id}", f"/people/{alarm.id}", why="call")
    assert answer.status_code == 503
    assert SON not in answer.text


async def test_readings_that_tell_how_somebody_lives_are_on_no_page_but_the_one_that_is_asked_for(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm(
        "meter-9", kind="water_meter", rule="no_water", evidence={"volume": 417.25}, level="yellow"
    )
    junmen.measure("meter-9", "volume", (NOON_MS - 60_000, 417.25))
    await log_in(browser)
    for path in ("/", f"/alarms/{alarm.id}"):
        page = re.sub(
            r"[0-9a-f]{12,}", "", (await browser.get(path)).text
        )  # a token, or a mark, may hold these digits, too
        assert "417" not in page
        assert "不公开" in page
    answer = await send(browser, f"/alarms/{alarm.id}", f"/people/{alarm.id}", why="check")
    assert "417" in answer.text
    assert "<svg" in answer.text
    assert "没有这台设备的住户" in answer.text


@pytest.mark.parametrize(
    ("inner", "outer", "is_within"),
    [
        (EVERYWHERE, EVERYWHERE, True),
        (Scope(("a",)), EVERYWHERE, True),
        (EVERYWHERE, Scope(("a",)), False),
        (Scope((), ("g",)), Scope(("a",)), False),
        (Scope(("a",), ("g",)), Scope(("a",)), True),
        (Scope(("a",)), Scope(("a",), ("g",)), False),
        (Scope(("a",), ("a/g",)), Scope(("a",), ("g",)), True),
        (Scope(("a",), ("g",)), Scope(("a",), ("a/g",)), True),
        (Scope(("a", "b"), ("g",)), Scope(("a", "b"), ("a/g",)), False),
        (Scope(("a",), ("h",)), Scope(("a",), ("g",)), False),
    ],
)
def test_a_place_lies_within_another(inner: Scope, outer: Scope, is_within: bool) -> None:
    assert within(inner, outer) is is_within


def test_names_and_numbers_are_masked() -> None:
    names = ("林小梅", "林梅", "林", "欧阳娜娜", "Anna Lindqvist")
    assert [masked_name(name) for name in names] == ["林**", "林*", "林*", "欧***", "A*** L***"]
    phones = ("13812340001", "+86 138-0000-0031", "0591 8765", "110")
    assert [masked_phone(phone) for phone in phones] == ["138****0001", "861****0031", "****65", "****10"]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537.36 MicroMessenger/8", "WeChat 微信 · Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17 Safari/604", "Safari · iPhone"),
        ("curl/8", ""),
    ],
)
def test_a_browser_is_named_as_people_name_it(agent: str, words: str) -> None:
    assert program_in_words(agent) == words


async def test_the_page_of_a_case_has_the_household_too_and_no_reading_of_how_somebody_lives(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    alarm = junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened", evidence={"open": False})
    assert alarm.case
    await log_in(browser)
    page = await browser.get(f"/cases/{alarm.case.id}")
    assert page.status_code == 200
    assert "陈**" in page.text
    assert f'action="/people/{alarm.id}"' in page.text
    assert SON not in page.text
    assert "不公开" in page.text


async def test_the_page_of_an_sos_says_whether_somebody_has_a_key_and_after_asking_what_to_mind(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    sos = junmen.raise_alarm("sos-301", kind="sos_button", rule="pressed", evidence={"pressed": True})
    fall = junmen.raise_alarm("bracelet-301", kind="bracelet", rule="fall", evidence={"fall": True})
    assert sos.case
    with junmen.database.writing() as connection:
        connection.execute(update(db.alarms).where(db.alarms.c.id == fall.id).values(case=sos.case.id))
    await log_in(browser)
    page = (await browser.get(f"/cases/{sos.case.id}")).text
    assert page.count('class="card household"') == 1, "two alarms, one household"
    assert page.index('id="do-heading"') < page.index('class="card household"') < page.index('class="card held')
    assert re.search(r"备用钥匙</dt><dd>李\*\* 138\*\*\*\*0032", page)
    assert "独居" in page
    for secret in ("李秀珍", "13800000032", "拄拐杖", "听力不好"):
        assert secret not in page
    answer = (await send(browser, f"/cases/{sos.case.id}", f"/people/{sos.id}", why="call")).text
    assert answer.index("拄拐杖") < answer.index("tel:059100000031") < answer.index("tel:13800000032")
    assert answer.index("tel:13800000032") < answer.index(f"tel:{SON}"), "who has the key comes first"
    assert f'href="/cases/{sos.case.id}"' in answer
    (line,) = junmen.accounts.journal(events=["person.looked"])
    assert (line.actor, line.subject, line.cause) == ("chen", "junmen/h-3-2-301", sos.case.id)
