"""The operators' pages for who sees badly, uses no mouse, hears a page instead of reading it, or works at night."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete

from rules.store import tables as db
from tests.console.block import PASSWORD
from tests.integration.browsing import Window
from tests.integration.console_filling import NAME, Console, console
from tests.integration.full_block import Filled, fill, flood
from tests.integration.judging import PHONE, complaints, violations

pytestmark = pytest.mark.needs("chromium")


@dataclass(frozen=True, slots=True)
class Desk:
    """A browser that is logged in, before a block in which everything goes on."""

    page: Page
    running: Console
    filled: Filled

    def go(self, path: str) -> Page:
        self.page.goto(self.address(path))
        expect(self.page.locator("body")).to_have_attribute("data-verdict", re.compile("live|attention"))
        return self.page

    def address(self, path: str) -> str:
        return self.running.address + self.filled.paths.get(path, path)


@pytest.fixture(scope="module")
def desk(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with console(tmp_path_factory.mktemp("desk")) as running:
        filled = fill(running.block)
        context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
        window = Window(context.new_page(), running.address)
        window.page.goto(running.address)
        window.page.get_by_label("Name").fill(NAME)
        window.page.get_by_label("Password").fill(PASSWORD)
        window.page.keyboard.press("Enter")
        expect(window.page.locator("#rows")).to_be_visible()
        yield Desk(window.page, running, filled)
        assert [
            one for one in window.complaints if not re.search(r"net::ERR_\w+$", one)
        ] == []  # of a server that was away
        context.close()


@pytest.fixture
def english(desk: Desk) -> Desk:
    """As it was before the looks of another test."""
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    desk.page.emulate_media(color_scheme="light", reduced_motion="reduce")
    desk.page.goto(f"{desk.running.address}/?language=en")
    return desk


PAGES = (
    "/",
    "/map",
    "/cases",
    "/lists/flood",
    "/lists/shelved",
    "/lists/uncertain",
    "/handover",
    "/keys",
    "/account",
    "alarm",
    "case of an SOS",
    "case of a cover",
)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page_of_the_operators(desk: Desk, name: str) -> None:
    assert violations(desk.page, desk.address(name)) == []


def test_axe_finds_nothing_in_a_flood_while_a_sites_file_is_wrong(desk: Desk) -> None:
    block = desk.running.block
    assert block.config.site_files
    file = block.config.site_files / "junmen.toml"
    good = file.read_bytes()
    file.write_bytes(good.replace(b"[plan]", b"[plan", 1))
    flood(block)
    try:
        for path in ("/", "/lists/flood", "/map"):
            assert violations(desk.page, desk.address(path)) == []
            assert desk.page.locator(".wrong-file").is_visible()
        assert desk.page.goto(desk.address("/lists/flood"))
        expect(desk.page.locator("main")).to_contain_text(re.compile("泛滥|flood"))
    finally:
        file.write_bytes(good)
        with block.database.writing() as connection:
            connection.execute(delete(db.floods))


def test_axe_finds_nothing_at_the_door(chromium: Browser, desk: Desk) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        for path in ("/login", "/login?to=/cases"):
            assert violations(page, desk.address(path)) == []


def test_axe_finds_nothing_on_what_was_asked_for_of_a_household(english: Desk) -> None:
    page = english.go("case of an SOS")
    page.get_by_text("Show contacts").first.click()
    assert complaints(page) == []
    page.get_by_role("button", name="to call").click()
    expect(page.get_by_role("link", name="13800000032")).to_be_visible()
    assert complaints(page) == []


def test_axe_finds_what_is_wrong(english: Desk) -> None:
    """Else the tests above would say nothing."""
    page = english.go("/keys")
    page.evaluate("document.querySelector('label:has(#keys-switch)').outerHTML = '<input>'")
    page.evaluate("document.querySelector('h1').style.color = 'silver'")
    assert {line.partition(":")[0] for line in complaints(page)} == {"label", "color-contrast"}


REACHABLE = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0)
    .filter((one) => one.type !== 'radio' || one.checked || !document.querySelector(`[name="${one.name}"]:checked`))
    .filter((one) => one.type !== 'radio' || one === one.form.elements[one.name][0])
    .map((one) => { one.dataset.wanted = "yes"; return one; }).length"""
