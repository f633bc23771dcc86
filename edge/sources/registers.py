"""Raw registers and bits become readings, by product file and kind. Pure.

A raw count that means "not available" makes no reading. A value outside what the device can measure is a reading
of bad quality: that the device is broken is news. A float that is no number, a digit that is none and a
count without a meaning make none.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence

from edge.models.modbus import SIGNED, ModbusChannel, ModbusWrite
from messages.ids import DeviceId
from messages.kind import Kind
from messages.reading import Quality, Reading, Value


def readings(
    device: DeviceId,
    kind: Kind,
    channels: Mapping[str, ModbusChannel],
    first: int,
    raw: Sequence[int],
    at_ms: int,
) -> Iterator[Reading]:
    """What `raw`, the registers or bits from address `first`, say of `channels`, which all lie in it."""
    for name, channel in channels.items():
        start = channel.address - first
        value = _value(channel, raw[start : start + channel.words], kind.channels[name].type)
        if value is not None:
            yield Reading(
                device=device,
                channel=name,
                at_ms=at_ms,
                value=value,
                unit=kind.channels[name].unit,
                quality=_quality(channel, value),
            )


def _value(channel: ModbusChannel, words: Sequence[int], wanted: str) -> Value | None:
    if channel.byte_order == "little":
        words = [word << 8 & 0xFF00 | word >> 8 for word in words]
    if channel.type == "text":
        return _text(words)
    count = 0
    for word in words if channel.word_order == "big" else reversed(words):
        count = count << 16 | word
    if count in channel.absent:
        return None
    if channel.type == "bit":
        return bool(count >> (channel.bit or 0) & 1)
    if channel.mask is not None:
        count = (count & channel.mask) >> _lowest_bit(channel.mask)
    if channel.values is not None:
        return channel.meanings.get(count)
    if wanted == "boolean":
        return count != 0
    number = _number(channel, count)
    # as many digits as the registers hold, fewer than the noise of a product such as 3 * 0.1
    digits = 15 if channel.words > 2 else 12
    if number is None:
        return None
    scaled = float(f"{number * channel.scale + channel.offset:.{digits}g}")
    return scaled if math.isfinite(scaled) else None


def _number(channel: ModbusChannel, count: int) -> float | None:
    bits = 16 * channel.words
    match channel.type:
        case "float32":
            return _float32(count)
        case "float64":
            exact: float = struct.unpack(">d", struct.pack(">Q", count))[0]
            return exact if math.isfinite(exact) else None
        case "bcd16" | "bcd32":
            digits = f"{count:x}"
            return float(digits) if digits.isdecimal() else None
    return count - (1 << bits) if channel.type in SIGNED and count >> (bits - 1) else count


def _lowest_bit(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _text(words: Sequence[int]) -> str | None:
    """Two characters a register, until the first NUL; without what a device fills up with. None if it isn't ASCII."""
    content = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0")[0].strip()
    return content.decode() if content.isascii() and content.decode().isprintable() else None


def _float32(count: int) -> float | None:
    """The shortest decimal that is this float32: 1.1, not 1.10000002384. None for NaN and the infinities."""
    packed = struct.pack(">I", count)
    exact: float = struct.unpack(">f", packed)[0]
    if exact - exact != 0:
        return None
    return next(short for digits in range(6, 18) if struct.pack(">f", short := float(f"{exact:.{digits}g}")) == packed)


def encoded(write: ModbusWrite, value: Value | None) -> tuple[int, ...]:
    """The coil's bit or the registers' words that say `value`, or the write's own. Raises ValueError if they can't hold it."""
    said = write.value if write.value is not None else value
    if said is None or isinstance(said, str):
        raise ValueError("there is nothing that can be written")
    if write.table == "coil":
        return (int(bool(said)),)
    try:
        count = float(said) / write.scale
        if not math.isfinite(count):
            raise OverflowError
        packed = struct.pack(">f", count) if write.type == "float32" else _whole(count, write)
    except OverflowError:
        raise ValueError(f"{said} does not fit into a register of type {write.type}") from None
    raw = int.from_bytes(packed, "big")
    words = tuple(raw >> 16 * place & 0xFFFF for place in reversed(range(write.words)))
    return words if write.word_order == "big" else words[::-1]


def _whole(count: float, write: ModbusWrite) -> bytes:
    """Raises OverflowError."""
    return round(count).to_bytes(2 * write.words, "big", signed=write.type in SIGNED)


def _quality(channel: ModbusChannel, value: Value) -> Quality:
    if channel.valid is None or isinstance(value, bool | str):
        return Quality.GOOD
    return Quality.GOOD if channel.valid[0] <= value <= channel.valid[1] else Quality.BAD
