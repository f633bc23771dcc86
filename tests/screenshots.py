"""`python -m tests.screenshots`: the pictures of the pages in docs/screenshots, always of the same block at the same moment.

`--all FOLDER` puts every page of the operators there, in each language, on each ground and screen: for who looks after the looks.
"""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, get_args

import typer
from playwright.sync_api import Browser, Page, expect, sync_playwright

from console.config import Listen
from console.server import bound, serve
from console.words import LANGUAGES
from tests.console.block import NOON_MS, PASSWORD, Block, block
from tests.integration.full_block import Filled, fill, flood
from tests.integration.judging import PHONE, WALL, Ground, Look, put_on
from tests.integration.test_console_browser import ARGUMENTS
from tests.services import ROOT, free_port, program

FOLDER = ROOT / "docs/screenshots"
NAME = "chen"
DESK = (1440, 900)
PAGES = ("/", "/map", "/cases", "/lists/shelved", "/handover", "/keys")


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of docs/screenshots. `whole`: the page to its end, not the screen."""

    file: str
    page: str
    look: Look
    whole: bool = False


PICTURES = (
    Picture("feed-en.png", "/", Look("en", "light", DESK)),
    Picture("feed-zh-phone.png", "/", Look("zh", "light", PHONE)),
    Picture("wall-zh-dark.png", "/map", Look("zh", "dark", WALL)),
    Picture("alarm-en.png", "alarm", Look("en", "light", DESK)),
    Picture("case-zh.png", "case of an SOS", Look("zh", "light", DESK)),
    Picture("handover-en-dark.png", "/handover", Look("en", "dark", DESK)),
)


@contextmanager
def standing_still(folder: Path) -> Iterator[tuple[str, Block, Filled]]:
    """The address of a console whose clock stands at noon, its block, and what is in it."""
    with block(folder) as made:
        made.accounts.add(NAME, PASSWORD, person="chen")
        made.beat()
        filled = fill(made)
        port = free_port()
        listening, web, loop = bound(Listen(host="127.0.0.1", port=port)), made.console(), asyncio.new_event_loop()
        serving = loop.create_task(serve(web, listening))
        thread = threading.Thread(target=_until_cancelled, args=(loop, serving))
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}", made, filled
        finally:
            loop.call_soon_threadsafe(serving.cancel)
            thread.join()


def _until_cancelled(loop: asyncio.AbstractEventLoop, serving: "asyncio.Task[None]") -> None:
    loop.run_until_complete(asyncio.gather(serving, return_exceptions=True))
    loop.close()


def logged_in(browser: Browser, address: str) -> Page:
    page = browser.new_context(locale="en-GB", timezone_id="Asia/Shanghai").new_page()
    page.goto(f"{address}/login")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_have_attribute("data-verdict", "attention")
    return page


def take(page: Page, address: str, look: Look, file: Path, *, whole: bool) -> None:
    put_on(page, look)
    page.goto(f"{address}?language={look.language}")
    if "/login" not in address:
        expect(page.locator("body")).to_have_attribute("data-verdict", "attention")
    page.screenshot(path=file, full_page=whole, animations="disabled", caret="hide")


def main(
    every: Annotated[Path | None, typer.Option("--all", help="Every page, in every look, into this folder.")] = None,
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        standing_still(Path(folder)) as (address, made, filled),
        sync_playwright() as playwright,
    ):
        assert made.now_ms == NOON_MS
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        page = logged_in(browser, address)
        if every is None:
            FOLDER.mkdir(parents=True, exist_ok=True)
            for one in PICTURES:
                where = address + filled.paths.get(one.page, one.page)
                take(page, where, one.look, FOLDER / one.file, whole=one.whole)
        else:
            every.mkdir(parents=True, exist_ok=True)
            take_all(page, address, made, filled, every)
        browser.close()


def take_all(page: Page, address: str, made: Block, filled: Filled, folder: Path) -> None:
    looks = [
        Look(language, ground, screen)
        for language in LANGUAGES
        for ground in get_args(Ground)
        for screen in (PHONE, WALL)
    ]
    paths = {name.strip("/").replace("/", "-") or "feed": name for name in PAGES} | filled.paths
    for look, (name, path) in product(looks, paths.items()):
        file = f"{name} {look}.png".replace(" ", "-")
        take(page, address + path, look, folder / file, whole=True)
    flood(made)
    for look in looks:
        for name, path in (("flood", "/"), ("list-of-a-flood", "/lists/flood")):
            take(page, address + path, look, folder / f"{name} {look}.png".replace(" ", "-"), whole=True)


if __name__ == "__main__":
    typer.run(main)
