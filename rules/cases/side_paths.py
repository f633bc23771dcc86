"""The side paths of a case: 退单, 升级, 延期, 挂账, 误报, 返工, 并案. Pure; `rules.cases.steps` says which act is which.

Each takes the case, the act and what is around it, and returns the case after it, or raises ActionRefused.
"""

from dataclasses import replace
from typing import Any

from rules.cases.acts import (
    CANCELLATIONS,
    RULES,
    AskExtension,
    Cancel,
    DecideExtension,
    Escalate,
    Merge,
    Reject,
    Reopen,
    Resume,
    Suspend,
)
from rules.cases.case import promises
from rules.cases.now import Now
from rules.cases.refusals import not_own, reasoned, refuse, unless
from rules.duty.ladder import DEPARTMENT
from rules.records import DONE, OVER, TAKEN, WAITING, ActionRefused, Case, CaseState

S = CaseState
NOBODY: dict[str, Any] = {
    "accepted_at_ms": None,
    "accepted_by": None,
    "on_site_at_ms": None,
    "on_site_by": None,
    "on_site_how": None,
    "handling_at_ms": None,
}
NOT_DONE: dict[str, Any] = {
    "feedback_at_ms": None,
    "feedback_by": None,
    "outcome": None,
    "photo": None,
    "verified_by": None,
    "closed_at_ms": None,
    "closed_by": None,
    "archived_at_ms": None,
}
UNASKED: dict[str, Any] = {"extension_until_ms": None, "extension_by": None, "extension_at_ms": None}


def waited_for(case: Case, now: Now) -> dict[str, Any]:
    """Somebody is called for anew, on the clock that began with the case; on one that has been set back since, it begins now."""
    return {"clock_from_ms": min(case.clock_from_ms, now.at_ms)}


def reject(case: Case, act: Reject, now: Now) -> Case:
    reasoned(case, act.reason)
    if case.state in TAKEN:
        if case.accepted_by != act.actor:
            raise ActionRefused("not-yours", case)
    elif case.state is not S.DISPATCHED:
        return refuse(case)
    elif case.dispatched_to != act.actor:
        raise ActionRefused("not-yours", case)
    return replace(case, state=S.REJECTED, reason=act.reason, dispatched_to=None, **waited_for(case, now), **NOBODY)


def escalate(case: Case, act: Escalate, now: Now) -> Case:
    reasoned(case, act.reason)
    if case.state not in WAITING | TAKEN:
        return refuse(case)
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
        **NOBODY,
    )


def ask_extension(case: Case, act: AskExtension, now: Now) -> Case:
    reasoned(case, act.reason)
    if (case.extension_by, case.extension_until_ms) == (act.actor, act.until_ms):
        return case
    if case.state not in TAKEN:
        return refuse(case)
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


def decide_extension(case: Case, act: DecideExtension, _now: Now) -> Case:
    if case.state in OVER:
        return refuse(case)
    if case.extension_until_ms is None:
        raise ActionRefused("not-asked", case)
    if case.extension_by == act.actor:
        raise ActionRefused("own-wish", case)
    by_ms = case.extension_until_ms if act.granted else case.handle_by_ms
    return replace(case, handle_by_ms=by_ms, **UNASKED)


def suspend(case: Case, act: Suspend, now: Now) -> Case:
    reasoned(case, act.reason)
    if case.state not in WAITING | TAKEN:
        return refuse(case)
    if case.level == "red" and now.active:
        raise ActionRefused("still-active", case)
    if case.accepted_by == act.actor:
        raise ActionRefused("own-wish", case)
    if act.review_ms <= now.at_ms:
        raise ActionRefused("too-early", case)
    return replace(case, state=S.SUSPENDED, suspended_until_ms=act.review_ms, reason=act.reason, **UNASKED)


def resume(case: Case, _act: Resume, now: Now) -> Case:
    """To who had it before, or to whoever accepts; what is promised counts from now."""
    if case.state is not S.SUSPENDED:
        return refuse(case, "not-suspended")
    held = case.accepted_by is not None
    return replace(
        case,
        state=S.ACCEPTED if held else S.REGISTERED,
        suspended_until_ms=None,
        clock_from_ms=now.at_ms,
        **promises(case.policy, now.at_ms, now.practice.calendar),
        **(NOBODY | {"accepted_at_ms": case.accepted_at_ms, "accepted_by": case.accepted_by} if held else {}),
    )


def cancel(case: Case, act: Cancel, now: Now) -> Case:
    if act.reason not in CANCELLATIONS:
        raise ValueError(f"reason {act.reason!r} is not one of {', '.join(CANCELLATIONS)}")
    if case.state is S.CANCELLED:
        return unless(case, (case.closed_by, case.outcome) == (act.actor, act.reason), "closed")
    if case.state in OVER:
        return refuse(case)
    not_own(case, act.actor)
    if now.active:
        raise ActionRefused("still-active", case)
    return replace(
        case,
        state=S.CANCELLED,
        outcome=act.reason,
        closed_at_ms=now.at_ms,
        closed_by=act.actor,
        **UNASKED,
        suspended_until_ms=None,
    )


def reopen(case: Case, act: Reopen, now: Now) -> Case:
    reasoned(case, act.reason)
    if case.state is S.REOPENED:
        return case
    put_aside = case.state is S.SUSPENDED and act.actor == RULES  # a person resumes it
    if case.state not in DONE | {S.CLOSED} and not put_aside:
        return refuse(case, "not-done")
    return again(case, act.reason, now)


def again(case: Case, reason: str, now: Now) -> Case:
    """From the beginning: nobody has accepted, and every promise counts anew."""
    reasoned(case, reason)
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
        **NOBODY,
        **NOT_DONE,
        **promises(case.policy, now.at_ms, now.practice.calendar),
    )


def merge(case: Case, act: Merge, now: Now) -> Case:
    if case.state is S.MERGED and case.parent == act.into:
        return case
    if case.state in OVER or act.into == case.id:
        return refuse(case)
    return replace(
        case,
        state=S.MERGED,
        parent=act.into,
        closed_at_ms=now.at_ms,
        closed_by=act.actor,
        **UNASKED,
        suspended_until_ms=None,
    )
