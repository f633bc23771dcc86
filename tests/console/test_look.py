"""Light, dark, or as the system is set: chosen once, and drawn by the server from the first byte."""

import re
from html import unescape
from urllib.parse import quote, unquote

import httpx
import pytest

from console.look import Look, look_of
from tests.console.block import PASSWORD, Block
from tests.console.browsing import hidden, log_in

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


LIST = "/cases?state=open&q=%E9%99%88&page=1"


@pytest.mark.parametrize(
    "path", [LIST, "/devices?kind=sewer_level", "/accounts/journal?name=li", "/w/asset?code=a%2Fb"]
)
async def test_a_choice_leads_back_to_the_same_page_with_its_filters(
    browser: httpx.AsyncClient, junmen: Block, path: str
) -> None:
    junmen.accounts.add("li", PASSWORD, "engineer")
    await log_in(browser, "li")
    for wanted in ("theme=dark", "language=en", "theme=auto"):
        page = (await browser.get(path)).text
        found = next(unescape(one) for one in re.findall(r'href="(/look\?[^"]*)"', page) if wanted in one)
        answer = await browser.get(found)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert browser.cookies["gridcall_language"] == "en"


async def test_a_choice_in_the_address_is_kept_and_does_not_come_back_with_the_page(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    page = (await browser.get("/cases?state=open&language=en&theme=dark")).text
    assert 'data-theme="dark"' in page
    back = re.search(r'href="/look\?theme=light&amp;back=([^"]*)"', page)
    assert back
    assert unquote(back[1]) == "/cases?state=open"
    assert 'lang="en" data-theme="dark"' in (await browser.get("/cases")).text


async def test_after_a_refused_form_a_choice_leads_to_the_page_of_the_form(browser: httpx.AsyncClient) -> None:
    form = hidden((await browser.get("/login?to=/cases")).text, "token")
    fields = {"token": form, "name": "chen", "password": "wrong", "to": "/cases"}
    for came, back in (("http://console/login?to=/cases", "/login?to=/cases"), ("http://evil.example/login", "/")):
        answer = await browser.post("/login", data=fields, headers={"referer": came})
        assert f"back={quote(back, safe='')}" in answer.text


@pytest.mark.parametrize("wanted", ["theme=dark", "language=en"])
async def test_a_household_that_is_looked_at_stays_in_sight_and_is_noted_again(
    browser: httpx.AsyncClient, junmen: Block, wanted: str
) -> None:
    """It is the answer to a form: no address shows it. So the choice sends the form again."""
    alarm = junmen.raise_alarm("sos-1", kind="sos_button")
    junmen.accounts.add("zhou", PASSWORD, "supervisor")
    await log_in(browser, "zhou")
    form = hidden((await browser.get("/account")).text, "token")
    page = await browser.post(f"/people/{alarm.id}", data={"token": form, "why": "other", "words": "妻子问起"})
    assert page.status_code == 200
    choice = re.search(r'<form method="post" class="choices">(.*?)</form>', page.text, re.DOTALL)
    assert choice
    assert f'formaction="?{wanted}"' in choice[1]
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', choice[1])}
    again = await browser.post(f"/people/{alarm.id}?{wanted}", data=fields)
    assert again.status_code == 200
    assert ('data-theme="dark"' if wanted == "theme=dark" else '<html lang="en"') in again.text
    lines = junmen.accounts.journal(events=["person.looked"], limit=9)
    assert [line.detail for line in lines] == ["other: 妻子问起"] * 2


async def test_a_password_that_is_shown_once_is_not_lost_by_a_choice(browser: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.add("li", PASSWORD, "engineer")
    await log_in(browser, "li")
    form = hidden((await browser.get("/accounts")).text, "token")
    page = await browser.post("/accounts/one/password", data={"token": form, "name": "chen"})
    assert 'class="secret"' in page.text
    assert "/look?" not in page.text
    assert "formaction" not in page.text


async def test_on_the_phone_too_one_can_go_back_to_what_the_system_says(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    for theme in ("dark", "light", "auto"):
        page = (await browser.get("/w/?code=1")).text
        assert f'href="/look?theme={theme}&amp;back={quote("/w/?code=1", safe="")}"' in page
        await browser.get(f"/look?theme={theme}&back=/w/")
        chosen = re.search(r'<a href="/look\?theme=(\w+)[^>]*aria-current', (await browser.get("/w/")).text)
        assert chosen
        assert chosen[1] == theme
