"""Courses of alarms as lines of a terminal: by rule, by day, by grid, what differs, what flaps and what stands. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from messages.settings import duration_words
from rules.backtest import chart, report
from rules.backtest.courses import Judged
from rules.backtest.past import Span
from rules.backtest.replay import Episode
from rules.backtest.report import Course, difference
from rules.backtest.words import Words, cells, left, right, time_words
from rules.language.calendar import Calendar

MOST_LISTED = 20
_COLUMN, _A_DAY = 11, 10


def head(judged: Judged, words: Words, *, stopped: bool) -> Iterator[str]:
    """How much was judged."""
    said = words.say("judged", time=time_words(judged.span.days), count=judged.readings)
    yield said + (words.say("not_judged", count=judged.unknown) if judged.unknown else "")
    if stopped:
        yield words.say("stopped")


def page(courses: Sequence[Course], span: Span, calendar: Calendar, words: Words) -> Iterator[str]:
    """All of it, in the words of one language."""
    courses = [replace(one, name=words.course(one.name)) for one in courses]
    keys = sorted({key for course in courses for key in course.by_rule})
    width = max((len(".".join(key)) for key in keys), default=4)
    yield left(words.head("rule"), width) + "".join(right(course.name, _COLUMN) for course in courses)
    for key in keys:
        yield left(".".join(key), width) + "".join(f"{course.by_rule.get(key, 0):>{_COLUMN}}" for course in courses)
    yield left(words.head("all"), width) + "".join(f"{len(course.episodes):>{_COLUMN}}" for course in courses)
    yield ""
    yield from chart.bars(courses, calendar, report.days(calendar, span.from_ms, span.until_ms))
    yield ""
    yield from _by_grid(courses, calendar, words)
    for before, after in pairwise(courses):
        yield from _differences(before, after, calendar, words)
    for course in courses:
        yield from _troubles(course, span, calendar, words)


def _by_grid(courses: Sequence[Course], calendar: Calendar, words: Words) -> Iterator[str]:
    tables = [course.by_grid_and_day(calendar) for course in courses]
    spots = sorted({spot for table in tables for spot in table})
    if not spots:
        return
    width = max(cells("/".join(spot)) for spot in spots)
    heads = (right(course.name, _COLUMN) + right(words.head("a day"), _A_DAY) for course in courses)
    yield left(words.head("grid"), width) + "".join(heads)
    for spot in spots:
        line = left("/".join(spot), width)
        for table in tables:
            counts = table.get(spot, Counter())
            most = right(words.say("most", count=max(counts.values(), default=0)), _A_DAY)
            line += f"{sum(counts.values()):>{_COLUMN}}{most}"
        yield line
    yield ""


def _differences(before: Course, after: Course, calendar: Calendar, words: Words) -> Iterator[str]:
    found = difference(before.episodes, after.episodes)
    counts = {"same": found.same, "gone": len(found.gone), "new": len(found.new)}
    yield words.say("difference", before=before.name, after=after.name, **counts)
    for mark, some in (("-", found.gone), ("+", found.new)):
        for one in some[:MOST_LISTED]:
            yield f"  {mark} {_line(one, calendar, words)}"
        if len(some) > MOST_LISTED:
            yield f"  {mark} {words.say('more', count=len(some) - MOST_LISTED)}"
    yield ""


def _troubles(course: Course, span: Span, calendar: Calendar, words: Words) -> Iterator[str]:
    flapping, standing = course.flapping(), course.standing(span.until_ms)
    if flapping:
        yield words.say("flapping", course=course.name)
        yield from (f"  {count:>4}  {'/'.join(spot)}" for spot, count in list(flapping.items())[:MOST_LISTED])
    if standing:
        yield words.say("standing", course=course.name)
        yield from (f"  {_line(one, calendar, words)}" for one in standing[:MOST_LISTED])


def _line(one: Episode, calendar: Calendar, words: Words) -> str:
    began = calendar.local(one.raised_at_ms).strftime("%m-%d %H:%M")
    lasted = words.head("stands")
    if one.cleared_at_ms is not None:
        lasted = duration_words(round((one.cleared_at_ms - one.raised_at_ms) / 1000))
    return f"{began}  {left(words.level(one.level), 6)}  {one.site}/{one.device}  {one.kind}.{one.rule}  {lasted}"
