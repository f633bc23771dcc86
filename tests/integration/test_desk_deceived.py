"""A page of the desk to which somebody else answers than the console, or whose messages come late or not at all: it never looks newer than it is."""

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import update

from rules.records import Case
from rules.store import tables
from tests.integration.between import Between, answer
from tests.integration.browsing import Window
from tests.integration.console_filling import Console, console
from tests.integration.test_console_browser import VERDICTS

pytestmark = pytest.mark.needs("chromium")

PATIENCE_S = 60
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
"""Somebody looks at the page again."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console")) as started:
        yield started


@pytest.fixture
def between(running: Console) -> Iterator[Between]:
    made = Between(running.service.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def logged_in(chromium: Browser, running: Console) -> Iterator[BrowserContext]:
    context = chromium.new_context(locale="en-GB", timezone_id="Europe/London", reduced_motion="reduce")
    Window(context.new_page(), running.address).log_in()
    for one in context.pages:
        one.close()
    yield context  # a login's cookie is the host's, on all its ports
    context.close()


@pytest.fixture
def page(logged_in: BrowserContext) -> Iterator[Page]:
    made = logged_in.new_page()
    yield made
    made.close()


def verdict(page: Page, word: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-verdict", word)


def asked_for(page: Page, between: Between, path: str, times: int = 1, since: int = 0) -> None:
    """Until the page has asked for it."""
    until_s = time.monotonic() + PATIENCE_S
    while between.asked[since:].count(("GET", path)) < times:
        assert time.monotonic() < until_s, f"nobody asks for {path}"
        page.wait_for_timeout(50)


@pytest.mark.parametrize("status", ["200 OK", "429 Too Many Requests", "502 Bad Gateway"])
def test_a_button_that_a_gateway_answered_is_said_to_have_failed(
    running: Console, between: Between, page: Page, status: str
) -> None:
    """In JSON, as gateways of interfaces do: an answer without a complaint of ours is no consent."""
    alarm = running.block.raise_alarm(f"gas-{status[:3]}", place=f"Flat {status[:3]}")
    between.instead = lambda method, _: (
        answer(status, '{"message": "ok"}', "application/json") if method == "POST" else None
    )
    page.goto(between.address)
    row = page.locator(f"[data-id='{alarm.id}']")
    row.get_by_role("button", name="Accept").click()
    expect(page.locator("#complaint")).to_contain_text("Try again")
    assert alarm.case
    found = running.block.desk.case(alarm.case.id)
    assert found
    assert found.accepted_by is None


def test_a_page_whose_parts_cannot_be_fetched_is_not_called_live_because_the_beats_arrive(
    running: Console, between: Between, logged_in: BrowserContext
) -> None:
    """Whatever is answered in the console's stead: three pages side by side, for each is patient first."""
    made: dict[str, bytes] = {}
    pages: list[tuple[Page, Case]] = []
    for how in ("refused", "old", "of somebody else"):
        alarm = running.block.raise_alarm(f"gas-{how}", place=f"Flat {how}")
        page, path = logged_in.new_page(), f"/alarms/{alarm.id}"
        page.goto(between.address + path)
        verdict(page, "live")
        expect(page.locator("#case")).to_contain_text("Accept")
        refused = answer("429 Too Many Requests", "<html></html>")
        old = between.answer_to(path)
        made[path] = {"refused": refused, "old": old, "of somebody else": answer("200 OK")}[how]
        assert alarm.case
        pages.append((page, alarm.case))
    between.instead = lambda _, asked: made.get(asked)
    for _, case in pages:
        running.block.desk.accept(case.id, actor="wu", at_ms=running.block.now_ms)
    for page, _ in pages:
        verdict(page, "lost")
        expect(page.locator("#banner")).to_contain_text("This page could not be brought up to date")
    between.instead = lambda _method, _path: None
    for page, _ in pages:
        verdict(page, "live")
        expect(page.locator("#case")).to_contain_text("吴秀兰")
        page.close()


AT_ONCE = "Math.random = () => 0;"
"""A stream that is silent, or late, is asked for anew after the shortest time."""
COUNT_BEATS = """globalThis.beats = new Map();
const hear = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (kind, use) {
    hear.call(this, kind, (event) => {
        use(event);
        if (kind === "beat") beats.set(this.url, (beats.get(this.url) ?? 0) + 1);
    });
};"""
"""Of each stream, after the page has done with them what it does."""


def test_messages_that_are_all_held_back_alike_are_never_called_live(between: Between, page: Page) -> None:
    """Those of a stream that is asked for anew are as late."""
    between.delay_s, between.slow = 5, lambda path: path.startswith("/feed")
    for script in (AT_ONCE, COUNT_BEATS, VERDICTS):
        page.add_init_script(script)
    page.goto(between.address)
    page.wait_for_function(
        "() => [...beats.values()].filter((count) => count > 1).length > 1", timeout=PATIENCE_S * 1000
    )
    verdicts = page.evaluate("verdicts")
    assert "lost" in verdicts
    assert "live" not in verdicts
    expect(page.locator("#banner")).to_contain_text("arrive late")
    between.delay_s = 0
    verdict(page, "live")


