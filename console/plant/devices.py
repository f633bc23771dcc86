"""Edges with their ledgers, and devices with what they said last."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from console.plant.collectors import Account, CollectorAway, Present
from console.plant.frame import share, show
from console.visit import LoggedIn, Visit, needs
from messages.ids import DeviceId, SiteId
from messages.kind import Channel, Kind
from messages.reading import Reading
from rules import plant
from rules.plant import PlantDevice
from rules.records import EdgeState

MOST = 100
"""Devices on a page."""
STATES = ("online", "late", "silent", "offline", "unknown")
LATE_TIMES = 3
"""A channel that was not heard for so many of its intervals is late."""
OF_THE_DEVICE = frozenset({"battery", "battery_low", "tamper"})
"""Channels that tell of the device alone, also where its kind is personal."""

router = APIRouter(dependencies=[needs("report")])

EdgeKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePart:
    """One edge: what the engine knows, what a collector hears, and its ledger."""

    state: EdgeState
    present: Present | None
    account: Account | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePart:
    device: PlantDevice
    state: str
    """One of STATES."""
    heard_ms: int | None
    """The time of its newest reading, if a collector knows it."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the collectors say; `away`: those that don't."""

    present: Mapping[EdgeKey, Present]
    accounts: Mapping[EdgeKey, Account]
    away: tuple[str, ...]


def gathered(visit: Visit) -> Gathered:
    present: dict[EdgeKey, Present] = {}
    accounts: dict[EdgeKey, Account] = {}
    away = []
    for collector in visit.parts.plant.collectors:
        try:
            for row in collector.presence():
                known = present.get((row.site, row.edge))
                if known is None or (row.heard_ms or 0) > (known.heard_ms or 0):
                    present[row.site, row.edge] = row
            for one in collector.ledger():
                before = accounts.get((one.site, one.edge))
                if before is None or (one.status_at_ms or 0) > (before.status_at_ms or 0):
                    accounts[one.site, one.edge] = one
        except CollectorAway as error:
            away.append(str(error))
    return Gathered(present, accounts, tuple(away))


@router.get("/devices")
def devices(
    visit: LoggedIn, site: str = "", grid: str = "", kind: str = "", state: str = "", q: str = "", page: int = 1
) -> Response:
    heard = gathered(visit)
    every = [
        part for part in _parts(visit, heard) if visit.user.may_at("report", part.device.site, part.device.place.grid)
    ]
    chosen = [part for part in every if _fits(part, site, grid, kind, state, q.strip().casefold())]
    chosen.sort(key=lambda part: (part.device.level is None, STATES.index(part.state) in (0, 4)))
    shown, pages = share(chosen, page, MOST)
    return show(
        visit,
        "devices.html",
        edges=_edges(visit, heard),
        devices=shown,
        count=len(chosen),
        every=len(every),
        pages=pages,
        page=page,
        away=heard.away,
        asked={"site": site, "grid": grid, "kind": kind, "state": state, "q": q},
        sites=sorted({part.device.site for part in every}),
        grids=sorted({part.device.place.grid for part in every}),
        kinds=sorted({part.device.kind for part in every}),
        states=STATES,
        kind_name=lambda name: _kind_name(visit, name),
    )


@dataclass(frozen=True, slots=True)
class ChannelPart:
    """One channel of a device, with what it said last."""

    name: str
    value: str
    age_ms: int | None
    at_ms: int | None
    late: bool
    quality: str
    alarm_class: bool


@router.get("/devices/{site}/{edge}/{device}")
def device(visit: LoggedIn, site: str, edge: str, device: str) -> Response:
    heard = gathered(visit)
    part = next(
        (
            one
            for one in _parts(visit, heard)
            if (one.device.site, one.device.edge, one.device.device) == (site, edge, device)
        ),
        None,
    )
    if part is None or not visit.user.may_at("report", site, part.device.place.grid):
        raise HTTPException(404)
    latest = visit.parts.history.latest(SiteId(site), DeviceId(device))
    return show(
        visit,
        "device.html",
        part=part,
        kind_name=lambda name: _kind_name(visit, name),
        channels=_channels(visit, part, latest or []),
        history_away=latest is None,
        own=[alarm for alarm in visit.parts.desk.alarms() if (alarm.site, alarm.device) == (site, device)],
        edge=next((one for one in _edges(visit, heard) if (one.state.site, one.state.edge) == (site, edge)), None),
        away=heard.away,
    )


def _channels(visit: Visit, part: DevicePart, latest: list[Reading]) -> list[ChannelPart]:
    kind = visit.parts.fragments.kind(part.device.kind)
    said = {reading.channel: reading for reading in latest}
    known: Mapping[str, Channel] = kind.channels if kind else {}
    found = []
    for name in (*known, *(name for name in said if name not in known)):
        channel, reading = known.get(name), said.get(name)
        age_ms = visit.now_ms - reading.at_ms if reading else None
        limit_ms = LATE_TIMES * channel.interval_s * 1000 if channel and not channel.event else None
        found.append(
            ChannelPart(
                name=visit.words.of(channel.name) if channel else name,
                value=_said(visit, kind, name, reading, channel),
                age_ms=age_ms,
                at_ms=reading.at_ms if reading else None,
                late=age_ms is not None and limit_ms is not None and age_ms > limit_ms,
                quality=reading.quality.value if reading else "",
                alarm_class=bool(channel and channel.alarm_class),
            )
        )
    return found


def _said(visit: Visit, kind: Kind | None, name: str, reading: Reading | None, channel: Channel | None) -> str:
    """The value in words; how somebody lives is none of who keeps the devices (`console.access.people`)."""
    if reading is None:
        return ""
    if kind and kind.personal and name not in OF_THE_DEVICE:
        return visit.words("people.hidden")
    return visit.words.value(reading.value, channel)


def _parts(visit: Visit, heard: Gathered) -> list[DevicePart]:
    """Every device, by the collectors' ears where they can be asked, else by the engine's."""
    seen = {(site, edge, one.device): one for (site, edge), present in heard.present.items() for one in present.devices}
    offline = {(state.site, state.edge) for state in visit.parts.desk.edges(visit.now_ms) if not state.online}
    found = []
    for one in plant.devices(visit.parts.desk.database, visit.now_ms):
        known = seen.get((one.site, one.edge, one.device))
        if known is not None:
            state: str = known.state
        else:
            state = "offline" if (one.site, one.edge) in offline else "silent" if one.silent else "unknown"
        found.append(DevicePart(device=one, state=state, heard_ms=known.newest_reading_ms if known else None))
    return found


def _edges(visit: Visit, heard: Gathered) -> list[EdgePart]:
    """An edge is of its site as a whole."""
    return [
        EdgePart(
            state=state,
            present=heard.present.get((state.site, state.edge)),
            account=heard.accounts.get((state.site, state.edge)),
        )
        for state in visit.parts.desk.edges(visit.now_ms)
        if visit.user.may_at("report", state.site)
    ]


def _fits(part: DevicePart, site: str, grid: str, kind: str, state: str, text: str) -> bool:
    one = part.device
    return (
        site in ("", one.site)
        and grid in ("", one.place.grid)
        and kind in ("", one.kind)
        and state in ("", part.state)
        and (not text or any(text in word.casefold() for word in (one.device, one.model, one.place.text, one.edge)))
    )


def _kind_name(visit: Visit, name: str) -> str:
    kind = visit.parts.fragments.kind(name)
    return visit.words.of(kind.name) if kind else name
