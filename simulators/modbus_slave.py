"""Modbus RTU, the slaves' side: the bytes of a request in, the bytes of the reply out. Pure.

Sources: MODBUS Application Protocol V1.1b3 sections 6.1 to 6.4 (reads) and 7 (exceptions), MODBUS over Serial Line
V1.02 section 2.5 (frames) and 6.2.2 (CRC). Written from these alone and on purpose without the edge's codec, so
that two implementations face each other. The simulated devices only measure: they can be read, not written.

Silence, as on a real line: no answer to another unit, to a broadcast, to a frame that is damaged.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge.models.modbus import Table
from simulators.registers import Memory

ILLEGAL_FUNCTION, ILLEGAL_DATA_ADDRESS, ILLEGAL_DATA_VALUE, SERVER_DEVICE_FAILURE = 1, 2, 3, 4
SHORTEST, LONGEST = 4, 256
"""Bytes of a frame: unit, function and CRC at least (V1.02 section 2.5.1)."""

_TABLES: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_MOST = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}
_BITS = ("coil", "discrete")


@dataclass(frozen=True, slots=True)
class Read:
    """What a request reads: `count` neighbours from `first` in one table."""

    table: Table
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame to send. `read`: what it carries; None for an exception."""

    unit: int
    frame: bytes
    read: Read | None


def answer(request: bytes, units: Mapping[int, Memory]) -> Answer | None:
    """What the line says to `request`; None for silence."""
    if not SHORTEST <= len(request) <= LONGEST or request[-2:] != crc(request[:-2]):
        return None
    unit, function, body = request[0], request[1], request[2:-2]
    if unit not in units:
        return None
    if function not in _TABLES:
        return refusal(unit, function, ILLEGAL_FUNCTION)
    if len(body) != 4:
        return refusal(unit, function, ILLEGAL_DATA_VALUE)
    first, count = struct.unpack(">HH", body)
    read = Read(_TABLES[function], first, count)
    if not 1 <= count <= _MOST[read.table]:
        return refusal(unit, function, ILLEGAL_DATA_VALUE)
    cells = units[unit].tables[read.table]
    wanted = range(first, first + count)
    if any(address not in cells for address in wanted):
        return refusal(unit, function, ILLEGAL_DATA_ADDRESS)
    words = [cells[address] for address in wanted]
    content = _bits(words) if read.table in _BITS else struct.pack(f">{count}H", *words)
    return Answer(unit, framed(bytes([unit, function, len(content)]) + content), read)


def refusal(unit: int, function: int, code: int) -> Answer:
    """An exception: the function with its highest bit set, and why."""
    return Answer(unit, framed(bytes([unit, function | 0x80, code])), None)


def request_length(head: bytes) -> int | None:
    """How many bytes a request has whose first bytes are `head`; None: not known yet, or only silence will tell."""
    if len(head) < 2:
        return None
    if head[1] in (1, 2, 3, 4, 5, 6):
        return 8
    if head[1] in (15, 16) and len(head) > 6:
        return 9 + head[6]
    return None


FaultyFrame = Literal["exception", "bad_crc", "wrong_unit"]


def spoiled(sound: Answer, fault: FaultyFrame) -> bytes:
    """The frame that a device with `fault` sends in place of the sound one."""
    if fault == "exception":
        return refusal(sound.unit, sound.frame[1] & 0x7F, SERVER_DEVICE_FAILURE).frame
    if fault == "bad_crc":
        return sound.frame[:-1] + bytes([sound.frame[-1] ^ 0xFF])
    return framed(bytes([sound.unit % 247 + 1]) + sound.frame[1:-2])


def framed(content: bytes) -> bytes:
    return content + crc(content)


def crc(content: bytes) -> bytes:
    """CRC-16 with the polynomial 0xA001, low byte first (V1.02 section 6.2.2)."""
    register = 0xFFFF
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0xA001 if register & 1 else register >> 1
    return register.to_bytes(2, "little")


def _bits(bits: list[int]) -> bytes:
    """Eight to a byte, the first in the lowest place, the last byte filled with zeros (V1.1b3 section 6.1)."""
    packed = sum(bit << place for place, bit in enumerate(bits))
    return packed.to_bytes((len(bits) + 7) // 8, "little")
