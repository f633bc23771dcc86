"""A call in its reader's words: what, where, how long is left, and why he is told. Pure after loading."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from messages.direction import one_line
from messages.language import Language
from messages.settings import Settings, Text, read
from rules.escalation.program import Leg
from rules.language.calendar import Calendar
from rules.notices.channels.base import Message
from rules.records import Case

SHIPPED = Path(str(files("rules"))) / "notices" / "texts.toml"
OLD_MS = 120_000
"""What happened longer ago than this says so in its first lines (guarantee 5)."""
MOST_LISTED = 8


class _Texts(Settings):
    levels: dict[str, Text]
    reasons: dict[str, Text]
    lines: dict[str, Text]
    spans: dict[str, Text]


@cache
def _texts() -> _Texts:
    return read(SHIPPED, _Texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call, as far as words need it."""

    key: str
    case: Case
    leg: str
    reason: str
    happened_at_ms: int
    """When the condition was raised, by the readings' time."""
    times: int = 1
    """How often."""


def message(
    head: Told, others: Sequence[Told], *, person: str, language: Language, link: str, calendar: Calendar, now_ms: int
) -> Message:
    """The message that carries `head` and tells of `others`."""
    case = head.case
    title, level = one_line(_of(case.title, language)), _say("levels", case.level, language)
    reason = _say("reasons", head.reason, language).format(n=head.times)
    left = ", ".join(part for part in (reason, _left(head, language, now_ms)) if part)
    place = one_line(case.place.text)
    lines = [_line("head", language, level=level, title=title), place]
    if now_ms - head.happened_at_ms > OLD_MS:
        then = calendar.local(head.happened_at_ms)
        same_day = then.date() == calendar.local(now_ms).date()
        time = then.strftime("%H:%M" if same_day else "%m-%d %H:%M")
        lines.insert(1, _line("age", language, time=time, ago=span(now_ms - head.happened_at_ms, language)))
    lines.append(left)
    if others:
        lines.append(_line("more", language, n=len(others)))
        lines += [_entry(one, language) for one in others[:MOST_LISTED]]
        if len(others) > MOST_LISTED:
            lines.append(_line("rest", language, n=len(others) + 1))
    return Message(
        key=head.key,
        at_ms=now_ms,
        level=case.level,
        language=language,
        title=f"{level} {title}",
        place=place,
        left=left,
        text="\n".join(lines),
        link=link,
        case=case.id,
        site=case.site,
        person=person,
        more=len(others),
    )


def span(ms: int, language: Language) -> str:
    """A stretch of time in one unit, as a person says it."""
    seconds = max(0, ms) // 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (seconds >= length and seconds % length < length // 10):
            return _say("spans", unit, language).format(n=seconds // length)
    return _say("spans", "s" if seconds < 100 else "min", language).format(
        n=seconds if seconds < 100 else seconds // 60
    )


def _left(told: Told, language: Language, now_ms: int) -> str:
    case = told.case
    by_ms = {Leg.ACCEPT: case.accept_by_ms, Leg.ARRIVE: case.arrive_by_ms, Leg.HANDLE: case.handle_by_ms}.get(
        Leg(told.leg)
    )
    if by_ms is None:
        return ""
    name = "left" if by_ms > now_ms else "over"
    return _line(name, language, span=span(abs(by_ms - now_ms), language))


def _entry(told: Told, language: Language) -> str:
    level, title = _say("levels", told.case.level, language), one_line(_of(told.case.title, language))
    return _line("entry", language, level=level, title=title, place=one_line(told.case.place.text))


def _line(name: str, language: Language, **values: object) -> str:
    return _of(_texts().lines[name], language).format(**values)


def _say(table: str, name: str, language: Language) -> str:
    known: dict[str, Text] = getattr(_texts(), table)
    return _of(known[name], language) if name in known else name


def _of(text: Text, language: Language) -> str:
    return text.zh if language == "zh" else text.en
