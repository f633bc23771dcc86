"""What a person does with a browser, on top of httpx."""

import re
from html import unescape

import httpx

from tests.console.block import PASSWORD


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no hidden field {name}"
    return unescape(found[1])


async def log_in(
    browser: httpx.AsyncClient, name: str = "chen", password: str = PASSWORD, **more: str
) -> httpx.Response:
    page = await browser.get("/login")
    fields = {"token": hidden(page.text, "token"), "name": name, "password": password, **more}
    return await browser.post("/login", data=fields)


async def press(browser: httpx.AsyncClient, page_path: str, step: str, **fields: str) -> httpx.Response:
    """Press a button of an alarm with the token of its page."""
    page = await browser.get(page_path)
    path = page_path if page_path.startswith("/alarms/") else fields.pop("on")
    return await browser.post(f"{path}/{step}", data={"token": hidden(page.text, "token"), **fields})