"""All that a mouse could press; of radio buttons one of each group, since arrows lead to the others."""

STAND = """() => {
    const one = document.activeElement;
    if (one === document.body) return null;
    delete one.dataset.wanted;
    const box = one.getBoundingClientRect(), style = getComputedStyle(one), ring = one.querySelector(".touch");
    const shown = parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none";
    const drawn = ring && parseFloat(getComputedStyle(ring).strokeWidth) >= 2;
    const [x, y] = [box.left + Math.min(box.width / 2, 40), box.top + Math.min(box.height / 2, 20)];
    const above = document.elementFromPoint(x, y);
    const covered = !(above && (one.contains(above) || above.contains(one)));
    return { what: one.outerHTML.slice(0, 120), shown: Boolean(shown || drawn), covered };
}"""


@pytest.mark.parametrize("path", ["/", "/map", "/cases", "/lists/shelved", "/handover", "alarm", "case of a cover"])
def test_whatever_can_be_pressed_is_reached_by_tab_and_seen_when_it_is(english: Desk, path: str) -> None:
    """On a phone's screen, where the header leaves least room."""
    english.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page = english.go(path)
    for summary in page.locator("main summary").all():
        summary.evaluate("(one) => one.parentElement.removeAttribute('name') || (one.parentElement.open = true)")
    wanted = page.evaluate(REACHABLE)
    unseen = []
    for _ in range(wanted + 20):
        page.keyboard.press("Tab")
        stand = page.evaluate(STAND)
        if stand and (stand["covered"] or not stand["shown"]):
            unseen.append(stand)
    assert page.evaluate("[...document.querySelectorAll('[data-wanted]')].map((one) => one.outerHTML)") == []
    assert unseen == []


def test_a_case_is_worked_on_without_a_mouse(english: Desk) -> None:
    block = english.running.block
    alarm = block.raise_alarm("bin-9", kind="waste_bin", rule="full", level="orange", building="9", grid="grid-2")
    assert alarm.case
    page = english.go(f"/cases/{alarm.case.id}")
    dispatch = page.locator("summary", has_text="Dispatch")
    dispatch.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Whom to send")).to_be_focused()
    page.keyboard.type("林")
    block.desk.note(alarm.case.id, actor="li", at_ms=block.now_ms, words="meanwhile")
    expect(page.locator("[data-part=timeline]")).to_contain_text("meanwhile")
    expect(page.get_by_label("Whom to send")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dispatch).to_be_focused()
    expect(page.get_by_label("Whom to send")).to_be_hidden()
    page.get_by_role("button", name="Accept", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=head]")).to_contain_text("Accepted")
    expect(page.locator("[data-part=do] :focus")).to_have_count(1)


def test_the_focus_stays_with_a_row_that_moves_and_goes_on_from_one_that_ends(english: Desk) -> None:
    block = english.running.block
    mine = block.raise_alarm("bin-8", kind="waste_bin", rule="full", level="orange", latch=False)
    page = english.go("/")
    row = page.locator(f"[data-id='{mine.id}']")
    row.locator(".act button").focus()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Accepted")
    expect(row.locator(".act button")).to_be_focused()
    block.return_to_normal(mine)
    assert mine.case
    block.desk.cancel(mine.case.id, actor="li", at_ms=block.now_ms, reason="false_alarm")
    expect(row).to_have_count(0)
    expect(page.locator("#rows > li :focus")).to_have_count(1)


LISTEN = """() => {
    window.heard = { aloud: [], softly: [] };
    for (const id of Object.keys(window.heard)) {
        const place = document.getElementById(id);
        new MutationObserver(() => window.heard[id].push(place.textContent)).observe(place, { childList: true, subtree: true });
    }
}"""


