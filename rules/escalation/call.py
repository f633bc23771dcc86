"""What one step of a program makes: calls to people, the case on its next rung, and the words for the log. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from messages.alarm import Level
from rules.cases.case import called
from rules.duty.ladder import DESK, RUNGS, Home, Ladder, Person
from rules.escalation.program import Leg, Step
from rules.language.calendar import Calendar
from rules.records import Case, CaseState

MOST_NAME = 80
"""Of a person, as the tables keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Somebody is to be told, for one reason. `key`: the same call has the same one, whoever computes it."""

    key: str
    case: str
    leg: str
    person: Person
    level: Level
    rung: int
    reason: str
    channel: str
    """On which it is tried first; empty: the pages alone."""
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """What is to be written, all of it or nothing."""

    case: Case
    calls: tuple[Call, ...]
    lines: tuple[tuple[str, str], ...]
    """Events of the log, each with its detail."""
    nobody: bool = False
    """There was nobody to be asked: the next step is due at once."""


def fire(case: Case, leg: Leg, from_ms: int, name: str, step: Step, ladder: Ladder, now_ms: int) -> Fired:
    """Carry a step out; `name` is its own within the leg. A rung with nobody on duty says so and passes the call on at once; above the last one sits the desk."""
    if leg is Leg.ARCHIVE:
        return Fired(replace(case, state=CaseState.ARCHIVED, archived_at_ms=now_ms), (), (("case.archived", ""),))
    lines: list[tuple[str, str]] = []
    if step.breach:
        lines.append(("sla.breached", leg))
    if step.warning:
        lines.append(("sla.warning", leg))
    name = f"{case.id}/{leg}/{from_ms}/{name}"  # part of a key, so short: nothing in it comes from outside
    calls = list(_owner(case, name, leg, step)) if step.owner else []
    for rung in step.rungs:
        reached, people, gaps = _reach(rung, ladder)
        if reached > case.rung:
            lines += [("oncall.gap", str(empty)) for empty in gaps]
            lines.append(("case.escalated", f"{reached}: {step.reason}"))
            case = replace(case, rung=reached, escalated_at_ms=now_ms)
        elif gaps and people == (DESK,) and step.turn == 0:
            lines += [("oncall.gap", str(empty)) for empty in gaps]
        chosen = people if case.policy.everyone or rung > 1 else (people[step.turn % len(people)],)
        known = {call.person.id for call in calls}
        calls += [_call(case, name, leg, step, reached, person) for person in chosen if person.id not in known]
    if calls:
        lines.append(("notify.queued", f"{step.reason}: {', '.join(call.person.name for call in calls)}"))
    return Fired(case, tuple(calls), tuple(lines))


def ask(case: Case, from_ms: int, name: str, step: Step, home: Home, calendar: Calendar, now_ms: int) -> Fired:
    """Carry a step of the asking out: a call to the resident or her contacts, or their time is over and the worker's begins. Who has neither a
    number nor an address is passed over, which is said."""
    if step.called:
        return Fired(called(case, now_ms, calendar), (), (("case.unanswered", ""),))
    (rung,) = step.rungs
    people = home.on(rung) if case.policy.everyone else home.on(rung)[:1]
    if not people:
        return Fired(case, (), (("home.gap", step.reason),), nobody=True)
    name = f"{case.id}/{Leg.ASK}/{from_ms}/{name}"
    calls = tuple(_call(case, name, Leg.ASK, step, rung, person) for person in people)
    return Fired(case, calls, (("notify.queued", f"{step.reason}: {', '.join(one.name for one in people)}"),))


def directly(case: Case, to: str, now_ms: int) -> Call:
    """To the person to whom a case is dispatched by name; the roster knows where to find them."""
    return Call(
        key=f"{case.id}/dispatch/{now_ms}/{_word(to)}",
        case=case.id,
        leg=Leg.ACCEPT,
        person=Person(to, to, ""),
        level=case.level,
        rung=case.rung,
        reason="dispatched",
        channel="",
    )


def told(case: Case, owner: str, why: str, now_ms: int) -> Call:
    """To whoever works on a case: something red has just joined it, or it has become red ("graver"), or it came once more ("again")."""
    return Call(
        key=f"{case.id}/{why}/{now_ms}/{_word(owner)}",
        case=case.id,
        leg=Leg.ARRIVE if case.state is CaseState.ACCEPTED and case.arrive_by_ms is not None else Leg.HANDLE,
        person=Person(owner, owner, ""),
        level=case.level,
        rung=case.rung,
        reason=why,
        channel="",
    )


def _word(name: str) -> str:
    """A name as a part of a key, whatever somebody has typed: no key is longer than its column, or holds what no database takes."""
    return "".join(one if one.isprintable() else "?" for one in name[:MOST_NAME])


def _reach(rung: int, ladder: Ladder) -> tuple[int, tuple[Person, ...], list[int]]:
    """The first rung from there up that is staffed, who is on it, and those that are not."""
    gaps: list[int] = []
    for up in RUNGS[rung - 1 :]:
        if people := ladder.on(up):
            return up, people, gaps
        gaps.append(up)
    return max(rung, RUNGS[0]), (DESK,), gaps


def _owner(case: Case, name: str, leg: Leg, step: Step) -> Iterator[Call]:
    owner = case.accepted_by or case.dispatched_to
    if owner:
        yield _call(case, name, leg, step, case.rung, Person(owner, owner, ""))


def _call(case: Case, name: str, leg: Leg, step: Step, rung: int, person: Person) -> Call:
    channel = person.addresses[step.turn % len(person.addresses)].channel if person.addresses else ""
    return Call(
        key=f"{name}/{_word(person.id)}",
        case=case.id,
        leg=leg,
        person=person,
        level=case.level,
        rung=rung,
        reason=step.reason,
        channel=channel,
        turn=step.turn,
    )
