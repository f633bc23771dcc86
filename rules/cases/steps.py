"""The case's machine: who may do what to it when, 上报 to 归档 with all side paths (section 2b of the field notes). Pure.

* To accept is first come, first served; the second learns who came first. Giving a case back stops no clock.
* Whoever mends a red or orange case doesn't verify it, and grants himself neither time nor a suspension.
* A yellow or blue case needs no ceremony: done is done, from any leg, and where a sensor shows that all is well nobody needs to check.
* Nothing is closed while a condition is active, and nothing red is suspended or cancelled while it is.
* Repeating one's own act changes nothing: the same object returns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from messages.alarm import Level
from rules.cases.case import promises, tightened
from rules.cases.practice import PLAIN, Practice
from rules.duty.ladder import DEPARTMENT
from rules.records import DONE, OVER, TAKEN, WAITING, ActionRefused, Case, CaseState, Photo, Presence

OUTCOMES = ("mended", "false_alarm", "no_cause_found", "handed_on")
"""What came of it, by who was there."""
CANCELLATIONS = ("false_alarm", "duplicate", "test", "not_ours", "nothing_there")
"""Why a case is struck out; the rules' owners count them."""
FOR = "for "
"""Before a name in the log: somebody did it in that person's place."""
RULES = "rules"
"""The actor of what happens by itself."""

S = CaseState
_NOBODY: dict[str, Any] = {
    "accepted_at_ms": None,
    "accepted_by": None,
    "on_site_at_ms": None,
    "on_site_by": None,
    "on_site_how": None,
    "handling_at_ms": None,
}
_NOT_DONE: dict[str, Any] = {
    "feedback_at_ms": None,
    "feedback_by": None,
    "outcome": None,
    "photo": None,
    "verified_by": None,
    "closed_at_ms": None,
    "closed_by": None,
    "archived_at_ms": None,
}
_UNASKED: dict[str, Any] = {"extension_until_ms": None, "extension_by": None, "extension_at_ms": None}


@dataclass(frozen=True, slots=True)
class Register:
    """受理: what a person reported is worth a case; of this level."""

    actor: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """派遣, or 改派 where somebody had it already."""

    actor: str
    to: str


@dataclass(frozen=True, slots=True)
class Accept:
    """接单. `whose`: the desk writes down what somebody else has said by telephone."""

    actor: str
    whose: str = ""

    @property
    def by(self) -> str:
        return self.whose or self.actor


@dataclass(frozen=True, slots=True)
class CheckIn:
    """报到: a department that was called takes it up."""

    actor: str


@dataclass(frozen=True, slots=True)
class Arrive:
    """Whoever stands there may say so, not only the one who accepted: helpers come along."""

    actor: str
    how: Presence = "manual"
    doubt: str = ""
    """Why a code that was given counts for nothing (`rules.cases.presence`)."""


@dataclass(frozen=True, slots=True)
class Handle:
    actor: str


@dataclass(frozen=True, slots=True)
class Finish:
    """反馈: it is done, with one outcome and, if there is one, a photo."""

    actor: str
    outcome: str
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Inspect:
    """核查 begins: somebody goes and looks."""

    actor: str


@dataclass(frozen=True, slots=True)
class Verify:
    """核查: it is well and the case is closed, or it isn't and goes back."""

    actor: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """升级: it can't be solved on this rung."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AskExtension:
    actor: str
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecideExtension:
    actor: str
    granted: bool


@dataclass(frozen=True, slots=True)
class Suspend:
    actor: str
    review_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    actor: str


@dataclass(frozen=True, slots=True)
class Cancel:
    actor: str
    reason: str
    """One of CANCELLATIONS."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """返工."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Merge:
    """并案: what it holds goes on in the case `into`."""

    actor: str
    into: str


@dataclass(frozen=True, slots=True)
class Archive:
    actor: str = RULES


Act = (
    Register
    | Dispatch
    | Accept
    | CheckIn
    | Arrive
    | Handle
    | Finish
    | Inspect
    | Verify
    | Reject
    | Escalate
    | AskExtension
    | DecideExtension
    | Suspend
    | Resume
    | Cancel
    | Reopen
    | Merge
    | Archive
)


@dataclass(frozen=True, slots=True)
class Now:
    """What is around an act: the time, whether a condition of the case still holds, and how cases are dealt with here."""

    at_ms: int
    active: bool = False
    practice: Practice = PLAIN


