"""The routes behind the login: the live feed, one alarm, and the buttons of its case.

Reading works without scripts, and so do the buttons: a plain form, and a redirect back. Our own modules ask with
`Accept: application/json` and get a short answer instead.
"""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from console import detail
from console.board import tallies, whole
from console.card import next_step
from console.feed import MOST_KNOWN, MOST_ROWS, Full
from console.freshness import Vitals, judge
from console.operator.lines import said
from console.operator.names import names_at
from console.operator.offers import may_do
from console.rights import CaseAct, right_for
from console.visit import LoggedIn, OurForm, Visit, elsewhere, logged_in, wants_json
from console.wire import wire_of
from rules.alarms import desk as alarms
from rules.cases.acts import OUTCOMES
from rules.records import REFUSALS, ActionRefused, Alarm, Calling, Case, Position

router = APIRouter(dependencies=[Depends(logged_in)])

REASONS = (*REFUSALS, *alarms.REASONS)


class NoSuchAlarm(Exception):
    """Nothing is known by that id."""


@router.get("/")
def live(visit: LoggedIn, refused: str = "", on: str = "") -> Response:
    desk, scope = visit.parts.desk, visit.user.scope
    position = desk.position()  # before the alarms: what comes in between is told once more by the feed
    alarms = seen_alarms(visit)
    vitals = Vitals(desk.pulse(), desk.edges(visit.now_ms), desk.floods()).seen_from(scope)
    every = desk.alarms(limit=MOST_KNOWN, sites=scope.sites, grids=scope.grids) if vitals.floods else []
    return visit.page(
        "live.html",
        seq=position,
        alarms=alarms,
        counts=desk.counts(sites=scope.sites, grids=scope.grids),
        rest=tallies(whole(position, every), scope, vitals.floods),
        vitals=vitals,
        freshness=judge(vitals, visit.words, visit.now_ms),
        edges=vitals.edges,
        most=MOST_ROWS,
        complaint=_complaint(visit, refused, desk.alarm(on)) if refused else "",
    )


def seen_alarms(visit: Visit) -> list[Alarm]:
    """The open alarms that the account may see, the most urgent first."""
    scope = visit.user.scope
    return visit.parts.desk.alarms(limit=MOST_ROWS, sites=scope.sites, grids=scope.grids)


def calling_alarms(visit: Visit) -> list[Calling]:
    """Those that every page rings for, as far as the account may see them."""
    scope = visit.user.scope
    return visit.parts.desk.calling(limit=MOST_ROWS, sites=scope.sites, grids=scope.grids)


