"""Who is there: edges and devices online, silent, late; how far each edge's clock is off. Pure; times are arguments.

From announcements (who should be there), status messages and last wills (who says so), and packs (who is heard).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
BEHIND_MS = 10_000
"""How old a status may be on its arrival before the edge's clock is called wrong: slow links explain less."""
AHEAD_MS = 2_000
"""How far a reading may be ahead of its arrival before the edge's clock is called wrong; rounding and our own clock explain less."""


@dataclass(slots=True)
class Least:
    """The smallest of what was seen in this window of time and the last."""

    ms: int | None = None
    seen: int = 0
    """In this window."""
    _since_ms: int = 0
    _in_window_ms: int | None = None

    def see(self, ms: int, now_ms: int) -> None:
        if now_ms - self._since_ms > SKEW_WINDOW_MS:
            self.ms, self._in_window_ms, self._since_ms, self.seen = self._in_window_ms, None, now_ms, 0
        self.seen += 1
        if self._in_window_ms is None or ms < self._in_window_ms:
            self._in_window_ms = ms
        if self.ms is None or ms < self.ms:
            self.ms = ms


@dataclass(slots=True)
class Heard:
    """One edge."""

    online: bool | None = None
    """What it, or the broker in its name, said last; None if nobody has."""
    at_ms: int = 0
    """When anything of it arrived."""
    clock_trusted: bool = True
    lag: Least = field(default_factory=Least)
    """Of arrival and newest reading: negative for a clock that is ahead. Large for one that is behind, and for a backlog."""
    status_lag: Least = field(default_factory=Least)
    """Of arrival and the time that a status bears, which never waits: large for a clock that is behind alone."""

    @property
    def clock_ahead_ms(self) -> int:
        """0 if it is not."""
        lags = [least.ms for least in (self.lag, self.status_lag) if least.ms is not None]
        ahead = -min(lags, default=0)
        return ahead if ahead > AHEAD_MS else 0

    @property
    def clock_behind_ms(self) -> int:
        """0 if it is not. The first status that we hear may have been retained: it proves nothing."""
        lag_ms = self.status_lag.ms
        return lag_ms if lag_ms is not None and self.status_lag.seen > 1 and lag_ms > BEHIND_MS else 0


class Presence:
    """All edges and devices. One thread."""

    def __init__(self) -> None:
        self.edges: dict[EdgeKey, Heard] = {}
        self.devices: dict[DeviceKey, int] = {}
        """The time of each device's newest reading."""

    def said(
        self, edge: EdgeKey, online: bool, clock_trusted: bool, now_ms: int, *, written_at_ms: int | None = None
    ) -> None:
        """`written_at_ms`: the time that the status bears."""
        heard = self._heard(edge)
        heard.online, heard.clock_trusted = online, clock_trusted
        if online:  # a last will is the broker's word, not the edge's
            heard.at_ms = now_ms
            if written_at_ms is not None:
                heard.status_lag.see(now_ms - written_at_ms, now_ms)

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
        heard.lag.see(tally.least_lag_ms, tally.received_at_ms)

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
        rows.append(
            {
                "site": site,
                "edge": edge,
                "state": presence.edge_state((site, edge), now_ms) if heard else "silent",
                "heard_ms": heard.at_ms if heard else None,
                "clock_trusted": heard.clock_trusted if heard else None,
                "clock_ahead_ms": heard.clock_ahead_ms if heard else 0,
                "clock_behind_ms": heard.clock_behind_ms if heard else 0,
                "devices": devices,
            }
        )
    return rows
