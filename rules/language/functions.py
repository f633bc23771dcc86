"""The functions over time of the rules' language: what each takes, what it means, and what is kept for it.

    increase(volume, "12h")     what a counter has counted; a step back (a new meter) counts nothing
    rate(water_level, "10min")  the change within the time, per second; may be negative
    avg, min, max(level, "1h")  over the time, the earlier value holding until the next reading
    count(door_open, "24h")     how often it became true; of an event, or a number: how many readings came
    changed(tilt, "1h")         whether it did
    stuck_for(flow)             seconds for which readings have said the same
    since(door_open)            seconds since its last change
    silent_for(flow)            seconds without a reading
    before(card, door_open)     by how many seconds the last change of the first came before that of the other
    given(float_switch, false)  the channel, or that value if the device has never spoken of it: not every product has it
    usual(volume), off_by(volume)   what is usual at this hour of the week; how many standard deviations it is off
    time_between("22:00", "06:00"), date_between("11-15", "03-15"), hour(), weekday(), holiday()

A window may also begin at a time of the day: count(door_open, "since 00:00") is about this night.

A window that isn't covered (the device is new, or was silent) makes its value unknown, unless what is known already
decides: three openings within half a day are more than two within the whole of it.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from messages.kind import Channel
from messages.language import Phrase, phrase
from messages.suggestion import foreign_letter
from rules.language import terms, usual
from rules.language.calendar import Calendar
from rules.language.code import Compute
from rules.language.keeps import UsualKeep, WindowKeep, patience_ms
from rules.language.seen import SeenByChannel, Then
from rules.language.terms import RATIO, SECONDS, Misfit, Term, Type, Write, asked
from rules.language.window import Course, course

LONGEST_S = 31 * 86400.0
"""A longer window asks for a report, not for an alarm."""

_MEASURES: dict[str, Callable[[Course], float]] = {
    "increase": lambda known: known.rise,
    "avg": lambda known: known.mean,
    "min": lambda known: known.low,
    "max": lambda known: known.high,
}
OVER_TIME = (*_MEASURES, "rate", "count", "changed")
OF_CHANNEL = ("stuck_for", "since", "silent_for", "usual", "off_by")
OF_CALENDAR = ("time_between", "date_between", "hour", "weekday", "holiday")
DAY_S = 86400.0
NAMES = (*OVER_TIME, *OF_CHANNEL, *OF_CALENDAR, "before", "given", "count_devices")

_RISING = frozenset({"increase", "max", "count"})
"""The more is known, the greater they are."""


def over_time(function: str, name: str, channel: Channel, window: str, calendar: Calendar) -> tuple[Term, WindowKeep]:
    """`function(name, "window")` and what it needs. Raises Misfit."""
    begins = _minute(window.removeprefix("since "), 1) if window.startswith("since ") else None
    if begins is not None and function == "rate":
        raise Misfit('`rate` takes a duration: rate(level, "10min")').of(1)
    length_s = DAY_S if begins is not None else _seconds(window)
    if not 0 < length_s <= LONGEST_S:
        raise Misfit("a window is longer than nothing and at most {days:g} days", days=LONGEST_S / 86400).of(1)
    if function not in ("count", "changed") and channel.type != "number":
        raise _no_number(function, name, channel)
    keep = WindowKeep(name, round(length_s * 1000), max(patience_ms(channel), 1))
    measure, kind, unit = _measure(function, channel, length_s)
    length_ms = _length(keep, begins, calendar)
    whole = _of_window(keep, length_ms, measure, covered=True)
    part = _of_window(keep, length_ms, measure, covered=False)
    floor = part if function in _RISING else None
    ceiling = part if function == "min" else None
    if function == "changed":
        whole = _changed(keep, length_ms)
    return Term(kind, unit, whole, (name,), floor=floor, ceiling=ceiling), keep


def _seconds(window: str) -> float:
    try:
        return float(terms.fixed_value(terms.duration(terms.literal(window)), {}))
    except Misfit as misfit:
        raise misfit.of(1) from None


def _no_number(function: str, name: str, channel: Channel) -> Misfit:
    kind = terms.TYPES[channel.type]
    return Misfit("`{function}` is for numbers, and {name} is {type}", function=function, name=name, type=kind).of(0)


def _length(keep: WindowKeep, begins: int | None, calendar: Calendar) -> Callable[[int], int]:
    """How many milliseconds the window has at a time. `begins`: at which minute of the day."""
    if begins is None:
        return lambda _: keep.length_ms
    return lambda at_ms: max((calendar.minute_of_day(at_ms) - begins) % 1440 * 60_000 + at_ms % 60_000, 1)


def _measure(function: str, channel: Channel, length_s: float) -> tuple[Callable[[Course], float], Type, str | None]:
    if function == "rate":
        unit = channel.unit if channel.unit not in (None, RATIO) else RATIO
        return (lambda known: (known.last - known.first) / length_s), "number", f"{unit}/s"
    if function == "changed":
        return (lambda known: known.turns), "boolean", None
    if function == "count":
        becomes_true = channel.type == "boolean" and not channel.event
        return ((lambda known: known.rise) if becomes_true else (lambda known: float(known.readings))), "number", RATIO
    return _MEASURES[function], "number", channel.unit


def _of_window(
    keep: WindowKeep, length_ms: Callable[[int], int], measure: Callable[[Course], float], *, covered: bool
) -> Write:
    key, patience = keep.key, keep.patience_ms

    def compute(_: SeenByChannel, then: Then) -> float | None:
        known = course(then.kept.get(key) or (), length_ms(then.at_ms), patience, then.at_ms)
        return None if known is None or (covered and not known.covered) else measure(known)

    return asked(compute)


def _changed(keep: WindowKeep, length_ms: Callable[[int], int]) -> Write:
    key, patience = keep.key, keep.patience_ms

    def compute(_: SeenByChannel, then: Then) -> bool | None:
        known = course(then.kept.get(key) or (), length_ms(then.at_ms), patience, then.at_ms)
        if known is not None and known.turns:
            return True
        return False if known is not None and known.covered else None

    return asked(compute)


def of_channel(function: str, name: str, channel: Channel, calendar: Calendar) -> tuple[Term, UsualKeep | None]:
    """`function(name)` and what it needs. Raises Misfit."""
    match function:
        case "stuck_for":
            return _stuck_for(name), None
        case "since":
            return _since(name), None
        case "silent_for":
            return _silent_for(name), None
    if channel.type != "number":
        raise _no_number(function, name, channel)
    keep = UsualKeep(name, patience_ms(channel), calendar)
    compute = _usual(keep) if function == "usual" else _off_by(keep, channel.deadband)
    return Term("number", channel.unit if function == "usual" else RATIO, asked(compute), (name,)), keep


def _stuck_for(name: str) -> Term:
    def compute(seen: SeenByChannel, _: Then) -> float | None:
        one = seen.get(name)
        return None if one is None or one[1] is None else (one[2] - one[3]) / 1000

    return Term("number", SECONDS, asked(compute), (name,))


def _since(name: str) -> Term:
    def compute(seen: SeenByChannel, then: Then) -> float | None:
        one = seen.get(name)
        return None if one is None or not one[4] else max(then.at_ms - one[3], 0) / 1000

    def at_least(seen: SeenByChannel, then: Then) -> float | None:
        one = seen.get(name)
        return None if one is None else max(then.at_ms - one[3], 0) / 1000

    return Term("number", SECONDS, asked(compute), (name,), floor=asked(at_least))


def _silent_for(name: str) -> Term:
    def compute(seen: SeenByChannel, then: Then) -> float | None:
        one = seen.get(name)
        return None if one is None else max(then.at_ms - one[0], 0) / 1000

    return Term("number", SECONDS, asked(compute), (name,), silence=name)


def before(first: str, then: str) -> Term:
    """Infinite if the first never changed, negative if it came after, unknown while no change of the other is known."""

    def compute(seen: SeenByChannel, _: Then) -> float | None:
        changed_ms = _changed_ms(seen, then)
        if changed_ms is None:
            return None
        first_ms = _changed_ms(seen, first)
        return math.inf if first_ms is None else (changed_ms - first_ms) / 1000

    return Term("number", SECONDS, asked(compute), (first, then))


def _changed_ms(seen: SeenByChannel, name: str) -> int | None:
    """When a channel last changed, if it ever did."""
    one = seen.get(name)
    return one[3] if one is not None and one[4] else None


def _usual(keep: UsualKeep) -> Compute:
    def compute(_: SeenByChannel, then: Then) -> float | None:
        hour = usual.at(then.kept.get(keep.key) or usual.Usual(), keep.calendar.hour_of_week(then.at_ms))
        return None if hour is None else hour.mean

    return compute


def _off_by(keep: UsualKeep, deadband: float) -> Compute:
    """A course that never varied would make every twitch infinitely strange: the deadband is the least deviation."""

    def compute(seen: SeenByChannel, then: Then) -> float | None:
        hour = usual.at(then.kept.get(keep.key) or usual.Usual(), keep.calendar.hour_of_week(then.at_ms))
        one = seen.get(keep.channel)
        if hour is None or one is None or one[1] is None:
            return None
        deviation = max(math.sqrt(hour.variance), deadband, abs(hour.mean) * 0.01)
        return abs(float(one[1]) - hour.mean) / deviation if deviation else None

    return compute


def of_calendar(function: str, texts: list[Any], calendar: Calendar) -> Term:
    """`hour()`, `weekday()`, `holiday()`, `time_between(…)`, `date_between(…)`. Raises Misfit."""
    if function in ("hour", "weekday", "holiday"):
        if texts:
            raise Misfit("`{function}()` takes nothing", function=function)
        if function == "hour":
            return _asked("number", lambda at_ms: calendar.minute_of_day(at_ms) / 60)
        if function == "weekday":
            return _asked("number", calendar.weekday)
        return _asked("boolean", calendar.is_holiday)
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        example = '"22:00", "06:00"' if function == "time_between" else '"11-15", "03-15"'
        raise Misfit("`{function}` takes two texts: {function}({example})", function=function, example=Phrase(example))
    if function == "time_between":
        first, last = (_minute(text, at) for at, text in enumerate(texts))
        return _asked("boolean", lambda at_ms: _between(first, calendar.minute_of_day(at_ms), last))
    begin, end = (_day(text, at) for at, text in enumerate(texts))

    def within(at_ms: int) -> bool:
        then = calendar.local(at_ms)
        return _between(begin, then.month * 100 + then.day, end)

    return _asked("boolean", within)


def _asked(kind: Type, ask: Callable[[int], Any]) -> Term:
    return Term(kind, None, asked(lambda _, then: ask(then.at_ms)))


def _between(first: int, now: int, last: int) -> bool:
    """From `first` to before `last`, over the end of the day or the year where the last is smaller."""
    return first <= now < last if first <= last else now >= first or now < last


def _minute(text: str, argument: int) -> int:
    if (found := re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text)) is None:
        words = phrase('a time of day such as "22:30" is wanted, not {text}{letter}', **_quoted(text))
        raise Misfit(words).of(argument)
    return int(found[1]) * 60 + int(found[2])


def _day(text: str, argument: int) -> int:
    if (found := re.fullmatch(r"(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])", text)) is None:
        words = phrase('month and day such as "11-15" are wanted, not {text}{letter}', **_quoted(text))
        raise Misfit(words).of(argument)
    return int(found[1]) * 100 + int(found[2])


def _quoted(text: str) -> Mapping[str, object]:
    return {"text": repr(text), "letter": foreign_letter(text)}
