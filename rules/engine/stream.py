"""Which packs of one stream of an edge the engine has heard, in bounded room. Pure.

Numbers come nearly in order, so a few ranges hold years. An edge that loses every second pack for ever must not make
its row grow without end: beyond MOST_RANGES the oldest gap counts as heard, and the packs in it are given up.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace

from messages.ranges import Range

MOST_RANGES = 1_000


@dataclass(frozen=True, slots=True)
class Stream:
    """Which packs of a stream were heard, and the highest number that is known to exist."""

    heard: tuple[Range, ...] = ()
    """Ascending; they neither overlap nor touch."""
    said: int = 0
    used_at_ms: int = 0
    """When something new was last learnt of it."""


def holds(stream: Stream, number: int) -> bool:
    at = _after(stream, number)
    return at > 0 and number <= stream.heard[at - 1][1]


def hear(stream: Stream, number: int, now_ms: int) -> tuple[Stream, int]:
    """The stream with pack `number` heard, and how many packs that were not had to be given up for room."""
    if holds(stream, number):
        return stream, 0
    at = _after(stream, number)
    first = last = number
    before, after = stream.heard[:at], stream.heard[at:]
    if before and before[-1][1] == number - 1:
        first, before = before[-1][0], before[:-1]
    if after and after[0][0] == number + 1:
        last, after = after[0][1], after[1:]
    heard, lost = _bounded((*before, (first, last), *after))
    return replace(stream, heard=heard, said=max(stream.said, number), used_at_ms=now_ms), lost


def say(stream: Stream, number: int, now_ms: int) -> Stream:
    """The stream, of which pack `number` is known to exist."""
    return replace(stream, said=number, used_at_ms=now_ms) if number > stream.said else stream


def _after(stream: Stream, number: int) -> int:
    """The index of the first range that begins after `number`."""
    return bisect_right(stream.heard, number, key=lambda part: part[0])


def _bounded(heard: tuple[Range, ...]) -> tuple[tuple[Range, ...], int]:
    if len(heard) <= MOST_RANGES:
        return heard, 0
    (first, end), (begin, last), *rest = heard
    return ((first, last), *rest), begin - end - 1
