"""Raw registers and bits become readings, by product file and kind. Pure.

A raw count that means "not available" makes no reading. A value outside what the device can measure is a reading
of bad quality: that the device is broken is news. A float32 that is no number makes none.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from edge.models.modbus import ModbusChannel
from messages.ids import DeviceId
from messages.kind import Kind
from messages.reading import Quality, Reading, Value

_SIGNED = {"int16", "int32"}


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
    if channel.type == "bit":
        return bool(words[0] >> (channel.bit or 0) & 1)
    count = 0
    for word in words if channel.word_order == "big" else reversed(words):
        count = count << 16 | word
    bits = 16 * channel.words
    if channel.not_available is not None and count == channel.not_available % (1 << bits):
        return None
    if wanted == "boolean":
        return count != 0
    number: float | None = count
    if channel.type == "float32":
        number = _float32(count)
    elif channel.type in _SIGNED and count >> (bits - 1):
        number = count - (1 << bits)
    # 12 digits: more than any register holds, fewer than the noise of a product such as 3 * 0.1
    return None if number is None else float(f"{number * channel.scale + channel.offset:.12g}")


def _float32(count: int) -> float | None:
    """The shortest decimal that is this float32: 1.1, not 1.10000002384. None for NaN and the infinities."""
    packed = struct.pack(">I", count)
    exact: float = struct.unpack(">f", packed)[0]
    if exact - exact != 0:
        return None
    return next(short for digits in range(6, 18) if struct.pack(">f", short := float(f"{exact:.{digits}g}")) == packed)


def _quality(channel: ModbusChannel, value: Value) -> Quality:
    if channel.valid is None or isinstance(value, bool | str):
        return Quality.GOOD
    return Quality.GOOD if channel.valid[0] <= value <= channel.valid[1] else Quality.BAD
