"""All cases: filtered by site, grid, kind, level, state and person, and found by text, in Traditional characters or Simplified ones."""

from collections.abc import Mapping, Sequence
from typing import get_args

from fastapi import APIRouter
from fastapi.responses import Response

from console.board import order_of_levels
from console.operator.names import names_at, sites_of
from console.operator.sheet import sheet
from console.script import found_in
from console.visit import LoggedIn, Visit, needs
from messages.alarm import Level
from rules.cases.finding import Search
from rules.duty.site import Site
from rules.records import WAITING, Case, CaseState

router = APIRouter()

MOST_SHOWN = 200
MOST_LOOKED_AT = 2000
"""Among the latest so many a text is looked for."""


@router.get("/cases", dependencies=[needs("see")])
def case_list(
    visit: LoggedIn,
    q: str = "",
    site: str = "",
    grid: str = "",
    kind: str = "",
    level: str = "",
    state: str = "open",
    person: str = "",
) -> Response:
    scope, listed = visit.user.scope, sites_of(visit)
    search = Search(
        sites=(site,) if site else (),
        grids=(grid,) if grid else (),
        kind=kind,
        level=next((one for one in get_args(Level) if one == level), None),
        state=next((one for one in CaseState if one == state), None),
        open_only=state == "open",
        person=person,
    )
    within = Search(sites=scope.sites, grids=scope.grids)
    found = visit.parts.desk.find_cases(search, within=within, limit=MOST_LOOKED_AT if q else MOST_SHOWN + 1)
    names = {name: names_at(visit, name) for name in listed}
    chosen = [case for case in found if not q or found_in(q[:100], *_words(visit, case, names.get(case.site, {})))]
    if search.open_only:
        chosen.sort(key=lambda case: (order_of_levels(case.level), case.state not in WAITING, case.opened_at_ms))
    return sheet(
        visit,
        "operator/cases.html",
        cases=chosen[:MOST_SHOWN],
        more=len(chosen) > MOST_SHOWN,
        bounded=bool(q) and len(found) == MOST_LOOKED_AT,
        looked_at=MOST_LOOKED_AT,
        shown=MOST_SHOWN,
        asked={"q": q, "site": site, "grid": grid, "kind": kind, "level": level, "state": state, "person": person},
        sites=[(name, visit.words.of(one.name)) for name, one in listed.items()],
        grids=_grids(visit, listed),
        kinds=visit.parts.desk.case_kinds(),
        states=list(CaseState),
        people=sorted(
            {(person, who) for people in names.values() for person, who in people.items()}, key=lambda p: p[1]
        ),
        names=names,
    )


def _words(visit: Visit, case: Case, names: Mapping[str, str]) -> Sequence[str]:
    """All texts of a case that somebody may know it by."""
    people = (case.dispatched_to, case.accepted_by, case.on_site_by, case.feedback_by, case.verified_by)
    kind = visit.parts.fragments.kind_name(case.kind, visit.words)
    known = [names.get(person, person) for person in people if person]
    return (case.id, case.title.zh, case.title.en, case.place.text, case.subject, case.owner, case.reason, kind, *known)


def _grids(visit: Visit, listed: Mapping[str, Site]) -> list[tuple[str, str]]:
    return [
        (f"{name}/{grid}", visit.words.of(one.name))
        for name, site in listed.items()
        for grid, one in site.grids.items()
        if visit.user.scope.covers(name, grid)
    ]
