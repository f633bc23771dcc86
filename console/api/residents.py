"""How far a report has come, for the one who reported: by the code that the report returned, without a token.

It says a word and times, and nothing of what, where or who. Codes can't be guessed, and are tried no faster than `PACE` allows.
"""

from math import ceil
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from console.api.caller import works
from console.api.pace import Pace
from console.api.problem import Problem
from messages.settings import Text
from rules.records import DONE, TAKEN, Case, CaseState

router = APIRouter(tags=["residents"])

EACH, ALL = 20, 600
"""A minute: one address, which may be a whole house behind one router; and all."""

Word = Literal["received", "sent", "in_work", "done", "closed", "not_taken_up"]
WORDS: dict[Word, Text] = {
    "received": Text(zh="已受理", en="Received"),
    "sent": Text(zh="已派遣", en="Somebody was sent"),
    "in_work": Text(zh="处置中", en="Being dealt with"),
    "done": Text(zh="已处置，待核查", en="Done, to be checked"),
    "closed": Text(zh="已办结", en="Closed"),
    "not_taken_up": Text(zh="未立案", en="Not taken up"),
}

Code = Annotated[str, Path(pattern=r"^[0-9A-Za-z -]{16,24}$", description="As the report returned it.")]


class Status(BaseModel):
    """State and times only."""

    state: Word
    words: Text
    received_at_ms: int
    accepted_at_ms: int | None
    on_site_at_ms: int | None
    done_at_ms: int | None
    closed_at_ms: int | None


@router.get("/status/{code}", summary="How far a report has come, by its code; without a token")
def status(request: Request, code: Code) -> Status:
    ours = works(request)
    address = request.client.host if request.client else ""
    if wait_s := request.app.state.pace.wait_s(address, ours.clock_ms()):
        raise Problem(429, "asked too often; wait", headers={"retry-after": str(ceil(wait_s))})
    if (found := ours.desk.ticket_by_code(code)) is None:
        raise Problem(404, "no report has this code")
    ticket, case = found
    word = word_of(case)
    return Status(
        state=word,
        words=WORDS[word],
        received_at_ms=ticket.at_ms,
        accepted_at_ms=case.accepted_at_ms,
        on_site_at_ms=case.on_site_at_ms,
        done_at_ms=case.feedback_at_ms,
        closed_at_ms=case.closed_at_ms,
    )


def pace() -> Pace:
    return Pace(EACH, ALL)


def word_of(case: Case) -> Word:
    """What a neighbour understands of a case's state."""
    if case.state is CaseState.CANCELLED:
        return "not_taken_up"
    if case.state in (CaseState.CLOSED, CaseState.ARCHIVED, CaseState.MERGED):
        return "closed"
    if case.state in DONE:
        return "done"
    if case.state in TAKEN or case.state is CaseState.SUSPENDED:
        return "in_work"
    return "sent" if case.state is CaseState.DISPATCHED else "received"
