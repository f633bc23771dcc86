"""One channel's history as SVG: a course with its extremes, the limit, and when the alarm came and went. Pure.

Texts keep their size on every screen: they stand in the outer image, placed in per cent, while the course is drawn
in an inner one that is stretched. Colours and widths are classes of `console.css`; there is no style inside, as the
Content-Security-Policy demands. A line never crosses a gap in the readings: what was not measured is not drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from zoneinfo import ZoneInfo

from collector.stores.base import Sample
from console.words import plain

NUMBERS_PX, STATES_PX, AXIS_PX, TOP_PX = 190, 56, 26, 20
"""Heights: of the plot for numbers and for booleans, of the times under it, of the room for labels above it."""
LIMIT_PX = 48
"""Where the name of the limit begins: beside the numbers, and far from the newest values on the right."""
SIDE = 1000
"""Width and height of the inner image, before it is stretched."""
_STEPS_S = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a line: `kind` is a class of the style sheet, "raised" or "cleared"."""

    at_ms: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is drawn around the samples. Texts are ready to show, in the reader's language."""

    from_ms: int
    to_ms: int
    zone: ZoneInfo
    label: str
    """What the chart shows, for those who can't see it."""
    limit: float | None = None
    limit_label: str = ""
    marks: Sequence[Mark] = ()
    gap_ms: int = 60_000
    """Two samples further apart than this are not joined."""
    states: tuple[str, str] = ("0", "1")
    """What false and true are called."""


def draw(samples: Sequence[Sample], frame: Frame) -> str:
    """The chart as one SVG element; texts among the samples are drawn as nothing."""
    if samples and isinstance(samples[-1].value, bool):
        sheet = _Sheet(frame, STATES_PX)
        _states(sheet, samples)
    else:
        sheet = _Sheet(frame, NUMBERS_PX)
        _numbers(sheet, samples)
    _times(sheet)
    _marks(sheet)
    return sheet.image()


def nice_step(span: float, parts: int) -> float:
    """The 1, 2 or 5 times a power of ten that cuts `span` into about `parts`."""
    rough = span / parts
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