@pytest.mark.parametrize("path", ["/", "/handover"])
def test_a_new_red_alarm_is_said_once_and_others_softly(english: Desk, path: str) -> None:
    block = english.running.block
    page = english.go(path)
    expect(page.locator("#aloud")).to_have_attribute("aria-live", "assertive")
    expect(page.locator("#softly")).to_have_attribute("aria-live", "polite")
    page.evaluate(LISTEN)
    red = block.raise_alarm(f"gas-{path[1:]}", place="Block 4, flat 4")
    expect(page.locator("#aloud")).to_contain_text("New alarm: Red, Gas leak, Block 4, flat 4")
    block.desk.acknowledge(red.id, actor="li", at_ms=block.now_ms)  # changes its row, and is no news
    block.raise_alarm(f"bin-{path[1:]}", kind="waste_bin", level="blue", place="Block 5")
    if path == "/":
        expect(page.locator("#softly")).to_contain_text("Block 5")
    english.running.service.kill()  # a list comes again, not steps
    expect(page.locator("body")).to_have_attribute("data-verdict", "lost")
    expect(page.locator("#banner")).to_have_attribute("role", "alert")
    english.running.service.start()
    expect(page.locator("body")).to_have_attribute("data-verdict", re.compile("live|attention"))
    second = block.raise_alarm(f"gas-{path[1:]}-2", place="Block 6, flat 6")
    expect(page.locator("#aloud")).to_contain_text("Block 6, flat 6")
    heard = page.evaluate("window.heard")
    assert [sum(place in line for line in heard["aloud"]) for place in ("Block 4", "Block 6")] == [1, 1]
    assert sum("Block 5" in line for line in heard["softly"]) == (1 if path == "/" else 0)
    for alarm in (red, second):
        assert alarm.case
        block.desk.accept(alarm.case.id, actor="li", at_ms=block.now_ms)


def test_the_ground_is_chosen_by_keyboard_and_stays_and_nothing_moves_for_who_wants_that(english: Desk) -> None:
    page = english.go("/keys")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(243, 244, 241)"
    page.locator(".look-switch summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Dark", exact=True).press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.url == english.address("/keys")
    for path in ("/handover", "/map"):
        english.go(path)
        assert page.evaluate(ground) == "rgb(14, 19, 20)"
    moving = "document.getAnimations().filter((one) => one.playState === 'running').length"
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) > 0, "what waits to be accepted moves, for everybody else"
    page.goto(english.address("/look?theme=auto"))
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == "rgb(14, 19, 20)"


def test_without_scripts_the_ground_is_right_from_the_first_byte(chromium: Browser, desk: Desk) -> None:
    with chromium.new_context(java_script_enabled=False, color_scheme="light", locale="en-GB") as context:
        page = context.new_page()
        page.goto(desk.address("/login"))
        page.locator(".look-switch summary").press("Enter")
        page.get_by_role("link", name="Dark", exact=True).click()
        expect(page.locator("body")).to_have_css("background-color", "rgb(14, 19, 20)")


def test_who_only_reads_is_offered_no_button_and_days_are_counted_as_days(chromium: Browser, desk: Desk) -> None:
    desk.running.block.accounts.add("sun", PASSWORD, "auditor")
    with chromium.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(desk.running.address)
        page.get_by_label("Name").fill("sun")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("body")).to_have_attribute("data-verdict", re.compile("live|attention"))
        expect(page.locator("#rows > li").first).to_be_visible()
        expect(page.locator("#rows").get_by_role("button")).to_have_count(0)
        bin_full = page.locator("#rows > li", has_text="Waste bin").first.locator(".due")
        expect(bin_full).to_have_text(re.compile(r"^Done: \d d \d+ h left$"))
        text = bin_full.text_content()
        page.evaluate("document.querySelectorAll('.blue .due').forEach((due) => { due.textContent = ''; })")
        expect(bin_full).to_have_text(str(text))  # counted on by the page as the server says it
