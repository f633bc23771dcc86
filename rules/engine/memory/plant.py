"""Devices and edges, as they say of themselves, and the keys by which they are known."""

from collections.abc import Mapping
from dataclasses import dataclass

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Value
from rules.engine.skew import NOTABLE_MS, Skew
from rules.language.neighbours import Whereabouts, whereabouts

DeviceKey = tuple[SiteId, DeviceId]
EdgeKey = tuple[SiteId, EdgeId]
StreamKey = tuple[SiteId, EdgeId, StreamId]
TellerKey = tuple[SiteId, EdgeId, DeviceId]
"""A device, and the edge that speaks of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as its edge announced it."""

    site: SiteId
    edge: EdgeId
    id: DeviceId
    kind: str
    model: str
    place: Place
    settings: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Edge:
    online: bool
    since_ms: int
    last_reading_at_ms: int | None = None
    clock_trusted: bool = True
    skew: Skew | None = None
    """None: it has not said what its clock shows."""

    @property
    def behind_ms(self) -> int:
        """By how much its readings look older than they are."""
        return self.skew.ahead_ms if self.skew and self.skew.ahead_ms > NOTABLE_MS else 0


def where(device: Device) -> Whereabouts:
    return whereabouts(device.place, device.settings)
