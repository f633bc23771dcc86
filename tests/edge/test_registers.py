import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.models.modbus import WORDS, ModbusChannel, ModbusWrite
from edge.sources import registers
from messages.ids import DeviceId
from messages.kind import Channel, Kind
from messages.reading import Quality, Reading, Value

TEXT = {"zh": "量", "en": "quantity"}


def read(raw: list[int], wanted: str = "number", first: int = 0, **channel: object) -> Reading | None:
    settings = ModbusChannel.model_validate({"holding": 0} | channel)
    kind = Kind(
        name=TEXT,  # type: ignore[arg-type]
        channels={
            "quantity": Channel.model_validate(
                {
                    "name": TEXT,
                    "meaning": "",
                    "type": wanted,
                    "interval": "1min",
                    "unit": None if wanted != "number" else "m",
                }
            )
        },
    )
    found = list(registers.readings(DeviceId("d"), kind, {"quantity": settings}, first, raw, 5))
    assert len(found) < 2
    return found[0] if found else None


def value(raw: list[int], wanted: str = "number", first: int = 0, **channel: object) -> Value | None:
    reading = read(raw, wanted, first, **channel)
    return reading.value if reading else None


@pytest.mark.parametrize(
    ("type_", "raw", "expected"),
    [
        ("uint16", [0xFFFF], 65535),
        ("int16", [0xFFFF], -1),
        ("int16", [0x8000], -32768),
        ("int16", [0x7FFF], 32767),
        ("uint32", [0x0001, 0x0002], 65538),
        ("int32", [0xFFFF, 0xFFFE], -2),
        ("float32", [0x3FA6, 0x6666], 1.3),
        ("float32", [0xC2F6, 0xE979], -123.456),
    ],
)
def test_types_are_read_as_the_product_file_says(type_: str, raw: list[int], expected: float) -> None:
    assert value(raw, type=type_) == expected
    assert value(raw[::-1], type=type_, word_order="little") == expected


def test_scale_and_offset_leave_no_dust_behind_the_point() -> None:
    assert value([3], type="int16", scale=0.1) == 0.3
    assert value([1234], scale=0.001) == 1.234
    assert value([250], type="int16", scale=0.1, offset=-40) == -15


def test_a_bit_is_taken_from_its_register_or_stands_alone() -> None:
    assert [value([0b10], "boolean", type="bit", bit=bit) for bit in (0, 1, 2)] == [False, True, False]
    assert value([1], "boolean", holding=None, discrete=0, type="bit") is True


def test_a_register_of_a_boolean_channel_is_true_when_it_is_not_nought() -> None:
    assert [value([raw], "boolean") for raw in (0, 1, 7)] == [False, True, True]


@pytest.mark.parametrize("written", [0x8000, -32768])
def test_a_count_that_means_not_available_makes_no_reading(written: int) -> None:
    assert value([0x8000], type="int16", not_available=written) is None
    assert value([0x8001], type="int16", not_available=written) == -32767


def test_a_status_word_that_is_not_available_says_nothing_of_its_bits() -> None:
    """All bits of 0xFFFF are set: without this each of them would be an alarm."""
    assert value([0xFFFF], "boolean", type="bit", bit=3, not_available=0xFFFF) is None
    assert value([0x0008], "boolean", type="bit", bit=3, not_available=0xFFFF) is True
    assert value([0xFFFF], "boolean", mask=0x0008, not_available=0xFFFF) is None


def test_an_enumeration_may_write_a_signed_count_either_way() -> None:
    for written in ("-1", "0xFFFF"):
        assert value([0xFFFF], "text", type="int16", values={written: "fault", "1": "good"}) == "fault"
    assert value([0x1234], "text", mask=0x0F00, values={"2": "two"}) == "two"
    assert value([0x1334], "text", mask=0x0F00, values={"2": "two"}) is None


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"not_available": 70_000}, "70000 is no uint16"),
        ({"not_available": [-1]}, "-1 is no uint16"),
        ({"type": "int16", "not_available": -32769}, "-32769 is no int16"),
        ({"type": "float32", "not_available": 1 << 32}, "is no float32"),
        ({"values": {"65536": "x"}}, "65536 is no uint16"),
        ({"values": {"-1": "x"}}, "-1 is no uint16"),
        ({"mask": 0x00F0, "values": {"16": "x"}}, "16 is more than the 15"),
        ({"type": "text", "length": 1, "not_available": 0}, "not for a text"),
        ({"holding": None, "coil": 0, "type": "bit", "byte_order": "little"}, "has no `byte_order`"),
        ({"holding": None, "discrete": 0, "type": "bit", "not_available": 1}, "no count for `not_available`"),
    ],
)
def test_a_count_that_can_never_come_is_a_mistake(channel: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ModbusChannel.model_validate({"holding": 0} | channel)


@pytest.mark.parametrize("special", [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]])
def test_a_float_that_is_no_number_makes_no_reading(special: list[int]) -> None:
    assert value(special, type="float32") is None