class _Sheet:
    """The image while it is drawn: lines below, the course over them, texts on top."""

    def __init__(self, frame: Frame, plot_px: int) -> None:
        self.frame = frame
        self._plot_px = plot_px
        self._lines: list[str] = []
        self._course: list[str] = []
        self._texts: list[str] = []

    def x(self, at_ms: int) -> float:
        """Where a time stands in the inner image, and at its edge when outside."""
        frame = self.frame
        return min(max(SIDE * (at_ms - frame.from_ms) / (frame.to_ms - frame.from_ms), 0), SIDE)

    def across(self, kind: str, y: float) -> None:
        px = f"{self._px(y):.1f}"
        self._lines.append(f'<line class="{kind}" x1="0" x2="100%" y1="{px}" y2="{px}"/>')

    def down(self, kind: str, x: float) -> None:
        ends = f'y1="{TOP_PX}" y2="{TOP_PX + self._plot_px}"'
        self._lines.append(f'<line class="{kind}" x1="{x / SIDE:.2%}" x2="{x / SIDE:.2%}" {ends}/>')

    def shape(self, element: str) -> None:
        self._course.append(element)

    def text(self, kind: str, x: float, px: float, text: str, anchor: str = "start", dx: int = 0) -> None:
        """`px` from the top of the image."""
        self._texts.append(
            f'<text class="{kind}" x="{x / SIDE:.2%}" y="{px:.1f}" dx="{dx}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def over(self, y: float) -> float:
        """Pixels from the top to a text that stands on height `y` of the inner image."""
        return self._px(y) - 4

    @property
    def under_px(self) -> int:
        """Pixels from the top to the times under the plot."""
        return TOP_PX + self._plot_px + 18

    def image(self) -> str:
        label = escape(self.frame.label)
        return (
            f'<svg class="chart" role="img" aria-label="{label}" width="100%" '
            f'height="{TOP_PX + self._plot_px + AXIS_PX}"><title>{label}</title>{"".join(self._lines)}'
            f'<svg x="0" y="{TOP_PX}" width="100%" height="{self._plot_px}" viewBox="0 0 {SIDE} {SIDE}" '
            f'preserveAspectRatio="none">{"".join(self._course)}</svg>{"".join(self._texts)}</svg>'
        )

    def _px(self, y: float) -> float:
        return TOP_PX + y / SIDE * self._plot_px


def _numbers(sheet: _Sheet, samples: Sequence[Sample]) -> None:
    frame = sheet.frame
    points = [sample for sample in samples if isinstance(sample.value, float | int) and math.isfinite(sample.value)]
    low, high, step = _span(points, frame.limit)

    def y(value: float) -> float:
        return SIDE * (1 - (value - low) / (high - low))

    def at(sample: Sample, extreme: float | None = None, further: float = 0) -> str:
        height = y(float(sample.value) if extreme is None else extreme)
        return f"{sheet.x(sample.at_ms) + further:.1f},{height:.1f}"

    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        sheet.across("grid", y(value))
        if index:
            sheet.text("tick", 0, sheet.over(y(value)), plain(value), dx=4)
    for run in _runs(points, frame.gap_ms):
        if any(sample.low is not None for sample in run):
            around = [at(sample, sample.high) for sample in run] + [at(sample, sample.low) for sample in reversed(run)]
            sheet.shape(f'<polygon class="band" points="{" ".join(around)}"/>')
        course = [at(sample) for sample in run]
        if len(run) == 1:  # a line of no length would not be seen
            course.append(at(run[0], further=2))
        sheet.shape(f'<polyline class="course" points="{" ".join(course)}"/>')
    if frame.limit is not None:
        sheet.across("limit", y(frame.limit))
        sheet.text("limit-label", 0, sheet.over(y(frame.limit)), frame.limit_label, dx=LIMIT_PX)


def _states(sheet: _Sheet, samples: Sequence[Sample]) -> None:
    """False is a line at the bottom, true a filled block; each holds until the next sample, or the gap."""
    frame, top, foot = sheet.frame, SIDE * 0.35, SIDE * 0.94
    sheet.across("grid", SIDE)
    ends = [sample.at_ms for sample in samples[1:]] + [frame.to_ms]
    for sample, next_ms in zip(samples, ends, strict=True):
        left, right = sheet.x(sample.at_ms), sheet.x(min(next_ms, sample.at_ms + frame.gap_ms))
        kind, y = ("on", top) if sample.value else ("off", foot)
        place = f'x="{left:.1f}" y="{y:.0f}" width="{max(right - left, 1):.1f}" height="{SIDE - y:.0f}"'
        sheet.shape(f'<rect class="{kind}" {place}/>')
    sheet.text("tick", 0, sheet.over(top), frame.states[1], dx=4)
    sheet.text("tick", 0, sheet.over(foot), frame.states[0], dx=4)


def _times(sheet: _Sheet) -> None:
    frame = sheet.frame
    span_s = (frame.to_ms - frame.from_ms) / 1000
    day_s = _STEPS_S[-1]
    step_s = next((step for step in _STEPS_S if span_s / step <= 6), day_s * math.ceil(span_s / day_s / 6))
    first = datetime.fromtimestamp(frame.from_ms / 1000, frame.zone)
    at = first.replace(hour=0, minute=0, second=0, microsecond=0)
    at += timedelta(seconds=math.ceil((first - at).total_seconds() / step_s) * step_s)
    pattern = "%m-%d" if step_s >= day_s else "%H:%M:%S" if step_s < 60 else "%H:%M"
    while (at_ms := round(at.timestamp() * 1000)) <= frame.to_ms:
        x = sheet.x(at_ms)
        if 0.04 <= x / SIDE <= 0.96:  # else the text would be cut off
            sheet.down("grid", x)
            sheet.text("tick", x, sheet.under_px, f"{at:{pattern}}", anchor="middle")
        at += timedelta(seconds=step_s)


def _marks(sheet: _Sheet) -> None:
    for mark in sheet.frame.marks:
        if sheet.frame.from_ms <= mark.at_ms <= sheet.frame.to_ms:
            x, kind = sheet.x(mark.at_ms), escape(mark.kind)
            anchor, dx = ("end", -5) if x > 0.7 * SIDE else ("start", 5)
            sheet.down(f"moment {kind}", x)
            sheet.text(f"moment-label {kind}", x, TOP_PX + 10, mark.label, anchor, dx)


def _span(points: Sequence[Sample], limit: float | None) -> tuple[float, float, float]:
    """Lowest and highest value of the axis, and its step: round numbers around everything that is drawn."""
    values = [v for s in points for v in (float(s.value), s.low, s.high) if v is not None]
    values += [0.0, limit] if limit is not None else [0.0]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        high = low + 1.0
    step = nice_step((high - low) * 1.08, 4)
    return math.floor(low / step) * step, math.ceil((high + (high - low) * 0.08) / step) * step, step


def _runs(points: Sequence[Sample], gap_ms: int) -> list[list[Sample]]:
    runs: list[list[Sample]] = [[points[0]]] if points else []
    for before, point in pairwise(points):
        if point.at_ms - before.at_ms > gap_ms:
            runs.append([])
        runs[-1].append(point)
    return runs
