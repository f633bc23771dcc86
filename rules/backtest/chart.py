"""Alarms by day as a picture: bars in a terminal, and an SVG that any browser shows. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from rules.backtest.columns import WIDTH, cells, left
from rules.backtest.report import Course, day_of
from rules.language.calendar import Calendar

EIGHTHS = " ▏▎▍▌▋▊▉█"
BAR = 48
"""Characters of the longest bar, where there is room for it."""
COLOURS = ("#9aa5b1", "#2b6cb0", "#c05621")
_ROW, _LEFT, _WIDTH, _HEAD = 16, 92, 620, 40


def daily(course: Course, calendar: Calendar) -> Counter[str]:
    return Counter(day_of(calendar, one.raised_at_ms) for one in course.episodes)


def bars(
    courses: Sequence[Course], calendar: Calendar, days: Sequence[str], named: Callable[[str], str] = str
) -> list[str]:
    """One line for each day, a number and a bar for each course. A star marks a day on which nobody works."""
    counts = [daily(course, calendar) for course in courses]
    most = max((count for one in counts for count in one.values()), default=0) or 1
    digits = max(len(str(most)), 2)
    longest = min(BAR, (WIDTH - 11) // len(courses) - digits - 3)
    heads = (left(named(course.name), digits + 1 + longest) for course in courses)
    lines = [("  ".join([" " * 11, *heads])).rstrip()]
    for day in days:
        cells = (f"{count[day]:>{digits}} {_bar(count[day] / most, longest):<{longest}}" for count in counts)
        mark = "*" if is_off(calendar, day) else " "
        lines.append("  ".join([f"{day}{mark}", *cells]).rstrip())
    return lines


def is_off(calendar: Calendar, day: str) -> bool:
    date = datetime.fromisoformat(day)
    return calendar.is_holiday(round(date.replace(hour=12, tzinfo=calendar.zone).timestamp() * 1000))


def _bar(share: float, longest: int) -> str:
    eighths = round(share * longest * 8)
    whole, rest = divmod(eighths, 8)
    if share > 0 and not eighths:
        rest = 1
    return "█" * whole + (EIGHTHS[rest] if rest else "")


def svg(courses: Sequence[Course], calendar: Calendar, days: Sequence[str], title: str, star: str) -> str:
    """Bars by day, one colour for each course, with the numbers beside them. `star`: what it means behind a day."""
    counts = [daily(course, calendar) for course in courses]
    most = max((count for one in counts for count in one.values()), default=0) or 1
    step = _ROW * len(courses) + 6
    height = _HEAD + step * len(days) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 60} {height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="100%" height="100%" fill="#fff"/><title>{escape(title)}</title>',
        f'<text x="8" y="16" font-size="14">{escape(title)}</text>',
    ]
    x = 8
    for index, course in enumerate(courses):
        parts.append(f'<rect x="{x}" y="24" width="10" height="10" fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 14}" y="33">{escape(course.name)}</text>')
        x += 40 + 8 * cells(course.name)
    for row, day in enumerate(days):
        top, mark = _HEAD + row * step, "*" if is_off(calendar, day) else ""
        parts.append(f'<text x="8" y="{top + 12}" fill="#4a5568">{day}{mark}</text>')
        for index, count in enumerate(counts):
            y, length = top + index * _ROW, count[day] / most * _WIDTH
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="12" fill="{COLOURS[index % len(COLOURS)]}"/>'
                f'<text x="{_LEFT + length + 5:.1f}" y="{y + 11}">{count[day]}</text>'
            )
    if any(is_off(calendar, day) for day in days):
        parts.append(f'<text x="8" y="{height - 6}" fill="#4a5568">{escape(star)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
