"""What is out there, as the engine knows it: devices with their place, what is silent, and what is open of each. Reads alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from messages.alarm import Level
from messages.announcement import OWN_MODEL, Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Value
from rules.alarms.condition import ACTIVE
from rules.store import rows
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


class Glimpse(NamedTuple):
    """As much of a device as it takes to find it among all of a city."""

    site: SiteId
    edge: EdgeId
    device: DeviceId
    kind: str
    model: str
    grid: str
    building: str | None
    text: str
    """Its place in words."""
    silent: bool
    open: int
    level: Level | None
    """As in `PlantDevice`."""

    @property
    def key(self) -> "Key":
        return self.site, self.edge, self.device


Key = tuple[SiteId, EdgeId, DeviceId]
_ORDER = (db.devices.c.site, db.devices.c.edge, db.devices.c.device)
_SHORT = (
    *_ORDER,
    db.devices.c.kind,
    db.devices.c.model,
    *(db.devices.c.place[one].as_string() for one in ("grid", "building", "text")),
)


def glimpses(
    database: Database, now_ms: int, *, sites: Collection[str] = (), grids: Collection[str] = ()
) -> list[Glimpse]:
    """All devices there, by place in the plant, but what the edges announce of themselves. Raises DatabaseAway."""
    query = select(*_SHORT).where(db.devices.c.model != OWN_MODEL, *rows.within(db.devices, sites, grids))
    with database.reading() as connection:
        silent, opened = _silent(connection, now_ms), _opened(connection)
        return [
            Glimpse(*key, kind, model, grid, building, text, key in silent, count, level)
            for *name, kind, model, grid, building, text in connection.execute(query.order_by(*_ORDER)).all()
            for key in ((name[0], name[1], name[2]),)
            for count, level in (opened.get((key[0], key[2]), NOTHING),)
        ]


def devices(
    database: Database,
    now_ms: int,
    *,
    site: str | None = None,
    kind: str | None = None,
    only: Sequence[Key] | None = None,
    silent_only: bool = False,
) -> list[PlantDevice]:
    """All of them, or those of a site or a kind, but what the edges announce of themselves; by place in the plant. `only`: these, in their
    order. `silent_only`: those that say nothing. Raises DatabaseAway."""
    its = [db.devices.c.model != OWN_MODEL]
    its += [] if site is None else [db.devices.c.site == site]
    its += [] if kind is None else [db.devices.c.kind == kind]
    its += [] if only is None else [db.devices.c.device.in_({key[2] for key in only})]
    its += [] if only is None else [db.devices.c.site.in_({key[0] for key in only})]
    asked = select(db.devices).where(*its)
    if silent_only:
        same = [db.silences.c[name] == db.devices.c[name] for name in ("site", "edge", "device")]
        asked = asked.join(db.silences, and_(*same)).where(db.silences.c.from_ms < now_ms)
    with database.reading() as connection:
        silent, opened = _silent(connection, now_ms), _opened(connection)
        found = {
            (row.site, row.edge, row.device): PlantDevice(
                site=row.site,
                edge=row.edge,
                device=row.device,
                kind=row.kind,
                model=row.model,
                place=Place(**row.place),
                settings=row.settings,
                guards=row.guards,
                silent=(row.site, row.edge, row.device) in silent,
                open=opened.get((row.site, row.device), NOTHING)[0],
                level=opened.get((row.site, row.device), NOTHING)[1],
            )
            for row in connection.execute(asked.order_by(*_ORDER)).all()
        }
    return list(found.values()) if only is None else [found[key] for key in only if key in found]


NOTHING: tuple[int, Level | None] = (0, None)


def _silent(connection: Connection, now_ms: int) -> set[tuple[str, str, str]]:
    table = db.silences.c
    query = select(table.site, table.edge, table.device).where(table.from_ms < now_ms)
    return {(site, edge, device) for site, edge, device in connection.execute(query)}


def _opened(connection: Connection) -> dict[tuple[str, str], tuple[int, Level | None]]:
    """How many alarms are open of each device, and the gravest that is active."""
    columns = (db.alarms.c.site, db.alarms.c.device, db.alarms.c.level, db.alarms.c.state)
    query = select(*columns, func.count()).where(db.alarms.c.open).group_by(*columns)
    opened: dict[tuple[str, str], tuple[int, Level | None]] = {}
    for site, device, level, state, count in connection.execute(query):
        known, gravest = opened.get((site, device), NOTHING)
        if state in ACTIVE and (gravest is None or GRAVEST[level] < GRAVEST[gravest]):
            gravest = level
        opened[site, device] = (known + count, gravest)
    return opened