def test_a_connection_that_was_forgotten_on_the_way_is_replaced_by_itself(
    running: Console, between: Between, page: Page
) -> None:
    page.add_init_script(AT_ONCE)
    page.goto(between.address)
    verdict(page, "live")
    between.forget()
    alarm = running.block.raise_alarm("gas-after", place="After it was forgotten")
    verdict(page, "lost")
    expect(page.locator(f"[data-id='{alarm.id}']")).to_be_visible()
    verdict(page, "live")


def test_a_feed_that_a_gateway_refuses_does_not_lead_the_wall_away(between: Between, page: Page) -> None:
    page.goto(between.address)
    verdict(page, "live")
    refused = answer("401 Unauthorized", "<html><body>Wi-Fi</body></html>")
    between.instead = lambda _, path: refused if path.startswith(("/feed", "/session", "/login")) else None
    between.cut()
    verdict(page, "lost")
    asked_for(page, between, "/session")
    page.wait_for_timeout(500)
    assert page.url == f"{between.address}/"


def test_a_plant_page_takes_only_what_the_console_answers_now(running: Console, between: Between, page: Page) -> None:
    page.goto(f"{between.address}/devices")
    first = page.locator(".as-of > span").inner_text()
    page.evaluate("window.sameDocument = true")
    old = between.answer_to("/devices")
    for made in (answer("200 OK"), answer("200 OK", "<html></html>"), old):
        between.instead = lambda _, path, made=made: made if path == "/devices" else None  # type: ignore[misc]
        with page.expect_response("**/devices"):
            page.evaluate(LOOK)
        page.wait_for_timeout(300)  # in which it would be taken
        assert page.evaluate("window.sameDocument") is True
        expect(page.locator(".as-of > span")).to_have_text(first)
    between.instead = lambda _method, _path: None
    page.evaluate(LOOK)
    expect(page.locator(".as-of > span")).not_to_have_text(first)


def test_a_plant_page_asks_one_question_at_a_time(between: Between, page: Page) -> None:
    page.goto(f"{between.address}/devices")
    verdict(page, "live")
    between.delay_s = 3600
    asked = len(between.asked)
    for _ in range(5):
        page.evaluate(LOOK)
    asked_for(page, between, "/devices", since=asked)
    page.wait_for_timeout(500)
    assert between.asked[asked:].count(("GET", "/devices")) == 1


def test_a_drill_that_is_over_is_not_kept_up_by_an_answer_of_somebody_else(between: Between, page: Page) -> None:
    made = answer("200 OK", json.dumps({"mark": "Drill"}), "application/json")
    between.instead = lambda _, path: made if path == "/drills/now" else None
    page.clock.install()
    page.goto(between.address)
    with page.expect_response("**/drills/now"):
        page.clock.fast_forward(10_000)
    page.wait_for_timeout(300)  # in which it would be taken
    expect(page.locator("#drill")).to_be_hidden()


def test_a_plant_page_that_was_not_loaded_anew_turns_visibly_old(page: Page, running: Console) -> None:
    """Also one that is for writing, which is never loaded anew by itself: after five minutes, also if the computer slept meanwhile."""
    page.add_init_script("const now = Date.now; Date.now = () => now() + (globalThis.sleptMs ?? 0);")
    page.goto(f"{running.address}/rules")
    expect(page.locator(".as-of")).to_be_visible()
    page.wait_for_timeout(1500)
    expect(page.locator(".as-of.old")).to_have_count(0)
    page.evaluate("globalThis.sleptMs = 301000")
    expect(page.locator(".as-of.old")).to_be_visible()


def test_an_alarm_that_joins_a_case_is_on_its_open_page(running: Console, page: Page) -> None:
    first, block = running.block.raise_alarm("gas-first", place="Flat 1"), running.block
    assert first.case
    page.goto(f"{running.address}/cases/{first.case.id}")
    verdict(page, "live")
    joining = block.raise_alarm("smoke-second", place="Flat 2")
    assert joining.case
    with block.database.writing() as connection:
        connection.execute(update(tables.alarms).where(tables.alarms.c.id == joining.id).values(case=first.case.id))
    expect(page.locator(f"[data-part='alarm-{joining.id}']")).to_contain_text("Flat 2")
    with block.database.writing() as connection:
        connection.execute(update(tables.alarms).where(tables.alarms.c.id == joining.id).values(case=joining.case.id))
    expect(page.locator(f"[data-part='alarm-{joining.id}']")).to_have_count(0)
