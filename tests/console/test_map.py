"""The one-screen map: where things lie on a site's plan, what lies together, and a scheme for a site without a plan."""

import re

import httpx
import pytest

from console.operator import site_map
from console.operator.plan import Drawing, drawing
from console.operator.site_map import piles
from console.rights import Scope
from messages.announcement import Place
from messages.ids import SiteId
from rules.duty.site import Site, load_site
from tests.console.block import Block
from tests.console.browsing import log_in
from tests.console.test_case_page import logged_in_as
from tests.console.test_pages import seen
from tests.services import ROOT

JUNMEN = load_site(ROOT / "deploy/sites/junmen.toml")


def place(building: str = "3", grid: str = "grid-1") -> Place:
    return Place(grid=grid, building=building, text="somewhere")


def test_degrees_become_metres_with_north_above() -> None:
    drawn, origin = drawing(JUNMEN), JUNMEN.plan and JUNMEN.plan.origin
    assert origin
    assert drawn.spot(place(), origin.lat, origin.lon) == (0, drawn.height)
    north = drawn.spot(place(), origin.lat + 100 / 111_320, origin.lon)
    assert north == pytest.approx((0, drawn.height - 100), abs=0.5)


def test_what_says_no_degrees_lies_at_its_building_else_in_its_grid_else_nowhere() -> None:
    drawn = drawing(JUNMEN)
    assert drawn.spot(place()) == (20, 280 - 99)
    assert drawn.spot(place("no such")) == (102.5, 140)
    assert drawn.spot(place("", "no-such")) is None
    assert drawn.spot(place(), 0.0, 0.0) == drawn.spot(place()), "degrees of elsewhere are not believed"


def overlap(drawn: Drawing) -> bool:
    boxes = []
    for area in drawn.buildings:
        xs, ys = zip(*(map(float, point.split(",")) for point in area.points.split()), strict=True)
        boxes.append((min(xs), max(xs), min(ys), max(ys)))
    return any(
        a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
        for number, a in enumerate(boxes)
        for b in boxes[number + 1 :]
    )


@pytest.mark.parametrize("of", ["a site without a plan", "a site without a file"])
def test_without_a_plan_grids_and_buildings_are_a_scheme(of: str) -> None:
    site: Site | None = JUNMEN.model_copy(update={"plan": None}) if of == "a site without a plan" else None
    drawn = drawing(site, [place(str(number), f"g{number % 3}") for number in range(30)])
    assert not drawn.to_scale
    assert {"g0", "g1", "g2"} <= {area.id for area in drawn.grids}
    assert not overlap(drawn)
    for number in range(30):
        x, y = drawn.spot(place(str(number), f"g{number % 3}")) or (-1, -1)
        assert 0 <= x <= drawn.width
        assert 0 <= y <= drawn.height
    assert drawing(None).width > 0


def test_what_lies_close_together_is_one_mark_of_the_gravest_level(junmen: Block) -> None:
    alarms = [
        junmen.raise_alarm("d-1", level="blue"),
        junmen.raise_alarm("d-2", level="orange"),
        junmen.raise_alarm("d-3", level="red", building="6", grid="grid-2"),
        junmen.raise_alarm("d-4", level="yellow", building="", grid="elsewhere", place="Far away"),
    ]
    found = piles(drawing(JUNMEN), alarms, [], [])
    assert [(pile.level, pile.count, pile.at is None) for pile in found] == [
        ("red", 1, False),
        ("orange", 2, False),
        ("yellow", 1, True),
    ]
    assert found[0].calls


async def test_the_page_shows_marks_buildings_silent_devices_and_what_is_on_no_plan(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    await log_in(browser)
    red = junmen.raise_alarm(spot=(26.0859, 119.3005))
    junmen.raise_alarm("d-2", level="blue", grid="elsewhere", building="", place="Far away")
    junmen.announce("bin-9")
    junmen.fall_silent("bin-9")
    page = await browser.get("/map")
    text = seen(page)
    for words in (
        "津泰路",
        "安泰河",
        "第一网格",
        "3号楼",
        "Far away 不在图上",
        "设备无数据 · 垃圾桶 · bin-9",
        "pi-1",
    ):
        assert words in text, words
    assert re.search(r'class="pin red calls"[^>]*aria-label="红 · 3号楼2单元101厨房 · 1 件"', page.text)
    assert f"/cases/{red.case and red.case.id}" in page.text
    assert "style=" not in page.text


async def test_another_grids_map_shows_nothing_of_mine(junmen: Block) -> None:
    junmen.raise_alarm(place="a secret kitchen")
    junmen.announce("bin-9")
    junmen.fall_silent("bin-9")
    async with logged_in_as(junmen, "other", scope=Scope(("junmen",), ("grid-2",))) as other:
        page = await other.get("/map?site=junmen")
        assert "a secret kitchen" not in page.text
        assert "设备无数据 ·" not in seen(page)
    async with logged_in_as(junmen, "far", scope=Scope(("elsewhere",))) as far:
        assert "军门" not in seen(await far.get("/map?site=junmen")).replace("军门社区", "")


async def test_a_city_chooses_among_its_sites(browser: httpx.AsyncClient, junmen: Block) -> None:
    await log_in(browser)
    junmen.raise_alarm("d-1", site=SiteId("dongjie"), grid="g-9", building="12", place="Dongjie 12")
    page = await browser.get("/map?site=dongjie")
    assert "本社区没有平面图" in seen(page)
    assert "12号楼" in seen(page)
    assert "3号楼" not in seen(page)


async def test_a_site_shows_its_alarms_though_graver_ones_elsewhere_take_all_the_room(
    browser: httpx.AsyncClient, junmen: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_map, "MOST_ROWS", 2)
    await log_in(browser)
    for number in range(2):
        junmen.raise_alarm(f"d-{number}", site=SiteId("dongjie"), grid="g-9", building="12", place="Dongjie 12")
    junmen.raise_alarm("bin-1", level="blue", building="no such", grid="no-such", place="Junmen 3")
    assert "Junmen 3" in seen(await browser.get("/map?site=junmen"))
