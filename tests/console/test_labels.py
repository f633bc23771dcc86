"""Labels on assets: made once, printed as they are, replaced when stolen, and nobody else's affair than the engineer's."""

import re
from html import unescape
from pathlib import Path

import httpx
import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from console.commands import app
from console.labels import pages
from console.rights import Scope
from messages.ids import DeviceId
from rules.assets.label import LENGTH, SIGNS, read, shown
from tests.console.block import NOON_MS, PASSWORD, SITE, Block, settings
from tests.console.browsing import hidden, log_in


@pytest.fixture
def plant(junmen: Block) -> Block:
    """Three devices of two grids, and an engineer."""
    junmen.accounts.add("wei", PASSWORD, "engineer")
    for name, grid in (("cover-1", "grid-1"), ("bin-1", "grid-1"), ("bin-2", "grid-2")):
        junmen.announce(name, kind="manhole_cover" if name == "cover-1" else "waste_bin", grid=grid)
    return junmen


async def make(browser: httpx.AsyncClient, **asked: str) -> httpx.Response:
    page = await browser.get("/labels")
    return await browser.post("/labels/make", data={"token": hidden(page.text, "token"), **asked})


@given(st.text(alphabet=SIGNS, min_size=LENGTH, max_size=LENGTH))
def test_a_code_is_read_as_it_is_shown_scanned_and_mistyped(code: str) -> None:
    mistyped = shown(code).lower().replace("1", "i").replace("0", "O")
    for text in (code, shown(code), f" {mistyped} ", f"https://a.example/a/{code}", f"HTTP://x/a/{code}?from=app"):
        assert read(text) == code


@pytest.mark.parametrize("text", ["", "gas-1", "junmen/gas-1", "U" * LENGTH, "0" * 13, "0" * 11, "/a/", "０" * LENGTH])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read(text) == ""


async def test_labels_are_made_once_for_those_that_have_none(browser: httpx.AsyncClient, plant: Block) -> None:
    await log_in(browser, "wei")
    assert (await make(browser, grid="grid-1")).status_code == 303
    first = plant.desk.labels()
    assert {device for _, device in first} == {"cover-1", "bin-1"}
    await make(browser)
    after = plant.desk.labels()
    assert len(after) == 3
    assert {key: after[key] for key in first} == first
    assert len({one.code for one in after.values()}) == 3
    lines = [line for line in plant.desk.log_after(0) if line.event == "asset.labelled"]
    assert [(line.actor, line.detail) for line in lines] == [
        ("wei", "junmen: bin-1, cover-1"),
        ("wei", "junmen: bin-2"),
    ]
    assert not [line for line in lines if any(one.code in line.detail for one in after.values())]


async def test_the_sheet_shows_each_label_in_letters_and_as_a_code_that_opens_it(
    browser: httpx.AsyncClient, plant: Block
) -> None:
    await log_in(browser, "wei")
    await make(browser)
    sheet = (await browser.get("/labels/sheet?grid=grid-1")).text
    assert sheet.count('class="label"') == 2
    code = plant.desk.labels()[SITE, DeviceId("cover-1")].code
    assert shown(code) in sheet
    assert "智能井盖" in sheet
    assert "cover-1 of grid-1" in sheet
    drawn = re.findall(r'<path[^>]* d="([^"]*)"', sheet)
    wanted = segno.make(f"http://console/a/{code}", error="q", boost_error=False).svg_inline(border=4, omitsize=True)
    assert re.findall(r' d="([^"]*)"', wanted)[-1] in drawn


async def test_the_sheet_leads_to_the_console_and_to_nobody_elses_house(
    browser: httpx.AsyncClient, plant: Block
) -> None:
    plant.config = plant.config.model_copy(
        update={"access": plant.config.access.model_copy(update={"hosts": ["console.example.org"]})}
    )
    transport = httpx.ASGITransport(plant.console(), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"accept": "text/html"}
    ) as one:
        await log_in(one, "wei")
        await make(one)
        sheet = (await one.get("/labels/sheet?address=https://evil.example")).text
        code = plant.desk.labels()[SITE, DeviceId("bin-1")].code
        wanted = segno.make(f"https://console.example.org/a/{code}", error="q", boost_error=False)
        assert re.findall(r' d="([^"]*)"', wanted.svg_inline(border=4, omitsize=True))[-1] in sheet


