"""Acts by other systems: a department's own platform takes a case, checks in 报到, arrives, mends it, or gives it back.

The actor in the log is the token's person, or api:NAME. The same act under the same Idempotency-Key is done once, however often it comes; another act
under it is another one, so that a system that takes its own number of the case as the key for all it does is not told of what nobody did.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.api.caller import Actor, Caller
from console.api.problem import nothing_here, wrong_field
from console.api.shapes import MOST_MS, CaseOut, Id, Sha256, Upstream
from console.api.tickets import known_photo
from rules.cases.presence import Spot
from rules.records import Case

router = APIRouter(tags=["acts"])

Key = Annotated[str | None, Header(alias="idempotency-key", max_length=200)]
Words = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*\S[^\x00-\x08\x0b-\x1f\x7f]*$", max_length=500)
]


class Act(BaseModel):
    """What every act may say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    at_ms: Annotated[int, Field(ge=0, le=MOST_MS)] | None = None
    """When it was done, by the other system's clock."""


class Plain(Act):
    """An act that needs no more words."""


class WhereAbouts(BaseModel):
    """Where the one who arrives says that he is, in degrees."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    error_m: Annotated[float, Field(ge=0, le=100_000)] = 0.0


class Arrival(Act):
    """On the spot, shown by a position or by the code on the asset."""

    spot: WhereAbouts | None = None
    code: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,128}$")] = ""


class Done(Act):
    """What came of it."""

    outcome: Literal["mended", "false_alarm", "no_cause_found", "handed_on"]
    photo: Sha256 | None = None


class Reasoned(Act):
    """An act that needs a reason."""

    reason: Words


class Later(Reasoned):
    """More time, and why."""

    until_ms: Annotated[int, Field(ge=0, le=MOST_MS)]


class Remark(Act):
    """A line for the case's log."""

    words: Words


@router.post("/cases/{case_id}/accept", summary="接单: take it")
def accept(caller: Actor, case_id: Id, act: Plain, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.accept, act, key)


@router.post("/cases/{case_id}/check-in", summary="报到 of a department that was called")
def check_in(caller: Actor, case_id: Id, act: Plain, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.check_in, act, key)


@router.post("/cases/{case_id}/arrive", summary="到场: on the spot")
def arrive(caller: Actor, case_id: Id, act: Arrival, key: Key = None) -> CaseOut:
    spot = Spot(act.spot.lat, act.spot.lon, act.spot.error_m) if act.spot else None
    return do(caller, case_id, caller.desk.arrive, act, key, spot=spot, code=act.code)


@router.post("/cases/{case_id}/handle", summary="处置: the work has begun")
def handle(caller: Actor, case_id: Id, act: Plain, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.handle, act, key)


@router.post("/cases/{case_id}/finish", summary="反馈: done")
def finish(caller: Actor, case_id: Id, act: Done, key: Key = None) -> CaseOut:
    known_case(caller, case_id)
    photo = known_photo(caller, act.photo)
    return do(caller, case_id, caller.desk.finish, act, key, outcome=act.outcome, photo=photo)


@router.post("/cases/{case_id}/reject", summary="退单: give it back, for a reason")
def reject(caller: Actor, case_id: Id, act: Reasoned, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.reject, act, key, reason=act.reason)


@router.post("/cases/{case_id}/extend", summary="延期: ask for more time")
def extend(caller: Actor, case_id: Id, act: Later, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.ask_extension, act, key, until_ms=act.until_ms, reason=act.reason)


@router.post("/cases/{case_id}/reassign", summary="改派: ask that somebody else takes it; nothing moves by that")
def reassign(caller: Actor, case_id: Id, act: Reasoned, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.ask_reassignment, act, key, reason=act.reason)


@router.post("/cases/{case_id}/note", summary="A remark in its log")
def note(caller: Actor, case_id: Id, act: Remark, key: Key = None) -> CaseOut:
    return do(caller, case_id, caller.desk.note, act, key, words=act.words)


@router.put("/cases/{case_id}/upstream", summary="Under which number the platform above keeps it: one for one")
def upstream(caller: Actor, case_id: Id, number: Upstream) -> Upstream:
    case = known_case(caller, case_id)
    caller.desk.set_upstream(case.id, number.system, number.reference, actor=caller.actor, at_ms=caller.now_ms)
    return number


def do(caller: Caller, case_id: str, act: Callable[..., Case], asked: Act, key: str | None, **more: Any) -> CaseOut:
    """Raises Problem, ActionRefused."""
    known_case(caller, case_id)
    if asked.at_ms is not None and asked.at_ms > caller.now_ms + _FROM_THE_FUTURE_MS:
        raise wrong_field("body.at_ms", "is in the future")
    its_key = None if key is None else _key(caller, act, key)
    done = act(case_id, actor=caller.actor, at_ms=caller.now_ms, device_at_ms=asked.at_ms, key=its_key, **more)
    return CaseOut.of(done)


_FROM_THE_FUTURE_MS = 300_000
"""Another system's clock may be so far ahead of ours."""


def known_case(caller: Caller, case_id: str) -> Case:
    """Raises Problem for what lies elsewhere, as for what is not."""
    case = caller.desk.case(case_id)
    if case is None or not caller.token.scope.covers(case.site):
        caller.refused(f"case {case_id}")
        raise nothing_here()
    return case


def _key(caller: Caller, act: Callable[..., Case], key: str) -> str:
    """Of this act, and no other system's: whoever guesses a key moves nothing."""
    name = f"{caller.token.name} {act.__name__} {key}".encode("utf-8", "surrogateescape")
    return f"api-{hashlib.sha256(name).hexdigest()[:40]}"
