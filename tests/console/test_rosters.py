"""A site's file that is wrong breaks no page: the last good one is shown, over a restart too, and the page says which file and line is wrong."""

from pathlib import Path

import httpx
import pytest

from rules.duty.folder import SiteFolder
from rules.duty.last_good import LastGood
from tests.console.block import NOON_MS, PASSWORD, SITE, Block
from tests.console.browsing import log_in
from tests.console.phones import seen

FILES = ("/roster?site=junmen", "/map", "/cases", "/lists/shelved", "/handover", "/labels", "/w/", "/")
MINUTE_MS = 60_000


@pytest.fixture
def file(junmen: Block) -> Path:
    """The site's file, of which the engine has kept what it says."""
    assert junmen.config.site_files
    LastGood(junmen.database, SiteFolder(junmen.config.site_files)).look(NOON_MS)
    junmen.accounts.add("li", PASSWORD, "engineer")
    junmen.accounts.add("wang", PASSWORD, "auditor")
    return junmen.config.site_files / f"{SITE}.toml"


def client(junmen: Block) -> httpx.AsyncClient:
    """Of a console that has just been started."""
    headers = {"accept": "text/html", "accept-language": "zh-CN"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(junmen.console()), base_url="http://console", headers=headers
    )


def spoil(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines[:4], 'name = "unfinished\n', *lines[4:]]), encoding="utf-8")


@pytest.mark.parametrize("started", ["before", "after"])
async def test_a_broken_file_breaks_no_page_and_is_named_with_its_place(
    junmen: Block, file: Path, started: str
) -> None:
    if started == "after":
        spoil(file)
    async with client(junmen) as desk:
        await log_in(desk, "li")
        if started == "before":
            assert "wrong-file" not in (await desk.get("/cases")).text
            spoil(file)
        case = junmen.raise_alarm().case
        assert case
        for path in (*FILES, f"/cases/{case.id}", f"/w/cases/{case.id}"):
            page = await desk.get(path)
            assert page.status_code == 200, path
            if not path.startswith("/w/"):
                assert f"{file}:5:" in page.text, path
                assert "页面和呼叫都按 12:00" in seen(page), path
        assert "林小梅" in (await desk.get("/roster?site=junmen")).text
        assert "tel:" in (await desk.get(f"/w/cases/{case.id}")).text


async def test_a_mended_file_is_shown_at_once_and_the_complaint_goes(junmen: Block, file: Path) -> None:
    good = file.read_text(encoding="utf-8")
    spoil(file)
    async with client(junmen) as desk:
        await log_in(desk, "li")
        assert "wrong-file" in (await desk.get("/cases")).text
        file.write_text(good.replace("林小梅", "林大梅"), encoding="utf-8")
        page = await desk.get("/roster?site=junmen")
        assert "wrong-file" not in page.text
        assert "林大梅" in page.text


async def test_a_file_that_is_gone_is_missed_until_the_engine_has_forgotten_its_site(junmen: Block, file: Path) -> None:
    file.unlink()
    async with client(junmen) as desk:
        await log_in(desk, "li")
        page = await desk.get("/roster?site=junmen")
        assert "no such file" in page.text
        assert "林小梅" in page.text
        file.parent.rmdir()
        page = await desk.get("/roster?site=junmen")
        assert (page.status_code, "林小梅" in page.text, "wrong-file" in page.text) == (200, True, True)


async def test_a_site_of_which_nothing_was_ever_known_says_that_calls_go_to_the_desk(junmen: Block) -> None:
    assert junmen.config.site_files
    spoil(junmen.config.site_files / f"{SITE}.toml")
    async with client(junmen) as desk:
        await log_in(desk)
        for path in ("/map", "/cases", "/handover"):
            page = await desk.get(path)
            assert page.status_code == 200
            assert "所有呼叫都到值班台" in seen(page)


async def test_who_can_not_mend_it_is_not_told_where_files_lie(junmen: Block, file: Path) -> None:
    spoil(file)
    async with client(junmen) as reader:
        await log_in(reader, "wang")
        assert str(file) not in (await reader.get("/cases")).text
