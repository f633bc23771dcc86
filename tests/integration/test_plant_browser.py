"""The plant's pages in Chromium: each in both languages, on phone and wall, light and dark; its main act by clicks; a login that ends in the
middle of it; and somebody else who does the same at the same time."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from console.words import texts
from messages.ids import DeviceId
from messages.language import Language
from tests.console.block import SITE
from tests.integration.judging import PHONE, WALL, violations
from tests.integration.plant_filling import Plant, hold_bad_messages, log_in, person, plant

pytestmark = pytest.mark.needs("chromium")

Open = Callable[..., Page]
PAGES = {
    "wei": [
        "/plant",
        "/devices",
        "/devices/junmen/pi-1/gas-1",
        "/quarantine",
        "/quarantine/0/1",
        "/rules",
        "/rules/gas_alarm",
        "/audit",
        "/labels",
        "/labels/sheet",
    ],
    "fang": ["/roster", "/quality", "/drills"],
}
ON_BOTH = pytest.mark.parametrize(("language", "screen"), [("zh", PHONE), ("en", WALL)])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with plant(tmp_path_factory.mktemp("plant")) as made:
        hold_bad_messages(made.quarantine)
        made.console.block.label("cover-1")
        yield made


@pytest.fixture(scope="module")
def logins(chromium: Browser, filled: Plant) -> Iterator[dict[str, BrowserContext]]:
    """A browser for each person, logged in once."""
    made = {name: person(chromium, filled.address, name)[0] for name in ("wei", "fang")}
    yield made
    for context in made.values():
        context.close()


@pytest.fixture
def opened(chromium: Browser, filled: Plant) -> Iterator[Open]:
    """`opened("fang", "/roster", "zh", PHONE)`: a browser of her own before that page, which complains of nothing."""
    contexts, said = list[BrowserContext](), list[str]()

    def browse(name: str, path: str, language: Language, screen: tuple[int, int]) -> Page:
        context, page = person(chromium, filled.address, name)
        contexts.append(context)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.set_viewport_size({"width": screen[0], "height": screen[1]})
        page.goto(f"{filled.address}{path}{'&' if '?' in path else '?'}language={language}")
        page.goto(filled.address + path)
        return page

    yield browse
    for context in contexts:
        context.close()
    assert said == []


def end_logins(filled: Plant, name: str) -> None:
    accounts = filled.console.block.accounts
    accounts.end(name, actor="test", now_ms=filled.console.block.now_ms)


def log_in_again(page: Page, filled: Plant, name: str, language: Language) -> None:
    """On the page of the login, whose words are those of the page before."""
    expect(page.get_by_label(texts(language)["login.name"])).to_be_visible()
    page.goto(page.url + "&language=en")
    log_in(page, filled.address, name)


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in PAGES.items() for path in paths])
def test_a_page_of_the_plant_breaks_no_rule_and_runs_over_no_edge(
    logins: dict[str, BrowserContext], filled: Plant, name: str, path: str
) -> None:
    assert violations(logins[name].pages[0], filled.address + path) == []


@ON_BOTH
def test_devices_are_found_and_one_is_opened(opened: Open, language: Language, screen: tuple[int, int]) -> None:
    say = texts(language)
    page = opened("wei", "/devices", language, screen)
    page.get_by_label(say["devices.search"]).fill("检查井")
    page.get_by_role("button", name=say["plant.show"]).click()
    expect(page.locator(".listing tbody tr")).to_have_count(1)
    page.locator(".listing").get_by_role("link", name="津泰路北侧检查井").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("津泰路北侧检查井")


def test_devices_follow_by_themselves_and_turn_old_when_the_login_is_over(opened: Open, filled: Plant) -> None:
    page = opened("wei", "/devices?q=cover-1", "en", WALL)
    page.clock.install()
    page.reload()
    filled.console.block.fall_silent("cover-1")
    page.clock.fast_forward(21_000)
    expect(page.locator(".listing .health")).to_have_text("silent")
    end_logins(filled, "wei")
    page.clock.fast_forward(61_000)
    expect(page).to_have_url(re.compile(r"/login\?to=(/|%2F)devices"))  # several questions may lead it there at once
    log_in(page, filled.address, "wei")
    page.wait_for_url("**/devices?q=cover-1")


@ON_BOTH
def test_what_lies_in_quarantine_is_dropped_once_whoever_presses_first(
    opened: Open, filled: Plant, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    hold_bad_messages(filled.quarantine)
    pages = [opened("wei", "/quarantine", language, screen) for _ in range(2)]
    number = pages[0].locator("input[name=ids]").last.get_attribute("value")
    before = filled.quarantine.count()
    for page, left in zip(pages, ("1", ""), strict=True):
        page.on("dialog", lambda dialog: dialog.accept())
        page.locator(f"input[name=ids][value='{number}']").check()
        page.get_by_role("button", name=say["quarantine.drop"]).click()
        expect(page.get_by_role("status").filter(has_text=say["quarantine.done"].format(n=left or "0"))).to_be_visible()
    assert filled.quarantine.count() == before - 1


@ON_BOTH
def test_leave_survives_the_end_of_a_login_and_is_withdrawn_by_two_at_once(
    opened: Open, filled: Plant, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    page = opened("fang", "/roster", language, screen)
    leave = page.locator("form[action$='/absence']")
    leave.locator("[name=person]").select_option("wu")
    leave.get_by_label(say["roster.begins"]).fill("2030-01-01T08:00")
    leave.get_by_label(say["roster.ends"]).fill("2030-01-02T08:00")
    leave.get_by_label(say["action.reason"]).fill(f"看病 {language}")
    end_logins(filled, "fang")
    leave.get_by_role("button").click()
    log_in_again(page, filled, "fang", language)
    page.wait_for_url("**/roster")
    leave = page.locator("form[action$='/absence']")
    expect(leave.locator("[name=reason]")).to_have_value(f"看病 {language}")
    expect(leave.locator("[name=person]")).to_have_value("wu")
    leave.get_by_role("button").click()
    row = page.locator("tr:not(.gone)").filter(has_text=f"看病 {language}")
    expect(row).to_have_count(1)
    other = opened("fang", "/roster", language, screen)
    for one in (page, other):
        one.locator("tr:not(.gone)").filter(has_text=f"看病 {language}").get_by_role("button").click()
        expect(one.locator("tr.gone").filter(has_text=f"看病 {language}")).to_have_count(1)


def test_a_changed_rule_is_tried_over_the_past_and_what_it_would_have_done_breaks_no_rule(opened: Open) -> None:
    say = texts("en")
    page = opened("wei", "/rules/gas_alarm", "en", WALL)
    page.get_by_label(say["rules.days"]).fill("1")
    changed = page.get_by_label(say["rules.changed"])
    changed.fill(changed.input_value().replace("value = 10.0", "value = 13.0"))
    page.get_by_role("button", name=say["rules.run"]).click()
    expect(page.locator("main")).to_contain_text(say["rules.state_done"])
    expect(page.locator("main")).to_contain_text(say["rules.sign_gone"])
    assert violations(page, page.url) == []


@ON_BOTH
def test_a_drill_is_begun_seen_by_others_and_ended_by_one_of_two(
    opened: Open, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    page, other = (opened("fang", "/drills", language, screen) for _ in range(2))
    other.clock.install()
    other.reload()
    page.get_by_label(say["drill.why"]).fill("季度演练")
    page.get_by_role("button", name=say["drill.begin"]).click()
    page.get_by_role("button", name=say["drill.scene_gas"]).click()
    expect(page.locator(".drill-card .line")).to_have_count(1)
    other.clock.fast_forward(10_000)
    expect(other.locator(".drill")).to_be_visible()
    other.reload()
    page.get_by_role("button", name=say["drill.end"]).click()
    expect(page.get_by_role("button", name=say["drill.begin"])).to_be_visible()
    other.get_by_role("button", name=say["drill.scene_gas"]).click()
    expect(other.get_by_role("alert")).to_have_text(say["drill.not_running"])


@ON_BOTH
def test_labels_are_made_printed_and_replaced_by_one_of_two(
    opened: Open, filled: Plant, language: Language, screen: tuple[int, int]
) -> None:
    say, desk = texts(language), filled.console.block.desk
    pages = [opened("wei", "/labels?q=bin-1", language, screen) for _ in range(2)]
    if pages[0].locator("form[action='/labels/make']").count():
        for page in pages:
            page.locator("form[action='/labels/make'] button").click()
            expect(page.locator(".label-code")).to_have_count(1)
    before = desk.labels()[SITE, DeviceId("bin-1")].code
    pages[0].locator(".first-acts").get_by_role("link").click()
    expect(pages[0].locator(".label .qr")).to_be_visible()
    pages[0].emulate_media(media="print")
    expect(pages[0].locator(".tools")).to_be_hidden()
    pages[0].go_back()
    pages[0].emulate_media(media="screen")
    for page in pages:
        page.locator("summary", has_text=say["labels.replace"]).click()
        page.get_by_label(say["labels.why"]).fill("被撕走")
        page.get_by_role("button", name=say["labels.replace_now"]).click()
        page.wait_for_url("**/labels?site=junmen&q=bin-1")
        expect(page.locator(".label-code")).not_to_have_text(before)
    assert desk.label(before).holds is False  # type: ignore[union-attr]


@ON_BOTH
def test_the_month_is_chosen_and_the_log_is_searched_and_taken_away(
    opened: Open, language: Language, screen: tuple[int, int], tmp_path: Path
) -> None:
    say = texts(language)
    page = opened("fang", "/quality", language, screen)
    page.locator(".filter").get_by_role("link").first.click()
    page.wait_for_url("**/quality?month=*")
    page = opened("wei", "/audit", language, screen)
    page.get_by_label(say["audit.actor"]).fill("nobody at all")
    page.get_by_role("button", name=say["plant.show"]).click()
    expect(page.locator(".listing")).to_contain_text(say["plant.nothing"])
    page.get_by_label(say["audit.actor"]).fill("wei")
    with page.expect_download() as taken:
        page.get_by_role("button", name=say["plant.csv"]).click()
    taken.value.save_as(tmp_path / "log.csv")
    assert "asset.labelled" in (tmp_path / "log.csv").read_text(encoding="utf-8")
