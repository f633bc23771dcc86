"""Line protocol against InfluxDB's documentation, and against an encoder that we did not write."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point as TheirPoint

from collector.stores.base import Batch, PackRow, Point
from collector.stores.line_protocol import requests
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Quality, Reading, Value

AT_MS = 1_465_839_830_100
GOLDEN = [
    line
    for line in (Path(__file__).parent / "line_protocol/lines.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def point(
    channel: str,
    value: Value,
    *,
    building: str = "",
    unit: str | None = None,
    quality: Quality = Quality.GOOD,
    device: str = "gas-1",
    model: str = "m",
) -> Point:
    reading = Reading(device=DeviceId(device), channel=channel, at_ms=AT_MS, value=value, unit=unit, quality=quality)
    return Point(reading=reading, kind="gas_alarm", model=model, building=building)


def line(one: Point) -> str:
    return lines(Batch(site=SiteId("junmen"), edge=EdgeId("pi-1"), points=[one], packs=[]))


def lines(batch: Batch) -> str:
    (body,) = requests([batch])
    return body.decode().removesuffix("\n")


PACK = PackRow(stream=StreamId("s-1"), number=7, first_at_ms=AT_MS - 100, last_at_ms=AT_MS, readings=12)
OURS = [
    line(point("gas_concentration", 82.0, building="3", unit="%LEL")),
    line(point("alarm_contact", True)),
    line(point("alarm_contact", False, building="Block A, no=3")),
    line(point("alarm_contact", False, building='"3"')),
    line(point("alarm_contact", False, building="3号楼")),
    line(point("note", 'too "hot", C:\\x = y')),
    line(point("tilt", -1e-7, quality=Quality.BAD)),
    lines(Batch(site=SiteId("junmen"), edge=EdgeId("pi-1"), points=[], packs=[PACK])),
]


@pytest.mark.parametrize(("ours", "golden"), list(zip(OURS, GOLDEN, strict=True)))
def test_a_line_is_what_the_documentation_says(ours: str, golden: str) -> None:
    assert ours == golden


def test_packs_are_written_after_all_readings_and_each_on_a_line_of_its_own() -> None:
    points = [point("tilt", 1.0), point("tilt", 2.0)]
    batch = Batch(site=SiteId("junmen"), edge=EdgeId("pi-1"), points=points, packs=[PACK])
    readings, packs = requests([batch, batch])
    assert [one.split(b",")[0] for one in readings.splitlines()] == [b"gas_alarm"] * 4
    assert [one.split(b",")[0] for one in packs.splitlines()] == [b"gridcall_packs"] * 2
    assert requests([]) == []


def test_a_tag_never_breaks_a_line_nor_swallows_the_next_tag() -> None:
    for evil in ("a\nb", "a\r", "\x00", "ends in \\", "\\", "a\\,b"):
        written = line(point("tilt", 1.0, building=evil, model=evil))
        assert "\n" not in written
        assert written.endswith(f",site=junmen tilt=1.0 {AT_MS}000000")
        assert ",device=gas-1," in written


def test_a_channel_that_influxdb_would_drop_or_rename_has_another_field() -> None:
    assert " time.value=1.0 " in line(point("time", 1.0))
    assert " unit.value=1.0 " in line(point("unit", 1.0))


_tag = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\"), min_size=1, max_size=40)
_value = st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=60)


@given(building=_tag, model=_tag, unit=st.none() | _tag, value=_value)
def test_every_line_is_that_of_an_independent_encoder(
    building: str, model: str, unit: str | None, value: Value
) -> None:
    theirs: Any = TheirPoint
    theirs = theirs("gas_alarm").field("channel", value).time(AT_MS * 1_000_000)
    tags = {"building": building, "device": "gas-1", "edge": "pi-1", "model": model, "site": "junmen", "unit": unit}
    for tag, text in tags.items():
        theirs.tag(tag, text)
    ours = line(point("channel", value, building=building, model=model, unit=unit))
    assert _plain(ours) == _plain(theirs.to_line_protocol())


def _plain(written: str) -> str:
    """Both ways to write a boolean, and a whole number, are documented."""
    for ours, theirs in ((" channel=true ", " channel=t "), (" channel=false ", " channel=f ")):
        written = written.replace(theirs, ours)
    head, _, time = written.rpartition(" ")
    value = head.rpartition(" channel=")[2]
    if '"' not in value and value not in ("true", "false"):
        head = head.removesuffix(value) + repr(float(value))
    return f"{head} {time}"
