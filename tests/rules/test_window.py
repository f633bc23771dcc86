"""What is kept of a channel's last hours, and what the functions over time make of it."""

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import keeps, usual
from rules.language.calendar import CHINA, HOUR_MS
from rules.language.keeps import UsualKeep, WindowKeep
from rules.language.usual import Usual
from rules.language.window import CELLS, Course, Window, add, course

HOUR = 3_600_000
PATIENCE = 10 * 60_000


def window(*points: tuple[int, float], length_ms: int = HOUR) -> Window:
    kept: Window = ()
    for at_ms, value in points:
        kept = add(kept, length_ms, at_ms, value)
    return kept


def seen(points: list[tuple[int, float]], at_ms: int, length_ms: int = HOUR) -> Course:
    found = course(window(*points, length_ms=length_ms), length_ms, PATIENCE, at_ms)
    assert found is not None
    return found


def every(step_ms: int, until_ms: int, value: float = 1.0) -> list[tuple[int, float]]:
    return [(at_ms, value) for at_ms in range(0, until_ms + 1, step_ms)]


def test_a_window_is_covered_when_readings_reach_back_to_its_beginning() -> None:
    assert not seen(every(60_000, HOUR - 60_000), HOUR - 60_000).covered
    assert seen(every(60_000, HOUR), HOUR).covered


def test_a_hole_longer_than_a_value_holds_uncovers_it_and_the_backlog_covers_it_again() -> None:
    whole = every(60_000, 2 * HOUR)
    torn = [point for point in whole if not HOUR + PATIENCE <= point[0] <= HOUR + 3 * PATIENCE]
    assert not seen(torn, 2 * HOUR).covered
    backlog = [point for point in whole if point not in torn]
    assert seen([*torn, *backlog], 2 * HOUR).covered
    assert not seen(whole, 2 * HOUR + PATIENCE + 1).covered


def test_what_was_before_the_window_is_forgotten_but_its_last_value_holds() -> None:
    found = seen([(0, 7.0), (HOUR // 2, 3.0), (HOUR + HOUR // 2 + 60_000, 4.0)], HOUR + HOUR // 2 + 60_000)
    assert (found.first, found.low, found.high, found.rise) == (3.0, 3.0, 4.0, 1.0)


def test_a_mean_weighs_each_value_by_how_long_it_held() -> None:
    found = seen([(0, 0.0), (HOUR // 4, 8.0), (HOUR, 0.0)], HOUR)
    assert found.mean == pytest.approx(6.0)


def test_a_counter_that_was_replaced_counts_nothing_for_the_step_back() -> None:
    found = seen([(0, 900.0), (60_000, 901.0), (120_000, 2.0), (180_000, 2.5)], 180_000)
    assert found.rise == pytest.approx(1.5)


@given(
    st.lists(st.tuples(st.integers(0, 3 * HOUR), st.floats(-1e6, 1e6)), min_size=1, max_size=200),
    st.integers(1, 2 * HOUR),
)
def test_a_window_is_bounded_whatever_comes_in_whatever_order(points: list[tuple[int, float]], length_ms: int) -> None:
    kept = window(*points, length_ms=length_ms)
    starts = [cell.start_ms for cell in kept]
    assert starts == sorted(starts)
    newest = max(at_ms for at_ms, _ in points)
    assert len(kept) <= CELLS + 3
    found = course(kept, length_ms, PATIENCE, newest)
    assert found is not None
    assert min(value for _, value in points) <= found.low <= found.high <= max(value for _, value in points)


@given(st.integers(0, 2**32))
def test_the_order_in_which_a_counters_readings_come_changes_nothing_of_its_increase(seed: int) -> None:
    rng = random.Random(seed)
    points = [(at_ms, float(index)) for index, at_ms in enumerate(sorted(rng.sample(range(HOUR), 20)))]
    newest = points[-1][0]
    shuffled = points[:-1]
    rng.shuffle(shuffled)
    exact = seen(points, newest)
    found = seen([points[-1], *shuffled], newest)
    assert (found.rise, found.low, found.high, found.readings) == (exact.rise, exact.low, exact.high, exact.readings)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True), st.randoms(use_true_random=False))
def test_what_held_when_the_window_began_is_known_in_whatever_order_it_was_heard(
    minutes: list[int], rng: random.Random
) -> None:
    """It is older than the window, and came after what is in it."""
    points = [(minute * 60_000 * 5, float(minute % 3)) for minute in sorted(minutes)]
    newest = points[-1][0]
    ordered = seen(points, newest)
    rng.shuffle(points)
    assert seen(points, newest) == ordered


def test_the_usual_course_is_learnt_in_weeks_and_by_the_hour() -> None:
    keep = UsualKeep("flow", HOUR, CHINA)
    kept: Usual | None = None
    week = 168 * HOUR_MS
    for at_ms in range(0, 4 * week, HOUR_MS // 4):
        night = CHINA.local(at_ms).hour < 6
        kept = keep.add(kept, at_ms, 0.0 if night else 10.0)
    assert kept is not None
    known = [usual.at(kept, slot) for slot in range(168)]
    assert all(hour is not None and hour.mean == pytest.approx(0 if i % 24 < 6 else 10) for i, hour in enumerate(known))


def test_before_three_weeks_nothing_is_usual() -> None:
    keep = UsualKeep("flow", HOUR, CHINA)
    kept: Usual | None = None
    for at_ms in range(0, 2 * 168 * HOUR_MS, HOUR_MS // 2):
        kept = keep.add(kept, at_ms, 1.0)
    assert kept is not None
    assert all(usual.at(kept, slot) is None for slot in range(168))


def test_what_is_kept_survives_the_database() -> None:
    some = (WindowKeep("flow", HOUR, PATIENCE), UsualKeep("flow", PATIENCE, CHINA))
    kept = keeps.with_reading(some, {}, "flow", 1_000, 2.0)
    kept = keeps.with_reading(some, kept, "flow", 61_000, 3.0)
    assert keeps.from_json(orjson.loads(orjson.dumps(keeps.to_json(kept)))) == kept
