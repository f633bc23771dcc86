"""`python -m tests.screenshots`: the pictures of the pages in docs/screenshots, always of the same block at the same moment.

`--all FOLDER` puts every page of the operators there, in each language, on each ground and screen: for who looks after the looks.
"""

import asyncio
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, get_args

import typer
from playwright.sync_api import Browser, Page, expect, sync_playwright

from console.config import Listen
from console.rights import Scope
from console.server import bound, serve
from console.words import LANGUAGES
from tests.console.block import NOON_MS, PASSWORD, Block, block
from tests.integration.browsing import ARGUMENTS
from tests.integration.full_block import Filled, fill, flood
from tests.integration.judging import PHONE, WALL, Ground, Look, put_on
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


WORKER = "worker-zh.png"
"""Four screens of a worker's phone beside each other: his cases, one case, without a network, in large type."""
BESIDE = """<style>body {{ margin: 0; display: flex; gap: 12px; background: #7d8580 }} img {{ width: {width}px }}</style>{images}"""


@contextmanager
def standing_still(folder: Path) -> Iterator[tuple[str, Block, Filled]]:
    """The address of a console whose clock stands at noon, its block, and what is in it."""
    with block(folder) as made:
        made.accounts.add(NAME, PASSWORD, person="chen")
        made.accounts.add("lin", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
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
    log_in(page, address, NAME)
    expect(page.locator("body")).to_have_attribute("data-verdict", "attention")
    return page


def log_in(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def take(page: Page, address: str, look: Look, file: Path, *, whole: bool) -> None:
    put_on(page, look)
    page.goto(f"{address}?language={look.language}")
    if "/login" not in address:
        expect(page.locator("body")).to_have_attribute("data-verdict", "attention")
    page.screenshot(path=file, full_page=whole, animations="disabled", caret="hide")


def take_worker(browser: Browser, address: str, filled: Filled, file: Path, look: Look) -> None:
    """The phone's clock stands as the server's does."""
    width, height = PHONE
    with browser.new_context(
        locale="en-GB",
        timezone_id="Asia/Shanghai",
        viewport={"width": width, "height": height},
        is_mobile=True,
        has_touch=True,
    ) as context:
        page = context.new_page()
        page.clock.set_fixed_time(NOON_MS / 1000)
        put_on(page, look)
        log_in(page, address, "lin")
        page.goto(f"{address}/look?language={look.language}&back=/w/")
        screens = [page.screenshot(animations="disabled")]
        case = filled.paths["case of an SOS"].replace("/cases/", "/w/cases/")
        page.goto(address + case)
        expect(page.locator("#fresh")).to_contain_text("12:00")
        screens.append(page.screenshot(animations="disabled"))
        page.goto(f"{address}/look?letters=large&back={case}")
        large = page.screenshot(animations="disabled")
        page.goto(f"{address}/look?letters=plain&back={case}")
        context.set_offline(True)
        page.locator(".bar:visible .first").click()
        expect(page.locator("#offline")).to_be_visible()
        expect(page.locator("#pending")).to_be_visible()
        screens += [page.screenshot(animations="disabled"), large]
        context.set_offline(False)
    with browser.new_context(viewport={"width": 4 * width + 36, "height": height}) as context:
        page = context.new_page()
        images = "".join(f'<img src="data:image/png;base64,{b64encode(one).decode()}">' for one in screens)
        page.set_content(BESIDE.format(width=width, images=images))
        page.screenshot(path=file)


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
            take_worker(browser, address, filled, FOLDER / WORKER, Look("zh", "light", PHONE))
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
