"""Acts of a desk by other systems, such as a command centre that dispatches with a program of its own: what the page of a case offers to an
operator, and the telephone beside it. The right is `dispatch`; refusals, log and Idempotency-Key are those of `console.api.acts`.
"""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from console.api.acts import Act, Key, Later, Plain, Reasoned, do, known_case
from console.api.caller import Caller, Dispatcher
from console.api.problem import wrong_field
from console.api.shapes import CaseOut, Id
from messages.alarm import Level
from messages.ids import DeviceId
from messages.suggestion import suggest
from rules.duty.household import names

router = APIRouter(tags=["desk"])

_Person = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", max_length=80)
]


class Worth(Act):
    """How grave what was reported is; absent: as it stands."""

    level: Level | None = None


class To(Act):
    """Whom, as the roster names him."""

    person: _Person


class Said(Act):
    """What somebody answered who was asked how she is and whom the desk has telephoned; `none`: nobody took the call. `whose`: as the log names
    her, `resident:HOUSEHOLD` or one of the contacts."""

    whose: _Person
    answer: Literal["safe", "help", "none"]


class Checked(Act):
    """Whether it is well; where it isn't, why."""

    passed: bool
    reason: Annotated[str, Field(max_length=500)] = ""


class Decision(Act):
    """On the time that was asked for."""

    granted: bool


class Struck(Act):
    """Why it is no case."""

    reason: Literal["false_alarm", "duplicate", "test", "not_ours", "nothing_there"]


@router.post("/cases/{case_id}/register", summary="受理: what was reported is worth a case")
def register(caller: Dispatcher, case_id: Id, act: Worth, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.register, act, key, level=act.level)


@router.post("/cases/{case_id}/dispatch", summary="派遣, 改派: send somebody, who is called")
def dispatch(caller: Dispatcher, case_id: Id, act: To, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.dispatch, act, key, to=_listed(caller, case_id, act.person))


@router.post("/cases/{case_id}/accept-for", summary="接单 of somebody who has said so on the telephone")
def accept_for(caller: Dispatcher, case_id: Id, act: To, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.accept, act, key, whose=_listed(caller, case_id, act.person))


@router.post(
    "/cases/{case_id}/answer",
    summary="报平安, 求助, or no answer, of somebody who was asked how she is, on the telephone",
)
def answer(caller: Dispatcher, case_id: Id, act: Said, key: Key = None) -> CaseOut:
    case, desk = known_case(caller, case_id), caller.desk
    site = caller.works.site_of(case.site)
    found = site.household_of(DeviceId(case.subject)) if site else None
    if found is None or act.whose not in names(*found):
        raise wrong_field("body.whose", "nobody who is asked about this case")
    said = {"safe": desk.safe, "help": desk.help, "none": desk.no_answer}[act.answer]
    return do(caller, case_id, said, act, key, whose=act.whose)


@router.post("/cases/{case_id}/verify", summary="核查: well, and closed 办结; or back to work 返工")
def verify(caller: Dispatcher, case_id: Id, act: Checked, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.verify, act, key, passed=act.passed, reason=act.reason)


@router.post("/cases/{case_id}/escalate", summary="升级: call the next rung at once")
def escalate(caller: Dispatcher, case_id: Id, act: Reasoned, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.escalate, act, key, reason=act.reason)


@router.post("/cases/{case_id}/grant", summary="延期, decided, by somebody else than who has asked")
def grant(caller: Dispatcher, case_id: Id, act: Decision, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.decide_extension, act, key, granted=act.granted)


@router.post("/cases/{case_id}/suspend", summary="挂账, until it is looked at again")
def suspend(caller: Dispatcher, case_id: Id, act: Later, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.suspend, act, key, review_ms=act.until_ms, reason=act.reason)


@router.post("/cases/{case_id}/resume", summary="Take up again what was suspended")
def resume(caller: Dispatcher, case_id: Id, act: Plain, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.resume, act, key)


@router.post("/cases/{case_id}/cancel", summary="误报, 注销: it is no case")
def cancel(caller: Dispatcher, case_id: Id, act: Struck, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.cancel, act, key, reason=act.reason)


@router.post("/cases/{case_id}/reopen", summary="返工: open again what was closed")
def reopen(caller: Dispatcher, case_id: Id, act: Reasoned, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.reopen, act, key, reason=act.reason)


def _listed(caller: Caller, case_id: str, person: str) -> str:
    """Whoever isn't on the site's roster can't be called; without a file of the site nobody knows who is."""
    site = caller.works.site_of(known_case(caller, case_id).site)
    if site is not None and person not in site.people:
        raise wrong_field("body.person", f"nobody on the roster of this site{suggest(person, site.people)}")
    return person
