"""Courses of alarms as lines of a terminal: by rule, by day, by grid, what differs and why, what flaps and what stands. Pure."""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from messages.language import NOTHING, Language, Phrase, phrase
from messages.settings import duration_words
from rules.backtest import chart, report
from rules.backtest.changes import Change
from rules.backtest.columns import WIDTH, cells, left, table
from rules.backtest.courses import Judged
from rules.backtest.past import Span
from rules.backtest.reasons import NOTE, WHY, Why, counted
from rules.backtest.replay import Episode
from rules.backtest.report import Course, difference
from rules.language.calendar import Calendar

MOST_LISTED = 20
LATE_MS = 86_400_000
"""A history whose first reading is later than this after the beginning didn't begin there."""

COURSES: Mapping[str, Phrase] = {
    "was": phrase("was"),
    "rules now": phrase("rules now"),
    "changed": phrase("changed"),
    "shadow": phrase("shadow"),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """In whose words, and by whose clock."""

    language: Language
    calendar: Calendar

    def say(self, one: Phrase) -> str:
        return one.said(self.language)

    def course(self, name: str) -> str:
        return self.say(COURSES[name]) if name in COURSES else name


def head(judged: Judged, reader: Reader, *, asked: Span, kept_s: float | None, stopped: bool) -> Iterator[str]:
    """How much was judged, of what was asked."""
    unknown = phrase(
        "; {count} not: of devices that nobody announces now, or not true for their kind", count=judged.unknown
    )
    said = phrase(
        "{begin} to {end}, {length}: {count} readings judged{unknown}",
        begin=_moment(judged.span.from_ms, reader),
        end=_moment(judged.span.until_ms, reader),
        length=duration_words(round(judged.span.days * 86_400)),
        count=judged.readings,
        unknown=unknown if judged.unknown else NOTHING,
    )
    yield from _wrapped(reader.say(said), "")
    if judged.broken is not None:
        yield from _wrapped(
            reader.say(phrase("The history could not be read to the end: {why}", why=judged.broken)), ""
        )
    if stopped or judged.broken is not None:
        yield reader.say(phrase("Stopped before the end: what follows is of this time alone."))
    if judged.first_ms is None:
        yield reader.say(phrase("The history holds no reading of this time."))
    elif judged.first_ms > asked.from_ms + LATE_MS:
        yield reader.say(phrase("The readings begin on {begin} only.", begin=_moment(judged.first_ms, reader)))
    if kept_s is not None and (asked.until_ms - asked.from_ms) / 1000 > kept_s:
        yield reader.say(phrase("Readings are kept for {kept} (retention).", kept=duration_words(kept_s)))


def _moment(at_ms: int, reader: Reader) -> str:
    return reader.calendar.local(at_ms).strftime("%Y-%m-%d %H:%M")


def page(courses: Sequence[Course], span: Span, reader: Reader, judged: Judged | None = None) -> Iterator[str]:
    """All of it, in the words of one language. `judged`: what else is known of the courses."""
    if judged is not None and judged.changes:
        yield from _changes(judged.changes, reader)
    yield from _by_rule(courses, reader)
    days = report.days(reader.calendar, span.from_ms, span.until_ms)
    yield from chart.bars(courses, reader.calendar, days, reader.course)
    if any(chart.is_off(reader.calendar, day) for day in days):
        yield reader.say(phrase("* a day off"))
    yield ""
    yield from _by_grid(courses, reader)
    for before, after in pairwise(courses):
        yield from _differences(before, after, reader, judged)
    for course in courses:
        yield from _troubles(course, span, reader)


def _changes(found: Iterable[Change], reader: Reader) -> Iterator[str]:
    yield reader.say(phrase("The changed rules:"))
    for change in found:
        yield f"  {change.rule}"
        for part, before, after in change.parts:
            for sign, text in (("-", before), ("+", after)):
                if text is not None:
                    yield from _wrapped(f"    {sign} {part}: {text}", " " * 8)
    yield ""


def _by_rule(courses: Sequence[Course], reader: Reader) -> Iterator[str]:
    keys = sorted({key for course in courses for key in course.by_rule})
    rows = [[reader.say(phrase("rule")), *(reader.course(course.name) for course in courses)]]
    rows += [[".".join(key), *(str(course.by_rule.get(key, 0)) for course in courses)] for key in keys]
    rows.append([reader.say(phrase("all")), *(str(len(course.episodes)) for course in courses)])
    if any(course.before for course in courses):
        rows.append([reader.say(phrase("stood before")), *(str(len(course.before)) for course in courses)])
    yield from table(rows)
    yield ""


def _by_grid(courses: Sequence[Course], reader: Reader) -> Iterator[str]:
    tables = [course.by_grid_and_day(reader.calendar) for course in courses]
    spots = sorted({spot for one in tables for spot in one})
    if not spots:
        return
    a_day = reader.say(phrase("most a day"))
    rows = [[reader.say(phrase("grid")), *(word for course in courses for word in (reader.course(course.name), a_day))]]
    for spot in spots:
        counts = [one.get(spot, Counter[str]()) for one in tables]
        figures = ((str(sum(one.values())), str(max(one.values(), default=0))) for one in counts)
        rows.append(["/".join(spot), *(word for pair in figures for word in pair)])
    yield from table(rows)
    yield ""


def _differences(before: Course, after: Course, reader: Reader, judged: Judged | None) -> Iterator[str]:
    found = difference(before, after)
    yield reader.say(
        phrase(
            "{before} -> {after}: {same} the same, {moved} at another time, {gone} gone, {new} new",
            before=reader.course(before.name),
            after=reader.course(after.name),
            same=found.same,
            moved=len(found.moved),
            gone=len(found.gone),
            new=len(found.new),
        )
    )
    then = judged.then if judged is not None and report.has_reasons(before, after) else None
    for one, other in found.moved[:MOST_LISTED]:
        yield f"  > {_line(one, reader)}  {_shift(one, other)}"
    yield from _more(len(found.moved), ">", reader)
    yield from _explained("-", found.gone, then.gone if then else None, reader)
    yield from _explained("+", found.new, then.new if then else None, reader)
    if then is not None and (found.gone or found.new or found.moved):
        yield from _wrapped(reader.say(NOTE), "")
    yield ""


def _explained(
    sign: str, some: Sequence[Episode], why: Callable[[Episode], Why] | None, reader: Reader
) -> Iterator[str]:
    """The episodes that are gone or new, those with one reason together."""
    if why is None:
        yield from (f"  {sign} {_line(one, reader)}" for one in some[:MOST_LISTED])
        yield from _more(len(some), sign, reader)
        return
    reasons = [(why(one), one) for one in some]
    for reason, count in counted(word for word, _ in reasons).items():
        yield f"  {sign} {count}: {reader.say(WHY[reason])}"
        its = [one for word, one in reasons if word == reason]
        yield from (f"    {_line(one, reader)}" for one in its[:MOST_LISTED])
        yield from _more(len(its), " ", reader)


def _more(count: int, sign: str, reader: Reader) -> Iterator[str]:
    if count > MOST_LISTED:
        yield f"  {sign} {reader.say(phrase('and {count} more', count=count - MOST_LISTED))}"


def _troubles(course: Course, span: Span, reader: Reader) -> Iterator[str]:
    flapping, standing = course.flapping(), course.standing(span.until_ms)
    name = reader.course(course.name)
    if flapping:
        yield reader.say(
            phrase("{course}, flapping (the most within an hour): {count}", course=name, count=len(flapping))
        )
        yield from (f"  {count:>4}  {'/'.join(spot)}" for spot, count in list(flapping.items())[:MOST_LISTED])
        yield from _more(len(flapping), " ", reader)
    if standing:
        yield reader.say(phrase("{course}, standing for more than a day: {count}", course=name, count=len(standing)))
        yield from (f"  {_line(one, reader)}" for one in standing[:MOST_LISTED])
        yield from _more(len(standing), " ", reader)


def _line(one: Episode, reader: Reader) -> str:
    began = reader.calendar.local(one.raised_at_ms).strftime("%m-%d %H:%M")
    lasted = reader.say(phrase("stands"))
    if one.cleared_at_ms is not None:
        lasted = duration_words(round((one.cleared_at_ms - one.raised_at_ms) / 1000))
    return f"{began}  {left(reader.say(Phrase(one.level)), 6)}  {one.site}/{one.device}  {one.rule}  {lasted}"


def _shift(one: Episode, other: Episode) -> str:
    """By how much the other begins later."""
    seconds = round((other.raised_at_ms - one.raised_at_ms) / 1000)
    return f"{'-' if seconds < 0 else '+'}{duration_words(abs(seconds))}"


def _wrapped(line: str, indent: str) -> list[str]:
    """Chinese has no spaces to break at: it is cut where the line is full."""
    if cells(line) == len(line):
        return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    lines, rest = list[str](), line
    while cells(rest) > WIDTH:
        cut = next(at for at in range(len(rest), 0, -1) if cells(rest[:at]) <= WIDTH)
        lines.append(rest[:cut])
        rest = indent + rest[cut:].lstrip()
    return [*lines, rest]
