"""Modbus, the master's side, whatever carries it: what may be asked, and what an answer to it says.

Source: MODBUS Application Protocol V1.1b3 sections 4.1 (PDU), 6.1 to 6.6, 6.11, 6.12 (functions 1 to 6, 15, 16) and 7
(exceptions). pymodbus builds requests and decodes replies; what it leaves open is judged here: an answer must be of the
function, the length and, for a write, the address and the value that were asked for. Frames are modbus_rtu's and modbus_tcp's.
"""

from dataclasses import dataclass
from enum import StrEnum

from pymodbus.constants import ExcCodes
from pymodbus.pdu import DecodePDU, ModbusPDU, ReadCoilsRequest, ReadHoldingRegistersRequest
from pymodbus.pdu.bit_message import ReadDiscreteInputsRequest, WriteMultipleCoilsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from edge.models.modbus import Table

MOST_REGISTERS = 125
MOST_BITS = 2000
"""What one reply can carry (sections 6.1 and 6.3)."""
EXCEPTION = 0x80
EXCEPTION_BYTES = 2
"""Of an exception's PDU: function and code."""

SAID_FOR_OTHERS = (0x0A, 0x0B)
"""Exceptions of gateways: no path to the device, no answer from it (section 7)."""

_READS: dict[Table, type[ModbusPDU]] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "holding": ReadHoldingRegistersRequest,
    "input": ReadInputRegistersRequest,
}
_replies = DecodePDU(is_server=False)


class Fault(StrEnum):
    """What is wrong with a reply that is no good."""

    WRONG_UNIT = "wrong unit"
    WRONG_FUNCTION = "wrong function"
    WRONG_LENGTH = "wrong length"
    WRONG_ECHO = "another write confirmed"
    BAD_CRC = "bad CRC"
    CUT_SHORT = "cut short"
    NO_MODBUS = "no Modbus"
    BAD_ECHO = "the adapter's echo is damaged"


@dataclass(frozen=True, slots=True)
class Values:
    """The registers that were asked for, each 0 to 65535, or the bits, each 0 or 1."""

    raw: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The device confirms what was written."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The device understood and said no: an exception reply (section 7)."""

    code: int

    @property
    def is_silence(self) -> bool:
        """A gateway says it for a device that doesn't answer, after a time-out of its own."""
        return self.code in SAID_FOR_OTHERS

    def __str__(self) -> str:
        name = next((known.name for known in ExcCodes if known == self.code), "unknown exception")
        return f"exception {self.code}, {name.replace('_', ' ').lower()}"


@dataclass(frozen=True, slots=True)
class Garbled:
    """Not a reply to what was asked."""

    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)


Verdict = Values | Written | Refused | Garbled


@dataclass(frozen=True, slots=True)
class Request:
    """A read of `count` neighbours from `address` (from 0) in one table of one unit."""

    unit: int
    table: Table
    address: int
    count: int

    @property
    def function(self) -> int:
        return _READS[self.table].function_code

    @property
    def of_bits(self) -> bool:
        return self.table in ("coil", "discrete")

    @property
    def reply_pdu_bytes(self) -> int:
        """Of a good reply: function, byte count, content."""
        return 2 + ((self.count + 7) // 8 if self.of_bits else 2 * self.count)

    def pdu(self) -> ModbusPDU:
        return _READS[self.table](dev_id=self.unit, address=self.address, count=self.count)

    def wrong_head(self, pdu: bytes) -> Fault | None:
        """What the first bytes of a good reply would not say."""
        return Fault.WRONG_LENGTH if len(pdu) > 1 and pdu[1] != self.reply_pdu_bytes - 2 else None

    def judge(self, pdu: bytes) -> Verdict:
        """Of a whole reply of the right function and length."""
        reply = _replies.decode(pdu)
        assert reply is not None, "its function and its length have been checked"
        return Values(tuple(map(int, reply.bits[: self.count] if self.of_bits else reply.registers)))


@dataclass(frozen=True, slots=True)
class Write:
    """Coils (0 or 1 each) or registers from `address`. `many`: by function 15 or 16 even if there is but one."""

    unit: int
    table: Table
    address: int
    words: tuple[int, ...]
    many: bool = False

    @property
    def function(self) -> int:
        if self.table == "coil":
            return 15 if self._by_many else 5
        return 16 if self._by_many else 6

    @property
    def reply_pdu_bytes(self) -> int:
        """Function, address, and the value or the count that was written (sections 6.5, 6.6, 6.11, 6.12)."""
        return 5

    def pdu(self) -> ModbusPDU:
        if self.table == "coil":
            bits = [bool(word) for word in self.words]
            if self._by_many:
                return WriteMultipleCoilsRequest(dev_id=self.unit, address=self.address, bits=bits)
            return WriteSingleCoilRequest(dev_id=self.unit, address=self.address, bits=bits)
        if self._by_many:
            return WriteMultipleRegistersRequest(dev_id=self.unit, address=self.address, registers=self.words)
        return WriteSingleRegisterRequest(dev_id=self.unit, address=self.address, registers=self.words)

    def wrong_head(self, pdu: bytes) -> Fault | None:
        """What the first bytes of a good reply would not say."""
        return None if self._confirmation.startswith(pdu) else Fault.WRONG_ECHO

    def judge(self, pdu: bytes) -> Verdict:
        """Of a whole reply of the right function and length."""
        return Written() if pdu == self._confirmation else Garbled(Fault.WRONG_ECHO)

    @property
    def _by_many(self) -> bool:
        return self.many or len(self.words) > 1

    @property
    def _confirmation(self) -> bytes:
        if self._by_many:
            last = len(self.words)
        elif self.table == "coil":
            last = 0xFF00 if self.words[0] else 0
        else:
            last = self.words[0]
        return bytes((self.function,)) + self.address.to_bytes(2, "big") + last.to_bytes(2, "big")


Question = Request | Write


def fault_of_head(question: Question, pdu: bytes) -> Fault | None:
    """What is wrong with the first bytes of a reply's PDU; None while it may become good."""
    if pdu and pdu[0] & ~EXCEPTION != question.function:
        return Fault.WRONG_FUNCTION
    return question.wrong_head(pdu) if pdu and pdu[0] == question.function else None


def judged(question: Question, pdu: bytes) -> Verdict:
    """Of a whole PDU that has no wrong head."""
    if pdu[0] & EXCEPTION:
        return Refused(pdu[1])
    return question.judge(pdu)