def test_a_number_that_scaling_makes_infinite_makes_no_reading() -> None:
    largest = list(struct.unpack(">4H", struct.pack(">d", 1.7e308)))
    assert value(largest, type="float64") == 1.7e308
    assert value(largest, type="float64", scale=10.0) is None


def test_a_value_that_the_device_cannot_measure_is_of_bad_quality() -> None:
    inside, outside = (read([raw], scale=0.1, valid=[0, 20]) for raw in (200, 201))
    assert inside
    assert outside
    assert (inside.quality, outside.quality) == (Quality.GOOD, Quality.BAD)


def test_a_channel_stands_where_its_address_is_in_the_reply() -> None:
    assert value([10, 11, 12], first=0x100, holding=0x102) == 12


@given(
    st.sampled_from([*WORDS, "bit", "text"]),
    st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
    st.sampled_from(["big", "little"]),
    st.sampled_from(["big", "little"]),
    st.floats(-1e300, 1e300, allow_nan=False).filter(bool),
)
def test_whatever_stands_in_the_registers_is_a_finite_value_or_none(
    type_: str, raw: list[int], words: str, byte_order: str, scale: float
) -> None:
    more = {"bit": {"bit": 3}, "text": {"length": 4}}.get(type_, {})
    wanted = {"bit": "boolean", "text": "text"}.get(type_, "number")
    found = value(raw, wanted, type=type_, word_order=words, byte_order=byte_order, scale=scale, **more)
    assert found is None or isinstance(found, bool | str) or math.isfinite(found)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_becomes_a_decimal_that_is_still_that_float32(number: float) -> None:
    packed = struct.pack(">f", number)
    found = value(list(struct.unpack(">HH", packed)), type="float32")
    assert isinstance(found, float)
    assert struct.pack(">f", found) == packed or math.isclose(found, number, rel_tol=1e-11)


@pytest.mark.parametrize(
    ("write", "said", "words"),
    [
        ({"type": "int16"}, -1, (0xFFFF,)),
        ({"type": "int16", "scale": 0.1}, 12.5, (125,)),
        ({"type": "uint32"}, 0x10002, (1, 2)),
        ({"type": "uint32", "word_order": "little"}, 0x10002, (2, 1)),
        ({"type": "int32"}, -2, (0xFFFF, 0xFFFE)),
        ({"type": "float32"}, 1.3, (0x3FA6, 0x6666)),
    ],
)
def test_what_is_written_stands_in_the_registers(write: dict[str, object], said: float, words: tuple[int, ...]) -> None:
    assert registers.encoded(ModbusWrite.model_validate({"holding": 0} | write), said) == words


@pytest.mark.parametrize("type_", ["int16", "uint16", "int32", "uint32", "float32"])
@pytest.mark.parametrize("said", [1e39, -1e39, 1.7e308])
def test_a_value_that_no_register_holds_is_refused_with_a_word(type_: str, said: float) -> None:
    write = ModbusWrite.model_validate({"holding": 0, "type": type_, "scale": 0.01})
    with pytest.raises(ValueError, match="does not fit into a register of type"):
        registers.encoded(write, said)


def test_a_whole_number_outside_its_type_is_refused() -> None:
    for type_, said in (("uint16", -1), ("uint16", 65536), ("int16", 32768), ("uint32", 1 << 32)):
        with pytest.raises(ValueError, match="does not fit"):
            registers.encoded(ModbusWrite.model_validate({"holding": 0, "type": type_}), said)
