"""The operator's lists: cases found by text and filter, what is kept quiet, floods, notes from shift to shift."""

import re

import httpx
import pytest
from sqlalchemy import insert

from console.rights import Scope
from console.script import folded, found_in
from messages.kind import load_kinds
from messages.settings import Text
from rules.language.library import load_rules
from rules.store import tables as db
from rules.store import versions
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import log_in
from tests.console.test_case_page import case_of, do, logged_in_as
from tests.console.test_pages import seen

COVER = Text(zh="井盖移位", en="Cover moved")


@pytest.fixture
async def desk(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    await log_in(browser)
    return browser


@pytest.mark.parametrize(
    ("sought", "text"),
    [
        ("網格員", "网格员 张三"),
        ("张", "張小龍"),
        ("軍門", "军门社区"),
        ("號樓 蓋", "6号楼 井盖移位"),
        ("ＣＯＶＥＲ", "Cover moved"),
        ("鄭國華", "郑国华"),
        ("台", "臺江區"),
    ],
)
def test_traditional_input_finds_simplified_names_and_the_other_way_round(sought: str, text: str) -> None:
    assert found_in(sought, text)
    assert not found_in(sought + "鑫", text)


def test_what_is_folded_stays_folded() -> None:
    text = "後門樓道 張龍 GridCall"
    assert folded(folded(text)) == folded(text) == "后门楼道 张龙 gridcall"


def titles(page: httpx.Response) -> list[str]:
    return re.findall(r'class="what"><a href="/cases/[^"]*">([^<]*)<', page.text)


async def test_cases_are_found_by_text_place_person_and_filters(desk: httpx.AsyncClient, junmen: Block) -> None:
    gas = junmen.raise_alarm(ago_ms=1000)
    junmen.raise_alarm("cover-1", kind="manhole_cover", level="orange", title=COVER, place="6号楼东侧", grid="grid-2")
    junmen.desk.dispatch(case_of(junmen, gas).id, actor="chen", at_ms=NOON_MS, to="lin")
    every = ["燃气泄漏", "井盖移位"]
    for query, expected in (
        ("", every),
        ("?q=號樓", every),
        ("?q=蓋", ["井盖移位"]),
        ("?q=林小梅", ["燃气泄漏"]),
        ("?q=cover+6", ["井盖移位"]),
        ("?level=red", ["燃气泄漏"]),
        ("?kind=manhole_cover", ["井盖移位"]),
        ("?grid=junmen/grid-2", ["井盖移位"]),
        ("?person=lin", ["燃气泄漏"]),
        ("?site=elsewhere", []),
        ("?state=dispatched", ["燃气泄漏"]),
        ("?state=closed", []),
        ("?q=%25", []),
        ("?level=nonsense&state=", every[::-1]),
    ):
        page = await desk.get(f"/cases{query}")
        assert (page.status_code, titles(page)) == (200, expected), query


async def test_a_search_finds_nothing_of_another_grid(junmen: Block) -> None:
    junmen.raise_alarm("cover-1", title=COVER, place="a secret yard")
    async with logged_in_as(junmen, "other", scope=Scope(("junmen",), ("grid-2",))) as other:
        for path in ("/cases", "/cases?grid=grid-1", "/cases?site=junmen&q=secret", "/lists/stale", "/lists/flood"):
            assert "a secret yard" not in (await other.get(path)).text, path


async def test_lists_say_who_why_and_until_when(desk: httpx.AsyncClient, junmen: Block) -> None:
    bin_ = junmen.raise_alarm(
        "bin-1", kind="waste_bin", level="blue", place="by the gate", title=Text(zh="满", en="Full")
    )
    junmen.announce("bin-1")
    junmen.desk.shelve(bin_.id, until_ms=NOON_MS + 3_600_000, reason="van at one", actor="wang", at_ms=NOON_MS)
    old = junmen.raise_alarm("lamp-1", kind="street_lamp", level="blue", place="old lamp", ago_ms=25 * 3_600_000)
    shelved = seen(await desk.get("/lists/shelved"))
    assert "已搁置 wang，到 13:00:00 · van at one" in shelved
    assert "old lamp" not in shelved
    stale = await desk.get("/lists/stale")
    assert "old lamp" in stale.text
    assert f"/cases/{case_of(junmen, old).id}" in stale.text
    for name in ("suppressed", "chattering", "uncertain"):
        assert "没有。" in seen(await desk.get(f"/lists/{name}"))
    assert (await desk.get("/lists/nonsense")).status_code == 303
    await do(desk, f"/alarms/{bin_.id}/unshelve")
    assert "van at one" not in seen(await desk.get("/lists/shelved"))


async def test_what_chatters_and_what_is_in_doubt_is_listed(desk: httpx.AsyncClient, junmen: Block) -> None:
    one, two = junmen.raise_alarm("d-1", place="flapping"), junmen.raise_alarm("d-2", place="unsure")
    junmen.overlay(one, chattering=True)
    junmen.overlay(two, uncertain=["silent"])
    chattering, uncertain = [seen(await desk.get(f"/lists/{name}")) for name in ("chattering", "uncertain")]
    assert "flapping" in chattering
    assert "unsure" not in chattering
    assert "设备无数据" in uncertain
    assert "flapping" not in uncertain


async def test_a_permit_is_opened_for_a_building_and_ended(desk: httpx.AsyncClient, junmen: Block) -> None:
    fields = {
        "site": "junmen",
        "grid": "grid-1",
        "building": "3",
        "holder": "老何",
        "reason": "刷漆",
        "until": "2026-11-21T18:00",
    }
    assert (await do(desk, "/permits", **fields)).json() == {"complaint": ""}
    assert "老何" in seen(await desk.get("/lists/shelved"))
    (hold,) = junmen.desk.holds()
    async with logged_in_as(junmen, "other", scope=Scope(("junmen",), ("grid-2",))) as other:
        assert (await do(other, f"/holds/{hold.id}/end")).status_code == 403
        assert "老何" not in seen(await other.get("/lists/shelved"))
    assert (await do(desk, f"/holds/{hold.id}/end", checked="true")).status_code == 200
    assert junmen.desk.holds() == []


async def test_in_a_flood_the_wall_and_the_list_count_what_is_not_red(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.raise_alarm(place="red kitchen")
    for number in range(3):
        junmen.raise_alarm(f"bin-{number}", kind="waste_bin", level="blue")
    junmen.raise_alarm("bin-9", kind="waste_bin", level="blue", grid="grid-2")
    assert "告警泛滥" not in seen(await desk.get("/")).replace("告警泛滥 久未恢复", "")
    with junmen.database.writing() as connection:
        connection.execute(insert(db.floods), {"site": "junmen", "since_ms": NOON_MS - 60_000})
    for path in ("/", "/lists/flood"):
        text = seen(await desk.get(path))
        assert "自 11:59:00 起新告警多到看不过来" in text, path
        assert "3 蓝 IV · 垃圾桶 · 第一网格" in text, path
        assert "red kitchen" in text, path
    async with logged_in_as(junmen, "other", scope=Scope(("junmen",), ("grid-2",))) as other:
        text = seen(await other.get("/lists/flood"))
        assert "1 蓝 IV · 垃圾桶" in text
        assert "3 蓝 IV" not in text
        assert "red kitchen" not in text


async def test_a_note_is_written_read_and_signed_by_the_next_shift(desk: httpx.AsyncClient, junmen: Block) -> None:
    junmen.raise_alarm()
    assert (await do(desk, "/handover", site="junmen", words="  ")).json() == {"complaint": "请写明原因。"}
    assert (await do(desk, "/handover", site="junmen", words="6号楼的井盖\n晚上再看 <b>")).status_code == 200
    (note,) = junmen.desk.handovers()
    assert (note.facts["red"], note.facts["waiting"], note.facts["stale"]) == (1, 1, 0)
    page = await desk.get("/handover")
    assert "晚上再看 &lt;b&gt;" in page.text
    assert "待签收" in seen(page)
    assert (await do(desk, f"/handover/{note.id}/sign")).json() == {"complaint": "写的人不能自己签收。"}
    async with logged_in_as(junmen, "zhao") as next_shift:
        assert (await do(next_shift, f"/handover/{note.id}/sign")).status_code == 200
        assert "zhao 12:00:00 签收" in seen(await next_shift.get("/handover"))
    async with logged_in_as(junmen, "third") as third:
        assert (await do(third, f"/handover/{note.id}/sign")).json() == {"complaint": "已有人签收。"}
        assert (await do(third, "/handover/h-none/sign")).status_code == 409
    async with logged_in_as(junmen, "far", scope=Scope(("elsewhere",))) as far:
        assert "井盖" not in (await far.get("/handover")).text
        assert (await do(far, "/handover", site="junmen", words="x")).status_code == 403
        assert (await do(far, f"/handover/{note.id}/sign")).status_code == 403
    events = [(line.event, line.actor) for line in junmen.desk.log_after(0) if line.event.startswith("shift.")]
    assert events == [("shift.noted", "chen"), ("shift.signed", "zhao")]


async def test_the_keys_have_a_page_in_both_languages(desk: httpx.AsyncClient) -> None:
    assert "快捷键" in seen(await desk.get("/keys"))
    assert "Silence (which is neither acknowledging nor accepting)" in seen(await desk.get("/keys?language=en"))


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/devices?q=號樓西側", "3号楼西侧"),
        ("/labels?q=號樓西側", "3号楼西侧"),
        ("/cases?q=號樓西側", "3号楼西侧"),
        ("/rules?q=燃氣洩漏", "燃气泄漏"),
        ("/audit?words=鑰匙在門衛", "钥匙在门卫"),
        ("/audit?words=门卫换锁", "門衛換鎖"),
        ("/audit?actor=陳偉", "陈伟"),
        ("/accounts/journal?name=陳偉", "陈伟"),
    ],
)
async def test_every_box_finds_what_is_written_in_the_other_characters(
    browser: httpx.AsyncClient, junmen: Block, path: str, row: str
) -> None:
    junmen.accounts.add("wei", PASSWORD, "engineer")
    await log_in(browser, "陈伟", "wrong")
    await log_in(browser, "wei")
    junmen.announce("bin-1", place="3号楼西侧")
    case = case_of(junmen, junmen.raise_alarm("bin-1", place="3号楼西侧", title=COVER))
    versions.keep(junmen.database, load_rules(load_kinds()), NOON_MS)
    junmen.desk.note(case.id, actor="陈伟", at_ms=NOON_MS, words="钥匙在门卫")
    junmen.desk.note(case.id, actor="wei", at_ms=NOON_MS, words="門衛換鎖")
    assert row in seen(await browser.get(path))
    assert row not in seen(await browser.get(f"{path}鑫"))
