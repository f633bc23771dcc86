"""Who is there: edges and devices online, silent, late; how far each edge's clock is off. Pure; times are arguments.

From announcements (who should be there), status messages and last wills (who says so), and packs (who is heard).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from collector.intake.judge import DeviceKey, Known
from collector.intake.tally import EdgeTally
from collector.watch.ledger import MOST_EDGES, EdgeKey
from messages.kind import Kinds

State = Literal["online", "late", "silent", "offline"]

SILENT_MS = 180_000
"""An edge says how it is every minute; three times that without a word, and it is silent, whatever its last word was."""
LATE_TIMES = 3
"""A device that is not heard for so many of its shortest interval is late; for ten times as many, silent."""
SKEW_WINDOW_MS = 300_000
AHEAD_MS = 2_000
"""How far a reading may be ahead of its arrival before the edge's clock is called wrong; rounding and our own clock explain less."""


@dataclass(slots=True)
class Heard:
    """One edge."""

    online: bool | None = None
    """What it, or the broker in its name, said last; None if nobody has."""
    at_ms: int = 0
    """When anything of it arrived."""
    clock_trusted: bool = True
    lag_ms: int | None = None
    """The smallest difference of arrival and reading in this window and the last: negative for a clock that is ahead."""
    _window_ms: int = 0
    _window_lag_ms: int | None = None

    def lagged(self, by_ms: int, now_ms: int) -> None:
        if now_ms - self._window_ms > SKEW_WINDOW_MS:
            self.lag_ms, self._window_lag_ms, self._window_ms = self._window_lag_ms, None, now_ms
        if self._window_lag_ms is None or by_ms < self._window_lag_ms:
            self._window_lag_ms = by_ms
        if self.lag_ms is None or by_ms < self.lag_ms:
            self.lag_ms = by_ms


class Presence:
    """All edges and devices. One thread."""

    def __init__(self) -> None:
        self.edges: dict[EdgeKey, Heard] = {}
        self.devices: dict[DeviceKey, int] = {}
        """The time of each device's newest reading."""

    def said(self, edge: EdgeKey, online: bool, clock_trusted: bool, now_ms: int) -> None:
        heard = self._heard(edge)
        heard.online, heard.clock_trusted = online, clock_trusted
        if online:  # a last will is the broker's word, not the edge's
            heard.at_ms = now_ms

    def took(self, edge: EdgeKey, tally: EdgeTally) -> None:
        """Packs of it came, or something that wanted to be one."""
        if tally.least_lag_ms is None:
            return
        heard = self._heard(edge)
        heard.at_ms = tally.received_at_ms
        for device, at_ms in tally.newest.items():
            key = (*edge, device)
            if self.devices.get(key, 0) < at_ms:
                self.devices[key] = at_ms
        heard.lagged(tally.least_lag_ms, tally.received_at_ms)

    def _heard(self, edge: EdgeKey) -> Heard:
        if len(self.edges) >= MOST_EDGES:
            return self.edges.get(edge) or Heard()
        return self.edges.setdefault(edge, Heard())

    def forget(self, device: DeviceKey) -> None:
        self.devices.pop(device, None)

    def edge_state(self, edge: EdgeKey, now_ms: int) -> State:
        heard = self.edges[edge]
        if heard.online is False:
            return "offline"
        return "silent" if now_ms - heard.at_ms > SILENT_MS else "online"

    def device_state(self, device: DeviceKey, shortest_ms: float, now_ms: int) -> State:
        """An offline edge is one situation: its devices are not late on top of it."""
        edge = device[:2]
        if edge in self.edges and self.edge_state(edge, now_ms) == "offline":
            return "offline"
        age_ms = now_ms - self.devices.get(device, 0)
        if age_ms > 10 * LATE_TIMES * shortest_ms:
            return "silent"
        return "late" if age_ms > LATE_TIMES * shortest_ms else "online"


def as_rows(presence: Presence, known: Known, kinds: Kinds, now_ms: int) -> list[Mapping[str, object]]:
    """One row an edge, with its devices."""
    of_edge: dict[EdgeKey, list[Mapping[str, object]]] = {edge: [] for edge in presence.edges}
    for key, announced in sorted(known.items()):
        kind = kinds.get(announced.kind)
        shortest_ms = (
            min((channel.interval_s for channel in kind.channels.values()), default=60.0) * 1000 if kind else 6e4
        )
        of_edge.setdefault(key[:2], []).append(
            {
                "device": key[2],
                "kind": announced.kind,
                "state": presence.device_state(key, shortest_ms, now_ms),
                "newest_reading_ms": presence.devices.get(key),
            }
        )
    rows: list[Mapping[str, object]] = []
    for (site, edge), devices in sorted(of_edge.items()):
        heard = presence.edges.get((site, edge))
        ahead = heard is not None and heard.lag_ms is not None and heard.lag_ms < -AHEAD_MS
        rows.append(
            {
                "site": site,
                "edge": edge,
                "state": presence.edge_state((site, edge), now_ms) if heard else "silent",
                "heard_ms": heard.at_ms if heard else None,
                "clock_trusted": heard.clock_trusted if heard else None,
                "clock_ahead_ms": -heard.lag_ms if heard and heard.lag_ms is not None and ahead else 0,
                "devices": devices,
            }
        )
    return rows
