"""Modbus over TCP: the header round a question, and a judge of what comes back. Pure.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b section 3.1.3 (MBAP header). Every reply carries its
question's number: one that carries another is stale, counted and passed over, and the judge goes on waiting. A header that
can't be one means that the stream is out of step: the connection has to be closed.
"""

import struct

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from edge.protocols.modbus import EXCEPTION, EXCEPTION_BYTES, Fault, Garbled, Question, Verdict, fault_of_head, judged

HEADER = struct.Struct(">HHHB")
"""Transaction, protocol (0), bytes that follow from the unit on, unit."""
LONGEST = 254
"""Bytes that can follow: unit and a PDU of 253."""
NUMBERS = 0x10000

_framer = FramerSocket(DecodePDU(is_server=False))


def encode(question: Question, number: int) -> bytes:
    """The frame to send, as transaction `number`."""
    pdu = question.pdu()
    pdu.transaction_id = number
    return _framer.buildFrame(pdu)


class TcpJudge:
    """Takes the replies of one connection in any cuts until it has that to its question."""

    def __init__(self, question: Question, number: int) -> None:
        self._question = question
        self._number = number
        self._heard = bytearray()
        self.strays = 0
        """Replies to other questions so far."""

    def feed(self, data: bytes) -> Verdict | None:
        """The verdict, or None while there is none."""
        self._heard += data
        while len(self._heard) >= HEADER.size:
            number, protocol, follows, unit = HEADER.unpack_from(self._heard)
            if protocol or not EXCEPTION_BYTES < follows <= LONGEST:
                return Garbled(Fault.NO_MODBUS)
            end = HEADER.size - 1 + follows
            if len(self._heard) < end:
                return None
            pdu = bytes(self._heard[HEADER.size : end])
            del self._heard[:end]
            if number != self._number:
                self.strays += 1
                continue
            return self._judged(unit, pdu)
        return None

    def time_is_over(self) -> Garbled | None:
        """What to say when no more will come: None for perfect silence."""
        return Garbled(Fault.CUT_SHORT) if self._heard else None

    def _judged(self, unit: int, pdu: bytes) -> Verdict:
        if unit != self._question.unit:
            return Garbled(Fault.WRONG_UNIT)
        expected = EXCEPTION_BYTES if pdu[0] & EXCEPTION else self._question.reply_pdu_bytes
        if fault := fault_of_head(self._question, pdu):
            return Garbled(fault)
        return judged(self._question, pdu) if len(pdu) == expected else Garbled(Fault.WRONG_LENGTH)
