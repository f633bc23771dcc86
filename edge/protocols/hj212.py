"""HJ 212-2017, by which monitors of sewage and water report: frames out of bytes, values out of frames. Pure.

Source: HJ 212-2017 (data transmission standard of online monitoring systems for pollutants), section 6.3 (frame, data segment),
annex A (check), section 6.6.4 (flags of data). Packets that come in parts (PNUM, PNO) are put together in order. A damaged frame is
counted and the next one found, wherever the stream was cut.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

HEAD = b"##"
LENGTH_DIGITS, CHECK_DIGITS = 4, 4
LONGEST = 1024
"""Characters of a data segment (section 6.3.1)."""
MOST_PARTS = 100
MOST_ITEMS = 2000
"""What packets in parts may come to together."""

_DIGITS = re.compile(rb"[0-9]{4}")
_CHECK = re.compile(rb"[0-9A-Fa-f]{4}")


@dataclass(frozen=True, slots=True)
class Packet:
    """One message of a station. `items`: those of its command parameters, several of which may carry a time of their own."""

    station: str
    """MN, the station's unique code."""
    command: int
    """CN: 2011 is real-time data, 2051, 2061 and 2031 are those of a minutes' span, an hour, a day."""
    asked_at: str
    """QN: when it was asked for, YYYYMMDDhhmmsszzz of the station's local time; it also names the message."""
    flag: int
    parts: tuple[int, int]
    """Which part of how many: (1, 1) for a message in one piece."""
    items: Mapping[str, str]

    @property
    def wants_answer(self) -> bool:
        """The lowest bit of Flag (section 6.3.3)."""
        return bool(self.flag & 1)


class Decoder:
    """Takes a stream in any cuts. `damaged` counts what looked like a frame and was none."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.damaged = 0

    def begin(self) -> None:
        """The stream begins anew."""
        self._held.clear()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole by now."""
        self._held += data
        while (start := self._held.find(HEAD)) >= 0:
            del self._held[:start]
            frame = self._frame()
            if frame is None:
                return
            if isinstance(frame, bytes):
                try:
                    yield packet(frame)
                    continue
                except ValueError:
                    pass
            self.damaged += 1
        # a single # may be the first half of a head
        del self._held[: len(self._held) - self._held.endswith(b"#")]

    def _frame(self) -> bytes | bool | None:
        """The data segment at the start; None while it may still come; False, with the head taken off, if it can't."""
        held = self._held
        digits = bytes(held[2 : 2 + LENGTH_DIGITS])
        if not re.fullmatch(rb"[0-9]{0,4}", digits) or (len(digits) == LENGTH_DIGITS and int(digits) > LONGEST):
            del held[:1]
            return False
        if len(digits) < LENGTH_DIGITS:
            return None
        first, last = 2 + LENGTH_DIGITS, 2 + LENGTH_DIGITS + int(digits)
        end = last + CHECK_DIGITS
        if len(held) < end:
            return None
        segment, check = bytes(held[first:last]), bytes(held[last:end])
        if not _CHECK.fullmatch(check) or int(check, 16) != crc(segment):
            del held[:1]
            return False
        del held[:end]
        return segment


def packet(segment: bytes) -> Packet:
    """Raises ValueError for a data segment that lacks what it must have."""
    text = segment.decode("ascii")
    head, _, rest = text.partition("CP=&&")
    fields = dict(_pairs(head))
    if not (station := fields.get("MN", "")) or not fields.get("CN", "").isdecimal():
        raise ValueError("no MN or CN")
    number = {name: int(fields[name]) if fields.get(name, "").isdecimal() else 1 for name in ("PNUM", "PNO")}
    flag = int(fields["Flag"]) if fields.get("Flag", "").isdecimal() else 0
    items = dict(_pairs(rest.partition("&&")[0]))
    return Packet(station, int(fields["CN"]), fields.get("QN", ""), flag, (number["PNO"], number["PNUM"]), items)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Items are parted by ";", those of one factor by ",": both are name=value."""
    for item in re.split("[;,]", text):
        name, sign, value = item.partition("=")
        if sign and name.strip():
            yield name.strip(), value.strip()


def crc(segment: bytes) -> int:
    """The check of annex A: of the family of CRC-16 with 0xA001, with the byte put in above the shifted register."""
    register = 0xFFFF
    for byte in segment:
        register = _SHIFTED[register >> 8 ^ byte]
    return register


def _shifted(low: int) -> int:
    """Eight steps of the register, whose upper half is empty after a byte was put in."""
    for _ in range(8):
        low = low >> 1 ^ 0xA001 if low & 1 else low >> 1
    return low


_SHIFTED = tuple(map(_shifted, range(256)))


def answer(got: Packet) -> bytes:
    """That a message has arrived: CN=9014, with the QN and MN of what came (section 6.6.2)."""
    segment = f"QN={got.asked_at};ST=91;CN=9014;MN={got.station};Flag=4;CP=&&&&".encode("ascii")
    return HEAD + f"{len(segment):04}".encode() + segment + f"{crc(segment):04X}".encode() + b"\r\n"


@dataclass(slots=True)
class _Parts:
    wanted: int
    items: dict[int, Mapping[str, str]] = field(default_factory=dict)


class Assembly:
    """Puts messages together that came in parts. Holds one unfinished message per station."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, int, _Parts]] = {}

    def add(self, got: Packet) -> Packet | None:
        """The whole message, once all of it is there. A new message of the station takes the place of an unfinished one."""
        number, count = got.parts
        if count <= 1:
            self._waiting.pop(got.station, None)
            return got
        if not 1 <= number <= count <= MOST_PARTS:
            return None
        asked_at, command, parts = self._waiting.get(got.station, ("", 0, _Parts(0)))
        if (asked_at, command, parts.wanted) != (got.asked_at, got.command, count):
            parts = _Parts(count)
        parts.items[number] = got.items
        if sum(map(len, parts.items.values())) > MOST_ITEMS:
            self._waiting.pop(got.station, None)
            return None
        if len(parts.items) < count:
            self._waiting[got.station] = (got.asked_at, got.command, parts)
            return None
        self._waiting.pop(got.station, None)
        items = {name: value for place in sorted(parts.items) for name, value in parts.items[place].items()}
        return Packet(got.station, got.command, got.asked_at, got.flag, (1, 1), items)
