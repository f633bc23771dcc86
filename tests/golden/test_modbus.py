"""Our Modbus codec against bytes that others wrote: two specifications and a capture of two foreign programs."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.models.modbus import ModbusModel
from edge.models.product import load_models
from edge.protocols import modbus_rtu
from edge.protocols.modbus import Fault, Garbled, Refused, Request, Values, Write, Written
from edge.protocols.modbus_rtu import Judge, Pace
from edge.sources.registers import encoded
from messages.kind import load_kinds

FOLDER = Path(__file__).parent / "modbus"


def golden(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


def request_of(example: dict[str, Any]) -> Request:
    return Request(11, example["table"], example["address"], example["count"])


def verdict_of(example: dict[str, Any]) -> Values | Refused:
    return Refused(example["exception"]) if "exception" in example else Values(tuple(example["raw"]))


@pytest.mark.parametrize("example", golden("application_protocol.toml")["examples"], ids=lambda e: e["section"][:3])
def test_requests_and_replies_are_those_of_the_specification(example: dict[str, Any]) -> None:
    request = request_of(example)
    assert modbus_rtu.encode(request)[1:-2] == bytes.fromhex(example["request"])
    reply = b"\x0b" + bytes.fromhex(example["reply"])
    assert Judge(request).feed(reply + crc(reply)) == verdict_of(example)


@pytest.mark.parametrize("example", golden("libmodbus.toml")["examples"], ids=lambda e: f"{e['table']}{e['address']}")
def test_frames_are_those_of_mbpoll_and_libmodbus(example: dict[str, Any]) -> None:
    assert modbus_rtu.encode(request_of(example)) == bytes.fromhex(example["request"])
    assert Judge(request_of(example)).feed(bytes.fromhex(example["reply"])) == verdict_of(example)


@pytest.mark.parametrize("example", golden("relay.toml")["examples"], ids=lambda e: e["frame"])
def test_a_command_is_the_frame_that_the_maker_prints(example: dict[str, Any]) -> None:
    model = load_models(load_kinds())[example["model"]]
    assert isinstance(model, ModbusModel)
    how = model.commands[example["command"]]
    write = Write(1, how.table, how.address, encoded(how, example.get("value")), many=how.many)
    assert modbus_rtu.encode(write) == bytes.fromhex(example["frame"])
    assert Judge(write).feed(bytes.fromhex(example["frame"])) == Written()


def test_the_crc_is_that_of_the_serial_line_guide() -> None:
    guide = golden("serial_line.toml")
    assert crc(bytes.fromhex(guide["crc_of"])) == bytes.fromhex(guide["crc"])
    # and the judge uses that one: the guide's own frame, read as the head of a reply to a question it can't answer
    assert Judge(Request(2, "holding", 0, 1)).feed(bytes.fromhex(guide["crc_of"])) == Garbled(Fault.WRONG_FUNCTION)


def test_the_silent_interval_is_three_and_a_half_characters_and_fixed_above_19200_baud() -> None:
    guide = golden("serial_line.toml")["silent_interval"]
    assert Pace(guide["fixed_above_baud"] + 1).silent_s == guide["fixed_us"] / 1e6
    assert Pace(115200).silent_s == guide["fixed_us"] / 1e6
    assert Pace(9600).silent_s == pytest.approx(3.5 * 11 / 9600)
    assert Pace(19200).silent_s > guide["fixed_us"] / 1e6


def crc(frame: bytes) -> bytes:
    """The CRC by the definition in the guide's appendix B, bit by bit, low byte first: not by our codec's table."""
    register = 0xFFFF
    for byte in frame:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")
