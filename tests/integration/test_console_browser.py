"""The console in Chromium: what an operator sees while an alarm comes, is taken, and the server dies."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from messages.settings import Text
from rules.records import CaseState
from tests.console.block import PASSWORD
from tests.integration.browsing import Window
from tests.integration.console_filling import NAME, Console

pytestmark = pytest.mark.needs("chromium")

WITHIN_SECONDS_MS = 10_000
"""A page says after three that it hears nothing; and a machine may be busy."""
VERDICTS = """globalThis.verdicts = [];
addEventListener("DOMContentLoaded", () => {
    new MutationObserver(() => verdicts.push(document.body.dataset.verdict))
        .observe(document.body, { attributes: true, attributeFilter: ["data-verdict"] });
});"""
"""Notes what a page comes to say of itself, also for a moment."""
WITHOUT_THE_TIMER = """{
    const every = setInterval;
    globalThis.timersLeftOut = 0;
    globalThis.setInterval = (act, ms) => (ms === 5000 ? ++timersLeftOut : every(act, ms));
}"""
"""A page of parts asks for them every five seconds: here only when it is told that something has changed."""


@pytest.fixture
def window(chromium: Browser, running: Console) -> Iterator[Window]:
    context = chromium.new_context(locale="en-GB", timezone_id="Europe/London", reduced_motion="reduce")
    opened = Window(context.new_page(), running.address)
    yield opened
    context.close()


def test_an_alarm_arrives_is_accepted_and_moves_on_without_a_reload(running: Console, window: Window) -> None:
    page = window.page
    window.log_in()
    expect(page.get_by_role("heading", name="All is well")).to_be_visible()
    page.evaluate("window.sameDocument = true")

    alarm = running.block.raise_alarm(place="Block 3, flat 101")
    row = page.locator("#rows > li")
    expect(row).to_contain_text("Gas leak")
    expect(row).to_contain_text(re.compile(r"Accept: 0:\d\d left"))
    expect(page.locator("#calm")).to_be_hidden()
    expect(page.locator("#aloud")).to_contain_text("New alarm: Red, Gas leak, Block 3, flat 101")
    expect(page).to_have_title("(1) Live alarms · Gridcall")

    row.get_by_role("button", name="Accept").click()
    expect(row).to_contain_text(f"Accepted · {NAME}")
    expect(row.get_by_role("button", name="On site")).to_be_visible()
    case = running.block.alarm(alarm.id).case
    assert case
    assert (case.state, case.accepted_by) == (CaseState.ACCEPTED, NAME)
    assert page.evaluate("window.sameDocument") is True
    assert window.complaints == []
    assert window.asked == {running.address}


def test_an_alarms_page_follows_the_case_to_its_end(running: Console, window: Window) -> None:
    page, block = window.page, running.block
    alarm = block.raise_alarm(advice=Text(zh="开窗", en="Open the windows"), limits={"gas_concentration": 10.0})
    block.measure(alarm.device, "gas_concentration", *[(block.now_ms - s * 1000, 25.0 - s) for s in range(20)])
    window.log_in()
    page.get_by_role("link", name="Gas leak").click()
    expect(page.get_by_text("Open the windows")).to_be_visible()
    expect(page.get_by_role("img", name="Course of Gas concentration")).to_be_visible()
    page.wait_for_load_state()  # before its modules are there, the browser itself sends a form
    page.evaluate("window.sameDocument = true")

    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="On site").click()
    page.get_by_label("Mended").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("It is still going on")).to_be_visible()
    block.return_to_normal(alarm)
    expect(page.get_by_text("readings normal again, being checked")).to_be_visible()
    expect(page.locator("#case")).to_contain_text("not who mended it")
    expect(page.get_by_role("button", name="Check")).to_have_count(0)
    assert alarm.case
    block.desk.verify(alarm.case.id, actor="zhao", at_ms=block.now_ms, passed=True)
    expect(page.locator("#case")).to_contain_text("Outcome · Mended")
    expect(page.locator(".timeline")).to_contain_text("Closed zhao")
    case = block.alarm(alarm.id).case
    assert case
    assert case.outcome == "mended"
    assert page.evaluate("window.sameDocument") is True
    assert [text for text in window.complaints if "409" not in text] == []


def test_when_the_server_dies_the_page_says_so_within_seconds_and_recovers_by_itself(
    running: Console, window: Window
) -> None:
    page = window.page
    running.block.raise_alarm()
    window.log_in()
    running.service.kill()
    banner = page.locator("#banner")
    expect(banner).to_contain_text("Contact with the server lost. Below is how it was at", timeout=WITHIN_SECONDS_MS)
    expect(page).to_have_title(re.compile("^⚠ Not live"))
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    expect(page.locator("#strip")).to_have_text("Not live")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#complaint")).to_contain_text("Not sent")

    missed = running.block.raise_alarm("gas-2", place="while nobody saw it")
    running.service.start()
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    expect(banner).to_be_hidden()
    expect(page.locator(f"[data-id='{missed.id}']")).to_be_visible()
    expect(page).to_have_title("(2) Live alarms · Gridcall")


def test_when_the_engine_dies_the_page_says_so_although_the_server_answers(running: Console, window: Window) -> None:
    window.log_in()
    running.stop_the_engine()
    expect(window.page.locator("#banner")).to_contain_text("The rules engine has stopped")
    expect(window.page.get_by_role("heading", name="All is well")).to_be_hidden()
    expect(window.page.locator("#strip")).to_contain_text("Not live")


HEAR_IT_AGAIN = """{
    const hear = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (kind, use) {
        hear.call(this, kind, (event) => {
            if (kind === "beat") globalThis.hearItAgain = () => use(event);
            use(event);
        });
    };
}"""


def test_beats_that_were_held_back_are_not_taken_for_fresh(running: Console, window: Window) -> None:
    """As after a tab's sleep, or behind a proxy that collects: the messages come, and are old. So the page asks anew."""
    page = window.page
    page.add_init_script(HEAR_IT_AGAIN)
    window.log_in()
    said = page.evaluate("""() => {
        const now = performance.now.bind(performance);
        performance.now = () => now() + 60000;
        hearItAgain();
        return [document.body.dataset.verdict, document.getElementById("banner").textContent];
    }""")
    assert said[0] == "lost"
    assert "arrive late" in said[1]
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")


