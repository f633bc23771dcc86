"""The operator's pages in Chromium: acts without a reload, the map by keys, a flood on the wall, sounds, keys of the desk, every size and theme."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete, insert

from rules.store import tables as db
from tests.integration.browsing import Window
from tests.integration.console_filling import Console
from tests.integration.test_console_browser import CONTRAST, SMALL

pytestmark = pytest.mark.needs("chromium")


def test_a_case_is_sent_to_somebody_and_its_page_and_the_map_follow_without_a_reload(
    running: Console, at_the_desk: Window
) -> None:
    page = at_the_desk.page
    alarm = running.block.raise_alarm("cover-1", kind="manhole_cover", rule="open", level="orange")
    assert alarm.case
    page.goto(f"{running.address}/cases/{alarm.case.id}")
    page.evaluate("window.sameDocument = true")
    page.get_by_text("Dispatch", exact=True).first.click()
    page.get_by_label("Whom to send").select_option("lin")
    page.locator("form[action$='/dispatch'] button").click()
    expect(page.locator("[data-part=head]")).to_contain_text("to 林小梅")
    expect(page.locator("[data-part=told]")).to_contain_text("林小梅")
    page.get_by_text("Cancel (false alarm)", exact=True).first.click()
    page.locator("form[action$='/cancel'] button").click()
    expect(page.get_by_role("alert")).to_contain_text("still going on")
    assert page.evaluate("window.sameDocument") is True
    assert ["409" in text for text in at_the_desk.complaints] == [True], "a browser notes each act that is refused"
    at_the_desk.complaints.clear()

    page.goto(f"{running.address}/map")
    page.evaluate("window.sameDocument = true")
    running.block.raise_alarm(spot=(26.0859, 119.3005))
    expect(page.locator(".pin.red")).to_be_visible()
    expect(page.locator(".pin.orange")).to_be_visible()
    plan = page.locator("#plan")
    whole = plan.get_attribute("viewBox")
    size = page.locator(".pin.red > path").bounding_box()
    plan.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    assert plan.get_attribute("viewBox") != whole
    zoomed = page.locator(".pin.red > path").bounding_box()
    assert size
    assert zoomed
    assert zoomed["width"] == pytest.approx(size["width"], rel=0.05), "a mark keeps its size"
    page.keyboard.press("0")
    assert plan.get_attribute("viewBox") == whole
    assert page.evaluate("window.sameDocument") is True


def test_in_a_flood_the_wall_lists_the_red_ones_until_somebody_wants_them_all(running: Console, page: Page) -> None:
    block = running.block
    block.raise_alarm()
    block.raise_alarm("bin-1", kind="waste_bin", level="blue")
    expect(page.locator("#rows > li")).to_have_count(2)
    with block.database.writing() as connection:
        connection.execute(insert(db.floods), {"site": "junmen", "since_ms": block.now_ms})
    expect(page.locator("#rows > li:visible")).to_have_count(1)
    expect(page.locator("#flood")).to_contain_text("Waste bin")
    page.get_by_role("button", name="List all").click()
    expect(page.locator("#rows > li:visible")).to_have_count(2)
    with block.database.writing() as connection:
        connection.execute(delete(db.floods))
    expect(page.locator("#flood-more")).to_be_hidden()
    expect(page.locator("#rows > li:visible")).to_have_count(2)


NOTE_TONES = """() => {
    const Tone = OscillatorNode;
    window.OscillatorNode = class extends Tone {
        constructor(context, options) {
            super(context, options);
            document.body.dataset.tones += ` ${options.frequency}`;
        }
    };
}"""


def test_each_level_sounds_in_its_own_way(running: Console, page: Page) -> None:
    page.evaluate(NOTE_TONES)
    page.get_by_role("button", name="Sound: off").click()
    expect(page.get_by_role("button", name="Sound: on")).to_be_visible()
    heard = []
    for level in ("blue", "yellow", "orange", "red"):
        page.evaluate("document.body.dataset.tones = ''")
        running.block.raise_alarm(f"d-{level}", level=level)
        expect(page.locator("body")).to_have_attribute("data-tones", re.compile(r"\d"))
        heard.append(page.locator("body").get_attribute("data-tones"))
    assert len(set(heard)) == 4
    page.keyboard.press("n")
    expect(page.get_by_role("button", name="Sound: on")).to_be_visible()
    case = running.block.desk.cases()[-1]
    assert case.accepted_by is None, "to silence is not to accept"


def test_keys_lead_through_the_rooms_and_may_be_switched_off(running: Console, page: Page) -> None:
    running.block.raise_alarm()
    expect(page.locator("#rows > li")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.locator(".row .what a")).to_be_focused()
    page.keyboard.type("gc")
    expect(page).to_have_url(f"{running.address}/cases")
    page.wait_for_load_state()
    page.keyboard.press("/")
    page.keyboard.type("g m")
    expect(page.locator("input[type=search]")).to_have_value("g m")
    page.goto(f"{running.address}/keys")
    page.get_by_label("Use the keys").uncheck()
    page.keyboard.press("Tab")
    page.keyboard.type("gm")
    expect(page).to_have_url(f"{running.address}/keys")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_fit_every_screen_and_can_be_read_and_touched(
    chromium: Browser,
    running: Console,
    theme: str,
) -> None:
    block = running.block
    alarm = block.raise_alarm(place="A very long place name " * 6, limits={"gas_concentration": 10.0})
    quiet = block.raise_alarm("bin-1", kind="waste_bin", level="blue")
    block.desk.shelve(
        quiet.id, until_ms=block.now_ms + 3_600_000, reason="a reason " * 10, actor="li", at_ms=block.now_ms
    )
    block.desk.hand_over(alarm.site, words="words " * 60, facts={"red": 1}, actor="li", at_ms=block.now_ms)
    assert alarm.case
    context = chromium.new_context(locale="en-GB", color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    window = Window(context.new_page(), running.address)
    window.log_in()
    for path in (f"/cases/{alarm.case.id}", "/cases", "/map", "/lists/shelved", "/handover", "/keys"):
        window.page.goto(running.address + path)
        expect(window.page.locator("body")).to_have_attribute("data-verdict", "live")
        for width in (320, 768, 1440):
            window.page.set_viewport_size({"width": width, "height": 900})
            assert window.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert window.page.evaluate(SMALL) == [], (path, width)
        assert window.page.evaluate(CONTRAST) == [], path
    assert window.complaints == []
    context.close()


def test_a_part_in_which_somebody_writes_says_that_news_waits_and_takes_it_when_he_leaves_with_what_he_wrote(
    running: Console, page: Page
) -> None:
    alarm = running.block.raise_alarm("cover-1", kind="manhole_cover", rule="open", level="orange")
    assert alarm.case
    page.goto(f"{running.address}/cases/{alarm.case.id}")
    page.evaluate("window.sameDocument = true")
    part = page.locator("[data-part=do]")
    page.get_by_text("Escalate", exact=True).first.click()
    why = part.locator("form[action$='/escalate'] input[name=reason]")
    why.click()
    page.keyboard.type("too deep")
    running.block.desk.accept(alarm.case.id, actor="lin", at_ms=running.block.now_ms)
    newer = part.get_by_text("There is newer news here")
    expect(newer).to_be_visible(timeout=8000)
    expect(page.locator("[data-part=head]")).to_contain_text("林小梅")
    expect(part.locator(".legs")).not_to_contain_text("林小梅")
    page.keyboard.type(" for me")
    page.get_by_role("heading", level=1).click()
    expect(part.locator(".legs")).to_contain_text("林小梅", timeout=4000)
    expect(newer).to_have_count(0)
    expect(why).to_have_value("too deep for me")
    expect(why).to_be_visible()
    part.locator("form[action$='/escalate'] button").click()
    expect(page.locator("[data-part=timeline]")).to_contain_text("too deep for me", timeout=4000)
    expect(why).to_have_value("")
    assert page.evaluate("window.sameDocument") is True
