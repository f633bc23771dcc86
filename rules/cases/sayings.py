"""What the log says of an act (section 2d of the field notes). Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from rules.cases.acts import (
    FOR,
    HELP,
    SAFE,
    Accept,
    Act,
    Arrive,
    AskExtension,
    CheckIn,
    DecideExtension,
    Dispatch,
    Escalate,
    Finish,
    Help,
    Merge,
    Register,
    Resume,
    Safe,
    Suspend,
    Verify,
)
from rules.records import WAITING, Case, CaseState


def said(before: Case, act: Act, after: Case) -> list[tuple[str, str]]:
    """The names under which the log keeps a step (section 2d), each with what is to be known of it."""
    reason = getattr(act, "reason", "")
    accepted = [("case.accepted", "")] if before.state in WAITING else []
    match act:
        case CheckIn():
            return [("case.checked_in", ""), *accepted]
        case Finish():
            photo = f" {act.photo.sha256}" if act.photo else ""
            return [*accepted, ("case.feedback", act.outcome + photo)]
        case Safe():
            took = [("case.accepted", in_place_of(act.whose))] if accepted else []
            return [("case.answered", answer(SAFE, act.whose)), *took, ("case.feedback", SAFE)]
        case Help():
            back = [("case.reopened", HELP)] if after.reopened > before.reopened else []
            graver = [("case.tightened", f"{before.level} -> {after.level}")] if after.level != before.level else []
            return [("case.answered", answer(HELP, act.whose)), *back, *graver]
        case Verify(passed=True):
            return [("case.verified", ""), ("case.closed", after.outcome or "")]
    named = _NAMES.get(type(act))
    return [named(before, act, after) if named else (f"case.{after.state}", reason)]


def in_place_of(whose: str) -> str:
    return f"{FOR}{whose}" if whose else ""


def answer(word: str, whose: str) -> str:
    """What was answered, and by whom if somebody else writes it down: "safe", "safe for resident:h-3"."""
    return f"{word} {in_place_of(whose)}".strip()


_NAMES: Mapping[type[Any], Callable[[Case, Any, Case], tuple[str, str]]] = {
    Register: lambda before, _, after: (
        "case.registered",
        "" if after.level == before.level else f"{before.level} -> {after.level}",
    ),
    Dispatch: lambda before, act, _: (
        "case.dispatched" if before.state in WAITING - {CaseState.DISPATCHED} else "case.reassigned",
        act.to,
    ),
    Accept: lambda _, act, __: ("case.accepted", in_place_of(act.whose)),
    Arrive: lambda _, act, __: ("case.on_site", act.doubt or act.how),
    Escalate: lambda _, act, after: ("case.escalated", f"{after.rung}: {act.reason}"),
    AskExtension: lambda _, act, __: ("case.extension_asked", f"{act.until_ms}: {act.reason}"),
    DecideExtension: lambda before, act, _: (
        "case.extended" if act.granted else "case.extension_refused",
        str(before.extension_until_ms),
    ),
    Suspend: lambda _, act, __: ("case.suspended", f"{act.review_ms}: {act.reason}"),
    Resume: lambda _, __, after: ("case.resumed", after.state),
    Merge: lambda _, act, __: ("case.merged", act.into),
}