def apply(case: Case, act: Act, now: Now) -> Case:
    """The case after `act`. Raises ActionRefused."""
    return _STEPS[type(act)](case, act, now)


def settled(case: Case, *, active: bool, sensed: bool, now_ms: int) -> Case:
    """Closed by itself, where its policy believes a sensor: `sensed` says that it holds alarms, `active` that one still holds."""
    if case.state is not S.FEEDBACK or case.policy.verifier != "sensor" or active or not sensed:
        return case
    return replace(case, state=S.CLOSED, verified_by=RULES, closed_at_ms=now_ms, closed_by=RULES)


def is_own(case: Case, person: str) -> bool:
    """Whether a person would check his own work: whoever has mended it checks nothing that matters."""
    return case.policy.verifier == "other" and person in (case.accepted_by, case.on_site_by, case.feedback_by)


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
        case Verify(passed=True):
            return [("case.verified", ""), ("case.closed", after.outcome or "")]
    named = _NAMES.get(type(act))
    return [named(before, act, after) if named else (f"case.{after.state}", reason)]


_NAMES: Mapping[type[Any], Callable[[Case, Any, Case], tuple[str, str]]] = {
    Register: lambda before, _, after: (
        "case.registered",
        "" if after.level == before.level else f"{before.level} -> {after.level}",
    ),
    Dispatch: lambda before, act, _: (
        "case.dispatched" if before.state in WAITING - {S.DISPATCHED} else "case.reassigned",
        act.to,
    ),
    Accept: lambda _, act, __: ("case.accepted", f"{FOR}{act.whose}" if act.whose else ""),
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


def _register(case: Case, act: Register, now: Now) -> Case:
    if case.state is not S.REPORTED:
        return _unless(case, case.state in WAITING, "taken")
    registered = replace(case, state=S.REGISTERED)
    return tightened(registered, act.level, now.at_ms, now.practice) if act.level else registered


def _dispatch(case: Case, act: Dispatch, now: Now) -> Case:
    if not act.to:
        raise ActionRefused("reason-missing", case)
    if case.state is S.DISPATCHED and case.dispatched_to == act.to:
        return case
    if case.state not in WAITING | TAKEN:
        return _refuse(case)
    return replace(case, state=S.DISPATCHED, dispatched_at_ms=now.at_ms, dispatched_to=act.to, **_NOBODY)


def _accept(case: Case, act: Accept, now: Now) -> Case:
    if case.state in WAITING:
        return replace(case, state=S.ACCEPTED, accepted_at_ms=now.at_ms, accepted_by=act.by)
    if case.state in TAKEN | DONE:
        return _unless(case, case.accepted_by == act.by, "taken")
    return _refuse(case)


def _check_in(case: Case, act: CheckIn, now: Now) -> Case:
    if case.checked_in_by == act.actor and case.state in TAKEN | DONE:
        return case
    if case.state not in WAITING | TAKEN:
        return _refuse(case)
    if case.rung < DEPARTMENT:
        raise ActionRefused("not-called", case)
    there = replace(case, checked_in_at_ms=now.at_ms, checked_in_by=act.actor)
    return _accept(there, Accept(act.actor), now) if case.state in WAITING else there


def _arrive(case: Case, act: Arrive, now: Now) -> Case:
    if case.state is S.ACCEPTED:
        return replace(case, state=S.ON_SITE, on_site_at_ms=now.at_ms, on_site_by=act.actor, on_site_how=act.how)
    return case if case.state in (S.ON_SITE, S.HANDLING) else _refuse(case)


def _handle(case: Case, _act: Handle, now: Now) -> Case:
    if case.state is S.ON_SITE:
        return replace(case, state=S.HANDLING, handling_at_ms=now.at_ms)
    return case if case.state is S.HANDLING else _refuse(case, "not-on-site")


def _finish(case: Case, act: Finish, now: Now) -> Case:
    if act.outcome not in OUTCOMES:
        raise ValueError(f"outcome {act.outcome!r} is not one of {', '.join(OUTCOMES)}")
    if (case.feedback_by, case.outcome) == (act.actor, act.outcome) and case.state in DONE | {S.CLOSED}:
        return case
    if case.state not in (S.ON_SITE, S.HANDLING):
        if case.policy.verifier == "other" or case.state not in WAITING | TAKEN:
            return _refuse(case, "not-on-site")
        if case.state in WAITING:
            case = _accept(case, Accept(act.actor), now)
    return replace(
        case,
        state=S.FEEDBACK,
        feedback_at_ms=now.at_ms,
        feedback_by=act.actor,
        outcome=act.outcome,
        photo=act.photo,
        **_UNASKED,
    )


def _inspect(case: Case, act: Inspect, _now: Now) -> Case:
    if case.state is S.VERIFYING:
        return _unless(case, case.verified_by == act.actor, "taken")
    if case.state is not S.FEEDBACK:
        return _refuse(case, "not-done")
    _not_own(case, act.actor)
    return replace(case, state=S.VERIFYING, verified_by=act.actor)


def _verify(case: Case, act: Verify, now: Now) -> Case:
    if case.state is S.CLOSED and act.passed and case.verified_by == act.actor:
        return case
    if case.state not in DONE:
        return _refuse(case, "not-done")
    _not_own(case, act.actor)
    if not act.passed:
        return _again(case, act.reason, now)
    if now.active:
        raise ActionRefused("still-active", case)
    return replace(case, state=S.CLOSED, verified_by=act.actor, closed_at_ms=now.at_ms, closed_by=act.actor)


def _reject(case: Case, act: Reject, _now: Now) -> Case:
    _reasoned(case, act.reason)
    if case.state in TAKEN:
        if case.accepted_by != act.actor:
            raise ActionRefused("not-yours", case)
    elif case.state is not S.DISPATCHED:
        return _refuse(case)
    elif case.dispatched_to != act.actor:
        raise ActionRefused("not-yours", case)
    return replace(case, state=S.REJECTED, reason=act.reason, dispatched_to=None, **_NOBODY)


def _escalate(case: Case, act: Escalate, now: Now) -> Case:
    _reasoned(case, act.reason)
    if case.state not in WAITING | TAKEN:
        return _refuse(case)
    if case.rung >= DEPARTMENT:
        raise ActionRefused("top-rung", case)
    return replace(
        case,
        state=S.DISPATCHED,
        rung=case.rung + 1,
        first_rung=case.rung + 1,
        clock_from_ms=now.at_ms,
        escalated_at_ms=now.at_ms,
        dispatched_at_ms=now.at_ms,
        dispatched_to=None,
        reason=act.reason,
        **_NOBODY,
    )


def _ask_extension(case: Case, act: AskExtension, now: Now) -> Case:
    _reasoned(case, act.reason)
    if (case.extension_by, case.extension_until_ms) == (act.actor, act.until_ms):
        return case
    if case.state not in TAKEN:
        return _refuse(case)
    if case.extension_until_ms is not None:
        raise ActionRefused("asked-already", case)
    if act.until_ms <= max(now.at_ms, case.handle_by_ms or 0):
        raise ActionRefused("too-early", case)
    return replace(
        case,
        extension_until_ms=act.until_ms,
        extension_by=act.actor,
        extension_at_ms=now.at_ms,
        reason=act.reason,
    )


def _decide_extension(case: Case, act: DecideExtension, _now: Now) -> Case:
    if case.state in OVER:
        return _refuse(case)
    if case.extension_until_ms is None:
        raise ActionRefused("not-asked", case)
    if case.extension_by == act.actor:
        raise ActionRefused("own-wish", case)
    by_ms = case.extension_until_ms if act.granted else case.handle_by_ms
    return replace(case, handle_by_ms=by_ms, **_UNASKED)


def _suspend(case: Case, act: Suspend, now: Now) -> Case:
    _reasoned(case, act.reason)
    if case.state not in WAITING | TAKEN:
        return _refuse(case)
    if case.level == "red" and now.active:
        raise ActionRefused("still-active", case)
    if case.accepted_by == act.actor:
        raise ActionRefused("own-wish", case)
    if act.review_ms <= now.at_ms:
        raise ActionRefused("too-early", case)
    return replace(case, state=S.SUSPENDED, suspended_until_ms=act.review_ms, reason=act.reason, **_UNASKED)


def _resume(case: Case, _act: Resume, now: Now) -> Case:
    """To who had it before, or to whoever accepts; what is promised counts from now."""
    if case.state is not S.SUSPENDED:
        return _refuse(case, "not-suspended")
    held = case.accepted_by is not None
    return replace(
        case,
        state=S.ACCEPTED if held else S.REGISTERED,
        suspended_until_ms=None,
        clock_from_ms=now.at_ms,
        **promises(case.policy, now.at_ms, now.practice.calendar),
        **(_NOBODY | {"accepted_at_ms": case.accepted_at_ms, "accepted_by": case.accepted_by} if held else {}),
    )


def _cancel(case: Case, act: Cancel, now: Now) -> Case:
    if act.reason not in CANCELLATIONS:
        raise ValueError(f"reason {act.reason!r} is not one of {', '.join(CANCELLATIONS)}")
    if case.state is S.CANCELLED:
        return _unless(case, (case.closed_by, case.outcome) == (act.actor, act.reason), "closed")
    if case.state in OVER:
        return _refuse(case)
    _not_own(case, act.actor)
    if now.active:
        raise ActionRefused("still-active", case)
    return replace(
        case,
        state=S.CANCELLED,
        outcome=act.reason,
        closed_at_ms=now.at_ms,
        closed_by=act.actor,
        **_UNASKED,
        suspended_until_ms=None,
    )


def _reopen(case: Case, act: Reopen, now: Now) -> Case:
    _reasoned(case, act.reason)
    if case.state is S.REOPENED:
        return case
    put_aside = case.state is S.SUSPENDED and act.actor == RULES  # a person resumes it
    if case.state not in DONE | {S.CLOSED} and not put_aside:
        return _refuse(case, "not-done")
    return _again(case, act.reason, now)


def _again(case: Case, reason: str, now: Now) -> Case:
    """From the beginning: nobody has accepted, and every promise counts anew."""
    _reasoned(case, reason)
    return replace(
        case,
        state=S.REOPENED,
        reopened=case.reopened + 1,
        reason=reason,
        clock_from_ms=now.at_ms,
        first_rung=1,
        rung=1,
        escalated_at_ms=None,
        dispatched_at_ms=None,
        dispatched_to=None,
        checked_in_at_ms=None,
        checked_in_by=None,
        suspended_until_ms=None,
        **_NOBODY,
        **_NOT_DONE,
        **promises(case.policy, now.at_ms, now.practice.calendar),
    )


def _merge(case: Case, act: Merge, now: Now) -> Case:
    if case.state is S.MERGED and case.parent == act.into:
        return case
    if case.state in OVER or act.into == case.id:
        return _refuse(case)
    return replace(
        case,
        state=S.MERGED,
        parent=act.into,
        closed_at_ms=now.at_ms,
        closed_by=act.actor,
        **_UNASKED,
        suspended_until_ms=None,
    )


def _archive(case: Case, _act: Archive, now: Now) -> Case:
    if case.state is S.ARCHIVED:
        return case
    if case.state is not S.CLOSED:
        return _refuse(case, "not-done")
    return replace(case, state=S.ARCHIVED, archived_at_ms=now.at_ms)


def _not_own(case: Case, actor: str) -> None:
    if is_own(case, actor):
        raise ActionRefused("own-work", case)


def _reasoned(case: Case, reason: str) -> None:
    if not reason.strip():
        raise ActionRefused("reason-missing", case)


def _unless(case: Case, same: bool, reason: str) -> Case:
    """The case as it is if this was done before, and by the same person."""
    return case if same else _refuse(case, reason)


def _refuse(case: Case, reason: str = "not-accepted") -> Case:
    """Raises ActionRefused with what stands in the way: where the case is, or `reason`."""
    if case.state is S.MERGED:
        reason = "merged"
    elif case.state in OVER:
        reason = "closed"
    elif case.state is S.SUSPENDED:
        reason = "suspended"
    elif case.state in DONE and reason not in ("taken", "not-suspended"):
        reason = "done"
    elif case.state in WAITING and reason == "not-on-site":
        reason = "not-accepted"
    raise ActionRefused(reason, case)


_STEPS: Mapping[type[Any], Callable[[Case, Any, Now], Case]] = {
    Register: _register,
    Dispatch: _dispatch,
    Accept: _accept,
    CheckIn: _check_in,
    Arrive: _arrive,
    Handle: _handle,
    Finish: _finish,
    Inspect: _inspect,
    Verify: _verify,
    Reject: _reject,
    Escalate: _escalate,
    AskExtension: _ask_extension,
    DecideExtension: _decide_extension,
    Suspend: _suspend,
    Resume: _resume,
    Cancel: _cancel,
    Reopen: _reopen,
    Merge: _merge,
    Archive: _archive,
}
