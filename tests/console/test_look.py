"""Light, dark, or as the system is set: chosen once, and drawn by the server from the first byte."""

import re

import httpx
import pytest

from console.look import Look, look_of
from tests.console.browsing import log_in

SHEET = re.compile(r'<link rel="stylesheet" href="/static/dark.css"([^>]*)>')


def test_a_look_that_nobody_knows_is_none() -> None:
    assert look_of({"gridcall_theme": '"><script>', "gridcall_letters": "huge"}) == Look("auto", "plain")
    assert look_of({"gridcall_theme": "dark", "gridcall_letters": "large"}) == Look("dark", "large")


@pytest.mark.parametrize("path", ["/login", "/", "/keys"])
async def test_the_ground_that_was_chosen_is_in_the_page_itself(browser: httpx.AsyncClient, path: str) -> None:
    """Without a script that would have to set it after the page was painted."""
    if path != "/login":
        await log_in(browser)
    grounds = {}
    for theme in ("auto", "light", "dark", "none-such"):
        answer = await browser.get(f"/look?theme={theme}&back={path}")
        assert answer.headers["location"] == path
        page = (await browser.get(path)).text
        found = SHEET.search(page)
        scheme = re.search(r'<meta name="color-scheme" content="([^"]+)">', page)
        assert scheme
        grounds[theme] = (scheme[1], found and found[1].strip())
    assert grounds["auto"] == ("light dark", 'media="(prefers-color-scheme: dark)"')
    assert grounds["light"] == ("light", None)
    assert grounds["dark"] == grounds["none-such"] == ("dark", "")


async def test_choosing_a_look_leads_to_no_other_server(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/look?theme=dark&back=//evil.example")).headers["location"] == "/"
