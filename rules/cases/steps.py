"""The case's machine: who may do what to it when, 上报 to 办结 with all side paths (section 2b of the field notes). Pure. 归档 comes
by itself (`rules.escalation.call`).

* To accept is first come, first served; the second learns who came first. Giving a case back stops no clock.
* Whoever mends a red or orange case doesn't verify it, and grants himself neither time nor a suspension.
* A yellow or blue case needs no ceremony: done is done, from any leg, and where a sensor shows that all is well nobody needs to check.
* Nothing is closed while a condition is active, and nothing red is suspended or cancelled while it is.
* Whoever was asked how she is and says "well" is believed until a sensor shows the same, as long as nothing is red and nobody has taken it up. Who
  says "help" has a red case, whatever it was before and however it ended.
* Repeating one's own act changes nothing: the same object returns.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from messages.settings import Text
from rules.cases import side_paths
from rules.cases.acts import (
    HELP,
    OUTCOMES,
    RULES,
    SAFE,
    Accept,
    Act,
    Arrive,
    AskExtension,
    Cancel,
    CheckIn,
    DecideExtension,
    Dispatch,
    Escalate,
    Finish,
    Handle,
    Help,
    Inspect,
    Merge,
    Register,
    Reject,
    Reopen,
    Resume,
    Safe,
    Suspend,
    Verify,
)
from rules.cases.case import called, tightened
from rules.cases.now import Now
from rules.cases.refusals import not_own, refuse, unless
from rules.cases.side_paths import NOBODY, UNASKED, again, waited_for
from rules.duty.ladder import DEPARTMENT
from rules.records import DONE, OVER, TAKEN, WAITING, ActionRefused, Case, CaseState

S = CaseState

_SENT = (Accept, Dispatch, Escalate, Finish, Suspend)
"""Somebody sees to it: nobody is asked any longer."""
_HELP = Text(zh="住户求助", en="A resident asks for help")


def apply(case: Case, act: Act, now: Now) -> Case:
    """The case after `act`. Raises ActionRefused."""
    if isinstance(act, _SENT) and case.state in WAITING:
        case = called(case, now.at_ms, now.practice.calendar)
    return _STEPS[type(act)](case, act, now)


def settled(case: Case, *, active: bool, sensed: bool, now_ms: int) -> Case:
    """Closed by itself, where its policy believes a sensor: `sensed` says that it holds alarms, `active` that one still holds."""
    if case.state is not S.FEEDBACK or case.policy.verifier != "sensor" or active or not sensed:
        return case
    return replace(case, state=S.CLOSED, verified_by=RULES, closed_at_ms=now_ms, closed_by=RULES)


def _register(case: Case, act: Register, now: Now) -> Case:
    if case.state is not S.REPORTED:
        return unless(case, case.state in WAITING, "taken")
    registered = replace(case, state=S.REGISTERED)
    return tightened(registered, act.level, now.at_ms, now.practice) if act.level else registered


def _dispatch(case: Case, act: Dispatch, now: Now) -> Case:
    if not act.to:
        raise ActionRefused("reason-missing", case)
    if case.state is S.DISPATCHED and case.dispatched_to == act.to:
        return case
    if case.state not in WAITING | TAKEN:
        return refuse(case)
    since = waited_for(case, now)
    return replace(case, state=S.DISPATCHED, dispatched_at_ms=now.at_ms, dispatched_to=act.to, **since, **NOBODY)


def _accept(case: Case, act: Accept, now: Now) -> Case:
    if case.state in WAITING:
        return replace(case, state=S.ACCEPTED, accepted_at_ms=now.at_ms, accepted_by=act.by)
    if case.state in TAKEN | DONE:
        return unless(case, case.accepted_by == act.by, "taken")
    return refuse(case)


def _check_in(case: Case, act: CheckIn, now: Now) -> Case:
    if case.checked_in_by == act.actor and case.state in TAKEN | DONE:
        return case
    if case.state not in WAITING | TAKEN:
        return refuse(case)
    if case.rung < DEPARTMENT:
        raise ActionRefused("not-called", case)
    there = replace(case, checked_in_at_ms=now.at_ms, checked_in_by=act.actor)
    return _accept(there, Accept(act.actor), now) if case.state in WAITING else there


def _arrive(case: Case, act: Arrive, now: Now) -> Case:
    if case.state is S.ACCEPTED:
        return replace(case, state=S.ON_SITE, on_site_at_ms=now.at_ms, on_site_by=act.actor, on_site_how=act.how)
    return case if case.state in (S.ON_SITE, S.HANDLING) else refuse(case)


def _handle(case: Case, _act: Handle, now: Now) -> Case:
    if case.state is S.ON_SITE:
        return replace(case, state=S.HANDLING, handling_at_ms=now.at_ms)
    return case if case.state is S.HANDLING else refuse(case, "not-on-site")


def _finish(case: Case, act: Finish, now: Now) -> Case:
    if act.outcome not in OUTCOMES:
        raise ValueError(f"outcome {act.outcome!r} is not one of {', '.join(OUTCOMES)}")
    if (case.feedback_by, case.outcome) == (act.actor, act.outcome) and case.state in DONE | {S.CLOSED}:
        return case
    if case.state not in (S.ON_SITE, S.HANDLING):
        if case.policy.verifier == "other" or case.state not in WAITING | TAKEN:
            return refuse(case, "not-on-site")
        if case.state in WAITING:
            case = _accept(case, Accept(act.actor), now)
    return replace(
        case,
        state=S.FEEDBACK,
        feedback_at_ms=now.at_ms,
        feedback_by=act.actor,
        outcome=act.outcome,
        photo=act.photo,
        **UNASKED,
    )


def _safe(case: Case, act: Safe, now: Now) -> Case:
    if (case.feedback_by, case.outcome) == (act.by, SAFE) and case.state in DONE | {S.CLOSED}:
        return case
    if case.level == "red" or case.state not in WAITING:
        return refuse(case, "on-the-way")
    return replace(
        _accept(case, Accept(act.actor, act.whose), now),
        state=S.FEEDBACK,
        feedback_at_ms=now.at_ms,
        feedback_by=act.by,
        outcome=SAFE,
        policy=replace(case.policy, ask_s=None, verifier="sensor"),
    )


def _help(case: Case, act: Help, now: Now) -> Case:
    if case.state is S.MERGED:
        return refuse(case)
    if case.state in DONE | OVER | {S.SUSPENDED}:
        case = again(case, HELP, now)
    elif case.reason != HELP:
        case = replace(case, reason=HELP)
    return tightened(case, "red", now.at_ms, now.practice, _HELP)


def _inspect(case: Case, act: Inspect, _now: Now) -> Case:
    if case.state is S.VERIFYING:
        return unless(case, case.verified_by == act.actor, "taken")
    if case.state is not S.FEEDBACK:
        return refuse(case, "not-done")
    not_own(case, act.actor)
    return replace(case, state=S.VERIFYING, verified_by=act.actor)


def _verify(case: Case, act: Verify, now: Now) -> Case:
    if case.state is S.CLOSED and act.passed and case.verified_by == act.actor:
        return case
    if case.state not in DONE:
        return refuse(case, "not-done")
    not_own(case, act.actor)
    if not act.passed:
        return again(case, act.reason, now)
    if now.active:
        raise ActionRefused("still-active", case)
    return replace(case, state=S.CLOSED, verified_by=act.actor, closed_at_ms=now.at_ms, closed_by=act.actor)


_STEPS: Mapping[type[Any], Callable[[Case, Any, Now], Case]] = {
    Register: _register,
    Dispatch: _dispatch,
    Accept: _accept,
    CheckIn: _check_in,
    Arrive: _arrive,
    Handle: _handle,
    Finish: _finish,
    Safe: _safe,
    Help: _help,
    Inspect: _inspect,
    Verify: _verify,
    Reject: side_paths.reject,
    Escalate: side_paths.escalate,
    AskExtension: side_paths.ask_extension,
    DecideExtension: side_paths.decide_extension,
    Suspend: side_paths.suspend,
    Resume: side_paths.resume,
    Cancel: side_paths.cancel,
    Reopen: side_paths.reopen,
    Merge: side_paths.merge,
}
