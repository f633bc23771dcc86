"""What somebody sees who was asked how she is, by the link of that message: the question and two buttons, and nothing of how her case is worked on.

Works without scripts. Whoever she is, a resident or one of her contacts, `rules.duty.household` says by her id.
"""

from contextlib import suppress
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response

from console.phone.holder import Held, Holder, LinkOver
from console.visit import NotAllowed, OurForm, elsewhere
from rules.cases.acts import SAFE
from rules.duty.household import role_of
from rules.records import DONE, OVER, TAKEN, ActionRefused, Case, CaseState

router = APIRouter(dependencies=[OurForm])

Standing = Literal["asked", "thanked", "coming", "over"]


def standing(case: Case) -> Standing:
    """How far her question is. Pure."""
    if case.outcome == SAFE and case.state in DONE | OVER:
        return "thanked"
    if case.state in OVER | DONE | {CaseState.SUSPENDED}:
        return "over"
    return "coming" if case.state in TAKEN or case.level == "red" else "asked"


def question(held: Holder) -> Response:
    case, desk = held.case, held.visit.parts.desk
    while case.state is CaseState.MERGED and (parent := desk.case(case.parent or "")) is not None:
        case = parent
    return held.visit.page(
        "phone/asked.html", base=held.base, case=case, who=role_of(held.actor), standing=standing(case)
    )


@router.post("/c/{link}/safe")
def safe(held: Held) -> Response:
    """我没事."""
    _asked(held)
    with suppress(ActionRefused):  # it has moved on meanwhile: the page says how it stands
        held.visit.parts.desk.safe(held.case.id, actor=held.actor, at_ms=held.visit.now_ms)
    return elsewhere(held.base)


@router.post("/c/{link}/help")
def help_(held: Held) -> Response:
    """需要帮助."""
    _asked(held)
    held.visit.parts.desk.help(held.case.id, actor=held.actor, at_ms=held.visit.now_ms)
    return elsewhere(held.base)


def _asked(held: Holder) -> None:
    if held.ended:
        raise LinkOver
    if role_of(held.actor) is None:
        raise NotAllowed
