"""What a worker reads: his cases, one of them, and the way to one by the code on its asset. Works without scripts."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from console.accounts import form_token
from console.card import promise_of
from console.freshness import Vitals, judge
from console.phone import acts, whereabouts
from console.phone.asked import question
from console.phone.holder import Held, Holder, is_his, sees
from console.visit import VISIT_COOKIE, AnyVisit, LoggedIn, Visit, elsewhere, needs, refuse
from messages.ids import SiteId
from rules import plant
from rules.assets.label import PATH, read
from rules.cases.acts import OUTCOMES
from rules.cases.case import LEVELS
from rules.duty.household import role_of
from rules.duty.roster import UNCHANGED
from rules.duty.site import Site
from rules.records import DONE, TAKEN, WAITING, Case, CaseState


def fresh_sites(visit: AnyVisit) -> None:
    """The sites' files as they are on disk now."""
    visit.parts.sites.look()


router = APIRouter(dependencies=[Depends(fresh_sites)])

MOST_CASES = 200
MOST_NAME = 130
"""Two identifiers and a stroke."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """What is to be done, the gravest first, and what others are doing."""

    mine: list[Case]
    others: list[Case]


def worklist(cases: Iterable[Case], person: str) -> Worklist:
    """What waits for anybody is everybody's. Pure."""
    found = Worklist([], [])
    for case in sorted(cases, key=_urgency):
        todo = case.state in WAITING or (case.state in TAKEN and is_his(case, person))
        (found.mine if todo else found.others).append(case)
    return found


def _urgency(case: Case) -> tuple[int, float, int]:
    made = promise_of(case)
    return LEVELS.index(case.level), made.by_ms if made else float("inf"), case.opened_at_ms


def stage(case: Case) -> str:
    """How far the buttons are: waiting, accepted, on_site or done."""
    if case.state in WAITING:
        return "waiting"
    if case.state in TAKEN:
        return "accepted" if case.state is CaseState.ACCEPTED else "on_site"
    return "done"


@router.get("/w/", dependencies=[needs("see")])
def cases(visit: LoggedIn) -> Response:
    desk = visit.parts.desk
    known = [case for case in desk.work(visit.user.scope.sites) if sees(visit, case)]
    work = worklist(known, visit.actor)
    return visit.page(
        "phone/list.html",
        who=visit.actor,
        mine=work.mine[:MOST_CASES],
        others=work.others[:MOST_CASES],
        more=len(work.mine) > MOST_CASES,
        blind=_blind(visit),
        site_of=visit.parts.sites.sites.get,
        name_of=whereabouts.name_of,
        is_his=is_his,
        promise_of=promise_of,
    )


@router.get("/w")
def without_stroke() -> Response:
    return elsewhere("/w/")


@router.get("/w/cases/{case_id}")
def one_case(held: Held, request: Request, refused: str = "", missing: bool = False, code: str = "") -> Response:
    return _page(held, request, refused, missing, code)


@router.get("/c/{link}")
def by_link(held: Held, request: Request, link: str, refused: str = "", missing: bool = False) -> Response:
    """The link of a message. Who is logged in and may see the case goes on under his own name."""
    held.visit.parts.desk.open_link(link, held.visit.now_ms)
    if held.visit.session and sees(held.visit, held.case):
        return elsewhere(_path(held.case))
    return question(held) if role_of(held.actor) else _page(held, request, refused, missing, "")


@router.get("/w/cases/{case_id}/session")
@router.get("/c/{link}/session")
def session(held: Held) -> Response:
    """What is needed to send what was done without a network: in whose name it would be, and what makes it believed."""
    response = JSONResponse({"who": held.actor, "token": form_token(held.visit.secret)})
    if not held.visit.session:
        held.visit.keep(response, VISIT_COOKIE, held.visit.secret)
    return response


