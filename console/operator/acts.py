"""The buttons of a case and of its alarms. Each is a plain form; our own modules ask for JSON and get the refusal in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from console.operator.case import known, to_ask
from console.operator.names import sites_of
from console.operator.sheet import done
from console.rights import CaseAct, right_for
from console.routes import known_alarm
from console.visit import LoggedIn, OurForm, Visit, needs
from messages.alarm import Level
from messages.ids import DeviceId, SiteId
from rules.alarms.overlays.hold import Hold, What
from rules.cases.acts import CANCELLATIONS, OUTCOMES
from rules.desk import Desk
from rules.records import ActionRefused, Case

router = APIRouter()

ACTS: tuple[CaseAct, ...] = get_args(CaseAct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What the forms of a case hold; each act reads its own."""

    person: str
    reason: str
    until: str
    outcome: str
    level: str
    words: str
    passed: bool
    granted: bool


def _fields(
    person: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    outcome: Annotated[str, Form()] = "",
    level: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
    passed: Annotated[bool, Form()] = False,
    granted: Annotated[bool, Form()] = False,
) -> Fields:
    return Fields(
        person=person,
        reason=reason,
        until=until,
        outcome=outcome,
        level=level,
        words=words,
        passed=passed,
        granted=granted,
    )


@router.post("/cases/{case_id}/{act}", dependencies=[OurForm, needs("work")])
def act_on_case(
    visit: LoggedIn, request: Request, case_id: str, act: str, fields: Annotated[Fields, Depends(_fields)]
) -> Response:
    case = known(visit, case_id)
    asked = next((one for one in ACTS if one == act), None)
    visit.need(right_for(asked) if asked else "dispatch", case.site, case.place.grid)

    def do() -> None:
        if asked is None:
            raise ActionRefused("unknown", case)
        _DO[asked](visit.parts.desk, case, fields, visit)

    return done(visit, request, f"/cases/{quote(case_id, safe='')}", do)


def _whom(fields: Fields, case: Case) -> str:
    if not (name := fields.person.strip()[:80]):
        raise ActionRefused("nobody-chosen", case)
    return name


def _listed(fields: Fields, case: Case, visit: Visit) -> str:
    """Whoever isn't on the site's roster can't be called; without a file of the site nobody knows who is."""
    name, site = _whom(fields, case), sites_of(visit).get(case.site)
    if site is not None and name not in site.people:
        raise ActionRefused("nobody-chosen", case)
    return name


def _one_of(word: str, known_words: tuple[str, ...], case: Case) -> str:
    if word not in known_words:
        raise ActionRefused("outcome-missing", case)
    return word


