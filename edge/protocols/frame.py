"""Frames of instruments that speak by themselves, as their product files describe them. Pure.

Garbage costs itself: after a frame that fails its check the search goes on at its second byte, so that a good frame that begins
inside a bad one is found. What waits for its end is never more than a frame's length.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pymodbus.framer import FramerRTU

from edge.models.frame import LONGEST, Bytes, FrameChannel, FrameModel, Lines
from edge.protocols.decimals import plain_decimal
from messages.reading import Quality

_FORMATS = {"uint8": "B", "int8": "b", "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "float32": "f"}
_CHECK_BYTES = {"sum8": 1, "xor8": 1, "sum16": 2, "crc16-modbus": 2, "none": 0}


@dataclass(frozen=True, slots=True)
class Measured:
    """One channel of a frame."""

    channel: str
    value: float
    quality: Quality


class FrameDecoder:
    """Takes a stream in any cuts. `damaged` counts what looked like a frame and was none."""

    def __init__(self, model: FrameModel) -> None:
        self._model = model
        self._held = bytearray()
        self._torn = False
        """The line that is coming lacks its beginning."""
        self.damaged = 0

    def begin(self) -> None:
        """The stream begins anew, perhaps in the middle of a frame. A line without a prefix could be the end of another."""
        self._held.clear()
        self._torn = self._model.lines is not None and not self._model.lines.prefix

    def feed(self, data: bytes) -> Iterator[list[Measured]]:
        """The channels of each frame that is whole by now."""
        self._held += data
        if self._model.lines is not None:
            yield from self._by_lines(self._model.lines)
        elif self._model.bytes_ is not None:
            yield from self._by_bytes(self._model.bytes_)

    def _by_lines(self, how: Lines) -> Iterator[list[Measured]]:
        end = how.terminator.encode()
        while (at := self._held.find(end)) >= 0:
            line = bytes(self._held[:at])
            del self._held[: at + len(end)]
            if self._torn:
                self._torn = False
                continue
            found = self._line(line, how)
            if found is None:
                self.damaged += bool(line.strip())
            else:
                yield found
        if len(self._held) > LONGEST:
            del self._held[: len(self._held) - len(end) + 1]  # the end may be half there
            self.damaged += not self._torn
            self._torn = True

    def _line(self, line: bytes, how: Lines) -> list[Measured] | None:
        if not line.isascii() or len(line) > LONGEST:
            return None
        text = line.decode().strip()
        if how.length is not None and len(text) != how.length:
            return None
        if not text.startswith(how.prefix):
            return None
        text = text[len(how.prefix) :]
        fields = text.split(how.separator) if how.separator else [text]
        found: list[Measured] = []
        for name, channel in self._model.channels.items():
            place = channel.field or 0
            count = plain_decimal(fields[place].strip()) if place < len(fields) else None
            if count is None:
                return None
            found += _measured(name, channel, count)
        return found

    def _by_bytes(self, how: Bytes) -> Iterator[list[Measured]]:
        head = how.head
        while (at := self._held.find(head)) >= 0:
            del self._held[:at]
            if len(self._held) < how.length:
                return
            frame = bytes(self._held[: how.length])
            if not _is_sound(frame, how):
                self.damaged += 1
                del self._held[:1]
                continue
            del self._held[: how.length]
            yield [
                measured
                for name, channel in self._model.channels.items()
                for measured in _measured(name, channel, _number(frame, channel))
            ]
        # the end may be the beginning of a head
        kept = next(size for size in range(len(head) - 1, -1, -1) if self._held.endswith(head[:size]))
        del self._held[: len(self._held) - kept]


def _is_sound(frame: bytes, how: Bytes) -> bool:
    size = _CHECK_BYTES[how.check]
    if not size:
        return True
    content, check = frame[:-size], frame[-size:]
    match how.check:
        case "sum8":
            return sum(content) & 0xFF == check[0]
        case "sum16":
            return sum(content) & 0xFFFF == int.from_bytes(check, "big")
        case "xor8":
            folded = 0
            for byte in content:
                folded ^= byte
            return folded == check[0]
    return FramerRTU.check_CRC(content, int.from_bytes(check, "big"))


def _number(frame: bytes, channel: FrameChannel) -> float:
    order = ">" if channel.byte_order == "big" else "<"
    (number,) = struct.unpack_from(order + _FORMATS[channel.type], frame, channel.offset or 0)
    return float(number)


def _measured(name: str, channel: FrameChannel, count: float) -> Iterator[Measured]:
    if not math.isfinite(count) or count in channel.not_available:
        return
    value = float(f"{count * channel.scale + channel.add:.12g}")
    good = channel.valid is None or channel.valid[0] <= value <= channel.valid[1]
    yield Measured(name, value, Quality.GOOD if good else Quality.BAD)
