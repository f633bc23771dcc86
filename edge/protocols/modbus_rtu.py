"""Modbus RTU, the master's side: the bytes of a read request, and a strict judge of the bytes that come back.

Sources: MODBUS Application Protocol V1.1b3 section 6 (requests and replies), MODBUS over Serial Line V1.02
section 2.5 (frames, silent interval, CRC). pymodbus builds requests, decodes replies and computes the CRC; the
judge adds what it leaves open: a reply must be of the unit, the function and the length that were asked for.
Anything else is garbled and never becomes a value, since RTU replies carry no number that ties them to a request.

Left to others: opening ports, waiting, discarding what arrives after a verdict (edge/sources/modbus_line.py).
"""

from dataclasses import dataclass
from enum import StrEnum

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU, ReadCoilsRequest, ReadHoldingRegistersRequest
from pymodbus.pdu.bit_message import ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadInputRegistersRequest

from edge.models.modbus import Table

MOST_REGISTERS = 125
MOST_BITS = 2000
"""What one reply can carry (V1.1b3 sections 6.1 and 6.3)."""

BITS_PER_CHARACTER = 11
"""Start bit, 8 data bits, parity or a second stop bit, stop bit (serial line guide 2.5.1)."""

_REQUESTS: dict[Table, type[ModbusPDU]] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "holding": ReadHoldingRegistersRequest,
    "input": ReadInputRegistersRequest,
}
_EXCEPTION = 0x80
_OVERHEAD = 5  # unit, function, byte count or exception code, two bytes of CRC

_replies = DecodePDU(is_server=False)
_framer = FramerRTU(_replies)


@dataclass(frozen=True, slots=True)
class Request:
    """A read of `count` neighbours from `address` (from 0) in one table of one unit."""

    unit: int
    table: Table
    address: int
    count: int

    @property
    def function(self) -> int:
        return _REQUESTS[self.table].function_code

    @property
    def of_bits(self) -> bool:
        return self.table in ("coil", "discrete")

    @property
    def reply_bytes(self) -> int:
        """Length of the whole frame of a good reply."""
        return _OVERHEAD + ((self.count + 7) // 8 if self.of_bits else 2 * self.count)


class Fault(StrEnum):
    """What is wrong with a reply that is no good."""

    WRONG_UNIT = "wrong unit"
    WRONG_FUNCTION = "wrong function"
    WRONG_LENGTH = "wrong length"
    BAD_CRC = "bad CRC"
    CUT_SHORT = "cut short"


@dataclass(frozen=True, slots=True)
class Values:
    """The registers that were asked for, each 0 to 65535, or the bits, each 0 or 1."""

    raw: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The device understood and said no: an exception reply (V1.1b3 section 7)."""

    code: int

    def __str__(self) -> str:
        name = next((known.name for known in ExcCodes if known == self.code), "unknown exception")
        return f"exception {self.code}, {name.replace('_', ' ').lower()}"


@dataclass(frozen=True, slots=True)
class Garbled:
    """Not a reply to what was asked."""

    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)


Verdict = Values | Refused | Garbled


def encode(request: Request) -> bytes:
    """The frame to send."""
    pdu = _REQUESTS[request.table](dev_id=request.unit, address=request.address, count=request.count)
    return _framer.buildFrame(pdu)


class Judge:
    """Takes the reply to one request in any cuts and gives one verdict, as soon as there can be one."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._frame = bytearray()

    def feed(self, data: bytes) -> Verdict | None:
        """The verdict, or None while the frame may still become good. Bytes past the frame are not looked at."""
        self._frame += data
        if fault := self._fault_of_head():
            return Garbled(fault)
        exception = len(self._frame) > 1 and self._frame[1] & _EXCEPTION
        expected = _OVERHEAD if exception else self._request.reply_bytes
        if len(self._frame) < expected:
            return None
        return _judge(self._request, bytes(self._frame[:expected]))

    def time_is_over(self) -> Garbled | None:
        """What to say when no more will come: None for perfect silence."""
        return Garbled(Fault.CUT_SHORT) if self._frame else None

    def _fault_of_head(self) -> Fault | None:
        frame, request = self._frame, self._request
        if frame and frame[0] != request.unit:
            return Fault.WRONG_UNIT
        if len(frame) > 1 and frame[1] & ~_EXCEPTION != request.function:
            return Fault.WRONG_FUNCTION
        if len(frame) > 2 and frame[1] == request.function and frame[2] != request.reply_bytes - _OVERHEAD:
            return Fault.WRONG_LENGTH
        return None


def _judge(request: Request, frame: bytes) -> Verdict:
    """Of a frame whose unit, function and length are right."""
    if not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
        return Garbled(Fault.BAD_CRC)
    reply = _replies.decode(frame[1:-2])
    assert reply is not None, "its function and its length have been checked"
    if reply.isError():
        return Refused(reply.exception_code)
    return Values(tuple(map(int, reply.bits[: request.count] if request.of_bits else reply.registers)))


def silent_interval_s(baudrate: int) -> float:
    """Seconds of silence that part two frames: 3.5 characters, 1.75 ms above 19200 Bd (serial line guide 2.5.1.1)."""
    return 0.00175 if baudrate > 19200 else 3.5 * BITS_PER_CHARACTER / baudrate


def transmission_s(length: int, baudrate: int) -> float:
    """Seconds that `length` bytes take on the line."""
    return length * BITS_PER_CHARACTER / baudrate
