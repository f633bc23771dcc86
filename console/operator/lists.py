"""Lists one click away: the flood, what is stale, shelved, chattering, suppressed."""

from typing import Literal, get_args

from fastapi import APIRouter
from fastapi.responses import Response

from console.board import tallies, whole
from console.feed import MOST_KNOWN
from console.operator.acts import grid_of
from console.operator.case import soon
from console.operator.names import sites_of
from console.operator.sheet import sheet
from console.visit import LoggedIn, Visit, elsewhere, needs
from rules.alarms.overlays.hold import What
from rules.records import Alarm

router = APIRouter()

MOST = 200
Name = Literal["flood", "stale", "shelved", "suppressed", "chattering", "uncertain"]
NAMES: tuple[Name, ...] = get_args(Name)


@router.get("/lists/{name}", dependencies=[needs("see")])
def one_list(visit: LoggedIn, name: str, refused: str = "") -> Response:
    chosen = next((one for one in NAMES if one == name), None)
    if chosen is None:
        return elsewhere("/lists/flood")
    desk, scope = visit.parts.desk, visit.user.scope
    floods = {site: since_ms for site, since_ms in desk.floods().items() if scope.covers(site)}
    every = desk.alarms(limit=MOST_KNOWN, sites=scope.sites, grids=scope.grids) if chosen == "flood" and floods else []
    now_ms = visit.now_ms
    return sheet(
        visit,
        "operator/list.html",
        refused=refused,
        name=chosen,
        lists=NAMES,
        shown=_alarms(visit, chosen, every),
        floods=floods,
        rest=tallies(whole(desk.position(), every), scope, floods),
        holds=[
            hold
            for hold in desk.holds()
            if hold.what is not What.SHELF and scope.covers(hold.site, grid_of(visit, hold))
        ]
        if chosen == "shelved"
        else [],
        sites=sites_of(visit),
        may_dispatch=visit.user.may("dispatch"),
        later=lambda hours: soon(now_ms, hours, visit.parts.config.zone),
        most=MOST,
    )


def _alarms(visit: Visit, name: Name, every: list[Alarm]) -> list[Alarm]:
    desk, sites, grids = visit.parts.desk, visit.user.scope.sites, visit.user.scope.grids
    match name:
        case "flood":
            return [alarm for alarm in every if alarm.level == "red"][:MOST]
        case "stale":
            return desk.stale(visit.now_ms, limit=MOST, sites=sites, grids=grids)
        case "chattering":
            return desk.chattering(limit=MOST, sites=sites, grids=grids)
        case "uncertain":
            return desk.uncertain(limit=MOST, sites=sites, grids=grids)
    quiet = desk.quiet(limit=5 * MOST, sites=sites, grids=grids)
    if name == "suppressed":
        return [alarm for alarm in quiet if alarm.overlays.suppressed][:MOST]
    return [alarm for alarm in quiet if alarm.overlays.shelved or alarm.overlays.out_of_service][:MOST]
