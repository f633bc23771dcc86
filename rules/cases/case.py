"""The case's machine: registered, accepted, on site, closed (受理 接单 到场 办结), and what is promised by level.

Pure. To acknowledge an alarm is not to accept its case: one says "seen", the other "mine". Only the second stops
an escalation, so it is first come, first served, and the second person learns who came first.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text
from rules.cases.policy import POLICIES
from rules.records import ActionRefused, Case, CaseState, Origin

OUTCOMES = ("mended", "false_alarm", "no_cause_found", "handed_on")


LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")
"""Gravest first."""


@dataclass(frozen=True, slots=True)
class Accept:
    actor: str


@dataclass(frozen=True, slots=True)
class Arrive:
    actor: str


@dataclass(frozen=True, slots=True)
class Close:
    actor: str
    outcome: str
    """One of OUTCOMES."""


Act = Accept | Arrive | Close


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


def opened(case_id: str, about: Situation, now_ms: int) -> Case:
    """A new case with its promises counted from now."""
    policy = POLICIES[about.level]
    return Case(
        id=case_id,
        site=about.site,
        place=about.place,
        kind=about.kind,
        subject=about.subject,
        title=about.title,
        level=about.level,
        origin=about.origin,
        policy=policy,
        state=CaseState.REGISTERED,
        opened_at_ms=now_ms,
        accept_by_ms=_after(now_ms, policy.accept_s),
        arrive_by_ms=_after(now_ms, policy.arrive_s),
    )


def tightened(case: Case, level: Level, now_ms: int) -> Case:
    """What is promised of it now that something in it is of `level`: never less grave, never later than before."""
    if LEVELS.index(level) >= LEVELS.index(case.level):
        return case
    policy = POLICIES[level]
    return replace(
        case,
        level=level,
        policy=policy,
        accept_by_ms=_earlier(case.accept_by_ms, _after(now_ms, policy.accept_s)),
        arrive_by_ms=_earlier(case.arrive_by_ms, _after(now_ms, policy.arrive_s)),
    )


def _after(now_ms: int, promised_s: int | None) -> int | None:
    return None if promised_s is None else now_ms + promised_s * 1000


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((at_ms for at_ms in (one, other) if at_ms is not None), default=None)


def apply(case: Case, act: Act, now_ms: int, *, active: bool) -> Case:
    """The case after `act`; `active` says that the condition of an alarm in it still holds.

    Repeating one's own act changes nothing: the same object returns. Raises ActionRefused.
    """
    match act:
        case Accept():
            return _accept(case, act, now_ms)
        case Arrive():
            return _arrive(case, act, now_ms)
        case Close():
            return _close(case, act, now_ms, active=active)
        case _:
            assert_never(act)


def _accept(case: Case, act: Accept, now_ms: int) -> Case:
    if case.state is CaseState.CLOSED:
        raise ActionRefused("closed", case)
    if case.state is not CaseState.REGISTERED:
        if case.accepted_by == act.actor:
            return case
        raise ActionRefused("taken", case)
    return replace(case, state=CaseState.ACCEPTED, accepted_at_ms=now_ms, accepted_by=act.actor)


def _arrive(case: Case, act: Arrive, now_ms: int) -> Case:
    """Whoever stands there may say so, not only the one who accepted: helpers come along."""
    if case.state is CaseState.CLOSED:
        raise ActionRefused("closed", case)
    if case.state is CaseState.REGISTERED:
        raise ActionRefused("not-accepted", case)
    if case.state is CaseState.ON_SITE:
        return case
    return replace(case, state=CaseState.ON_SITE, on_site_at_ms=now_ms, on_site_by=act.actor)


def _close(case: Case, act: Close, now_ms: int, *, active: bool) -> Case:
    if act.outcome not in OUTCOMES:
        raise ValueError(f"outcome {act.outcome!r} is not one of {', '.join(OUTCOMES)}")
    if case.state is CaseState.CLOSED:
        if (case.closed_by, case.outcome) == (act.actor, act.outcome):
            return case
        raise ActionRefused("closed", case)
    if case.state is not CaseState.ON_SITE:
        raise ActionRefused("not-on-site", case)
    if active:
        raise ActionRefused("still-active", case)
    return replace(case, state=CaseState.CLOSED, closed_at_ms=now_ms, closed_by=act.actor, outcome=act.outcome)
