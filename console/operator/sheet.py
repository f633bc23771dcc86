"""What the operator's pages have in common: the frame with its feed, the names of people, and refusals in words."""

from collections.abc import Callable
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from console.feed import MOST_ROWS
from console.operator.names import sites_of
from console.visit import Visit, elsewhere, wants_json
from rules.alarms import desk as alarms
from rules.duty import handover
from rules.records import REFUSALS, ActionRefused, Case

REASONS = frozenset({*REFUSALS, *alarms.REASONS, *handover.REASONS, "bad-time", "nobody-chosen", "outcome-missing"})


def sheet(
    visit: Visit, template: str, status: int = 200, *, refused: str = "", who: str = "", **values: object
) -> Response:
    """A page in the frame that hears the feed."""
    desk, scope = visit.parts.desk, visit.user.scope
    position = desk.position()  # before the alarms: what comes in between is told once more by the feed
    listed = sites_of(visit)

    def grid_name(site: str, grid: str) -> str:
        found = listed[site].grids.get(grid) if site in listed else None
        return visit.words.of(found.name) if found else grid

    calls = desk.calling(limit=MOST_ROWS, sites=scope.sites, grids=scope.grids)
    return visit.page(
        template,
        status,
        seq=position,
        alarms=calls,
        grid_name=grid_name,
        complaint=complaint(visit, refused, who) if refused else "",
        **values,
    )


def complaint(visit: Visit, reason: str, who: str = "") -> str:
    """Why it was refused; a word that nobody knows is shown as it is, but no longer than a word."""
    if reason not in REASONS:
        return visit.words("refused.other", reason=reason[:40])
    return visit.words(f"refused.{reason}", who=who or "?")


def done(visit: Visit, request: Request, back: str, act: Callable[[], object], *, hash: str = "") -> Response:  # noqa: A002
    """Do it, and go back to where the button was; a refusal comes along in words."""
    reason, who = "", ""
    try:
        act()
    except ActionRefused as refusal:
        reason, who = refusal.reason, (refusal.case.accepted_by or "") if refusal.case else ""
    if wants_json(request):
        return JSONResponse({"complaint": complaint(visit, reason, who) if reason else ""}, 409 if reason else 200)
    asked = f"?{urlencode({'refused': reason, 'who': who})}" if reason else ""
    return elsewhere(f"{back}{asked}{hash if not reason else ''}")


def covers_case(visit: Visit, case: Case) -> bool:
    return visit.user.scope.covers(case.site, case.place.grid)
