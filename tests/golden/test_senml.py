"""Packs that we did not write: all JSON examples of RFC 8428 section 5.1, as its text has them, under senml/.

Their names are URNs and addresses, which are no names of ours (messages/ids.py), so as they stand every record is
refused, each by itself, and nothing else goes wrong. With names of ours in their place they mean what the RFC says
that they mean.
"""

from pathlib import Path

import pytest

from messages.pack import Fault, Pack, decode
from messages.reading import Reading

FOLDER = Path(__file__).parent / "senml"
EXAMPLES = sorted(FOLDER.glob("rfc8428-*.json"))


def renamed(section: str, *names: tuple[str, str]) -> Pack:
    """The example with other names in it, each pair old and new."""
    text = (FOLDER / f"rfc8428-{section}.json").read_text()
    for old, new in names:
        assert old in text
        text = text.replace(old, new)
    return decode(text.encode())


def told(readings: object) -> list[tuple[str, str, int, object, str | None]]:
    assert isinstance(readings, list)
    return [(reading.device, reading.channel, reading.at_ms, reading.value, reading.unit) for reading in readings]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_as_it_stands_every_record_is_refused_for_its_name_and_costs_only_itself(path: Path) -> None:
    pack = decode(path.read_bytes())
    records = path.read_text().count("{") - path.read_text().count(':"}')  # a record of base fields alone says nothing
    assert (pack.edge, pack.stream, pack.number, pack.readings) == (None, None, None, [])
    assert len(pack.bad) == records
    for bad in pack.bad:
        assert bad.fault is Fault.MALFORMED
        assert "the name 'urn:dev:ow:10e2073a010800" in bad.detail or "2001:db8::" in bad.detail or "'vd'" in bad.detail


def test_there_are_ten_examples() -> None:
    assert len(EXAMPLES) == 10


def test_a_reading_without_a_time_is_relative_to_now_and_refused() -> None:
    """5.1.1, 5.1.2 and 5.1.7: a receiver that stores can't know when "now" was."""
    for section, name, count in (
        ("5.1.1", "urn:dev:ow:10e2073a01080063", 1),
        ("5.1.2-a", "urn:dev:ow:10e2073a01080063:", 2),
        ("5.1.7-a", "urn:dev:ow:10e2073a01080063:", 3),
    ):
        pack = renamed(section, (name, "ow-63/temp" if count == 1 else "ow-63/"))
        assert pack.readings == []
        assert [bad.detail for bad in pack.bad] == ["time 0 s is relative to now, and now is over"] * count


def test_base_time_base_unit_and_negative_times_resolve_as_in_the_second_example_of_5_1_2() -> None:
    pack = renamed("5.1.2-b", ("urn:dev:ow:10e2073a0108006:", "ow-6/"))
    assert pack.bad == ()
    base_ms = 1_276_020_076_001
    assert told(pack.readings) == [
        ("ow-6", "voltage", base_ms, 120.1, "V"),
        ("ow-6", "current", base_ms - 5000, 1.2, "A"),
        ("ow-6", "current", base_ms - 4000, 1.3, "A"),
        ("ow-6", "current", base_ms - 3000, 1.4, "A"),
        ("ow-6", "current", base_ms - 2000, 1.5, "A"),
        ("ow-6", "current", base_ms - 1000, 1.6, "A"),
        ("ow-6", "current", base_ms, 1.7, "A"),
    ]


def test_5_1_3_resolves_to_what_5_1_4_says_it_resolves_to() -> None:
    name = ("urn:dev:ow:10e2073a01080063", "ow-63/position")
    packed, resolved = renamed("5.1.3", name), renamed("5.1.4", name)
    assert packed.bad == resolved.bad == ()
    assert len(told(packed.readings)) == 13
    assert packed.readings == resolved.readings
    assert isinstance(packed.readings[0], Reading)
    assert told(packed.readings)[0] == ("ow-63", "position", 1_320_067_464_000, 20.0, "%RH")


def test_all_value_types_of_5_1_5_but_the_binary_one() -> None:
    pack = renamed("5.1.5", ('"urn:dev:ow:10e2073a01080063:"', '"ow-63/","bt":1320067464'))
    assert told(pack.readings) == [
        ("ow-63", "temp", 1_320_067_464_000, 23.1, "Cel"),
        ("ow-63", "label", 1_320_067_464_000, "Machine Room", None),
        ("ow-63", "open", 1_320_067_464_000, False, None),
    ]
    assert [(bad.index, bad.detail) for bad in pack.bad] == [(3, "field 'vd' is not understood")]


def test_the_last_record_of_5_1_6_has_the_second_name_and_the_first_time() -> None:
    pack = renamed("5.1.6", ("2001:db8::2", "two"), ("2001:db8::1", "one"))
    at_ms = 1_320_078_429_000
    assert told(pack.readings) == [
        ("two", "temperature", at_ms, 25.2, "Cel"),
        ("two", "humidity", at_ms, 30.0, "%RH"),
        ("one", "temperature", at_ms, 12.3, "Cel"),
        ("one", "humidity", at_ms, 67.0, "%RH"),
    ]


def test_tenths_of_a_second_of_5_1_7() -> None:
    lights = (("2001:db8::3", "light-3/level"), ("2001:db8::4", "light-4/level"))
    at_ms = 1_320_078_429_000
    assert told(renamed("5.1.7-b", *lights).readings) == [
        ("light-3", "level", at_ms, 1.0, "/"),
        ("light-4", "level", at_ms, 1.0, "/"),
    ]
    assert told(renamed("5.1.7-c", *lights).readings) == [
        ("light-3", "level", at_ms, 0.5, "/"),
        ("light-4", "level", at_ms, 0.5, "/"),
        ("light-3", "level", at_ms + 100, 0.0, "/"),
        ("light-4", "level", at_ms + 100, 0.0, "/"),
    ]
