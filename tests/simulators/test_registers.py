"""Values to registers; the way back is written here by struct, independent of the edge's."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models.modbus import ModbusChannel, ModbusModel
from simulators.registers import channels_in, encode, memory

FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
LIMITS = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}


def decoded(channel: ModbusChannel, words: Sequence[int]) -> float:
    big_first = words if channel.word_order == "big" else list(reversed(words))
    raw = struct.unpack(FORMATS[channel.type], struct.pack(f">{len(words)}H", *big_first))[0]
    return float(raw * channel.scale + channel.offset)


def channel(**fields: object) -> ModbusChannel:
    return ModbusChannel.model_validate({"holding": 0, **fields})


@st.composite
def integer_channels(draw: st.DrawFn) -> tuple[ModbusChannel, float]:
    """A channel, and a value that its register can hold."""
    kind = draw(st.sampled_from(sorted(LIMITS)))
    low, high = LIMITS[kind]
    of = channel(
        type=kind,
        word_order=draw(st.sampled_from(["big", "little"])),
        scale=draw(st.sampled_from([0.001, 0.01, 0.1, 0.25, 1, 3, -0.5])),
        offset=draw(st.sampled_from([0, -40, 12.5])),
        not_available=draw(st.sampled_from([None, low, high, 7])),
    )
    return of, draw(st.floats(low, high)) * of.scale + of.offset


@given(integer_channels())
def test_a_value_comes_back_within_half_a_count(drawn: tuple[ModbusChannel, float]) -> None:
    of, value = drawn
    words, said = encode(of, value)
    assert len(words) == of.words
    assert all(0 <= word <= 0xFFFF for word in words)
    # One count more where the nearest is the code for "no value".
    counts = 0.5 if of.not_available is None else 1.5
    assert decoded(of, words) == pytest.approx(value, abs=counts * abs(of.scale) * (1 + 1e-6))
    assert said == pytest.approx(decoded(of, words), rel=1e-11, abs=1e-11), "the record says what the register says"


@given(integer_channels())
def test_a_value_is_never_written_as_no_value(drawn: tuple[ModbusChannel, float]) -> None:
    of, value = drawn
    if not isinstance(of.not_available, int):
        return
    no_value, said = encode(of, None)
    assert said is None
    assert encode(of, value)[0] != no_value
    at_the_code = of.not_available * of.scale + of.offset
    assert encode(of, at_the_code)[0] != no_value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(["big", "little"]))
def test_a_float32_comes_back_as_it_is(value: float, word_order: str) -> None:
    of = channel(type="float32", word_order=word_order)
    words, said = encode(of, value)
    assert decoded(of, words) == value
    assert said is not None
    assert struct.unpack(">f", struct.pack(">f", said))[0] == value, "shorter, and still this float32"


def test_known_registers() -> None:
    assert encode(channel(type="int16", scale=0.1), -12.5) == ((0xFF83,), -12.5)
    assert encode(channel(type="uint16", scale=0.001), 0.2) == ((200,), 0.2)
    assert encode(channel(type="float32"), 1.1) == ((0x3F8C, 0xCCCD), 1.1)
    assert encode(channel(type="float32", word_order="little"), 1.0) == ((0x0000, 0x3F80), 1.0)
    assert encode(channel(type="int32", word_order="little"), -2) == ((0xFFFE, 0xFFFF), -2)
    assert encode(channel(type="int16", not_available=0x7FFF), None) == ((0x7FFF,), None)
    assert encode(channel(type="int16", not_available=-1), None) == ((0xFFFF,), None)
    assert encode(channel(type="uint16"), True) == ((1,), True)


def test_a_register_stays_at_its_end() -> None:
    assert encode(channel(type="uint16"), -3) == ((0,), 0)
    assert encode(channel(type="int16", scale=0.1), 1e9) == ((0x7FFF,), 3276.7)
    assert encode(channel(type="float32"), 1e300)[0] == (0x7F7F, 0xFFFF)


def test_bits_share_a_register_and_tables_are_apart() -> None:
    model = ModbusModel.model_validate(
        {
            "protocol": "modbus",
            "name": "a test",
            "source": "a test",
            "kind": "gas_alarm",
            "poll_every": "1s",
            "channels": {
                "low": {"holding": 5, "type": "bit", "bit": 0},
                "high": {"holding": 5, "type": "bit", "bit": 15},
                "wide": {"input": 5, "type": "uint32"},
                "contact": {"discrete": 5, "type": "bit"},
                "relay": {"coil": 5, "type": "bit"},
            },
        }
    )
    held = memory(model, {"low": True, "high": True, "wide": 0x12345, "contact": True, "relay": False})
    assert held.tables == {
        "holding": {5: 0x8001},
        "input": {5: 0x0001, 6: 0x2345},
        "discrete": {5: 1},
        "coil": {5: 0},
    }
    assert held.values == {"low": True, "high": True, "wide": 0x12345, "contact": True, "relay": False}
    assert channels_in(model, "holding", 5, 1) == ["low", "high"]
    assert channels_in(model, "input", 5, 1) == [], "half a value is none"
    assert channels_in(model, "input", 4, 3) == ["wide"]
