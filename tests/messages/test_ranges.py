"""Ranges against sets, which are plainly right."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from messages.ranges import Range, holds, merged, missing, numbers, ranges

small = st.integers(1, 60)
parts = st.lists(st.tuples(small, small).map(lambda pair: (min(pair), max(pair))), max_size=12)


def as_set(some: list[Range]) -> set[int]:
    return {number for first, last in some for number in range(first, last + 1)}


def are_proper(some: list[Range]) -> bool:
    """Ascending, neither overlapping nor touching."""
    return all(first <= last for first, last in some) and all(
        one[1] + 1 < other[0] for one, other in itertools.pairwise(some)
    )


@given(st.lists(small))
def test_ranges_hold_exactly_the_numbers(some: list[int]) -> None:
    assert as_set(ranges(some)) == set(some)
    assert are_proper(ranges(some))


@given(parts)
def test_merging_changes_nothing_but_the_form(some: list[Range]) -> None:
    assert as_set(merged(some)) == as_set(some)
    assert are_proper(merged(some))
    assert merged(merged(some)) == merged(some)


@given(parts, st.integers(0, 70), st.integers(1, 70))
def test_what_is_missing_is_what_is_left(some: list[Range], upto: int, since: int) -> None:
    gaps = missing(some, upto, since=since)
    assert as_set(gaps) == set(range(since, upto + 1)) - as_set(some)
    assert are_proper(gaps)


@given(parts, small)
def test_a_number_is_held_or_not(some: list[Range], number: int) -> None:
    assert holds(some, number) == (number in as_set(some))


@given(parts)
def test_every_number_in_order_of_the_ranges(some: list[Range]) -> None:
    assert list(numbers(merged(some))) == sorted(as_set(some))


def test_a_million_packs_are_two_integers_and_cost_nothing() -> None:
    assert missing([(1, 10**15)], 10**15) == []
    assert missing([(2, 10**15)], 10**15) == [(1, 1)]
    assert missing([], 10**15) == [(1, 10**15)]
    assert holds([(1, 10**15)], 10**15)
