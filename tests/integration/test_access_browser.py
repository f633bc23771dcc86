"""The pages of access in Chromium: sign-in, accounts, the journal, households; by clicks, in both languages, on phone and wall; with logins that end
in the middle, and two people at the same account."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from console.words import texts
from messages.language import Language
from messages.settings import Text
from tests.console.block import PASSWORD
from tests.integration.console_filling import Console, console
from tests.integration.judging import PHONE, WALL, complaints, violations, violations_in
from tests.integration.plant_filling import PEOPLE, log_in

pytestmark = pytest.mark.needs("chromium")

ON_BOTH = pytest.mark.parametrize(("language", "screen"), [("zh", PHONE), ("en", WALL)])
NEW = "mended by noon"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("access")) as made:
        for name, role in PEOPLE.items():
            made.block.accounts.add(name, PASSWORD, role)
        yield made


@dataclass
class Browsers:
    """Each with one person; `open` brings one before a page in a language."""

    chromium: Browser
    running: Console
    contexts: list[BrowserContext]

    def open(self, name: str | None, path: str, language: Language, screen: tuple[int, int]) -> Page:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = self.chromium.new_context(
            locale=locale, reduced_motion="reduce", viewport={"width": screen[0], "height": screen[1]}
        )
        self.contexts.append(context)
        page = context.new_page()
        if name:
            sign_in(page, self.running, name, language)
        page.goto(self.running.address + path)
        return page


@pytest.fixture
def browsers(chromium: Browser, running: Console) -> Iterator[Browsers]:
    made = Browsers(chromium, running, [])
    yield made
    for context in made.contexts:
        context.close()


def sign_in(page: Page, running: Console, name: str, language: Language, password: str = PASSWORD) -> None:
    say = texts(language)
    if "/login" not in page.url:
        page.goto(f"{running.address}/login")
    page.get_by_label(say["login.name"]).fill(name)
    page.get_by_label(say["login.password"]).fill(password)
    page.get_by_role("button", name=say["login.submit"]).click()


def end_logins(running: Console, name: str) -> None:
    running.block.accounts.end(name, actor="test", now_ms=running.block.now_ms)


@pytest.fixture(scope="module")
def keeper(chromium: Browser, running: Console) -> Iterator[Page]:
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    log_in(page, running.address, "wei")
    yield page
    context.close()


@pytest.mark.parametrize(
    "path", ["/account", "/account/password", "/accounts", "/accounts/one?name=zhou", "/accounts/journal", "/nowhere"]
)
def test_a_page_of_access_breaks_no_rule_and_runs_over_no_edge(keeper: Page, running: Console, path: str) -> None:
    assert violations(keeper, running.address + path) == []


def test_the_door_breaks_no_rule(browsers: Browsers, running: Console) -> None:
    assert violations(browsers.open(None, "/login", "en", PHONE), f"{running.address}/login") == []


@ON_BOTH
def test_who_mistypes_is_told_and_comes_in_then_to_where_he_wanted(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    page = browsers.open(None, "/accounts/journal?about=login", language, screen)
    sign_in(page, running, "wei", language, "not the password")
    expect(page.get_by_role("alert")).to_have_text(say["login.wrong"])
    expect(page.get_by_label(say["login.name"])).to_have_value("wei")
    sign_in(page, running, "wei", language)
    page.wait_for_url("**/accounts/journal?about=login")
    expect(page.locator(".lines li").first).to_contain_text(say["journal.login.opened"])


@ON_BOTH
def test_an_account_is_made_its_owner_chooses_a_password_and_is_shut_out_while_he_works(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say, name = texts(language), f"new-{language}"
    page = browsers.open("wei", "/accounts", language, screen)
    page.get_by_label(say["accounts.name"], exact=True).fill(name)
    page.locator("[name=role][value=operator]").check()
    page.get_by_label(say["accounts.everywhere"]).check()
    page.get_by_role("button", name=say["accounts.add"]).click()
    given = page.locator(".secret").inner_text()
    assert violations_in(page, language) == []

    theirs = browsers.open(None, "/", language, screen)
    sign_in(theirs, running, name, language, given)
    theirs.get_by_label(say["password.given"]).fill(given)
    theirs.get_by_label(say["password.new"], exact=True).fill(NEW)
    theirs.get_by_label(say["password.again"]).fill(NEW)
    theirs.get_by_role("button", name=say["password.submit"]).click()
    theirs.goto(f"{running.address}/")
    expect(theirs.locator("body")).to_have_attribute("data-verdict", "live")

    page.goto(f"{running.address}/accounts/one?name={name}")
    page.get_by_role("button", name=say["accounts.disable"]).click()
    expect(page.get_by_role("status").filter(has_text=say["accounts.done_off"])).to_be_visible()
    theirs.wait_for_url("**/login*")  # by itself, at once
    sign_in(theirs, running, name, language, NEW)
    expect(theirs.get_by_role("alert")).to_have_text(say["login.wrong"])


@ON_BOTH
def test_a_password_that_is_given_anew_stands_on_a_page_that_breaks_no_rule_and_is_gone_after_it(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say, name = texts(language), f"forgetful-{language}"
    running.block.accounts.add(name, PASSWORD, "operator")
    page = browsers.open("wei", f"/accounts/one?name={name}", language, screen)
    page.get_by_role("button", name=say["accounts.give_password"]).click()
    given = page.locator(".secret").inner_text()
    assert violations_in(page, language) == []
    page.locator(".up").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert given not in page.content()
    theirs = browsers.open(None, "/", language, screen)
    sign_in(theirs, running, name, language, given)
    expect(theirs.get_by_label(say["password.new"], exact=True)).to_be_visible()


@ON_BOTH
def test_rights_that_were_being_changed_survive_the_end_of_a_login(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    running.block.accounts.add("temp", PASSWORD, "operator")
    page = browsers.open("wei", "/accounts/one?name=temp", language, screen)
    page.get_by_label(say["role.auditor"]).check()
    end_logins(running, "wei")
    page.get_by_role("button", name=say["accounts.save"]).click()
    sign_in(page, running, "wei", language)
    page.wait_for_url("**/accounts/one?name=temp")
    expect(page.get_by_label(say["role.auditor"])).to_be_checked()
    assert running.block.accounts.account("temp").user.role == "operator"  # type: ignore[union-attr]
    page.get_by_role("button", name=say["accounts.save"]).click()
    expect(page.get_by_role("status").filter(has_text=say["accounts.done_changed"])).to_be_visible()
    assert running.block.accounts.account("temp").user.role == "auditor"  # type: ignore[union-attr]


def test_of_two_who_keep_an_account_the_second_hears_that_it_is_gone(browsers: Browsers, running: Console) -> None:
    say = texts("en")
    running.block.accounts.add("gone", PASSWORD, "operator")
    pages = [browsers.open("wei", "/accounts/one?name=gone", "en", WALL) for _ in range(2)]
    pages[0].get_by_role("button", name=say["accounts.disable"]).click()
    pages[0].get_by_role("button", name=say["accounts.remove"]).click()
    pages[0].wait_for_url("**/accounts?done=removed")
    pages[1].get_by_role("button", name=say["accounts.disable"]).click()
    expect(pages[1].locator("main")).to_contain_text(say["error.not_allowed"])


@ON_BOTH
def test_one_ends_what_one_does_not_know_and_that_browser_is_out(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    end_logins(running, "sun")
    other = browsers.open("sun", "/", language, screen)
    expect(other.locator("body")).to_have_attribute("data-verdict", "live")
    page = browsers.open("sun", "/account", language, screen)
    page.get_by_role("button", name=say["own.end_others"]).click()
    expect(page.get_by_role("status").filter(has_text=say["own.done_ended"])).to_be_visible()
    other.wait_for_url("**/login*")


@ON_BOTH
def test_a_household_is_shown_for_a_reason_that_is_noted_first(
    browsers: Browsers, running: Console, language: Language, screen: tuple[int, int]
) -> None:
    say = texts(language)
    still = Text(zh="久未开门", en="Door unopened")
    name = f"door-{language}"
    alarm = running.block.raise_alarm(name, kind="elderly_door", rule="unopened", level="orange", title=still)
    page = browsers.open("fang", f"/alarms/{alarm.id}", language, screen)
    page.locator(".household summary").click()
    end_logins(running, "fang")
    page.get_by_role("button", name=say["people.why_visit"]).click()
    sign_in(page, running, "fang", language)
    page.wait_for_url(f"**/alarms/{alarm.id}")
    noted = running.block.accounts.journal(events=["person.looked"])
    page.locator(".household summary").click()
    page.get_by_role("button", name=say["people.why_visit"]).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_url(f"**/people/{alarm.id}")
    assert complaints(page) == []
    assert len(running.block.accounts.journal(events=["person.looked"])) == len(noted) + 1
