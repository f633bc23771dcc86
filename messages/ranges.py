"""Sets of pack numbers, kept as ranges: an hour's packs are two integers, not thousands."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""First and last, both included."""


def ranges(numbers: Iterable[int]) -> list[Range]:
    """The ranges that hold exactly `numbers`, ascending and not touching."""
    return merged((number, number) for number in numbers)


def merged(parts: Iterable[Range]) -> list[Range]:
    """`parts` as ascending ranges that neither overlap nor touch."""
    whole: list[Range] = []
    for first, last in sorted(parts):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(whole[-1][1], last))
        else:
            whole.append((first, last))
    return whole


def add(whole: list[Range], first: int, last: int) -> int:
    """Put a range into ascending ranges that don't touch, in place; how many of its numbers were new."""
    start = bisect_left(whole, (first, first))
    if start and whole[start - 1][1] >= first - 1:
        start -= 1
    end = start
    low, high, known = first, last, 0
    while end < len(whole) and whole[end][0] <= last + 1:
        known += max(0, min(whole[end][1], last) - max(whole[end][0], first) + 1)
        low, high = min(low, whole[end][0]), max(high, whole[end][1])
        end += 1
    whole[start:end] = [(low, high)]
    return last - first + 1 - known


def missing(known: Iterable[Range], upto: int, *, since: int = 1) -> list[Range]:
    """What `since` to `upto` holds and `known` does not."""
    gaps, expected = [], since
    for first, last in merged(known):
        if last < expected:
            continue
        if first > upto:
            break
        if first > expected:
            gaps.append((expected, first - 1))
        expected = last + 1
    if expected <= upto:
        gaps.append((expected, upto))
    return gaps


def holds(known: Iterable[Range], number: int) -> bool:
    return any(first <= number <= last for first, last in known)


def count(whole: Iterable[Range]) -> int:
    """How many numbers ranges hold that don't overlap."""
    return sum(last - first + 1 for first, last in whole)


def numbers(parts: Iterable[Range]) -> Iterator[int]:
    """Every number in `parts`. Unbounded if they are: for ranges that are already known to be small."""
    for first, last in parts:
        yield from range(first, last + 1)