@router.get("/feed")
async def feed(
    visit: LoggedIn,
    request: Request,
    after: str = "",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events; a browser that comes back says how far it got."""
    assert visit.session
    seen = Position.parse(last_event_id or after)
    wire = wire_of(request)
    try:
        stream = await visit.parts.feed.stream(visit.language, visit.session.id, seen, visit.user.scope, wire)
    except Full:
        return Response(status_code=503, headers={"Retry-After": "5"})
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get("/session")
def session(visit: LoggedIn) -> Response:
    """Whether the login still holds: 204, or 401."""
    return Response(status_code=204)


@router.get("/alarms/{alarm_id}")
def alarm(visit: LoggedIn, alarm_id: str, refused: str = "", missing: bool = False) -> Response:
    position = visit.parts.desk.position()  # before the alarm, as above
    found, entries = known_alarm(visit, alarm_id), visit.parts.desk.log_of(alarm_id)
    names = names_at(visit, found.site)
    complaint = _complaint(visit, refused, found) if refused else ""
    if missing:
        complaint = visit.words("action.outcome_missing")
    return visit.page(
        "alarm.html",
        seq=position,
        alarm=found,
        alarms=calling_alarms(visit),
        entries=[(entry, said(entry, visit.words, names, visit.now_ms)) for entry in entries],
        charts=detail.charts(found, entries, visit.parts, visit.words, visit.now_ms),
        outcomes=OUTCOMES,
        yours=_yours(visit, found),
        complaint=complaint,
    )


def _yours(visit: Visit, alarm: Alarm) -> bool:
    """Whether the next step of its case is for whoever looks."""
    step = next_step(alarm)
    return step is not None and alarm.case is not None and may_do(step, alarm.case, visit.user)


@router.post("/alarms/{alarm_id}/accept", dependencies=[OurForm])
def accept(visit: LoggedIn, request: Request, alarm_id: str, back: Annotated[str, Form()] = "") -> Response:
    desk = visit.parts.desk
    return _act(
        visit, request, alarm_id, "accept", back, lambda case, who: desk.accept(case, actor=who, at_ms=visit.now_ms)
    )


@router.post("/alarms/{alarm_id}/arrive", dependencies=[OurForm])
def arrive(visit: LoggedIn, request: Request, alarm_id: str, back: Annotated[str, Form()] = "") -> Response:
    desk = visit.parts.desk
    return _act(
        visit, request, alarm_id, "arrive", back, lambda case, who: desk.arrive(case, actor=who, at_ms=visit.now_ms)
    )


@router.post("/alarms/{alarm_id}/finish", dependencies=[OurForm])
def finish(
    visit: LoggedIn,
    request: Request,
    alarm_id: str,
    outcome: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    if outcome not in OUTCOMES:
        if wants_json(request):
            return JSONResponse({"complaint": visit.words("action.outcome_missing")}, 400)
        return elsewhere(f"/alarms/{quote(alarm_id, safe='')}?missing=true")
    desk = visit.parts.desk
    return _act(
        visit,
        request,
        alarm_id,
        "finish",
        back,
        lambda case, who: desk.finish(case, actor=who, at_ms=visit.now_ms, outcome=outcome),
    )


@router.post("/alarms/{alarm_id}/verify", dependencies=[OurForm])
def verify(
    visit: LoggedIn,
    request: Request,
    alarm_id: str,
    passed: Annotated[bool, Form()] = False,
    reason: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    desk = visit.parts.desk
    return _act(
        visit,
        request,
        alarm_id,
        "verify",
        back,
        lambda case, who: desk.verify(case, actor=who, at_ms=visit.now_ms, passed=passed, reason=reason),
    )


def _act(
    visit: Visit, request: Request, alarm_id: str, name: CaseAct, back: str, act: Callable[[str, str], Case]
) -> Response:
    """Do it, and go back to where the button was; a refusal comes along in words."""
    assert visit.session
    found, reason = known_alarm(visit, alarm_id), ""
    visit.need(right_for(name), found.site, found.place.grid)
    try:
        if found.case is None:
            raise ActionRefused("unknown", None)
        act(found.case.id, visit.actor)
    except ActionRefused as refusal:
        reason = refusal.reason
    if wants_json(request):
        complaint = _complaint(visit, reason, visit.parts.desk.alarm(alarm_id)) if reason else ""
        return JSONResponse({"complaint": complaint}, 409 if reason else 200)
    here = quote(alarm_id, safe="")
    if back == "feed":
        return elsewhere(f"/?refused={reason}&on={here}" if reason else "/")
    return elsewhere(f"/alarms/{here}?refused={reason}" if reason else f"/alarms/{here}")


def _complaint(visit: Visit, reason: str, about: Alarm | None) -> str:
    who = (about.case.accepted_by if about and about.case else None) or "?"
    if reason not in REASONS:
        return visit.words("refused.other", reason=reason[:40])
    return visit.words(f"refused.{reason}", who=who)


def known_alarm(visit: Visit, alarm_id: str) -> Alarm:
    """Raises NoSuchAlarm, also for what the account may not see."""
    found = visit.parts.desk.alarm(alarm_id)
    if found is None or not visit.user.may_at("see", found.site, found.place.grid):
        raise NoSuchAlarm(found is not None)
    return found
