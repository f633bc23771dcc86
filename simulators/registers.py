"""What a device's registers hold: the way back from values to raw counts. Pure.

The edge decodes by the same product file and by code of its own; nothing here is shared with it. A value beyond
what a register can hold stays at its end, as in a real device.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from edge.models.modbus import ModbusChannel, ModbusModel, Table
from simulators.block import Level

MOST_FLOAT32 = 3.4028234663852886e38
_LIMITS = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "bcd16": (0, 9999),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "bcd32": (0, 99_999_999),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The tables of one device at one moment, by address from 0, and what they say."""

    tables: Mapping[Table, Mapping[int, int]]
    values: Mapping[str, Level]
    """Each channel as its registers say it, after rounding to their resolution; without those that have no value."""


def memory(model: ModbusModel, values: Mapping[str, Level | None]) -> Memory:
    """The registers of a device of `model` that measures `values`, which holds every channel of the model."""
    tables: dict[Table, dict[int, int]] = {"coil": {}, "discrete": {}, "input": {}, "holding": {}}
    served: dict[str, Level] = {}
    for name, channel in model.channels.items():
        words, value = encode(channel, values[name])
        table = tables[channel.table]
        for address, word in enumerate(words, start=channel.address):
            shared = channel.bit is not None or channel.mask is not None
            table[address] = table.get(address, 0) | word if shared else word
        if value is not None:
            served[name] = value
    return Memory(tables=tables, values=served)


def encode(channel: ModbusChannel, value: Level | None) -> tuple[tuple[int, ...], Level | None]:
    """The words that say `value`, and the value that they say; for None the code that says "no value"."""
    if channel.type == "bit":
        return (bool(value) << (channel.bit or 0),), bool(value)
    if value is None:
        assert channel.absent, "only a channel with such a code can be without a value"
        return _words(channel, channel.absent[0]), None
    if channel.values is not None:
        return _words(channel, _meant(channel, value)), value
    count = float(value) if isinstance(value, bool) else (value - channel.offset) / channel.scale
    if channel.type == "float64":
        return _words(channel, int.from_bytes(struct.pack(">d", count), "big")), value
    raw, said = _float32(count) if channel.type == "float32" else _integer(channel, count)
    return _words(channel, raw), bool(said) if isinstance(value, bool) else _decimal(
        said * channel.scale + channel.offset
    )


def channels_in(model: ModbusModel, table: Table, first: int, count: int) -> list[str]:
    """The channels whose registers all lie in `first` … `first + count - 1` of `table`."""
    return [
        name
        for name, channel in model.channels.items()
        if channel.table == table and first <= channel.address and channel.address + channel.words <= first + count
    ]


def _integer(channel: ModbusChannel, count: float) -> tuple[int, float]:
    low, high = _LIMITS[channel.type]
    raw = round(min(max(count, low), high))
    while raw % (1 << 16 * channel.words) in channel.absent:
        raw += 1 if raw == low else -1  # a measured value is never the code for "no value"
    if channel.mask is not None:
        place = (channel.mask & -channel.mask).bit_length() - 1
        held = min(raw, channel.mask >> place)
        return held << place, held
    return (int(str(raw), 16) if channel.type.startswith("bcd") else raw), raw


def _meant(channel: ModbusChannel, value: Level) -> int:
    """The raw count that says `value`; the file's first for one that it doesn't know."""
    counts = {meaning: count for count, meaning in channel.meanings.items()}
    return counts.get(value, next(iter(counts.values())))


def _float32(count: float) -> tuple[int, float]:
    """The bits of the nearest float32, and the shortest decimal that has them: 1.1, not 1.10000002384."""
    packed = struct.pack(">f", min(max(count, -MOST_FLOAT32), MOST_FLOAT32))
    exact: float = struct.unpack(">f", packed)[0]
    short = next(near for digits in range(6, 18) if struct.pack(">f", near := float(f"{exact:.{digits}g}")) == packed)
    return int.from_bytes(packed, "big"), short


def _decimal(value: float) -> float:
    """Without the noise of binary products: 0.3 for 3 * 0.1."""
    return float(f"{value:.12g}")


def _words(channel: ModbusChannel, raw: int) -> tuple[int, ...]:
    words = [raw >> 16 * place & 0xFFFF for place in range(channel.words)]
    if channel.byte_order == "little":
        words = [word << 8 & 0xFF00 | word >> 8 for word in words]
    return tuple(reversed(words)) if channel.word_order == "big" else tuple(words)
