"""The database is set back to a backup while pages of the desk are open, or asleep: they show what it holds now, not what it held."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from console.access.rim import SESSION_COOKIE
from console.access.sessions import Session
from tests import services
from tests.backups import back_up, file_of, restore
from tests.console.block import PASSWORD, Block
from tests.integration.between import Between
from tests.integration.browsing import Window
from tests.integration.console_filling import NAME, Console, console, second_console

pytestmark = pytest.mark.needs("chromium")

Copied = Callable[[Console], Callable[[], None]]
"""Makes a copy of a console's database; what it gives sets the database back to it."""


@contextlib.contextmanager
def asleep(page: Page) -> Iterator[None]:
    """Nothing of it runs. By its debugger: a page that a test drives counts as looked at, and the browser freezes no such page."""
    browser = page.context.new_cdp_session(page)
    browser.send("Debugger.enable")
    browser.send("Debugger.pause")
    yield
    browser.send("Debugger.disable")


def test_pages_that_are_open_follow_a_database_that_was_set_back(chromium: Browser, tmp_path: Path) -> None:
    with console(tmp_path) as running:
        context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
        feed = Window(context.new_page(), running.address)
        feed.log_in()
        kept = running.block.raise_alarm("gas-1")
        assert kept.case
        running.stop_the_engine()
        back_up(file_of(running.block.config.database), tmp_path / "backup.db")
        running.block.desk.accept(kept.case.id, actor="lin", at_ms=running.block.now_ms)
        lost = running.block.raise_alarm("gas-2")
        case = context.new_page()
        case.goto(f"{running.address}/cases/{kept.case.id}")
        expect(case.locator("[data-part=head]")).to_contain_text("林小梅")
        expect(feed.page.locator(f"#rows > li[data-id='{lost.id}']")).to_be_visible(timeout=5000)
        restore(tmp_path / "backup.db", file_of(running.block.config.database))
        expect(feed.page.locator(f"#rows > li[data-id='{lost.id}']")).to_have_count(0, timeout=5000)
        expect(feed.page.locator("#rows > li")).to_have_count(1)
        expect(case.locator("[data-part=head]")).not_to_contain_text("林小梅", timeout=5000)
        context.close()


def test_a_page_that_slept_through_it_is_not_fooled_by_a_log_that_is_as_long_again(
    chromium: Browser, tmp_path: Path
) -> None:
    """Set back as the README says it: everything is stopped meanwhile. The log then ends at the very number that the page knows."""
    with console(tmp_path) as running:
        block, file = running.block, file_of(running.block.config.database)
        context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
        window = Window(context.new_page(), running.address)
        window.log_in()
        kept = block.raise_alarm("gas-1")
        back_up(file, tmp_path / "backup.db")
        lost = block.raise_alarm("gas-2")
        expect(window.page.locator(f"#rows > li[data-id='{lost.id}']")).to_be_visible()
        known = block.desk.position()
        with asleep(window.page):
            running.stop_the_engine()
            running.service.stop()
            restore(tmp_path / "backup.db", file)
            after = block.raise_alarm("gas-3")
            assert block.desk.position().seq == known.seq
            running.service.start()
            running.beating.set()
        expect(window.page.locator(f"#rows > li[data-id='{after.id}']")).to_be_visible()
        expect(window.page.locator(f"#rows > li[data-id='{lost.id}']")).to_have_count(0)
        expect(window.page.locator(f"#rows > li[data-id='{kept.id}']")).to_be_visible()
        expect(window.page.locator("body")).to_have_attribute("data-verdict", "live")
        context.close()


def watched_by(port: int, block: Block) -> None:
    """Until that console has seen the log to its end."""
    login = block.accounts.log_in(NAME, PASSWORD, "127.0.0.1", block.now_ms)
    assert isinstance(login, Session)
    asking = httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={SESSION_COOKIE: login.token})
    end = f"id: {block.desk.position()}"
    with asking, asking.stream("GET", "/feed") as answer:
        assert any(line == end for line in answer.iter_lines())


def by_file(folder: Path) -> Copied:
    def copy(running: Console) -> Callable[[], None]:
        file = file_of(running.block.config.database)
        back_up(file, folder / "backup.db")
        return lambda: restore(folder / "backup.db", file)

    return copy


def by_pg_restore(folder: Path) -> Copied:
    def copy(running: Console) -> Callable[[], None]:
        url, dump = running.block.address.replace("+psycopg", ""), str(folder / "rules.dump")

        def run(name: str, *words: str) -> None:
            subprocess.run([services.program(name), *words], check=True, capture_output=True)

        run("pg_dump", "--format=custom", f"--file={dump}", url)
        return lambda: run("pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={url}", dump)

    return copy


@pytest.mark.parametrize(
    ("database_url", "means"),
    [
        ("sqlite", by_file),
        pytest.param(
            "postgresql", by_pg_restore, marks=pytest.mark.needs("postgres", "initdb", "pg_dump", "pg_restore")
        ),
    ],
    indirect=["database_url"],
)
def test_a_page_that_slept_through_it_between_two_consoles_has_the_whole_list_when_the_log_has_grown_past_it(
    chromium: Browser, tmp_path: Path, database_url: str, means: Callable[[Path], Copied]
) -> None:
    """The consoles went on: one of them is asked when the page wakes, and both have seen the log at less than the page knows, and at more."""
    with console(tmp_path, database=database_url) as running, second_console(running) as second:
        between, block = Between(running.service.port, second.port), running.block
        context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
        window = Window(context.new_page(), between.address)
        window.log_in()
        block.raise_alarm("gas-1")
        running.stop_the_engine()
        go_back = means(tmp_path)(running)
        lost = block.raise_alarm("gas-2")
        expect(window.page.locator(f"#rows > li[data-id='{lost.id}']")).to_be_visible()
        known = block.desk.position()
        with asleep(window.page):
            between.cut()
            go_back()
            for number in range(3):
                for port in (running.service.port, second.port):
                    watched_by(port, block)
                block.raise_alarm(f"gas-{number + 3}", place=f"Flat {number}")
            assert block.desk.position().seq > known.seq
            running.beating.set()
        for number in range(3):
            expect(window.page.locator(f"#rows > li:has-text('Flat {number}')")).to_be_visible()
        expect(window.page.locator(f"#rows > li[data-id='{lost.id}']")).to_have_count(0)
        expect(window.page.locator("#rows > li")).to_have_count(4)
        expect(window.page.locator("body")).to_have_attribute("data-verdict", "live")
        context.close()
        between.close()
