"""The clocks of a case: for each leg that runs, which call is made when, for ever until somebody moves the case. Pure.

A leg's program is a row of steps in time; after the last one its tail repeats. So a red case that nobody accepts is never quiet. What
has been done is one number, the step that comes next: a restart goes on there, and an overdue step is due at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rules.cases.case import asked_at_ms, span_ms
from rules.cases.policy import end_ms
from rules.duty.ladder import CONTACT, DEPARTMENT, GRID, RESIDENT, RUNGS, STREET
from rules.language.calendar import Calendar
from rules.records import DONE, TAKEN, WAITING, Case, CaseState

WARNING = 0.25
"""Of a promise's time: when so much of it is left, its owner is reminded."""


class Leg(StrEnum):
    """A clock that runs."""

    ASK = "ask"
    """Who lives there, and then her contacts, are asked how she is, before a worker is called."""
    ACCEPT = "accept"
    CHECK_IN = "check_in"
    ARRIVE = "arrive"
    HANDLE = "handle"
    VERIFY = "verify"
    EXTENSION = "extension"
    REVIEW = "review"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done at a moment of a leg."""

    due_ms: int
    rungs: tuple[int, ...] = ()
    """Whom it calls."""
    owner: bool = False
    """Whether it calls who has accepted, or was sent."""
    turn: int = 0
    """How often the first of its rungs was called before: of several people the next one, of several channels the next one."""
    breach: bool = False
    """A promise is broken at this moment."""
    warning: bool = False
    reason: str = ""
    """A word that messages translate."""
    called: bool = False
    """Nobody has answered: the worker is called from now on."""


def running(case: Case) -> dict[Leg, int]:
    """The legs that run, and from when."""
    legs: dict[Leg, int | None] = {}
    if case.state in WAITING:
        legs[Leg.ASK if case.policy.ask_s is not None else Leg.ACCEPT] = case.clock_from_ms
        if case.rung == DEPARTMENT and case.checked_in_at_ms is None:
            legs[Leg.CHECK_IN] = case.escalated_at_ms
    if case.state is CaseState.ACCEPTED:
        legs[Leg.ARRIVE] = case.arrive_by_ms
    if case.state in WAITING | TAKEN:
        legs[Leg.HANDLE] = case.handle_by_ms
    if case.state in DONE:
        legs[Leg.VERIFY] = case.feedback_at_ms
    if case.state is CaseState.SUSPENDED:
        legs[Leg.REVIEW] = case.suspended_until_ms
    if case.state is CaseState.CLOSED:
        legs[Leg.ARCHIVE] = case.closed_at_ms
    legs[Leg.EXTENSION] = case.extension_at_ms
    return {leg: from_ms for leg, from_ms in legs.items() if from_ms is not None}


def step(case: Case, leg: Leg, from_ms: int, number: int, calendar: Calendar) -> Step | None:
    """The step of that number, counted from 0; None: there is none any more."""
    steps = sorted(_steps(case, leg, from_ms, calendar), key=lambda one: one.due_ms)
    if number < len(steps):
        return steps[number]
    tail_ms = round((case.policy.again_s if leg is Leg.ACCEPT else case.policy.remind_s) * 1000)
    if leg in (Leg.ASK, Leg.ARCHIVE, Leg.CHECK_IN) or tail_ms <= 0:
        return None
    rounds = number - len(steps) + 1
    due_ms = (steps[-1].due_ms if steps else from_ms) + rounds * tail_ms
    if leg is Leg.ACCEPT:
        rungs = tuple(rung for rung in RUNGS if case.first_rung <= rung <= top(case))
        return Step(due_ms, rungs, turn=len(case.policy.call_s) - 1 + rounds, reason="nobody-accepts")
    if leg in (Leg.EXTENSION, Leg.REVIEW):
        return Step(due_ms, (STREET,), turn=rounds, reason=leg)
    owner = leg is not Leg.VERIFY
    return Step(
        due_ms, tuple(range(STREET, max(STREET, case.rung) + 1)), owner=owner, turn=rounds, reason=f"late-{leg}"
    )


def due(case: Case, leg: Leg, from_ms: int, number: int, now_ms: int, calendar: Calendar) -> tuple[int, Step | None]:
    """The step that comes next, and its number. Of steps that were missed together and call the same rungs, it is the last: who was away
    for three minutes is not called four times."""
    tail_from = len(list(_steps(case, leg, from_ms, calendar)))
    one = step(case, leg, from_ms, number, calendar)
    while one is not None and not one.breach and not one.warning:
        then = step(case, leg, from_ms, number + 1, calendar)
        if then is None or then.due_ms > now_ms or then.breach or then.warning or then.rungs != one.rungs:
            break
        rounds = (now_ms - then.due_ms) // (then.due_ms - one.due_ms) if number >= tail_from else 0
        number += 1 + rounds
        one = step(case, leg, from_ms, number, calendar)
    return number, one


def top(case: Case) -> int:
    """The last rung that its policy calls."""
    if case.policy.department_s is not None:
        return DEPARTMENT
    return max(case.rung, GRID if case.policy.street_s is None else STREET)


def _steps(case: Case, leg: Leg, from_ms: int, calendar: Calendar) -> Iterator[Step]:
    policy = case.policy
    match leg:
        case Leg.ASK:
            asked = [asked_at_ms(policy, case.level, from_ms, calendar, turn) for turn in range(3)]
            yield Step(asked[0], (RESIDENT,), reason="ask-resident")
            yield Step(asked[1], (CONTACT,), reason="ask-contact")
            yield Step(asked[2], called=True)
        case Leg.ACCEPT:
            yield from _until_accepted(case, from_ms)
        case Leg.ARRIVE | Leg.HANDLE:
            whole_ms = span_ms(policy.arrive if leg is Leg.ARRIVE else policy.handle)
            yield Step(from_ms - round(whole_ms * WARNING), owner=True, warning=True, reason=f"soon-{leg}")
            yield Step(from_ms, (STREET,), owner=True, breach=True, reason=f"late-{leg}")
            if policy.street_s is not None and policy.department_s is not None:
                further_ms = round((policy.department_s - policy.street_s) * 1000)
                yield Step(from_ms + further_ms, (DEPARTMENT,), turn=1, reason=f"late-{leg}")
        case Leg.VERIFY:
            if policy.verifier == "other":
                yield Step(from_ms, (STREET,), reason="verify")
            yield Step(end_ms(from_ms, policy.verify, calendar), (STREET,), turn=1, breach=True, reason="late-verify")
        case Leg.CHECK_IN:
            due_ms = end_ms(from_ms, policy.check_in, calendar)
            yield Step(due_ms, (STREET, DEPARTMENT), turn=1, breach=True, reason="late-check_in")
        case Leg.EXTENSION | Leg.REVIEW:
            yield Step(from_ms, (STREET,), reason=leg)
        case Leg.ARCHIVE:
            yield Step(from_ms + round(policy.reopen_s * 1000))


def _until_accepted(case: Case, from_ms: int) -> Iterator[Step]:
    """Rung by rung; what was escalated by hand begins where it was brought to."""
    policy, first = case.policy, case.first_rung
    reason = "reopened" if case.reopened else "new"
    for turn, after_s in enumerate(policy.call_s):
        said = reason if turn == 0 and first == GRID else "escalated" if first > GRID else "nobody-accepts"
        yield Step(from_ms + round(after_s * 1000), (first,), turn=turn, reason=said)
    if case.accept_by_ms is not None:
        yield Step(max(from_ms, case.accept_by_ms), breach=True, reason="late-accept")
    begun_s = (policy.street_s or 0.0) if first == STREET else 0.0
    for rung, called_s in ((STREET, policy.street_s), (DEPARTMENT, policy.department_s)):
        if rung > first and called_s is not None:
            yield Step(from_ms + round((called_s - begun_s) * 1000), (rung,), reason="nobody-accepts")