def test_an_edge_that_goes_offline_is_named_in_the_header(running: Console, window: Window) -> None:
    window.log_in()
    running.block.put_edge("pi-2", online=False)
    expect(window.page.locator("body")).to_have_attribute("data-verdict", "attention")
    expect(window.page.locator("#strip")).to_contain_text("Edge pi-2 offline for 1 min")


def test_a_login_that_ends_elsewhere_leads_the_open_page_to_the_login(running: Console, window: Window) -> None:
    window.log_in()
    second = window.page.context.new_page()  # not closed here: closing a page in mid-navigation can hang the driver
    second.goto(running.address)
    second.get_by_role("button", name="Log out").click()
    expect(second.locator('input[name="password"]')).to_be_visible()
    expect(window.page.get_by_role("heading", name="Gridcall")).to_be_visible()
    assert "/login" in window.page.url


def test_the_bell_rings_for_a_red_alarm_until_silenced_or_accepted(running: Console, window: Window) -> None:
    window.log_in()
    bell = window.page.locator("#bell")
    expect(bell).to_have_text("Sound: off")
    bell.click()
    expect(bell).to_have_text("Sound: on")
    running.block.raise_alarm("bin-1", level="yellow")
    first = running.block.raise_alarm("gas-1")
    expect(bell).to_have_text("Silence")
    bell.click()
    expect(bell).to_have_text("Sound: on")
    case = running.block.alarm(first.id).case
    assert case
    assert case.state is CaseState.REGISTERED
    second = running.block.raise_alarm("gas-2")
    expect(bell).to_have_text("Silence")
    assert second.case
    running.block.desk.accept(second.case.id, actor="王建国", at_ms=running.block.now_ms)
    expect(bell).to_have_text("Sound: on")


def test_ten_tabs_have_one_stream_and_all_of_them_are_live(running: Console, window: Window) -> None:
    """A browser opens six connections to a server: with a stream for each tab the seventh would never load."""
    window.log_in()
    context = window.page.context
    streams: list[str] = []
    context.on("request", lambda request: streams.append(request.url) if "/feed?" in request.url else None)
    others = [context.new_page() for _ in range(9)]
    for page in others:
        page.goto(running.address)
        expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    assert streams == []
    first = running.block.raise_alarm(place="while all are open")
    for page in others:
        expect(page.locator(f"[data-id='{first.id}']")).to_be_visible()
    others[-1].get_by_role("button", name="Accept").click()
    for page in others:
        expect(page.locator("#rows > li")).to_contain_text(f"Accepted · {NAME}")

    window.page.close()  # the one that has the stream
    second = running.block.raise_alarm("gas-2", place="after it went")
    for page in others:
        expect(page.locator(f"[data-id='{second.id}']")).to_be_visible()
        expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    assert len(streams) == 1


