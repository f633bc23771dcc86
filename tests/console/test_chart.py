"""Samples in, SVG out."""

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from collector.stores.base import Sample
from console.chart import Frame, Mark, draw, nice_step
from console.detail import begin_ms
from tests.console.block import NOON_MS, Block

MINUTE = 60_000
HOUR = Frame(
    from_ms=NOON_MS, to_ms=NOON_MS + 60 * MINUTE, zone=ZoneInfo("Asia/Shanghai"), label="gas", gap_ms=5 * MINUTE
)


def at(minute: float, value: float | bool, *extremes: float) -> Sample:
    return Sample(NOON_MS + round(minute * MINUTE), value, *extremes)


def drawn(samples: Sequence[Sample], frame: Frame = HOUR) -> ElementTree.Element:
    """The chart as a tree: whatever is not well-formed fails here."""
    return ElementTree.fromstring(draw(samples, frame))


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def texts(svg: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in of_class(svg, name)]


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.get("points", "").split())]


def test_a_higher_value_stands_higher_and_a_later_one_further_right() -> None:
    (line,) = of_class(drawn([at(0, 1.0), at(4, 3.0), at(8, 2.0)]), "course")
    (x0, y0), (x1, y1), (x2, y2) = points(line)
    assert x0 < x1 < x2
    assert y1 < y2 < y0


def test_the_line_is_broken_where_nothing_was_measured() -> None:
    lines = of_class(drawn([at(0, 1.0), at(4, 1.0), at(20, 1.0), at(24, 1.0)]), "course")
    assert [len(points(line)) for line in lines] == [2, 2]


def test_a_lone_value_can_be_seen() -> None:
    (line,) = of_class(drawn([at(30, 1.0)]), "course")
    (x0, _), (x1, _) = points(line)
    assert x1 > x0


def test_extremes_of_an_averaged_stretch_make_a_band_around_the_course() -> None:
    svg = drawn([at(0, 2.0, 1.0, 3.0), at(4, 2.0, 0.5, 4.0)])
    (band,), (line,) = of_class(svg, "band"), of_class(svg, "course")
    heights = [y for _, y in points(band)]
    assert min(heights) < points(line)[0][1] < max(heights)


def test_the_limit_is_always_in_sight_even_far_above_the_values() -> None:
    svg = drawn([at(0, 0.5), at(4, 0.6)], replace(HOUR, limit=10.0, limit_label="limit 10 %LEL"))
    (limit,) = of_class(svg, "limit")
    assert 20 <= float(limit.get("y1", "")) <= 210
    assert texts(svg, "limit-label") == ["limit 10 %LEL"]


def test_the_name_of_the_limit_stands_on_the_left_away_from_the_newest_values() -> None:
    (label,) = of_class(drawn([at(0, 0.5)], replace(HOUR, limit=10.0, limit_label="limit 10 %LEL")), "limit-label")
    assert (label.get("x"), label.get("text-anchor")) == ("0.00%", "start")


@pytest.mark.parametrize(("first_minute", "begin_minute"), [(0, 0), (40, 38.75), (64, 60.8)])
def test_the_time_shown_begins_shortly_before_the_first_reading_and_never_after_the_alarm(
    first_minute: float, begin_minute: float, junmen: Block
) -> None:
    alarm = replace(junmen.raise_alarm(), raised_at_ms=NOON_MS + 61 * MINUTE)
    series = [[at(first_minute, 1.0), at(65, 1.0)], None, []]
    begin = begin_ms(alarm, NOON_MS, NOON_MS + 65 * MINUTE, series)
    assert begin == max(NOON_MS, round(NOON_MS + begin_minute * MINUTE))


def test_times_are_those_of_the_site() -> None:
    assert "12:10" in texts(drawn([]), "tick")
    assert "04:10" in texts(drawn([], replace(HOUR, zone=ZoneInfo("UTC"))), "tick")


@pytest.mark.parametrize("minutes", [1, 10, 60, 600, 6000, 60_000, 600_000])
def test_any_stretch_of_time_has_a_handful_of_times(minutes: int) -> None:
    svg = drawn([], replace(HOUR, to_ms=NOON_MS + minutes * MINUTE))
    assert 1 <= len([text for text in texts(svg, "tick") if ":" in text or "-" in text]) <= 7


def test_marks_stand_where_they_happened_and_those_outside_are_left_out() -> None:
    marks = [Mark(NOON_MS + 30 * MINUTE, "raised", "raised"), Mark(NOON_MS - 1, "cleared", "cleared")]
    svg = drawn([], replace(HOUR, marks=marks))
    (mark,) = of_class(svg, "moment")
    assert mark.get("x1") == "50.00%"
    assert texts(svg, "moment-label") == ["raised"]


def test_a_boolean_is_a_block_while_it_is_true_and_ends_with_the_gap() -> None:
    svg = drawn([at(0, False), at(10, True), at(12, False)], replace(HOUR, states=("normal", "alarm")))
    (block,) = of_class(svg, "on")
    assert float(block.get("x", "")) == pytest.approx(1000 * 10 / 60, abs=0.1)
    assert float(block.get("width", "")) == pytest.approx(1000 * 2 / 60, abs=0.1)
    assert float(of_class(svg, "off")[-1].get("width", "")) == pytest.approx(1000 * 5 / 60, abs=0.1)
    assert {"alarm", "normal"} <= set(texts(svg, "tick"))


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-3.0, 4.0], [1e-6, 2e-6], [1e9], [float("inf"), 1.0]])
def test_any_numbers_can_be_drawn_inside_the_plot(values: list[float]) -> None:
    for line in of_class(drawn([at(i, value) for i, value in enumerate(values)]), "course"):
        assert all(0 <= x <= 1000.1 + 2 and -0.1 <= y <= 1000.1 for x, y in points(line))


def test_nothing_in_a_label_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>'
    svg = draw([at(0, 1.0)], replace(HOUR, label=evil, limit=1.0, limit_label=evil, states=(evil, evil)))
    assert "<script" not in svg
    svg = draw([at(0, True)], replace(HOUR, states=(evil, evil), marks=[Mark(NOON_MS, evil, evil)]))
    assert "<script" not in svg


def test_there_is_no_style_that_the_policy_would_refuse() -> None:
    svg = draw([at(0, 1.0), at(1, 2.0, 1.0, 3.0)], replace(HOUR, limit=1.0))
    assert "style" not in svg


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.5), (10, 5), (47, 20), (100, 50), (0.03, 0.01), (7, 2)])
def test_steps_of_an_axis_are_round(span: float, step: float) -> None:
    assert nice_step(span, 4) == pytest.approx(step)
