"""一屏看全区: what goes on, where it is, on the site's own plan. Drawn here, without any tile server; brought up to date by the feed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter
from fastapi.responses import Response

from console.board import order_of_levels
from console.feed import MOST_ROWS
from console.operator.names import sites_of
from console.operator.plan import Drawing, Point, drawing
from console.operator.sheet import sheet
from console.visit import LoggedIn, needs
from messages.alarm import Level
from messages.announcement import Place
from rules.plant import PlantDevice, devices
from rules.records import Alarm, Case

router = APIRouter()

NEAR = 0.025
"""Of the plan's longer side: what lies closer together is one mark."""
MOST_CASES = 500


@dataclass(slots=True)
class Pile:
    """All that lies at one spot; `at` None: on no plan."""

    at: Point | None
    where: str
    alarms: list[Alarm] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    """Of no alarm: somebody reported them."""
    silent: list[PlantDevice] = field(default_factory=list)

    @property
    def level(self) -> Level | None:
        """Of the gravest; None where devices are silent and nothing else."""
        levels = [*(alarm.level for alarm in self.alarms), *(case.level for case in self.cases)]
        return min(levels, key=order_of_levels) if levels else None

    @property
    def count(self) -> int:
        return len(self.alarms) + len(self.cases) or len(self.silent)

    @property
    def calls(self) -> bool:
        """Whether something red waits there for somebody to accept it."""
        return any(alarm.level == "red" and alarm.case and alarm.case.accepted_by is None for alarm in self.alarms)


@router.get("/map", dependencies=[needs("see")])
def map_page(visit: LoggedIn, site: str = "") -> Response:
    desk, scope = visit.parts.desk, visit.user.scope
    listed = sites_of(visit)
    alarms = desk.alarms(limit=MOST_ROWS, sites=scope.sites, grids=scope.grids)
    edges = [edge for edge in desk.edges(visit.now_ms) if scope.covers(edge.site)]
    known = sorted({*listed, *(str(alarm.site) for alarm in alarms), *(str(edge.site) for edge in edges)})
    shown = site if site in known else known[0] if known else ""
    if len(alarms) == MOST_ROWS and shown:  # other sites may have taken the room of this one's
        alarms = desk.alarms(limit=MOST_ROWS, sites=(shown,), grids=scope.grids)
    mine = [alarm for alarm in alarms if alarm.site == shown]
    silent = [
        device
        for device in devices(desk.database, visit.now_ms, site=shown, silent_only=True)
        if scope.covers(shown, device.place.grid)
    ]
    held = {alarm.case.id for alarm in mine if alarm.case}
    cases = [
        case
        for case in desk.work((shown,), limit=MOST_CASES)
        if case.id not in held and scope.covers(case.site, case.place.grid)
    ]
    places = [alarm.place for alarm in mine] + [case.place for case in cases] + [device.place for device in silent]
    drawn = drawing(listed.get(shown), places)
    gathered = piles(drawn, mine, cases, silent)
    return sheet(
        visit,
        "operator/map.html",
        site=shown,
        sites=[(name, visit.words.of(listed[name].name) if name in listed else name) for name in known],
        drawing=drawn,
        unit=max(drawn.width, drawn.height) / 46,
        piles=[pile for pile in gathered if pile.at is not None],
        unplaced=[pile for pile in gathered if pile.at is None],
        edges=[edge for edge in edges if edge.site == shown],
        building_load=_load(drawn, gathered),
    )


def piles(drawn: Drawing, alarms: Sequence[Alarm], cases: Sequence[Case], silent: Sequence[PlantDevice]) -> list[Pile]:
    """What lies together, the gravest first."""
    found: list[Pile] = []

    def pile(place: Place, lat: float | None, lon: float | None) -> Pile:
        at = drawn.spot(place, lat, lon)
        near = NEAR * max(drawn.width, drawn.height)
        for known in found:
            if at is None or known.at is None:
                if at is known.at and known.where == place.text:
                    return known
            elif abs(at[0] - known.at[0]) <= near and abs(at[1] - known.at[1]) <= near:
                return known
        found.append(Pile(at, place.text))
        return found[-1]

    for alarm in alarms:
        case = alarm.case
        pile(alarm.place, case.lat if case else None, case.lon if case else None).alarms.append(alarm)
    for case in cases:
        pile(case.place, case.lat, case.lon).cases.append(case)
    for device in silent:
        lat, lon = (device.settings.get(name) for name in ("lat", "lon"))
        numbers = isinstance(lat, float) and isinstance(lon, float)
        pile(device.place, float(lat) if numbers else None, float(lon) if numbers else None).silent.append(device)  # type: ignore[arg-type]
    return sorted(found, key=lambda one: (order_of_levels(one.level), -one.count, one.where))


def _load(drawn: Drawing, gathered: Sequence[Pile]) -> dict[str, Level]:
    """The gravest level in each building, for its tint."""
    tints: dict[str, Level] = {}
    for area in drawn.buildings:
        levels = [alarm.level for pile in gathered for alarm in pile.alarms if alarm.place.building == area.id]
        if levels:
            tints[area.id] = min(levels, key=order_of_levels)
    return tints
