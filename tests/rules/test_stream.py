import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.ranges import ranges
from rules.engine import stream
from rules.engine.stream import Stream, hear, holds, say


@given(st.lists(st.integers(1, 30)))
def test_in_any_order_the_heard_packs_are_exactly_those_that_were_heard(numbers: list[int]) -> None:
    found = Stream()
    for number in numbers:
        found, lost = hear(found, number, 7)
        assert lost == 0
    assert list(found.heard) == ranges(numbers)
    assert [number for number in range(32) if holds(found, number)] == sorted(set(numbers))
    assert found.said == max(numbers, default=0)


def test_a_stream_with_too_many_holes_gives_up_its_oldest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_RANGES", 3)
    found, given_up = Stream(), 0
    for number in (1, 4, 6, 8, 10):
        found, lost = hear(found, number, 7)
        given_up += lost
    assert (found.heard, given_up) == (((1, 6), (8, 8), (10, 10)), 3)


def test_what_was_said_before_is_no_news() -> None:
    told = say(Stream(), 9, 7)
    assert (told.said, told.used_at_ms) == (9, 7)
    assert say(told, 9, 8) is told
