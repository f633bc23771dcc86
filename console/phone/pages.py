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
from console.phone.holder import Held, Holder, is_his, sees
from console.visit import VISIT_COOKIE, AnyVisit, LoggedIn, Visit, elsewhere, needs
from messages.ids import SiteId
from rules.cases.case import LEVELS
from rules.cases.steps import OUTCOMES
from rules.duty.roster import UNCHANGED
from rules.duty.site import Site
from rules.records import DONE, TAKEN, WAITING, Case, CaseState


def fresh_sites(visit: AnyVisit) -> None:
    """The sites' files as they are on disk now."""
    visit.parts.sites.look()


router = APIRouter(dependencies=[Depends(fresh_sites)])

MOST_CASES = 200
MOST_CODE = 130
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
    freshness = judge(Vitals(desk.pulse(), ()), visit.words, visit.now_ms)
    return visit.page(
        "phone/list.html",
        who=visit.actor,
        mine=work.mine[:MOST_CASES],
        others=work.others[:MOST_CASES],
        more=len(work.mine) > MOST_CASES,
        blind=" ".join(freshness.reasons) if freshness.verdict == "blind" else "",
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
        return elsewhere(f"/w/cases/{quote(held.case.id, safe='')}")
    return _page(held, request, refused, missing, "")


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
    """A code as it was typed: "site/device", or the device alone where the account has one site."""
    site, stroke, device = code.strip()[:MOST_CODE].rpartition("/")
    sites = [site] if stroke else visit.user.scope.sites or list(visit.parts.sites.sites)
    for one in sites:
        if _case_at(visit, one, device) is not None:
            return elsewhere(f"/a/{quote(one, safe='')}/{quote(device, safe='')}")
    return visit.page("phone/gone.html", 404, why="phone.no_case_there", link=False)


@router.get("/a/{site}/{device}", dependencies=[needs("see")])
def asset(visit: LoggedIn, site: str, device: str) -> Response:
    """What a code on an asset leads to: its case, with the place known by the code."""
    if (case := _case_at(visit, site, device)) is None:
        return visit.page("phone/gone.html", 404, why="phone.no_case_there", link=False)
    return elsewhere(f"/w/cases/{quote(case.id, safe='')}?code={quote(f'{site}/{device}', safe='')}")


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
    fits = code[:MOST_CODE] in (case.subject, f"{case.site}/{case.subject}") and bool(case.subject)
    changes = desk.roster_changes(visit.now_ms).get(case.site, UNCHANGED)
    return visit.page(
        "phone/case.html",
        who=held.actor,
        base=held.base,
        by_link=held.by_link,
        case=case,
        stage=stage(case),
        his=is_his(case, held.actor),
        ceremony=case.policy.verifier == "other",
        made=promise_of(case),
        alarms=alarms,
        advice=gravest[0].advice if gravest else None,
        contacts=whereabouts.contacts(site, case, changes, visit.now_ms),
        way=whereabouts.geo_uri(where, case.place.text) if where else "",
        entries=desk.log_of_case(case.id),
        outcomes=OUTCOMES,
        spans=acts.EXTENSIONS_H,
        takes_photos=visit.parts.config.photos is not None,
        code=code if fits else "",
        # A page elsewhere may lead here, but only the camera, the address line or our own page has scanned anything.
        scanned=fits and request.headers.get("sec-fetch-site") in ("none", "same-origin"),
        complaint=complaint,
        name=lambda who: whereabouts.name_of(site, who),
    )


def _site(visit: Visit, site: SiteId) -> Site | None:
    return visit.parts.sites.sites.get(site)