def test_a_tab_that_missed_a_message_of_the_leader_catches_up_by_itself(running: Console, window: Window) -> None:
    window.log_in()
    follower = window.page.context.new_page()
    follower.add_init_script("""{
        const hear = BroadcastChannel.prototype.addEventListener;
        BroadcastChannel.prototype.addEventListener = function (kind, use) {
            hear.call(this, kind, (event) => event.data.kind !== "step" && use(event));
        };
    }""")
    follower.goto(running.address)
    expect(follower.locator("body")).to_have_attribute("data-verdict", "live")
    alarm = running.block.raise_alarm()
    expect(follower.locator(f"[data-id='{alarm.id}']")).to_be_visible()


def test_a_leader_that_sleeps_is_replaced_by_a_tab_that_is_looked_at(running: Console, window: Window) -> None:
    asleep = "BroadcastChannel.prototype.postMessage = () => {}"
    window.page.context.add_init_script(f"if (window.name !== 'awake') {asleep}")
    window.log_in()
    follower = window.page.context.new_page()
    follower.add_init_script(VERDICTS)
    follower.evaluate("window.name = 'awake'")
    follower.goto(running.address)
    expect(follower.locator("body")).to_have_attribute("data-verdict", "live")
    assert follower.evaluate("verdicts")[-2:] == ["lost", "live"]


def test_without_locks_each_tab_has_its_own_stream(running: Console, window: Window) -> None:
    """As over plain http from another computer."""
    window.page.context.add_init_script("delete Navigator.prototype.locks")
    window.log_in()
    with window.page.context.new_page() as second:
        with second.expect_request(lambda request: "/feed?" in request.url):
            second.goto(running.address)
        expect(second.locator("body")).to_have_attribute("data-verdict", "live")


