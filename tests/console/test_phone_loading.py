"""What a phone loads, keeps and installs, and how it looks."""

import re

import httpx

from messages.settings import Text
from tests.console.block import Block
from tests.console.browsing import log_in
from tests.console.phones import case_of, press, seen


async def test_the_large_type_and_the_theme_are_kept(phone: httpx.AsyncClient) -> None:
    answer = await phone.get("/look?letters=large&theme=dark&back=//evil.example")
    assert answer.headers["location"] == "/"
    page = await phone.get("/w/")
    assert 'data-letters="large" data-theme="dark"' in page.text
    phone.cookies.set("gridcall_theme", '"><script>')
    assert 'data-theme="auto"' in (await phone.get("/w/")).text


async def test_the_first_load_of_the_list_is_under_a_hundred_kilobytes(phone: httpx.AsyncClient, lin: Block) -> None:
    for number in range(12):
        case_of(lin, name=f"gas-{number}")
    wanted, loaded = ["/w/", "/w/worker.mjs", "/w/icon-192.png", "/w/icon-512.png"], dict[str, int]()
    while wanted:
        path = wanted.pop()
        if path in loaded:
            continue
        answer = await phone.get(path)
        assert answer.status_code == 200, path
        loaded[path] = len(answer.content)
        for found in re.findall(r'(?:src|href|from) ?=? ?"((?:\./|\.\./|/static/|/w/manifest)[^"#]+)', answer.text):
            wanted.append(str(httpx.URL(path).join(found)))
    assert "/static/phone/queue.mjs" in loaded
    assert sum(loaded.values()) < 100_000, loaded


async def test_what_the_browser_keeps_for_later_is_what_the_pages_load(phone: httpx.AsyncClient) -> None:
    kept = set(re.findall(r'^  "(/static/[^"]+)"', (await phone.get("/w/worker.mjs")).text, re.MULTILINE))
    pages = [(await phone.get("/w/")).text]
    wanted = {path for page in pages for path in re.findall(r'"(/static/[^"#]+)', page)}
    for path in [*wanted]:
        if path.endswith(".mjs"):
            for found in re.findall(r'from "(\.[^"]+)"', (await phone.get(path)).text):
                wanted.add(str(httpx.URL(path).join(found)))
    assert kept >= wanted
    for path in kept:
        assert (await phone.get(path)).status_code == 200


async def test_it_can_be_installed(phone: httpx.AsyncClient) -> None:
    manifest = (await phone.get("/w/manifest.webmanifest")).json()
    assert (manifest["start_url"], manifest["display"]) == ("/w/", "standalone")
    for icon in manifest["icons"]:
        assert (await phone.get(icon["src"])).headers["content-type"].startswith(icon["type"])
    worker = await phone.get("/w/worker.mjs")
    assert worker.headers["service-worker-allowed"] == "/"
    policy = worker.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "manifest-src 'self'" in policy


async def test_a_worker_comes_to_his_cases_by_his_login(browser: httpx.AsyncClient, lin: Block) -> None:
    assert (await log_in(browser, "linxm")).headers["location"] == "/w/"
    assert (await browser.get("/w")).headers["location"] == "/w/"


async def test_the_english_pages_are_english_and_the_chinese_ones_hold_no_english(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(
        lin, place="Block 9", title=Text(zh="井盖", en="Cover moved"), advice=Text(zh="围起来", en="Fence it")
    )
    for path in ("/w/", f"/w/cases/{case.id}", "/a/nothing"):
        english = seen(await phone.get(path, headers={"accept-language": "en"})).replace("中文", "")
        assert re.findall(r"[\u4e00-\u9fff]+", "".join(re.split("Contacts|Live alarms", english)[0])) in (
            [],
            ["何楼长"],
        )
        chinese = seen(await phone.get(path))
        words = set(re.findall(r"[A-Za-z]{3,}", chinese)) - {"English", "linxm", "Block", "gas", "LEL", "lin"}
        assert words == set()


async def test_what_devices_and_people_write_is_text_and_nothing_else(phone: httpx.AsyncClient, lin: Block) -> None:
    evil = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
    alarm = lin.raise_alarm(place=evil, title=Text(zh=evil, en=evil), advice=Text(zh=evil, en=evil))
    assert alarm.case
    lin.rename_device(alarm, evil[:60])
    base = f"/w/cases/{alarm.case.id}"
    await press(phone, base, "accept")
    await press(phone, base, "note", words=evil)
    for path in ("/w/", base, f"{base}?refused={evil}", f"{base}?code={evil}", f"/w/asset?code={evil}", f"/a/{evil}"):
        page = (await phone.get(path)).text
        assert "<img src=x" not in page
        assert "<script>" not in page
