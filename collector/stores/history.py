"""What the stores share when they read back: one order, one value per key, one way to thin a long series. Pure."""

from collections.abc import Iterable

from collector.stores.base import PackRow
from messages.reading import Reading

EARLIEST_MS, LATEST_MS = 0, 9_223_372_036_853
"""What 64 bits of nanoseconds hold, in whole milliseconds: a question beyond it is cut to it."""


def within(from_ms: int, to_ms: int) -> tuple[int, int]:
    """The span, cut to what every store can be asked for."""
    return max(from_ms, EARLIEST_MS), min(to_ms, LATEST_MS)


def stretch_ms(from_ms: int, to_ms: int, most: int) -> int:
    """Length of the equal stretches, at most `most` of them, that cover the span, both ends included."""
    return max(-(-(to_ms - from_ms + 1) // most), 1)


def in_order(readings: Iterable[Reading]) -> list[Reading]:
    """By time, then device and channel; of several with the same key the last one given.

    A pack that is repeated after its device moved lies in two series of a store: it is one reading all the same.
    """
    unique = {(reading.at_ms, reading.device, reading.channel): reading for reading in readings}
    return [unique[key] for key in sorted(unique)]


def newest(readings: Iterable[Reading]) -> list[Reading]:
    """The newest reading of each channel, by channel."""
    latest: dict[str, Reading] = {}
    for reading in readings:
        if reading.channel not in latest or reading.at_ms >= latest[reading.channel].at_ms:
            latest[reading.channel] = reading
    return [latest[channel] for channel in sorted(latest)]


def by_number(rows: Iterable[PackRow]) -> list[PackRow]:
    """One row per pack: of several (a pack that was first stored in part) the one with the most readings."""
    packs: dict[int, PackRow] = {}
    for row in rows:
        if row.number not in packs or row.readings >= packs[row.number].readings:
            packs[row.number] = row
    return [packs[number] for number in sorted(packs)]
