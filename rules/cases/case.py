"""The case's machine: registered, accepted, on site, closed (受理 接单 到场 办结), and what is promised by level.

Pure. To acknowledge an alarm is not to accept its case: one says "seen", the other "mine". Only the second stops
an escalation, so it is first come, first served, and the second person learns who came first.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from messages.alarm import Level
from rules.records import ActionRefused, Case, CaseState

OUTCOMES = ("mended", "false_alarm", "no_cause_found", "handed_on")


@dataclass(frozen=True, slots=True)
class Promise:
    """Seconds from the opening of a case to its acceptance and to the arrival; None: not promised."""

    accept_s: int | None
    arrive_s: int | None


PROMISES: dict[Level, Promise] = {
    "red": Promise(60, 600),  # 「1分钟接单,10分钟到场」, the field's own figure (1d of the field notes)
    "orange": Promise(180, 1800),  # engineering default, section 4
    "yellow": Promise(1800, None),  # engineering default, section 4
    "blue": Promise(None, None),  # a daily list
}


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


def opened(case_id: str, level: Level, now_ms: int) -> Case:
    """A new case with its promises counted from now."""
    promise = PROMISES[level]
    return Case(
        id=case_id,
        state=CaseState.REGISTERED,
        opened_at_ms=now_ms,
        accept_by_ms=None if promise.accept_s is None else now_ms + promise.accept_s * 1000,
        arrive_by_ms=None if promise.arrive_s is None else now_ms + promise.arrive_s * 1000,
    )


def tightened(case: Case, level: Level, now_ms: int) -> Case:
    """What is promised of it now that it is of `level`: never later than before; a leg that is done stays done."""
    fresh = opened(case.id, level, now_ms)
    return replace(
        case,
        accept_by_ms=_earlier(case.accept_by_ms, fresh.accept_by_ms),
        arrive_by_ms=_earlier(case.arrive_by_ms, fresh.arrive_by_ms),
    )


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((at_ms for at_ms in (one, other) if at_ms is not None), default=None)


def apply(case: Case, act: Act, now_ms: int, *, active: bool) -> Case:
    """The case after `act`; `active` says that the alarm's condition still holds.

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
