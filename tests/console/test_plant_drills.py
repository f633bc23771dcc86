"""Drills on the pages: begun with a reason, marked everywhere, for who sends people at that site."""

import re

import httpx

from console.rights import Scope
from messages.kind import load_kinds
from rules.language.library import load_rules
from rules.store import versions
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in


async def begin(browser: httpx.AsyncClient, **more: str) -> httpx.Response:
    token = hidden((await browser.get("/drills")).text, "token")
    return await browser.post("/drills", data={"token": token, "site": "junmen", "why": "季度演练", **more})


async def test_a_drill_is_marked_on_every_page_from_its_first_moment_to_its_last(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    versions.keep(junmen.database, load_rules(load_kinds()), NOON_MS)
    junmen.add_device("gas-1", silent_from_ms=NOON_MS + 1000)
    await log_in(browser)
    assert "演练中" not in (await browser.get("/")).text
    assert (await browser.get("/drills/now")).json() == {"mark": ""}
    assert (await begin(browser)).status_code == 303
    for path in ("/", "/devices", "/w/"):
        assert "演练中：junmen" in (await browser.get(path)).text, path
    assert (await browser.get("/drills/now")).json()["mark"].startswith("演练中：junmen")
    page = (await browser.get("/drills")).text
    drill = re.search(r"/drills/(drill-\w+)/end", page)
    assert drill
    token = hidden(page, "token")
    sent = await browser.post(f"/drills/{drill[1]}/scene", data={"token": token, "scene": "gas"})
    assert sent.status_code == 303
    assert "【演练】燃气泄漏" in (await browser.get("/")).text
    again = await browser.post(f"/drills/{drill[1]}/raise", data={"token": token, "what": "gas-1 leak"})
    assert again.status_code == 409
    assert "已有同样的演练告警" in again.text
    await browser.post(f"/drills/{drill[1]}/end", data={"token": token})
    assert "演练中" not in (home := (await browser.get("/")).text)
    assert "【演练】" not in home
    assert "季度演练" in (await browser.get("/drills")).text


async def test_a_drill_without_a_reason_is_refused(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    answer = await begin(browser, why=" ")
    assert answer.status_code == 409
    assert "请写明演练的内容和原因" in answer.text


async def test_only_who_sends_people_there_begins_or_ends_a_drill(junmen: Block, browser: httpx.AsyncClient) -> None:
    junmen.accounts.add("far", PASSWORD, "operator", Scope(("elsewhere",)))
    junmen.accounts.add("lin", PASSWORD, "worker")
    await log_in(browser)
    await begin(browser)
    page = (await browser.get("/drills")).text
    drill = re.search(r"/drills/(drill-\w+)/end", page)
    assert drill
    for name in ("far", "lin"):
        await browser.post("/logout", data={"token": hidden((await browser.get("/account")).text, "token")})
        await log_in(browser, name)
        token = hidden((await browser.get("/account")).text, "token")
        assert (await browser.post(f"/drills/{drill[1]}/end", data={"token": token})).status_code == 403
        begun = await browser.post("/drills", data={"token": token, "site": "junmen", "why": "x"})
        assert begun.status_code in (403, 404)
        marked = "演练中" in (await browser.get("/account")).text
        assert marked is (name == "lin")
