"""交接班: the note from shift to shift, written, read and signed; and the page of the keys."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from console.operator.names import names_at, sites_of
from console.operator.sheet import done, sheet
from console.visit import LoggedIn, OurForm, Visit, needs
from messages.ids import SiteId
from rules.alarms.overlays.hold import What
from rules.duty.handover import MOST_WORDS
from rules.records import ActionRefused, EdgeState

router = APIRouter()

FACTS = ("red", "orange", "yellow", "blue", "waiting", "shelved", "holds", "stale", "away")
"""What a note says by itself: open alarms by level, cases nobody has accepted, what is kept quiet, what is stale, edges away."""


@router.get("/handover", dependencies=[needs("see")])
def handover_page(visit: LoggedIn, refused: str = "") -> Response:
    scope = visit.user.scope
    listed = sites_of(visit)
    notes = [note for note in visit.parts.desk.handovers(scope.sites) if scope.covers(note.site)]
    edges = visit.parts.desk.edges(visit.now_ms)
    sites = sorted({*listed, *(str(edge.site) for edge in edges if scope.covers(edge.site))})
    return sheet(
        visit,
        "operator/handover.html",
        refused=refused,
        notes=notes,
        sites=[(name, visit.words.of(listed[name].name) if name in listed else name) for name in sites],
        now_facts=facts(visit, sites, edges),
        fact_names=FACTS,
        may_dispatch=visit.user.may("dispatch"),
        most_words=MOST_WORDS,
        names={name: names_at(visit, name) for name in listed},
    )


@router.post("/handover", dependencies=[OurForm, needs("dispatch")])
def write_note(
    visit: LoggedIn, request: Request, site: Annotated[str, Form()] = "", words: Annotated[str, Form()] = ""
) -> Response:
    visit.need("dispatch", site)

    def write() -> None:
        if not site:
            raise ActionRefused("no-place", None)
        desk = visit.parts.desk
        desk.hand_over(
            SiteId(site),
            words=words,
            facts=facts(visit, [site], desk.edges(visit.now_ms))[site],
            actor=visit.user.name,
            at_ms=visit.now_ms,
        )

    return done(visit, request, "/handover", write)


@router.post("/handover/{note_id}/sign", dependencies=[OurForm, needs("dispatch")])
def sign_note(visit: LoggedIn, request: Request, note_id: str) -> Response:
    note = visit.parts.desk.handover(note_id)
    if note is not None:
        visit.need("dispatch", note.site)
    return done(
        visit,
        request,
        "/handover",
        lambda: visit.parts.desk.sign(note_id, actor=visit.user.name, at_ms=visit.now_ms),
    )


@router.get("/keys", dependencies=[needs("see")])
def keys_page(visit: LoggedIn) -> Response:
    return sheet(visit, "operator/keys.html")


def facts(visit: Visit, sites: Sequence[str], edges: Sequence[EdgeState]) -> dict[str, dict[str, int]]:
    """What stands open at each site now, by FACTS; of the account's grids, where it has some."""
    desk = visit.parts.desk
    found = desk.standings(visit.now_ms, sites=sites, grids=visit.user.scope.grids)
    holds = Counter(str(hold.site) for hold in desk.holds() if hold.what is not What.SHELF)
    away = Counter(str(edge.site) for edge in edges if not edge.online)
    return {
        site: {name: found.get(site, Counter())[name] for name in FACTS} | {"holds": holds[site], "away": away[site]}
        for site in sites
    }
