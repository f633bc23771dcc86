"""What is out there, as the engine knows it: devices with their place, what is silent, and what is open of each. Reads alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from messages.alarm import Level
from messages.announcement import OWN_MODEL, Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Value
from rules.alarms.condition import ACTIVE
from rules.store import tables as db
from rules.store.database import Database

GRAVEST: Mapping[Level, int] = {"red": 0, "orange": 1, "yellow": 2, "blue": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantDevice:
    """One device as its edge announces it."""

    site: SiteId
    edge: EdgeId
    device: DeviceId
    kind: str
    model: str
    place: Place
    settings: Mapping[str, Value]
    guards: bool
    silent: bool
    """It has said nothing for longer than its kind may."""
    open: int = 0
    """Open alarms of it."""
    level: Level | None = None
    """The gravest of those that are active."""


def devices(
    database: Database, now_ms: int, *, site: str | None = None, silent_only: bool = False
) -> list[PlantDevice]:
    """All of them, or those of a site, but what the edges announce of themselves; by place in the plant. `silent_only`: those that say nothing.
    Raises DatabaseAway."""
    of_it = [] if site is None else [db.devices.c.site == site]
    with database.reading() as connection:
        silent = {
            (row.site, row.edge, row.device)
            for row in connection.execute(select(db.silences).where(db.silences.c.from_ms < now_ms))
        }
        query = select(db.alarms.c.site, db.alarms.c.device, db.alarms.c.level, db.alarms.c.state, func.count())
        columns = (db.alarms.c.site, db.alarms.c.device, db.alarms.c.level, db.alarms.c.state)
        opened: dict[tuple[str, str], tuple[int, Level | None]] = {}
        for site, device, level, state, count in connection.execute(query.where(db.alarms.c.open).group_by(*columns)):
            known, gravest = opened.get((site, device), (0, None))
            if state in ACTIVE and (gravest is None or GRAVEST[level] < GRAVEST[gravest]):
                gravest = level
            opened[site, device] = (known + count, gravest)
        order = (db.devices.c.site, db.devices.c.edge, db.devices.c.device)
        asked = select(db.devices).where(db.devices.c.model != OWN_MODEL, *of_it)
        if silent_only:
            same = [db.silences.c[name] == db.devices.c[name] for name in ("site", "edge", "device")]
            asked = asked.join(db.silences, and_(*same)).where(db.silences.c.from_ms < now_ms)
        found = connection.execute(asked.order_by(*order))
        return [
            PlantDevice(
                site=row.site,
                edge=row.edge,
                device=row.device,
                kind=row.kind,
                model=row.model,
                place=Place(**row.place),
                settings=row.settings,
                guards=row.guards,
                silent=(row.site, row.edge, row.device) in silent,
                open=opened.get((row.site, row.device), (0, None))[0],
                level=opened.get((row.site, row.device), (0, None))[1],
            )
            for row in found
        ]