def test_a_page_that_could_not_be_fetched_is_fetched_again(running: Console, window: Window) -> None:
    alarm = running.block.raise_alarm()
    window.log_in()
    page = window.page
    page.add_init_script(WITHOUT_THE_TIMER)
    page.goto(f"{running.address}/alarms/{alarm.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    assert page.evaluate("timersLeftOut") == 1
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/alarms/*", fail, times=2)
    assert alarm.case
    running.block.desk.accept(alarm.case.id, actor="王建国", at_ms=running.block.now_ms)
    expect(page.locator("#case")).to_contain_text("王建国")
    assert len(failed) == 2


def test_on_an_alarms_page_a_new_red_alarm_elsewhere_is_seen_heard_and_read_aloud(
    running: Console, window: Window
) -> None:
    page, block = window.page, running.block
    mine = block.raise_alarm("gas-1")
    window.log_in()
    page.goto(f"{running.address}/alarms/{mine.id}")
    expect(page.locator("#calls")).to_be_hidden()
    page.locator("#bell").click()
    expect(page.locator("#bell")).to_have_text("Silence")
    page.locator("#bell").click()
    expect(page.locator("#bell")).to_have_text("Sound: on")

    other = block.raise_alarm("gas-2", place="Block 9")
    expect(page.locator("#calls")).to_have_text("Other red alarms to be accepted: 1")
    expect(page.locator("#aloud")).to_contain_text("Block 9")
    expect(page.locator("#bell")).to_have_text("Silence")
    expect(page).to_have_title(re.compile("^‼ 1 · Gas leak"))
    page.reload()
    expect(page.locator("#calls")).to_be_visible()
    page.locator("#calls").click()
    expect(page.locator(f"[data-id='{other.id}']")).to_be_visible()


def test_a_red_alarm_that_came_while_the_server_was_away_calls_on_an_alarms_page_too(
    running: Console, window: Window
) -> None:
    """After a restart the feed sends the whole list, not steps."""
    page, mine = window.page, running.block.raise_alarm("gas-1", level="blue")
    window.log_in()
    page.goto(f"{running.address}/alarms/{mine.id}")
    page.locator("#bell").click()
    expect(page.locator("#bell")).to_have_text("Sound: on")
    running.service.kill()
    running.block.raise_alarm("gas-2")
    running.service.start()
    expect(page.locator("#calls")).to_be_visible()
    expect(page.locator("#bell")).to_have_text("Silence")


def test_the_sound_stays_on_from_page_to_page_and_asks_for_the_touch_that_it_needs(
    running: Console, window: Window
) -> None:
    page, bell = window.page, window.page.locator("#bell")
    running.block.raise_alarm()
    window.log_in()
    bell.click()
    expect(bell).to_have_text("Silence")
    with page.context.new_page() as second:
        second.goto(running.address)
        expect(second.locator("#bell")).to_have_text("Sound: tap once")
        expect(second.locator("#bell")).to_have_class(re.compile("ringing"))
        second.locator("main").click()
        expect(second.locator("#bell")).to_have_text("Silence")
    bell.click()
    bell.click()
    expect(bell).to_have_text("Sound: off")
    page.reload()
    expect(bell).to_have_text("Sound: off")


def test_a_silenced_red_alarm_that_comes_back_rings_again(running: Console, window: Window) -> None:
    alarm, bell = running.block.raise_alarm(), window.page.locator("#bell")
    window.log_in()
    bell.click()
    bell.click()
    expect(bell).to_have_text("Sound: on")
    running.block.return_to_normal(alarm)
    expect(window.page.locator("#rows > li")).to_contain_text("readings normal again")
    expect(bell).to_have_text("Sound: on")
    running.block.come_back(alarm)
    expect(bell).to_have_text("Silence")


def test_the_buttons_work_without_scripts_and_by_keyboard(chromium: Browser, running: Console) -> None:
    alarm = running.block.raise_alarm()
    context = chromium.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    page.goto(running.address)
    page.get_by_label("Name").press_sequentially(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#strip")).to_contain_text("This is how it was at")
    page.get_by_role("button", name="Accept").press("Enter")
    expect(page.locator("#rows > li")).to_contain_text(f"Accepted · {NAME}")
    assert page.url == f"{running.address}/"
    case = running.block.alarm(alarm.id).case
    assert case
    assert case.state is CaseState.ACCEPTED
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_every_screen_and_can_be_read_and_touched(chromium: Browser, running: Console, theme: str) -> None:
    alarm = running.block.raise_alarm(place="A very long place name " * 6, limits={"gas_concentration": 10.0})
    for number, level in enumerate(("orange", "yellow", "blue")):
        running.block.raise_alarm(f"d-{number}", level=level)  # type: ignore[arg-type]
    context = chromium.new_context(
        locale="en-GB",
        color_scheme=theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    window = Window(context.new_page(), running.address)
    window.log_in()
    for path in ("/", f"/alarms/{alarm.id}"):
        window.page.goto(running.address + path)
        expect(window.page.locator("body")).to_have_attribute("data-verdict", "live")
        for width in (320, 390, 768, 900, 1024, 1280, 1920):
            window.page.set_viewport_size({"width": width, "height": 900})
            assert window.page.evaluate("document.documentElement.scrollWidth") <= width
            assert window.page.evaluate(SMALL) == []
            assert window.page.evaluate(COVERED) == []
        assert window.page.evaluate(CONTRAST) == []
    assert window.complaints == []
    context.close()


SMALL = """[...document.querySelectorAll("button, .button, .tool, label.choice")]
    .filter((e) => e.offsetParent && (e.offsetHeight < 44 || e.offsetWidth < 44)).map((e) => e.outerHTML)"""
"""What a finger would miss."""

COVERED = """() => {
    const meet = (a, b) =>
        a.right > b.left + 1 && a.left < b.right - 1 && a.bottom > b.top + 1 && a.top < b.bottom - 1;
    return [...document.querySelectorAll("#rows > li")].flatMap((row) => {
        const button = row.querySelector(".act").getBoundingClientRect();
        return [...row.querySelectorAll(".what *, .how *, .when *")]
            .filter((e) => meet(e.getBoundingClientRect(), button)).map((e) => e.outerHTML);
    });
}"""
"""What lies under a row's button."""

CONTRAST = """() => {
    const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            if (c.length === 3 || c[3] > 0.99) return c;
        }
        return [255, 255, 255];
    };
    const weak = [];
    for (const e of document.querySelectorAll("body *:not(svg *):not(noscript):not(.unseen):not(.skip)")) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !e.offsetParent) continue;
        const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) weak.push(`${ratio.toFixed(2)} ${e.className} ${e.textContent.trim().slice(0, 30)}`);
    }
    return weak;
}"""
"""Texts whose contrast is below WCAG 2.2 AA: 4.5 to 1."""
