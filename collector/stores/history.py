"""What the stores share when they read back: one order, one value per key, one way to thin a long series. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from collector.stores.base import COARSE_MS, PackRow, Sample
from messages.reading import Reading

EARLIEST_MS, LATEST_MS = 0, 9_223_372_036_853
"""What 64 bits of nanoseconds hold, in whole milliseconds: a question beyond it is cut to it."""


def within(from_ms: int, to_ms: int) -> tuple[int, int]:
    """The span, cut to what every store can be asked for."""
    return max(from_ms, EARLIEST_MS), min(to_ms, LATEST_MS)


def stretch_ms(from_ms: int, to_ms: int, most: int) -> int:
    """Length of the equal stretches, at most `most` of them, that cover the span, both ends included."""
    return max(-(-(to_ms - from_ms + 1) // most), 1)


class Stretch(NamedTuple):
    """The numbers of a channel from `start_ms` on, over a length that both sides know."""

    start_ms: int
    samples: int
    total: float
    low: float
    high: float


def coarse_grid(from_ms: int, to_ms: int, most: int) -> tuple[int, int] | None:
    """Where the first stretch begins and how long each is, if coarse ranges are fine enough to draw this; else None."""
    step_ms = stretch_ms(from_ms, to_ms, most)
    if step_ms < COARSE_MS:
        return None
    first_ms = from_ms // COARSE_MS * COARSE_MS
    step_ms = stretch_ms(first_ms, to_ms, most)
    return first_ms, -(-step_ms // COARSE_MS) * COARSE_MS


def averaged(stretches: Iterable[Stretch], from_ms: int, step_ms: int) -> list[Sample]:
    """Over equal stretches from `from_ms` on, each of which holds whole ones of those given."""
    found: dict[int, Stretch] = {}
    for one in stretches:
        start_ms = from_ms + (one.start_ms - from_ms) // step_ms * step_ms
        of = found.get(start_ms)
        found[start_ms] = (
            one._replace(start_ms=start_ms)
            if of is None
            else Stretch(
                start_ms, of.samples + one.samples, of.total + one.total, min(of.low, one.low), max(of.high, one.high)
            )
        )
    return [
        Sample(at_ms, found[at_ms].total / found[at_ms].samples, found[at_ms].low, found[at_ms].high)
        for at_ms in sorted(found)
    ]


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
