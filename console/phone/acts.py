"""What a worker does, below `/w/cases/{case_id}` and below `/c/{link}` alike: a plain form and a redirect back, or JSON for our module.

An act that was done without a network comes later, with the time of the phone and a key: the same key twice is one act.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, Response

from console.phone import whereabouts
from console.phone.holder import Held, Holder, LinkOver
from console.visit import OurForm, elsewhere, wants_json
from rules.alarms import desk as alarms
from rules.cases.acts import OUTCOMES
from rules.cases.casework import Asked
from rules.cases.photos import PhotoRefused
from rules.cases.presence import Spot
from rules.records import REFUSALS, ActionRefused, Case

router = APIRouter(dependencies=[OurForm])

EXTENSIONS_H = (2, 8, 24, 72)
"""Hours that a worker may ask for."""
HOUR_MS = 3_600_000
REASONS = (*REFUSALS, *alarms.REASONS, "photo-lost")
KEY = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""RFC 9562, as browsers make them."""

Route = Callable[..., Response]


def asked(
    key: Annotated[str | None, Form(pattern=KEY)] = None,
    device_at_ms: Annotated[int | None, Form(ge=0, lt=2**53)] = None,
) -> Asked:
    return Asked(key=key, device_at_ms=device_at_ms)


AskedFor = Annotated[Asked, Depends(asked)]


def act(step: str) -> Callable[[Route], Route]:
    """A route of a step, for both sorts of holders."""

    def register(route: Route) -> Route:
        for base in ("/w/cases/{case_id}", "/c/{link}"):
            router.add_api_route(f"{base}/{step}", route, methods=["POST"])
        return route

    return register


@act("accept")
def accept(held: Held, request: Request, asked: AskedFor) -> Response:
    return _done(held, request, held.visit.parts.desk.accept, **asked)


@act("arrive")
def arrive(
    held: Held,
    request: Request,
    asked: AskedFor,
    lat: Annotated[float | None, Form(ge=-90, le=90)] = None,
    lon: Annotated[float | None, Form(ge=-180, le=180)] = None,
    error_m: Annotated[float, Form(ge=0, lt=1e7)] = 0.0,
    code: Annotated[str, Form(max_length=130)] = "",
) -> Response:
    """On site: by where the phone is, by the code on the asset, or by his word."""
    spot = None if lat is None or lon is None else Spot(lat, lon, error_m)
    return _done(held, request, held.visit.parts.desk.arrive, spot=spot, code=code, **asked)


@act("finish")
def finish(
    held: Held,
    request: Request,
    asked: AskedFor,
    outcome: Annotated[str, Form()] = "",
    photo: Annotated[str, Form(pattern="^([0-9a-f]{64})?$")] = "",
) -> Response:
    """Done, with an outcome and at most one photo that was sent before."""
    desk = held.visit.parts.desk
    if outcome not in OUTCOMES:
        if wants_json(request):
            return JSONResponse({"complaint": held.visit.words("action.outcome_missing")}, 400)
        return elsewhere(f"{held.base}?missing=true")
    try:
        picture = desk.kept_photo(photo) if photo else None
    except PhotoRefused:
        picture = None
    if photo and picture is None:
        return _answer(held, request, "photo-lost")
    return _done(held, request, desk.finish, outcome=outcome, photo=picture, **asked)


@act("check-in")
def check_in(held: Held, request: Request, asked: AskedFor) -> Response:
    """报到 of a department."""
    return _done(held, request, held.visit.parts.desk.check_in, **asked)


@act("reject")
def reject(held: Held, request: Request, asked: AskedFor, reason: Annotated[str, Form()] = "") -> Response:
    return _done(held, request, held.visit.parts.desk.reject, reason=reason, **asked)


@act("reassign")
def reassign(held: Held, request: Request, asked: AskedFor, reason: Annotated[str, Form()] = "") -> Response:
    return _done(held, request, held.visit.parts.desk.ask_reassignment, reason=reason, **asked)


@act("extend")
def extend(
    held: Held,
    request: Request,
    asked: AskedFor,
    hours: Annotated[int, Form(ge=1, le=max(EXTENSIONS_H))] = EXTENSIONS_H[0],
    reason: Annotated[str, Form()] = "",
) -> Response:
    """More time: beyond what is promised, or from now on where that is past."""
    until_ms = max(held.visit.now_ms, held.case.handle_by_ms or 0) + hours * HOUR_MS
    return _done(held, request, held.visit.parts.desk.ask_extension, until_ms=until_ms, reason=reason, **asked)


@act("note")
def note(held: Held, request: Request, asked: AskedFor, words: Annotated[str, Form()] = "") -> Response:
    return _done(held, request, held.visit.parts.desk.note, words=words, **asked)


def complaint(held: Holder, reason: str, case: Case | None = None) -> str:
    """A refusal in words, with who was faster."""
    words, about = held.visit.words, case or held.case
    if reason not in REASONS:
        return words("refused.other", reason=reason[:40])
    site = held.visit.parts.sites.sites.get(about.site)
    return words(f"refused.{reason}", who=whereabouts.name_of(site, about.accepted_by) or "?")


def _done(held: Holder, request: Request, do: Callable[..., Case], **how: Any) -> Response:
    if held.ended and not held.ended.takes(how.get("key"), how.get("device_at_ms")):
        raise LinkOver
    try:
        do(held.case.id, actor=held.actor, at_ms=held.visit.now_ms, **how)
    except ActionRefused as refusal:
        return _answer(held, request, refusal.reason, refusal.case)
    return _answer(held, request)


def _answer(held: Holder, request: Request, reason: str = "", case: Case | None = None) -> Response:
    if wants_json(request):
        words = complaint(held, reason, case) if reason else ""
        return JSONResponse({"complaint": words}, 409 if reason else 200)
    return elsewhere(f"{held.base}?refused={reason}" if reason else held.base)
