"""Edges with their ledgers, and devices with what they said last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from console.plant.collectors import Account, CollectorAway, Present, Seen
from console.plant.frame import share, show
from console.script import found_in
from console.visit import LoggedIn, Visit, needs
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Channel, Kind
from messages.reading import Reading
from rules import plant
from rules.plant import Glimpse, PlantDevice
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
    seen: Mapping[tuple[str, str, str], Seen]
    """Each device, by site, edge and name."""


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
    seen = {(site, edge, one.device): one for (site, edge), its in present.items() for one in its.devices}
    return Gathered(present, accounts, tuple(away), seen)


@router.get("/devices")
def devices(
    visit: LoggedIn, site: str = "", grid: str = "", kind: str = "", state: str = "", q: str = "", page: int = 1
) -> Response:
    heard, scope = gathered(visit), visit.user.scope
    every = plant.glimpses(visit.parts.desk.database, visit.now_ms, sites=scope.sites, grids=scope.grids)
    states = _states(visit, heard)
    said = [(one, states(one)) for one in every]
    asked = {"site": site, "grid": grid, "kind": kind, "state": state, "q": q}
    chosen = [pair for pair in said if _fits(*pair, asked)]
    chosen.sort(key=lambda pair: (pair[0].level is None, STATES.index(pair[1]) in (0, 4)))
    shown, pages = share(chosen, page, MOST)
    return show(
        visit,
        "devices.html",
        edges=_edges(visit, heard),
        devices=_parts(visit, heard, [one.key for one, _ in shown]),
        count=len(chosen),
        every=len(every),
        pages=pages,
        page=page,
        away=heard.away,
        asked=asked,
        sites=sorted({one.site for one in every}),
        grids=sorted({one.grid for one in every}),
        kinds=sorted({one.kind for one in every}),
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
    key = (SiteId(site), EdgeId(edge), DeviceId(device))
    part = next(iter(_parts(visit, heard, [key])), None)
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
        own=visit.parts.desk.alarms(device=(key[0], key[2])),
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


def _parts(visit: Visit, heard: Gathered, keys: list[plant.Key]) -> list[DevicePart]:
    """These devices, as far as they are there."""
    states = _states(visit, heard)
    return [
        DevicePart(device=one, state=states(one), heard_ms=seen.newest_reading_ms if seen else None)
        for one in plant.devices(visit.parts.desk.database, visit.now_ms, only=keys)
        for seen in (heard.seen.get((one.site, one.edge, one.device)),)
    ]


def _states(visit: Visit, heard: Gathered) -> Callable[[PlantDevice | Glimpse], str]:
    """How each device does: by the collectors' ears where they can be asked, else by the engine's."""
    offline = {(state.site, state.edge) for state in visit.parts.desk.edges(visit.now_ms) if not state.online}

    def state(one: PlantDevice | Glimpse) -> str:
        if (known := heard.seen.get((one.site, one.edge, one.device))) is not None:
            return known.state
        return "offline" if (one.site, one.edge) in offline else "silent" if one.silent else "unknown"

    return state


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


def _fits(one: Glimpse, state: str, asked: Mapping[str, str]) -> bool:
    return (
        asked["site"] in ("", one.site)
        and asked["grid"] in ("", one.grid)
        and asked["kind"] in ("", one.kind)
        and asked["state"] in ("", state)
        and found_in(asked["q"], one.device, one.model, one.text, one.edge)
    )


def _kind_name(visit: Visit, name: str) -> str:
    kind = visit.parts.fragments.kind(name)
    return visit.words.of(kind.name) if kind else name
