"""The slaves against the standard's own bytes; the CRC around them is pymodbus's, not ours."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerRTU

from edge.models.modbus import Table
from simulators.modbus_slave import Answer, answer, crc, request_length, spoiled
from simulators.registers import Memory

EXAMPLES = tomllib.loads((Path(__file__).parent / "modbus_examples.toml").read_text())["examples"]
REGISTERS = Memory(tables={"coil": {}, "discrete": {}, "input": {}, "holding": {0: 0x0102, 1: 3, 9: 4}}, values={})


def frame(unit: int, pdu: str) -> bytes:
    content = bytes([unit]) + bytes.fromhex(pdu)
    return content + FramerRTU.compute_CRC(content).to_bytes(2, "big")


def said(request: bytes) -> bytes | None:
    reply = answer(request, {17: REGISTERS})
    return reply.frame if reply else None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["section"])
def test_the_standards_examples(example: dict[str, Any]) -> None:
    cells = dict(enumerate(example["holds"], start=example["first"]))
    tables: dict[Table, dict[int, int]] = {"coil": {}, "discrete": {}, "input": {}, "holding": {}}
    tables[example["table"]] = cells
    held = Memory(tables=tables, values={})
    reply = answer(frame(17, example["request"]), {17: held, 18: REGISTERS})
    assert reply is not None
    assert reply.frame == frame(17, example["reply"])


def test_the_crc_of_the_serial_line_guide() -> None:
    assert crc(bytes.fromhex("02 07")) == bytes.fromhex("41 12"), "MODBUS over Serial Line V1.02, section 6.2.2"
    assert frame(17, "03 00 6B 00 03") == bytes.fromhex("11 03 00 6B 00 03 76 87"), "PI-MBUS-300, the classic example"


@pytest.mark.parametrize(
    ("pdu", "reply"),
    [
        ("05 00 00 FF 00", "85 01"),
        ("06 00 00 00 01", "86 01"),
        ("10 00 00 00 01 02 00 00", "90 01"),
        ("2B 0E 01 00", "AB 01"),
        ("03 00 09 00 02", "83 02"),
        ("03 00 01 00 02", "83 02"),
        ("03 FF FF 00 02", "83 02"),
        ("04 00 00 00 01", "84 02"),
        ("03 00 00 00 00", "83 03"),
        ("03 00 00 00 7E", "83 03"),
        ("01 00 00 07 D1", "81 03"),
        ("03 00 00 00", "83 03"),
        ("03 00 00 00 02", "03 04 01 02 00 03"),
    ],
)
def test_function_quantity_and_address_are_checked_in_that_order(pdu: str, reply: str) -> None:
    assert said(frame(17, pdu)) == frame(17, reply)


@pytest.mark.parametrize(
    "request_bytes",
    [
        frame(18, "03 00 00 00 01"),
        frame(0, "03 00 00 00 01"),
        frame(17, "03 00 00 00 01")[:-1] + b"\x00",
        frame(17, "03 00 00 00 01")[:-1],
        b"\x11\x03",
        b"",
        bytes(300),
    ],
    ids=["another unit", "broadcast", "damaged", "cut short", "too short", "nothing", "too long"],
)
def test_silence(request_bytes: bytes) -> None:
    assert said(request_bytes) is None


def test_a_request_tells_its_length_as_soon_as_it_can() -> None:
    for pdu, known_after in (("03 00 00 00 01", 2), ("06 00 00 00 01", 2), ("10 00 00 00 01 02 00 00", 7)):
        whole = frame(17, pdu)
        assert [request_length(whole[:size]) for size in range(1, len(whole) + 1)] == [None] * (known_after - 1) + [
            len(whole)
        ] * (len(whole) - known_after + 1)
    assert request_length(frame(17, "2B 0E 01 00")) is None, "only silence ends it"


def test_a_spoiled_frame_is_wrong_in_one_way_only() -> None:
    sound = answer(frame(17, "03 00 00 00 01"), {17: REGISTERS})
    assert isinstance(sound, Answer)
    assert spoiled(sound, "exception") == frame(17, "83 04")
    assert spoiled(sound, "wrong_unit") == frame(18, "03 02 01 02")
    damaged = spoiled(sound, "bad_crc")
    assert damaged[:-2] == sound.frame[:-2]
    assert damaged[-2:] != sound.frame[-2:]
