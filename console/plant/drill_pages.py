"""演练 of a site: begun and ended by who sends people, with a reason; practice alarms one by one or as a scene; marked on every page."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from console.plant.frame import show
from console.visit import LoggedIn, OurForm, Visit, elsewhere, logged_in, needs
from messages.ids import SiteId
from rules import plant, rulebook
from rules.desk import Desk
from rules.drills import drill as drills
from rules.drills import exercise
from rules.drills.drill import Drill
from rules.drills.exercise import MOST_AT_ONCE, DrillRefused
from rules.rulebook import Version
from rules.store.database import DatabaseAway

MINUTES = (30, 60, 120, 240)
SCENES = {
    "gas": ("gas_alarm", 1),
    "fire": ("smoke_alarm", 3),
    "sos": ("sos_button", 1),
    "rain": ("manhole_cover", 5),
}
"""Each with a kind, and how many devices of it raise their gravest rule."""
MOST_OFFERED = 300

router = APIRouter(dependencies=[Depends(logged_in)])


class DrillWatch:
    """The drills that run, as every page marks them. While the database is away: as they were."""

    def __init__(self, desk: Desk, clock_ms: Callable[[], int]) -> None:
        self._desk = desk
        self._clock_ms = clock_ms
        self._known: list[Drill] = []

    def now(self) -> list[Drill]:
        try:
            with self._desk.database.reading() as connection:
                self._known = drills.running(connection, self._clock_ms())
        except DatabaseAway:
            pass  # the page says so itself
        return self._known


@router.get("/drills/now")
def now(visit: LoggedIn) -> Response:
    """What open pages ask every few seconds: the words of the mark, empty if nobody practises."""
    sites = [one.site for one in visit.parts.fragments.drills() if visit.user.may_at("see", one.site)]
    return JSONResponse({"mark": visit.words("drill.mark", sites=", ".join(sites)) if sites else ""})


@router.get("/drills", dependencies=[needs("dispatch")])
def page(visit: LoggedIn) -> Response:
    return _page(visit)


@router.post("/drills", dependencies=[needs("dispatch"), OurForm])
def start(
    visit: LoggedIn,
    site: Annotated[str, Form()] = "",
    why: Annotated[str, Form()] = "",
    minutes: Annotated[int, Form()] = 60,
) -> Response:
    if site not in _sites(visit):
        raise HTTPException(404)
    until_ms = visit.now_ms + round(timedelta(minutes=minutes).total_seconds() * 1000)

    def act() -> None:
        with visit.parts.desk.database.writing() as connection:
            actor = visit.user.name
            exercise.start(connection, SiteId(site), actor=actor, why=why, until_ms=until_ms, now_ms=visit.now_ms)

    return _done(visit, act)


@router.post("/drills/{drill_id}/end", dependencies=[needs("dispatch"), OurForm])
def end(visit: LoggedIn, drill_id: str) -> Response:
    if (drill := _drill(visit, drill_id)) is None:
        return _over(visit)
    with visit.parts.desk.database.writing() as connection:
        exercise.end(connection, drill, actor=visit.user.name, now_ms=visit.now_ms, practice=visit.parts.desk.practice)
    return elsewhere("/drills")


@router.post("/drills/{drill_id}/raise", dependencies=[needs("dispatch"), OurForm])
def raise_one(visit: LoggedIn, drill_id: str, what: Annotated[str, Form()] = "") -> Response:
    """`what`: "device rule"."""
    if (drill := _drill(visit, drill_id)) is None:
        return _over(visit)
    device, _, rule = what.partition(" ")
    return _raise(visit, drill, [(device, rule)])


@router.post("/drills/{drill_id}/scene", dependencies=[needs("dispatch"), OurForm])
def scene(visit: LoggedIn, drill_id: str, scene: Annotated[str, Form()] = "") -> Response:
    if (drill := _drill(visit, drill_id)) is None:
        return _over(visit)
    if scene not in SCENES:
        raise HTTPException(400)
    kind, most = SCENES[scene]
    ruled = _gravest(visit, kind)
    found = plant.devices(visit.parts.desk.database, visit.now_ms, site=drill.site, kind=kind)
    there = [one.device for one in found]
    if ruled is None or not there:
        return _page(visit, 409, complaint=visit.words("drill.no_device"))
    return _raise(visit, drill, [(device, ruled.rule) for device in there[:most]])


@router.post("/drills/{drill_id}/clear", dependencies=[needs("dispatch"), OurForm])
def clear(visit: LoggedIn, drill_id: str, alarm: Annotated[str, Form()] = "") -> Response:
    if (drill := _drill(visit, drill_id)) is None:
        return _over(visit)

    def act() -> None:
        with visit.parts.desk.database.writing() as connection:
            actor = visit.user.name
            exercise.clear_alarm(
                connection, drill, alarm, actor=actor, now_ms=visit.now_ms, practice=visit.parts.desk.practice
            )

    return _done(visit, act)


def _raise(visit: Visit, drill: Drill, some: list[tuple[str, str]]) -> Response:
    """All of them or none."""

    def act() -> None:
        with visit.parts.desk.database.writing() as connection:
            for device, rule in some[:MOST_AT_ONCE]:
                actor, now_ms = visit.user.name, visit.now_ms
                exercise.raise_alarm(
                    connection, drill, device, rule, actor=actor, now_ms=now_ms, practice=visit.parts.desk.practice
                )

    return _done(visit, act)


def _done(visit: Visit, act: Callable[[], None]) -> Response:
    try:
        act()
    except DrillRefused as refusal:
        return _page(visit, 409, complaint=visit.words(f"drill.{refusal.reason.replace('-', '_')}"))
    return elsewhere("/drills")


def _page(visit: Visit, status: int = 200, *, complaint: str = "") -> Response:
    database, sites = visit.parts.desk.database, _sites(visit)
    with database.reading() as connection:
        running = [one for one in drills.running(connection, visit.now_ms) if one.site in sites]
        before = [one for one in drills.latest(connection) if one.site in sites and one.ended_at_ms is not None]
    its = {one.site for one in running}
    known = [one for site in sorted(its) for one in plant.glimpses(database, visit.now_ms, sites=[site])]
    of_kind: dict[str, list[Version]] = {}
    for one in rulebook.versions(database) if running else ():
        if one.in_force:
            of_kind.setdefault(one.kind, []).append(one)
    offered = [(device, rule) for device in known for rule in of_kind.get(device.kind, ())]
    return show(
        visit,
        "drills.html",
        status,
        complaint=complaint,
        running=running,
        before=before,
        free=[site for site in sites if site not in its],
        minutes=MINUTES,
        scenes=SCENES,
        offered=offered[:MOST_OFFERED],
        practice=visit.parts.desk.alarms(
            limit=500, sites=visit.user.scope.sites, grids=visit.user.scope.grids, drills=True
        ),
        said=lambda text: text.get(visit.words.language, ""),
    )


def _gravest(visit: Visit, kind: str) -> Version | None:
    rules = [one for one in rulebook.versions(visit.parts.desk.database, kind) if one.in_force]
    return min(rules, key=lambda one: plant.GRAVEST[one.level], default=None)


def _sites(visit: Visit) -> list[str]:
    """Where the account may send people."""
    visit.parts.sites.look()
    every = {*visit.parts.sites.sites, *(edge.site for edge in visit.parts.desk.edges(visit.now_ms))}
    return sorted(site for site in every if visit.user.may_at("dispatch", site))


def _over(visit: Visit) -> Response:
    """Somebody else has ended it meanwhile, or its time was over."""
    return _page(visit, 409, complaint=visit.words("drill.not_running"))


def _drill(visit: Visit, drill_id: str) -> Drill | None:
    """One that runs, if the account may send people there."""
    with visit.parts.desk.database.reading() as connection:
        found = next((one for one in drills.running(connection, visit.now_ms) if one.id == drill_id), None)
    if found is not None:
        visit.need("dispatch", found.site)
    return found
