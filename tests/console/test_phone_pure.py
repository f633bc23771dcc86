"""What a picture keeps, where a case is, whom one calls, and the icon: values only."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.phone.bare import bare
from console.phone.icon import png
from console.phone.whereabouts import contacts, geo_uri, name_of, spot
from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text
from rules.cases.case import Situation, opened
from rules.duty.roster import UNCHANGED, Absence, Changes
from rules.duty.site import load_site
from rules.language.neighbours import distance_m
from rules.records import Case
from tests.console.block import NOON_MS
from tests.pictures import EXIF, chunk, riff, segment
from tests.services import ROOT

JUNMEN = load_site(ROOT / "deploy/sites/junmen.toml")


def case_at(building: str = "3", *, grid: str = "grid-1", lat: float | None = None, owner: str = "") -> Case:
    about = Situation(
        site=SiteId("junmen"),
        place=Place(grid=grid, building=building, text="3号楼 (后门)"),
        kind="manhole_cover",
        subject="cover-1",
        title=Text(zh="井盖", en="Cover"),
        level="red",
        origin="alarm",
        lat=lat,
        lon=None if lat is None else 119.3,
        owner=owner,
    )
    return opened("c", about, NOON_MS)


JFIF, TABLE, SCAN = (
    segment(0xE0, b"JFIF\0"),
    segment(0xDB, b"table"),
    segment(0xDA, b"head") + b"pixels\xff\x00\xff\xd0",
)
PICTURES = {
    "image/jpeg": (
        b"\xff\xd8"
        + JFIF
        + segment(0xE1, EXIF)
        + segment(0xFE, b"by GPS")
        + segment(0xE4, EXIF)
        + segment(0xE2, b"MPF\0" + EXIF)
        + TABLE
        + SCAN
        + b"\xff\xd9"
        + EXIF,
        b"\xff\xd8" + JFIF + TABLE + SCAN + b"\xff\xd9",
    ),
    "image/png": (
        png(4)[:33] + chunk(b"eXIf", EXIF) + chunk(b"tEXt", b"GPS") + png(4)[33:] + EXIF,
        png(4),
    ),
    "image/webp": (
        riff((b"VP8X", b"\x1c" + b"\0" * 9), (b"VP8 ", b"pixels"), (b"EXIF", EXIF), (b"XMP ", b"GPS")),
        riff((b"VP8X", b"\x10" + b"\0" * 9), (b"VP8 ", b"pixels")),
    ),
}


@pytest.mark.parametrize("media", PICTURES)
def test_a_picture_loses_what_the_phone_wrote_beside_it_and_nothing_else(media: str) -> None:
    full, plain = PICTURES[media]
    assert bare(full, media) == plain
    assert bare(plain, media) == plain


@pytest.mark.parametrize("media", PICTURES)
@given(content=st.data())
def test_no_broken_file_is_more_than_no_picture(media: str, content: st.DataObject) -> None:
    full, _ = PICTURES[media]
    cut = content.draw(st.integers(0, len(full)))
    junk = content.draw(st.binary(max_size=60))
    shown = bare(full[:cut] + junk, media)
    assert EXIF not in shown or EXIF in junk
    assert bare(junk, "image/gif") == b""


def test_a_case_lies_where_its_device_says_else_in_the_middle_of_its_building() -> None:
    assert spot(case_at(lat=26.0), JUNMEN) == (26.0, 119.3)
    middle = spot(case_at("3"), JUNMEN)
    assert middle
    assert JUNMEN.plan
    assert JUNMEN.plan.origin
    away_m = distance_m(JUNMEN.plan.origin.lat, JUNMEN.plan.origin.lon, *middle)
    assert away_m == pytest.approx((50**2 + 99**2) ** 0.5, abs=0.1)  # outline from (20, 92) to (80, 106)
    assert spot(case_at("no such"), JUNMEN) is None
    assert spot(case_at(), None) is None


def test_the_way_is_a_uri_that_any_app_of_maps_takes() -> None:
    assert geo_uri((26.0850001, 119.3), "后门 (3)&x") == (
        "geo:26.085000,119.300000?q=26.085000,119.300000(%E5%90%8E%E9%97%A8%20%283%29%26x)"
    )


def test_whom_to_call_are_those_on_duty_near_it_and_the_owner() -> None:
    found = contacts(JUNMEN, case_at(owner="drainage"), UNCHANGED, NOON_MS)
    assert [one.role for one in found][:3] == ["building_lead", "property", "owner"]
    assert len({one.name for one in found}) == len(found)
    assert all(one.address.startswith("tel:") and one.address[4:].lstrip("+").isdecimal() for one in found)
    elsewhere = contacts(JUNMEN, case_at("7", grid="grid-2"), UNCHANGED, NOON_MS)
    assert "building_lead" not in {one.role for one in elsewhere}
    assert contacts(None, case_at(), UNCHANGED, NOON_MS) == []


def test_who_is_away_is_not_called_but_his_stand_in() -> None:
    lead = JUNMEN.posts["building-3"].shifts[0].people[0]
    away = Absence(person=lead, from_ms=0, until_ms=2 * NOON_MS, instead="wu", reason="leave")
    found = contacts(JUNMEN, case_at(), Changes(absences=(away,)), NOON_MS)
    assert [one.name for one in found if one.role == "building_lead"] == [JUNMEN.people["wu"].name]


def test_a_person_is_named_as_people_call_him() -> None:
    assert name_of(JUNMEN, "lin") == "林小梅"
    assert [name_of(JUNMEN, "nobody"), name_of(None, "lin"), name_of(JUNMEN, None)] == ["nobody", "lin", ""]


@pytest.mark.parametrize("size", [192, 512])
def test_the_icon_is_a_png_of_its_size(size: int) -> None:
    content = png(size)
    assert struct.unpack(">II", content[16:24]) == (size, size)
    rows = zlib.decompress(content[41 : content.index(b"IEND") - 8])
    assert len(rows) == size * (size * 3 + 1)
    assert len(content) < 8_000
