"""A case 工单: what it is about, how it opens, what is promised of it, and how several situations are one. Pure.

What people do to it is `rules.cases.steps`; who is called for it, `rules.escalation.program`.
"""

from dataclasses import dataclass, replace
from typing import Any

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text, duration_s
from rules.cases.policy import Policy, end_ms
from rules.cases.practice import PLAIN, Practice
from rules.duty.night import night_over_ms
from rules.language.calendar import Calendar
from rules.language.neighbours import Whereabouts, near
from rules.records import OVER, WAITING, Case, CaseState, Origin

LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")
"""Gravest first."""

REPORT_WITHIN_M = 30.0
REPORT_WITHIN_MS = 30 * 60_000
"""A report and what is known nearby are one: section 4 of the field notes."""
SITUATION_MS = 10 * 60_000
"""Alarms that their rules call one situation, this soon after its opening, are one case. Engineering default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a case is about."""

    site: SiteId
    place: Place
    kind: str
    subject: str
    title: Text
    level: Level
    origin: Origin
    lat: float | None = None
    lon: float | None = None
    owner: str = ""
    situation: str = ""
    """The word that its rule gives to several alarms of one thing, e.g. "cover"; empty: it is one by itself."""


def opened(case_id: str, about: Situation, now_ms: int, practice: Practice = PLAIN) -> Case:
    """A new case with its promises counted from now, or from when a worker is called if somebody is asked first. What a sensor found is
    registered; what a person says is looked at first."""
    policy = practice.policies.of(about.level, about.kind, about.situation)
    return Case(
        id=case_id,
        site=about.site,
        place=about.place,
        kind=about.kind,
        subject=about.subject,
        title=about.title,
        level=about.level,
        origin=about.origin,
        lat=about.lat,
        lon=about.lon,
        owner=about.owner,
        situation=about.situation,
        policy=policy,
        state=CaseState.REGISTERED if about.origin == "alarm" else CaseState.REPORTED,
        opened_at_ms=now_ms,
        clock_from_ms=now_ms,
        **promises(policy, asked_until_ms(policy, about.level, now_ms, practice.calendar), practice.calendar),
    )


def asked_until_ms(policy: Policy, level: Level, from_ms: int, calendar: Calendar) -> int:
    """When a worker is called, if nobody answers before; at once where nobody is asked."""
    return asked_at_ms(policy, level, from_ms, calendar, 2)


def asked_at_ms(policy: Policy, level: Level, from_ms: int, calendar: Calendar, turn: int) -> int:
    """When the resident (0), and her contacts (1), are asked: for nothing that can wait till the morning in the night."""
    if policy.ask_s is None:
        return from_ms
    begun_ms = from_ms if level == "orange" else night_over_ms(calendar, from_ms)
    return begun_ms + round(turn * policy.ask_s * 1000)


def called(case: Case, now_ms: int, calendar: Calendar) -> Case:
    """The case now that a worker is called: nobody is asked any longer, and his time begins."""
    if case.policy.ask_s is None:
        return case
    policy = replace(case.policy, ask_s=None)
    return replace(case, policy=policy, clock_from_ms=now_ms, **promises(policy, now_ms, calendar))


def promises(policy: Policy, from_ms: int, calendar: Calendar) -> dict[str, Any]:
    """The fields of a case that say by when what is promised."""
    return {
        f"{leg}_by_ms": None if span is None else end_ms(from_ms, span, calendar)
        for leg, span in (("accept", policy.accept), ("arrive", policy.arrive), ("handle", policy.handle))
    }


def tightened(case: Case, level: Level, now_ms: int, practice: Practice = PLAIN, title: Text | None = None) -> Case:
    """The case now that something in it is of `level`: never less grave, never promised later than before. Who waits for somebody to
    accept is called for anew. `title`: what made it so."""
    if LEVELS.index(level) >= LEVELS.index(case.level) or case.state in OVER:
        return case
    policy = practice.policies.of(level, case.kind)
    sooner: dict[str, Any] = {
        name: min((at_ms for at_ms in (getattr(case, name), by_ms) if at_ms is not None), default=None)
        for name, by_ms in promises(policy, now_ms, practice.calendar).items()
    }
    return replace(
        case,
        level=level,
        title=title or case.title,
        policy=policy,
        clock_from_ms=now_ms if case.state in WAITING else case.clock_from_ms,
        **sooner,
    )


def is_one(case: Case, about: Situation, now_ms: int) -> bool:
    """Whether what happens now belongs to a case that is open: the rules' word for it, or a report and what it reports."""
    if case.state in OVER or case.site != about.site:
        return False
    if about.origin == "alarm" and case.origin == "alarm":
        return (
            about.situation != ""
            and (about.kind, about.situation) == (case.kind, case.situation)
            and now_ms - case.opened_at_ms <= SITUATION_MS
            and (about.subject == case.subject or same_place(about.place, case.place))
        )
    return (
        about.kind == case.kind
        and abs(now_ms - case.opened_at_ms) <= REPORT_WITHIN_MS
        and near(REPORT_WITHIN_M, _where(about), _where(case))
    )


def same_place(one: Place, other: Place) -> bool:
    """The same words for it, in a building: a unit 单元 is a stairway with many homes, and who calls from another one is another case."""
    return bool(one.building) and one == other


def comes_again(case: Case, now_ms: int) -> bool:
    """Whether what it was closed for is the same case, when it comes again now: 返工."""
    closed_ms = case.closed_at_ms
    return (
        case.state is CaseState.CLOSED and closed_ms is not None and now_ms - closed_ms <= case.policy.reopen_s * 1000
    )


def span_ms(span: str | None) -> int:
    """How long a promise is, for the moment at which its owner is reminded. A working day counts eight hours."""
    if span is None:
        return 0
    days, _, word = span.partition(" ")
    return int(days) * 8 * 3_600_000 if word else round(duration_s(span) * 1000)


def _where(what: Situation | Case) -> Whereabouts:
    return Whereabouts(what.place.grid, what.place.building, what.lat, what.lon)