@router.get("/w/asset", dependencies=[needs("see")])
def asset_entered(visit: LoggedIn, code: str = "") -> Response:
    """What was typed: the code of a label, or the name of a device ("device" or "site/device"), which opens its case and shows nothing."""
    if found := read(code):
        return elsewhere(f"{PATH}{found}")
    site, stroke, device = code.strip()[:MOST_NAME].rpartition("/")
    sites = [site] if stroke else visit.user.scope.sites or list(visit.parts.sites.sites)
    for one in sites:
        if (case := _case_at(visit, one, device)) is not None:
            return elsewhere(_path(case))
    return _gone(visit, "phone.no_case_there")


@router.get("/a/{code}", dependencies=[needs("see")])
def asset(visit: LoggedIn, request: Request, code: str) -> Response:
    """What the code on a label leads to: the open case of its asset, with the place known by the code; else what is known of the asset."""
    label = visit.parts.desk.label(code)
    if label is None or not label.holds:
        refuse(visit, request, f"code: {'replaced' if label else 'unknown'}")
        return _gone(visit, "phone.code_replaced" if label else "phone.code_unknown", 410 if label else 404)
    if (case := _case_at(visit, label.site, label.device)) is not None:
        return elsewhere(f"{_path(case)}?code={label.code}")
    known = plant.devices(visit.parts.desk.database, visit.now_ms, site=label.site)
    found = next((one for one in known if (one.site, one.device) == (label.site, label.device)), None)
    visit.need("see", label.site, found.place.grid if found else None)
    return visit.page("phone/asset.html", label=label, device=found)


def _blind(visit: Visit) -> str:
    """Why a new alarm, or the end of one, would not be seen; empty: it would."""
    freshness = judge(Vitals(visit.parts.desk.pulse(), ()), visit.words, visit.now_ms)
    return " ".join(freshness.reasons) if freshness.verdict == "blind" else ""


def _path(case: Case) -> str:
    return f"/w/cases/{quote(case.id, safe='')}"


def _gone(visit: Visit, why: str, status: int = 404) -> Response:
    return visit.page("phone/gone.html", status, why=why, link=False)


def _case_at(visit: Visit, site: str, device: str) -> Case | None:
    found = [case for case in visit.parts.desk.work([site]) if case.subject == device and sees(visit, case)]
    return next((case for case in found if case.state not in DONE), next(iter(found), None))


def _page(held: Holder, request: Request, refused: str, missing: bool, code: str) -> Response:
    visit, case = held.visit, held.case
    desk, site = visit.parts.desk, _site(visit, case.site)
    alarms = desk.alarms_of(case.id)
    gravest = sorted((alarm for alarm in alarms if alarm.advice), key=lambda alarm: LEVELS.index(alarm.level))
    where = whereabouts.spot(case, site)
    complaint = acts.complaint(held, refused) if refused else visit.words("action.outcome_missing") if missing else ""
    entries = desk.log_of_case(case.id)
    label = desk.label(code) if code else None
    fits = label is not None and label.holds and (label.site, label.device) == (case.site, case.subject)
    changes = desk.roster_changes(visit.now_ms).get(case.site, UNCHANGED)
    return visit.page(
        "phone/case.html",
        who=held.actor,
        base=held.base,
        by_link=held.by_link,
        case=case,
        stage=stage(case),
        his=is_his(case, held.actor),
        blind=_blind(visit),
        ceremony=case.policy.verifier == "other",
        made=promise_of(case),
        alarms=alarms,
        advice=gravest[0].advice if gravest else None,
        contacts=whereabouts.contacts(site, case, changes, visit.now_ms),
        way=whereabouts.geo_uri(where, case.place.text) if where else "",
        entries=entries,
        arrived=next((one for one in reversed(entries) if one.event == "case.on_site"), None)
        if case.on_site_by
        else None,
        outcomes=OUTCOMES,
        spans=acts.EXTENSIONS_H,
        takes_photos=visit.parts.config.photos is not None,
        code=label.code if label and fits else "",
        # A page elsewhere may lead here, but only the camera, the address line or our own page has scanned anything.
        scanned=fits and request.headers.get("sec-fetch-site") in ("none", "same-origin"),
        complaint=complaint,
        name=lambda who: whereabouts.name_of(site, who),
    )


def _site(visit: Visit, site: SiteId) -> Site | None:
    return visit.parts.sites.sites.get(site)
