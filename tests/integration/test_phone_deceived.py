"""A phone to which somebody else answers than the console, or whose network says nothing: what its person did is never lost, and a page never looks newer
than it is."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import update

from messages.settings import Text
from rules.records import CaseState
from rules.store import tables
from tests.integration.between import WIFI, Between, answer
from tests.integration.console_filling import Console
from tests.integration.phones import acts, case_of, finish, opened, phone, press, running
from tests.pictures import png_of

__all__ = ["running"]
pytestmark = pytest.mark.needs("chromium")

LOST_WITHIN_MS = 40_000
"""A page of the phone that nobody has confirmed for 20 s says so; a busy machine may be late, and a photo has 60 s."""
STRANGERS = {
    "a Wi-Fi that wants a login": answer("200 OK"),
    "a Wi-Fi that leads elsewhere": answer("302 Found", more="Location: /wifi\r\n"),
    "a gateway without a server": answer("502 Bad Gateway", "<html><body>502</body></html>"),
    "a gateway that has enough": answer("429 Too Many Requests", "{}", "application/json"),
    "a gateway that has no such path": answer("404 Not Found", "<html><body>404</body></html>"),
    "a wall that suspects an attack": answer("403 Forbidden", "<html><body>403</body></html>"),
    "a gateway that answers in its own words": answer("200 OK", '{"message": "queued"}', "application/json"),
}


@pytest.fixture
def between(running: Console) -> Iterator[Between]:
    made = Between(running.service.port)
    yield made
    made.close()


@pytest.fixture
def context(chromium: Browser, running: Console) -> Iterator[BrowserContext]:
    made = phone(chromium, running)  # a login's cookie is the host's, on all its ports
    yield made
    made.close()


LOOK = "document.dispatchEvent(new Event('visibilitychange'))"


def looked_at(page: Page) -> None:
    page.evaluate(LOOK)


@pytest.mark.parametrize("who", STRANGERS)
def test_an_act_that_somebody_else_answered_stays_on_the_phone_until_the_server_has_it(
    context: BrowserContext, running: Console, between: Between, who: str
) -> None:
    case = case_of(running)
    page = opened(context, f"{between.address}/w/cases/{case.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    between.instead = lambda method, _: STRANGERS[who] if method == "POST" else None
    press(page, "接单")
    for _ in range(4):
        page.locator("#pending").click()
        page.wait_for_timeout(200)
    expect(page.locator("#pending")).to_have_text("待上传 1")
    expect(page.locator("#refusals li")).to_have_count(0)
    assert acts(running, case) == []
    between.instead = lambda _method, _path: None
    page.locator("#pending").click()
    expect(page.locator("#pending")).to_be_hidden()
    assert acts(running, case) == [("case.accepted", "lin")]


@pytest.mark.parametrize("who", STRANGERS)
def test_a_page_of_somebody_else_is_neither_shown_nor_kept_and_spoils_no_act(
    context: BrowserContext, running: Console, between: Between, who: str
) -> None:
    case = case_of(running)
    page = opened(context, f"{between.address}/w/cases/{case.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    between.instead = lambda _method, _path: STRANGERS[who]
    looked_at(page)
    expect(page.locator("#offline")).to_contain_text("没有网络")
    page.reload()
    expect(page.locator("#offline")).to_contain_text("没有网络")
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    context.set_offline(True)
    page.reload()
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    between.instead = lambda _method, _path: None
    context.set_offline(False)
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    (line,) = (one for one in running.block.desk.log_of_case(case.id) if one.key)
    assert abs((line.device_at_ms or 0) - line.at_ms) < 60_000


def test_a_page_that_was_kept_waits_for_nothing_that_was_kept_with_it(
    context: BrowserContext, running: Console, between: Between
) -> None:
    """A network that takes long to say anything: after the page's own patience its buttons work, not after that of each file."""
    case = case_of(running)
    page = opened(context, f"{between.address}/w/cases/{case.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    between.delay_s = 60.0
    already = len(between.asked)
    page.reload()
    press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    assert not [path for _, path in between.asked[already:] if path.startswith("/static/phone/")]


def test_an_old_page_that_a_proxy_has_kept_is_not_called_the_latest(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    path = f"/w/cases/{case.id}"
    page = opened(context, between.address + path)
    old = between.answer_to(path)
    running.block.desk.accept(case.id, actor="wu", at_ms=running.block.now_ms)
    looked_at(page)
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    between.instead = lambda _, asked: old if asked == path else None
    looked_at(page)
    expect(page.locator("body")).to_have_attribute("data-verdict", "lost")
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-verdict", "lost")
    context.set_offline(True)
    page.reload()
    expect(page.locator("[data-stage]")).to_have_attribute(
        "data-stage", "accepted"
    )  # of the two it is the newer that was kept


def test_a_connection_that_says_nothing_any_more_is_old_within_twenty_seconds_also_while_a_photo_is_sent(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    page = opened(context, f"{between.address}/w/cases/{case.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    page.route("**/session", lambda _: None)  # as the question before an upload, on a dead line
    press(page, "接单")
    between.delay_s = 3600
    expect(page.locator("body")).to_have_attribute("data-verdict", "lost", timeout=LOST_WITHIN_MS)


def test_a_gateway_that_takes_only_small_photos_gets_a_smaller_one(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    page = opened(context, f"{between.address}/w/cases/{case.id}")
    photos = ("POST", f"/w/cases/{case.id}/photos")
    too_large = answer("413 Request Entity Too Large")

    def instead(*asked: str) -> bytes | None:
        return too_large if asked == photos and between.asked.count(photos) < 3 else None

    between.instead = instead
    press(page, "接单")
    press(page, "我到了")
    finish(page, png_of(2000, 1000, pixels=bytes(20_000_000)))
    expect(page.locator("main")).to_contain_text("已提交，等待核查")
    expect(page.locator("#pending")).to_be_hidden()
    done = running.block.desk.case(case.id)
    assert done
    assert done.photo
    assert between.asked.count(photos) == 3
    width = page.get_by_role("img", name="处置照片").evaluate(
        "(shown) => shown.decode().then(() => shown.naturalWidth)"
    )
    assert width == 400  # 1600, 800, 400


def test_a_page_whose_modules_did_not_come_claims_nothing(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    between.instead = lambda _, path: answer("200 OK") if path.endswith("phone.mjs") else None
    page = context.new_page()
    page.goto(f"{between.address}/w/cases/{case.id}")
    expect(page.locator("#fresh")).to_contain_text("正在连接")


def test_a_set_that_is_not_ours_is_not_put_away_for_later(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    other, path = answer("200 OK", "export const x = 1;", "text/javascript"), "/static/phone/scan.mjs"

    def asked() -> int:
        return between.asked.count(("GET", path))

    between.instead = lambda _, its: other if its == path and asked() > 1 else None  # the first is the page's own
    page = context.new_page()
    page.goto(f"{between.address}/w/cases/{case.id}")
    while asked() < 2:
        page.wait_for_timeout(50)
    page.wait_for_timeout(1000)
    kept = "caches.open('gridcall-loaded').then((cache) => cache.keys()).then((keys) => keys.length)"
    assert page.evaluate(kept) == 0
    between.instead = lambda _method, _path: None
    page.reload()
    page.wait_for_function(kept)


def test_a_case_says_that_the_engine_has_stopped(context: BrowserContext, running: Console) -> None:
    case = case_of(running)
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    running.stop_the_engine()
    try:
        expect(page.locator(".blind")).to_contain_text("规则引擎")
    finally:
        running.beating.set()
    expect(page.locator(".blind")).to_have_count(0)


def test_the_page_of_a_wifi_is_what_a_phone_shows_that_has_nothing_else(
    context: BrowserContext, running: Console, between: Between
) -> None:
    case = case_of(running)
    opened(context, f"{between.address}/w/")
    between.instead = lambda _method, _path: answer("200 OK")
    page = context.new_page()
    page.goto(f"{between.address}/w/cases/{case.id}-unseen")
    assert "Free Wi-Fi" in WIFI
    expect(page.get_by_role("heading")).to_contain_text("Free Wi-Fi")


SHOWN = """() => {
    const main = document.querySelector("main").cloneNode(true);
    for (const one of main.querySelectorAll("[data-by], [data-since], [hidden]")) one.remove();
    return [main.querySelector("article").className, main.textContent.replace(/\\s+/g, " ")];
}"""
"""What a page says, without what only counts on."""


def alike(page: Page, fresh: Page) -> None:
    """The open page comes to say what one says that is opened now."""
    fresh.reload()
    wanted = fresh.evaluate(SHOWN)
    page.wait_for_function(f"(wanted) => JSON.stringify(({SHOWN})()) === JSON.stringify(wanted)", arg=wanted)


def test_an_open_case_says_all_that_one_says_which_is_opened_now(
    chromium: Browser, context: BrowserContext, running: Console
) -> None:
    """An alarm joins, the level rises, somebody takes it, it is closed and opened again; somebody looks at the page again and again."""
    case, block = case_of(running), running.block
    other = phone(chromium, running, "wu")
    page, fresh = (one.new_page() for one in (context, other))
    page.add_init_script(f"setInterval(() => {LOOK}, 500)")
    for one in (page, fresh):
        one.goto(f"{running.address}/w/cases/{case.id}")
    joining = block.raise_alarm(
        f"{case.subject}-b", place="the flat above", advice=Text(zh="关阀", en="Close the valve")
    )
    joins = update(tables.alarms).where(tables.alarms.c.id == joining.id).values(case=case.id)
    rises = update(tables.cases).where(tables.cases.c.id == case.id).values(level="orange")
    for change in (joins, rises):
        with block.database.writing() as connection:
            connection.execute(change)
        alike(page, fresh)
    block.desk.accept(case.id, actor="wu", at_ms=block.now_ms)
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    for state, bars in ((CaseState.CLOSED, 0), (CaseState.REOPENED, 1)):
        with block.database.writing() as connection:
            connection.execute(update(tables.cases).where(tables.cases.c.id == case.id).values(state=state))
        expect(page.locator(".bar:visible")).to_have_count(bars)
    other.close()
