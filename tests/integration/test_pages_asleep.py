"""Pages that come back: a frozen tab, the way back in a browser, a laptop that slept, a clock that was set. None of them looks newer than it is,
not even for one picture."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from console.rights import Scope
from tests.console.block import PASSWORD
from tests.integration.between import Between
from tests.integration.browsing import ARGUMENTS, Window
from tests.integration.console_filling import Console, console
from tests.integration.phones import case_of, opened, phone
from tests.services import program

pytestmark = pytest.mark.needs("chromium")

HOUR_MS = 3_600_000
SIGNS = {
    "frozen": "document.dispatchEvent(new Event('resume'))",
    "kept for the way back": "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
    "hidden": "document.dispatchEvent(new Event('visibilitychange'))",
}
"""What a browser says to a page before it is painted again. It freezes no page that a test drives, which counts as looked at."""
SET_CLOCK = "const now = Date.now; Date.now = () => now() + Number(sessionStorage.aheadMs ?? 0);"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """As people have it: pages are kept for the way back where a browser may."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"),
            args=ARGUMENTS,
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console")) as started:
        started.block.accounts.add("lin", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
        yield started


@pytest.fixture
def between(running: Console) -> Iterator[Between]:
    made = Between(running.service.port)
    yield made
    made.close()


@pytest.fixture
def desk(chromium: Browser, running: Console) -> Iterator[BrowserContext]:
    context = chromium.new_context(locale="en-GB", timezone_id="Europe/London")
    context.add_init_script(SET_CLOCK)
    Window(context.new_page(), running.address).log_in()
    for one in context.pages:
        one.close()
    yield context
    context.close()


def verdict(page: Page, word: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-verdict", word)


@pytest.mark.parametrize("how", SIGNS)
@pytest.mark.parametrize("where", ["feed", "alarm", "plant"])
def test_a_page_of_the_desk_that_is_seen_again_says_at_once_that_it_is_old_and_is_brought_up_to_date(
    running: Console, desk: BrowserContext, how: str, where: str
) -> None:
    name = f"{where} {how}"
    alarm = running.block.raise_alarm(name, place=name)
    assert alarm.case
    page = desk.new_page()
    page.goto(running.address + {"feed": "/", "alarm": f"/alarms/{alarm.id}", "plant": "/devices"}[where])
    verdict(page, "live")
    wake = f"sessionStorage.aheadMs = {HOUR_MS}; {SIGNS[how]}; document.body.dataset.verdict + document.body.className"
    said = page.evaluate(wake)
    assert "old-page" in said if where == "plant" else said.startswith("lost")
    running.block.desk.accept(alarm.case.id, actor="wu", at_ms=running.block.now_ms)
    if where != "plant":
        expect(page.locator("main")).to_contain_text("吴秀兰")
    verdict(page, "live")
    expect(page.locator("body.old-page")).to_have_count(0)


@pytest.mark.parametrize("how", SIGNS)
def test_a_page_of_the_phone_that_is_seen_again_says_at_once_that_it_is_old_and_is_brought_up_to_date(
    chromium: Browser, running: Console, how: str
) -> None:
    context = phone(chromium, running, worker=False)
    context.add_init_script(SET_CLOCK)
    case, page = case_of(running), context.new_page()
    page.goto(f"{running.address}/w/cases/{case.id}")
    verdict(page, "live")
    wake = f"sessionStorage.aheadMs = {HOUR_MS}; {SIGNS[how]}; document.body.dataset.verdict"
    assert page.evaluate(wake) == "lost"
    running.block.desk.accept(case.id, actor="wu", at_ms=running.block.now_ms)
    expect(page.locator("main")).to_contain_text("吴秀兰")
    verdict(page, "live")
    context.close()


def test_the_way_back_leads_to_the_present(running: Console, desk: BrowserContext) -> None:
    alarm = running.block.raise_alarm("gas-back", place="Flat back")
    assert alarm.case
    page = desk.new_page()
    for path in ("/", f"/alarms/{alarm.id}", "/cases"):
        page.goto(running.address + path)
        verdict(page, "live")
    running.block.desk.accept(alarm.case.id, actor="wu", at_ms=running.block.now_ms)
    for _ in range(2):
        page.go_back(wait_until="commit")
        page.wait_for_selector("main")
        shown = page.evaluate("[document.body.dataset.verdict ?? '', document.querySelector('main').textContent]")
        assert "吴秀兰" in shown[1] or shown[0] != "live"
        expect(page.locator("main")).to_contain_text("吴秀兰")
        verdict(page, "live")


def test_a_laptop_that_slept_for_an_hour_says_so_at_once_and_asks_anew_without_waiting(
    running: Console, desk: BrowserContext, between: Between
) -> None:
    """Its steady clock stood still, the connection is long forgotten on the way, and nothing tells the page that it slept."""
    page = desk.new_page()
    page.goto(between.address)
    verdict(page, "live")
    between.forget()
    asked = len(between.asked)
    page.evaluate("Math.random = () => 1")  # the longest patience
    page.evaluate(f"sessionStorage.aheadMs = {HOUR_MS}")
    verdict(page, "lost")
    alarm = running.block.raise_alarm("gas-slept", place="Flat slept")
    expect(page.locator(f"[data-id='{alarm.id}']")).to_be_visible(timeout=5_000)
    assert any(path.startswith("/feed") for _, path in between.asked[asked:])
    verdict(page, "live")


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, -HOUR_MS])
def test_a_phone_whose_clock_is_an_hour_wrong_says_how_old_a_kept_page_is(
    chromium: Browser, running: Console, ahead_ms: int
) -> None:
    context = phone(chromium, running)
    context.add_init_script(f"const now = Date.now; Date.now = () => now() + ({ahead_ms});")
    case = case_of(running)
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    verdict(page, "live")
    page.wait_for_timeout(21_000)  # it is kept anew every ten seconds
    context.set_offline(True)
    page.reload()
    verdict(page, "lost")
    kept_at = page.locator("body").get_attribute("data-as-of")
    assert kept_at
    expect(page.locator("#offline")).to_contain_text(kept_at)
    assert not re.search(r"\d:\d\d:\d\d", page.locator("[data-by]").first.inner_text()), (
        "its promises are a minute, not an hour"
    )
    context.close()
