"""What is known of the lines and devices themselves: counts, latency, last answers. Plain state, no clock.

Every source keeps one `Vitals` and tells it what happens; whoever shows or sends health only reads it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from messages.ids import DeviceId

PATIENCE = 3
"""Failures in a row before a device counts as away."""


@dataclass(slots=True)
class DeviceVitals:
    """One device as its source sees it."""

    asked: bool = False
    """Whether its source asks it without end, and so says by itself when it is away."""
    answers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Failures by what was wrong: "no answer", "bad CRC" …"""
    latency_s: float | None = None
    """From the end of the last question to its answer; None where that isn't measured."""
    heard_at_ms: int | None = None
    """When it last said something good."""
    failures: int = 0
    """In a row."""
    away: bool = False

    def heard(self, at_ms: int, latency_s: float | None = None) -> bool:
        """A good answer or message; whether the device was away."""
        was_away, self.away, self.failures = self.away, False, 0
        self.asked = self.asked or latency_s is not None
        self.answers += 1
        self.heard_at_ms = at_ms
        self.latency_s = latency_s
        return was_away

    def clock_turned(self, by_ms: int, now_ms: int) -> None:
        """The clock says `by_ms` more than it would have; it is `now_ms` now. No device falls silent by that."""
        if self.heard_at_ms is not None and (by_ms > 0 or self.heard_at_ms > now_ms):
            self.heard_at_ms = min(self.heard_at_ms + by_ms, now_ms)

    def failed(self, why: str, *, counts: bool = True) -> bool:
        """No answer, or a bad one; whether the device is away from now on.

        `counts=False`: the device is there and said no.
        """
        self.faults[why] += 1
        self.failures += counts
        if self.away or self.failures < PATIENCE:
            return False
        self.away = True
        return True


@dataclass(slots=True)
class Vitals:
    """One source: a line, the local broker, a chip of contacts."""

    name: str
    devices: dict[DeviceId, DeviceVitals]
    open: bool = False
    """Whether the port or the connection is there."""
    why: str = ""
    """Why it is not."""
    opened: int = 0
    """How often it was opened since the start."""
    strays: int = 0
    """Bytes or messages that answered no question and belong to no device."""

    @classmethod
    def of(cls, name: str, devices: Iterable[DeviceId]) -> "Vitals":
        return cls(name, {device: DeviceVitals() for device in devices})

    def is_open(self) -> None:
        self.open, self.why = True, ""
        self.opened += 1

    def is_closed(self, why: str) -> bool:
        """Whether this is news."""
        news, self.open, self.why = self.why != why, False, why
        return news
