"""Modbus on a serial line: the frame round a question, a strict judge of the bytes that come back, and the line's pace.

Sources: MODBUS over Serial Line V1.02 sections 2.5.1 (frames, silent interval, bits of a character) and 2.5.1.2 (CRC).
pymodbus builds frames and computes the CRC. Anything that isn't a sound frame of the unit, the function and the length
that were asked for is garbled and never becomes a value, since replies carry no number that ties them to a question.

Left to others: opening ports, waiting, discarding what arrives after a verdict (edge/sources/modbus_line.py).
"""

from dataclasses import dataclass

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from edge.protocols.modbus import (
    EXCEPTION,
    EXCEPTION_BYTES,
    Fault,
    Garbled,
    Question,
    Verdict,
    fault_of_head,
    judged,
)

OVERHEAD = 3
"""Bytes of a frame beside its PDU: unit and CRC."""

_framer = FramerRTU(DecodePDU(is_server=False))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take on a line."""

    baudrate: int
    bits: int = 11
    """Of a character: start, data, parity, stop; the standard's own form has 11."""

    @property
    def silent_s(self) -> float:
        """The silence that parts two frames: 3.5 characters, 1.75 ms above 19200 Bd (section 2.5.1.1)."""
        return 0.00175 if self.baudrate > 19200 else 3.5 * self.bits / self.baudrate

    def transmission_s(self, length: int) -> float:
        """Of `length` bytes."""
        return length * self.bits / self.baudrate


def encode(question: Question) -> bytes:
    """The frame to send."""
    return _framer.buildFrame(question.pdu())


def reply_bytes(question: Question) -> int:
    """Length of the whole frame of a good reply."""
    return OVERHEAD + question.reply_pdu_bytes


class Judge:
    """Takes the reply to one question in any cuts and gives one verdict, as soon as there can be one."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._frame = bytearray()

    def feed(self, data: bytes) -> Verdict | None:
        """The verdict, or None while the frame may still become good. Bytes past the frame are not looked at."""
        self._frame += data
        frame, question = self._frame, self._question
        if frame and frame[0] != question.unit:
            return Garbled(Fault.WRONG_UNIT)
        exception = len(frame) > 1 and frame[1] & EXCEPTION
        expected = OVERHEAD + (EXCEPTION_BYTES if exception else question.reply_pdu_bytes)
        if fault := fault_of_head(question, bytes(frame[1 : expected - 2])):
            return Garbled(fault)
        if len(frame) < expected:
            return None
        whole = bytes(frame[:expected])
        if not FramerRTU.check_CRC(whole[:-2], int.from_bytes(whole[-2:], "big")):
            return Garbled(Fault.BAD_CRC)
        return judged(question, whole[1:-2])

    def time_is_over(self) -> Garbled | None:
        """What to say when no more will come: None for perfect silence."""
        return Garbled(Fault.CUT_SHORT) if self._frame else None