async def test_a_label_is_replaced_for_a_reason_and_the_old_one_is_kept_as_ended(
    browser: httpx.AsyncClient, plant: Block
) -> None:
    await log_in(browser, "wei")
    await make(browser)
    before = plant.desk.labels()
    token = hidden((await browser.get("/labels")).text, "token")
    refused = await browser.post("/labels/junmen/bin-1/replace", data={"token": token, "why": "  "})
    assert "请写明更换的原因" in (await browser.get(refused.headers["location"])).text
    assert plant.desk.labels() == before
    await browser.post("/labels/junmen/bin-1/replace", data={"token": token, "why": "被撕走"})
    key = (SITE, DeviceId("bin-1"))
    after = plant.desk.labels()
    assert after[key].code != before[key].code
    assert {one: after[one] for one in after if one != key} == {one: before[one] for one in before if one != key}
    old = plant.desk.label(before[key].code)
    assert old
    assert (old.holds, old.ended_by, old.ended_at_ms, old.why) == (False, "wei", NOON_MS, "被撕走")
    line = plant.desk.log_after(0)[-1]
    assert (line.event, line.actor, line.detail) == ("asset.label_replaced", "wei", "junmen/bin-1: 被撕走")


async def test_only_who_keeps_the_plant_sees_codes_and_only_where_he_does(
    browser: httpx.AsyncClient, plant: Block
) -> None:
    plant.accounts.add("sun", PASSWORD, "engineer", Scope(("elsewhere",)))
    codes = [plant.label(name) for name in ("cover-1", "bin-1", "bin-2")]
    for name, status in (("chen", 403), ("sun", 200)):
        browser.cookies.clear()
        await log_in(browser, name)
        for path in ("/labels", "/labels/sheet"):
            page = await browser.get(path)
            assert page.status_code == status
            assert not any(shown(code) in page.text for code in codes)
        token = hidden((await browser.get("/")).text, "token")
        fields = {"token": token, "why": "x"}
        assert (await browser.post("/labels/junmen/bin-1/replace", data=fields)).status_code in (403, 404)
    assert {one.code for one in plant.desk.labels().values()} == set(codes)


async def test_what_a_device_calls_itself_is_text_on_a_label(browser: httpx.AsyncClient, junmen: Block) -> None:
    evil = "<script>alert(1)</script>"
    junmen.accounts.add("wei", PASSWORD, "engineer")
    junmen.announce("bin-1", place=evil)
    await log_in(browser, "wei")
    await make(browser)
    for path in ("/labels", "/labels/sheet"):
        page = (await browser.get(path)).text
        assert evil not in page
        assert evil in unescape(page)


def test_a_sheet_is_made_and_a_label_replaced_from_the_command_line(tmp_path: Path) -> None:
    made = Block(tmp_path)
    made.announce("bin-1")
    made.announce("bin-2")
    config = str(settings(tmp_path))
    run = CliRunner()
    sheet = tmp_path / "sheet.html"
    words = ["label", "sheet", config, str(sheet), "--address", "https://console.example.org", "--make"]
    result = run.invoke(app, words)
    assert result.exit_code == 0, result.output
    labels = made.desk.labels()
    text = sheet.read_text(encoding="utf-8")
    assert all(shown(one.code) in text for one in labels.values())
    assert "<link" not in text
    assert "@page" in text
    refused = run.invoke(app, [*words[:3], str(tmp_path / "absent/sheet.html"), *words[4:]])
    assert "can't be written" in str(refused.exception)
    old = labels[SITE, DeviceId("bin-1")].code
    result = run.invoke(app, ["label", "replace", config, "junmen", "bin-1", "--why", "stolen"])
    assert result.exit_code == 0, result.output
    new = made.desk.labels()[SITE, DeviceId("bin-1")].code
    assert new != old
    assert shown(new) in result.output
    made.store.close()
    made.database.close()


async def test_what_one_sheet_does_not_hold_is_said_and_led_to(
    browser: httpx.AsyncClient, plant: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 2)
    await log_in(browser, "wei")
    await make(browser)
    listed = (await browser.get("/labels")).text
    assert "打印 3 张标签" in listed
    assert "每次最多打印 2 张：共 2 次" in listed
    letters, address = set[str](), "/labels/sheet?kind="
    for number, words in ((1, "第 1–2 张，共 3 张"), (2, "第 3–3 张，共 3 张")):
        sheet = (await browser.get(address)).text
        assert words in sheet
        letters |= set(re.findall(r'class="letters">([^<]+)<', sheet))
        further = re.search(r'<a class="button" rel="next" href="([^"]*)"', sheet)
        assert (further is not None) == (number == 1)
        address = unescape(further[1]) if further else ""
    assert letters == {shown(one.code) for one in plant.desk.labels().values()}
    beyond = (await browser.get("/labels/sheet?page=99")).text
    assert "第 3–3 张" in beyond
    assert "另外的页" not in (await browser.get("/labels/sheet?grid=grid-2")).text