def moment(text: str, visit: Visit, case: Case | None = None) -> int:
    """A time of the site's clock as a form's field sends it, in UTC ms. Raises ActionRefused."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ActionRefused("bad-time", case) from None
    return round((at if at.tzinfo else at.replace(tzinfo=visit.parts.config.zone)).timestamp() * 1000)


def _by(visit: Visit) -> dict[str, Any]:
    return {"actor": visit.actor, "at_ms": visit.now_ms}


def _register(desk: Desk, case: Case, fields: Fields, visit: Visit) -> None:
    level: Level | None = next((one for one in get_args(Level) if one == fields.level), None)
    desk.register(case.id, level=level, **_by(visit))


def _verify(desk: Desk, case: Case, fields: Fields, visit: Visit) -> None:
    desk.verify(case.id, passed=fields.passed, reason=fields.reason, **_by(visit))


def _answer(desk: Desk, case: Case, fields: Fields, visit: Visit) -> None:
    """What somebody said whom the desk has telephoned, or that nobody took the call."""
    whose = _whom(fields, case)
    if whose not in {one.id for one in to_ask(visit, case)}:
        raise ActionRefused("nobody-chosen", case)
    match fields.outcome:
        case "safe":
            desk.safe(case.id, whose=whose, **_by(visit))
        case "help":
            desk.help(case.id, whose=whose, **_by(visit))
        case "none":
            desk.no_answer(case.id, whose=whose, **_by(visit))
        case _:
            raise ActionRefused("outcome-missing", case)


_DO: Mapping[CaseAct, Callable[[Desk, Case, Fields, Visit], object]] = {
    "register": _register,
    "accept": lambda desk, case, _, visit: desk.accept(case.id, **_by(visit)),
    "arrive": lambda desk, case, _, visit: desk.arrive(case.id, **_by(visit)),
    "finish": lambda desk, case, fields, visit: desk.finish(
        case.id, outcome=_one_of(fields.outcome, OUTCOMES, case), **_by(visit)
    ),
    "verify": _verify,
    "dispatch": lambda desk, case, fields, visit: desk.dispatch(case.id, to=_listed(fields, case, visit), **_by(visit)),
    "accept_for": lambda desk, case, fields, visit: desk.accept(
        case.id, whose=_listed(fields, case, visit), **_by(visit)
    ),
    "answer": _answer,
    "escalate": lambda desk, case, fields, visit: desk.escalate(case.id, reason=fields.reason, **_by(visit)),
    "extend": lambda desk, case, fields, visit: desk.ask_extension(
        case.id, until_ms=moment(fields.until, visit, case), reason=fields.reason, **_by(visit)
    ),
    "grant": lambda desk, case, fields, visit: desk.decide_extension(case.id, granted=fields.granted, **_by(visit)),
    "suspend": lambda desk, case, fields, visit: desk.suspend(
        case.id, review_ms=moment(fields.until, visit, case), reason=fields.reason, **_by(visit)
    ),
    "resume": lambda desk, case, _, visit: desk.resume(case.id, **_by(visit)),
    "cancel": lambda desk, case, fields, visit: desk.cancel(
        case.id, reason=_one_of(fields.outcome, CANCELLATIONS, case), **_by(visit)
    ),
    "reopen": lambda desk, case, fields, visit: desk.reopen(case.id, reason=fields.reason, **_by(visit)),
    "note": lambda desk, case, fields, visit: desk.note(case.id, words=fields.words, **_by(visit)),
}


@router.post("/alarms/{alarm_id}/acknowledge", dependencies=[OurForm, needs("dispatch")])
def acknowledge(visit: LoggedIn, request: Request, alarm_id: str, back: Annotated[str, Form()] = "") -> Response:
    """Seen: the sound stops, the escalation does not."""
    alarm = known_alarm(visit, alarm_id)
    visit.need("dispatch", alarm.site, alarm.place.grid)
    return done(visit, request, _back(back), lambda: visit.parts.desk.acknowledge(alarm.id, **_by(visit)))


@router.post("/alarms/{alarm_id}/shelve", dependencies=[OurForm, needs("dispatch")])
def shelve(
    visit: LoggedIn,
    request: Request,
    alarm_id: str,
    minutes: Annotated[int, Form(ge=1, le=100_000)] = 60,
    reason: Annotated[str, Form()] = "",
    one_shot: Annotated[bool, Form()] = False,
    back: Annotated[str, Form()] = "",
) -> Response:
    alarm = known_alarm(visit, alarm_id)
    visit.need("dispatch", alarm.site, alarm.place.grid)
    until_ms = visit.now_ms + minutes * 60_000
    return done(
        visit,
        request,
        _back(back),
        lambda: visit.parts.desk.shelve(alarm.id, until_ms=until_ms, reason=reason, one_shot=one_shot, **_by(visit)),
    )


@router.post("/alarms/{alarm_id}/unshelve", dependencies=[OurForm, needs("dispatch")])
def unshelve(visit: LoggedIn, request: Request, alarm_id: str, back: Annotated[str, Form()] = "") -> Response:
    alarm = known_alarm(visit, alarm_id)
    visit.need("dispatch", alarm.site, alarm.place.grid)
    return done(visit, request, _back(back), lambda: visit.parts.desk.unshelve(alarm.id, **_by(visit)))


@router.post("/alarms/{alarm_id}/out-of-service", dependencies=[OurForm, needs("dispatch")])
def out_of_service(
    visit: LoggedIn,
    request: Request,
    alarm_id: str,
    until: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    whole: Annotated[bool, Form()] = False,
    back: Annotated[str, Form()] = "",
) -> Response:
    """The device of an alarm is being worked on: that rule of it, or all of it."""
    alarm = known_alarm(visit, alarm_id)
    visit.need("dispatch", alarm.site, alarm.place.grid)
    return done(
        visit,
        request,
        _back(back),
        lambda: visit.parts.desk.out_of_service(
            alarm.site,
            alarm.device,
            until_ms=moment(until, visit),
            reason=reason,
            rule=None if whole else alarm.rule,
            **_by(visit),
        ),
    )


@router.post("/permits", dependencies=[OurForm, needs("dispatch")])
def open_permit(
    visit: LoggedIn,
    request: Request,
    site: Annotated[str, Form()] = "",
    device: Annotated[str, Form()] = "",
    grid: Annotated[str, Form()] = "",
    building: Annotated[str, Form()] = "",
    holder: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    """Somebody works on a device or somewhere, and sets off what calls nobody."""
    where = grid or (visit.parts.desk.grid_of(SiteId(site), DeviceId(device)) if device else None)
    visit.need("dispatch", site, where)
    return done(
        visit,
        request,
        _back(back, "/lists/shelved"),
        lambda: visit.parts.desk.open_permit(
            SiteId(site),
            holder=holder,
            reason=reason,
            until_ms=moment(until, visit),
            device=DeviceId(device) if device else None,
            grid=grid or None,
            building=building or None,
            **_by(visit),
        ),
    )


@router.post("/holds/{hold_id}/end", dependencies=[OurForm, needs("dispatch")])
def end_hold(
    visit: LoggedIn,
    request: Request,
    hold_id: str,
    checked: Annotated[bool, Form()] = False,
    back: Annotated[str, Form()] = "",
) -> Response:
    """The work on a device, or of a permit, is done before its time."""
    hold = next((one for one in visit.parts.desk.holds() if one.id == hold_id), None)
    if hold is not None:
        visit.need("dispatch", hold.site, grid_of(visit, hold))

    def end() -> None:
        if hold is None or hold.what is What.SHELF:
            raise ActionRefused("ended-already", None)
        if hold.what is What.SERVICE:
            visit.parts.desk.return_to_service(hold.id, **_by(visit))
        else:
            visit.parts.desk.close_permit(hold.id, checked=checked, **_by(visit))

    return done(visit, request, _back(back, "/lists/shelved"), end)


def grid_of(visit: Visit, hold: Hold) -> str | None:
    """Where a hold lies, if it isn't the site as a whole."""
    if hold.grid is not None or hold.device is None:
        return hold.grid
    return visit.parts.desk.grid_of(hold.site, hold.device)


def _back(path: str, otherwise: str = "/") -> str:
    return path.partition("?")[0] or otherwise
