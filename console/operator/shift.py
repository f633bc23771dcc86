"""交接班: the note from shift to shift, written, read and signed; and the page of the keys."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from console.operator.names import names_at, sites_of
from console.operator.sheet import done, sheet
from console.visit import LoggedIn, OurForm, Visit, needs
from messages.ids import SiteId
from rules.alarms.overlays.hold import What
from rules.duty.handover import MOST_WORDS
from rules.records import ActionRefused

router = APIRouter()

FACTS = ("red", "orange", "yellow", "blue", "waiting", "shelved", "holds", "stale", "away")
"""What a note says by itself: open alarms by level, cases nobody has accepted, what is kept quiet, what is stale, edges away."""


@router.get("/handover", dependencies=[needs("see")])
def handover_page(visit: LoggedIn, refused: str = "") -> Response:
    scope = visit.user.scope
    listed = sites_of(visit)
    notes = [note for note in visit.parts.desk.handovers(scope.sites) if scope.covers(note.site)]
    sites = sorted(
        {*listed, *(str(edge.site) for edge in visit.parts.desk.edges(visit.now_ms) if scope.covers(edge.site))}
    )
    return sheet(
        visit,
        "operator/handover.html",
        refused=refused,
        notes=notes,
        sites=[(name, visit.words.of(listed[name].name) if name in listed else name) for name in sites],
        now_facts={name: facts(visit, name) for name in sites},
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
        desk.hand_over(SiteId(site), words=words, facts=facts(visit, site), actor=visit.user.name, at_ms=visit.now_ms)

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


def facts(visit: Visit, site: str) -> dict[str, int]:
    """What stands open at a site now, by FACTS; of the account's grids, where it has some."""
    desk, grids = visit.parts.desk, visit.user.scope.grids
    levels = desk.counts(sites=(site,), grids=grids)
    cases = desk.work((site,))
    quiet = desk.quiet(limit=1000, sites=(site,), grids=grids)
    return {
        **{str(level): levels.get(level, 0) for level in ("red", "orange", "yellow", "blue")},
        "waiting": sum(case.accepted_by is None and visit.user.scope.covers(site, case.place.grid) for case in cases),
        "shelved": sum(alarm.overlays.shelved is not None for alarm in quiet),
        "holds": sum(hold.what is not What.SHELF for hold in desk.holds(SiteId(site))),
        "stale": len(desk.stale(visit.now_ms, limit=1000, sites=(site,), grids=grids)),
        "away": sum(not edge.online for edge in desk.edges(visit.now_ms) if edge.site == site),
    }
