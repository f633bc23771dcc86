"""What pages load is known by its content, not by its size and time."""

import os
from pathlib import Path

import httpx
import pytest

from console.files import Files

WHEN_S = 315_532_800
"""1980, as reproducible wheels have it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def release(folder: Path, content: str) -> None:
    (folder / "live.mjs").write_text(content)
    os.utime(folder / "live.mjs", (WHEN_S, WHEN_S))


async def get(folder: Path, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Files(directory=folder))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        return await browser.get("/live.mjs", headers=named)


async def test_a_release_of_the_same_size_and_time_is_loaded(folder: Path) -> None:
    release(folder, "const LIMIT_MS = 3000;")
    before = await get(folder)
    release(folder, "const LIMIT_MS = 9000;")
    after = await get(folder, if_none_match=before.headers["etag"])
    assert (after.status_code, after.text) == (200, "const LIMIT_MS = 9000;")
    by_time = await get(folder, if_modified_since="Thu, 26 Nov 2026 08:00:00 GMT")
    assert by_time.status_code == 200
    assert "last-modified" not in by_time.headers


async def test_what_is_as_it_was_is_not_sent_again(folder: Path) -> None:
    release(folder, "const LIMIT_MS = 3000;")
    tag = (await get(folder)).headers["etag"]
    os.utime(folder / "live.mjs")
    for known in (tag, f'"other", {tag}', f"W/{tag}"):
        again = await get(folder, if_none_match=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_the_console_serves_its_files_so(browser: httpx.AsyncClient) -> None:
    first = await browser.get("/static/live.mjs")
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert "last-modified" not in first.headers
    assert (await browser.get("/static/live.mjs", headers={"if-none-match": first.headers["etag"]})).status_code == 304
