"""What is known of the lines and devices themselves: counts, latency, last answers. Plain state, no clock.

Every source keeps one `Vitals` and tells it what happens; whoever shows or sends health only reads it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from messages.ids import DeviceId
from messages.language import NOTHING, Phrase

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
    excused_ms: int = 0
    """How much of the time since then it could not be heard, whatever it said: its line was away."""
    ways: tuple["Vitals", ...] = field(default=(), repr=False, compare=False)
    """Where several gateways may hear it: those that did so last. It is out of reach when all of them are away."""

    def heard(self, at_ms: int, latency_s: float | None = None) -> bool:
        """A good answer or message; whether the device was away."""
        was_away, self.away, self.failures, self.excused_ms = self.away, False, 0, 0
        self.asked = self.asked or latency_s is not None
        self.answers += 1
        self.heard_at_ms = at_ms
        self.latency_s = latency_s
        return was_away

    def silence_ms(self, started_at_ms: int, now_ms: int) -> int:
        """How long it has been silent by itself. One that was never heard has its time since the start."""
        since_ms = started_at_ms if self.heard_at_ms is None else self.heard_at_ms
        return now_ms - since_ms - self.excused_ms

    def clock_turned(self, by_ms: int, now_ms: int) -> None:
        """The clock says `by_ms` more than it would have; it is `now_ms` now. No device falls silent by that."""
        self.heard_at_ms = _turned(self.heard_at_ms, by_ms, now_ms)

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


def _turned(heard_at_ms: int | None, by_ms: int, now_ms: int) -> int | None:
    if heard_at_ms is not None and (by_ms > 0 or heard_at_ms > now_ms):
        return min(heard_at_ms + by_ms, now_ms)
    return heard_at_ms


@dataclass(slots=True)
class Vitals:
    """One line: a port, the local broker, a gateway behind that broker, a chip of contacts."""

    name: str
    devices: dict[DeviceId, DeviceVitals]
    open: bool = False
    """Whether the port or the connection is there."""
    why: Phrase = NOTHING
    """Why it is not."""
    opened: int = 0
    """How often it was opened since the start."""
    strays: int = 0
    """Bytes or messages that answered no question and belong to no device."""
    mute: Phrase = NOTHING
    """Why nothing comes over it although it is open: what stands behind the connection is away. Empty if that isn't known."""
    shared: bool = False
    """Whether one thing, which may die, speaks for all its devices: when they fall silent together, it is that."""
    heard_at_ms: int | None = None
    """Of a shared one: when anything came over it last."""
    behind: "Vitals | None" = field(default=None, repr=False, compare=False)
    """The line on which it stands: that of the broker, for a gateway."""
    gateways: list["Vitals"] = field(default_factory=list, repr=False, compare=False)
    """What stands on it, and is a line of its own."""

    @classmethod
    def of(cls, name: str, devices: Iterable[DeviceId]) -> "Vitals":
        return cls(name, {device: DeviceVitals() for device in devices})

    def is_open(self) -> None:
        self.open, self.why = True, NOTHING
        self.opened += 1

    def is_closed(self, why: Phrase) -> bool:
        """Whether this is news."""
        news, self.open, self.why = self.why != why, False, why
        return news

    def gateway(self, name: str, devices: Iterable[DeviceId] = ()) -> "Vitals":
        """One more that stands on this line. It counts as there until something is known of it."""
        found = Vitals(name, {device: DeviceVitals() for device in devices}, open=True, shared=True, behind=self)
        self.gateways.append(found)
        return found

    def falls_mute(self, why: Phrase) -> bool:
        """Whether this is news."""
        news, self.mute = not self.mute, why
        return news

    def speaks(self, at_ms: int) -> None:
        """Something came over it."""
        self.mute, self.heard_at_ms = NOTHING, at_ms

    @property
    def works(self) -> bool:
        """By itself, whatever it stands on."""
        return self.open and not self.mute

    @property
    def there(self) -> bool:
        return self.works and (self.behind is None or self.behind.there)

    def reaches(self, device: DeviceVitals) -> bool:
        """Whether one of its own devices could be heard."""
        return self.there and (not device.ways or any(way.works for way in device.ways))

    def carried(self) -> dict[DeviceId, DeviceVitals]:
        """Its own devices, and those of the line it stands on that it heard last."""
        others = self.behind.devices if self.behind else {}
        return self.devices | {
            device: vitals for device, vitals in others.items() if any(way is self for way in vitals.ways)
        }

    def lines(self) -> list["Vitals"]:
        """Itself, and what stands on it."""
        return [self, *self.gateways]

    def clock_turned(self, by_ms: int, now_ms: int) -> None:
        """As of a device, for all of them."""
        self.heard_at_ms = _turned(self.heard_at_ms, by_ms, now_ms)
        for vitals in self.devices.values():
            vitals.clock_turned(by_ms, now_ms)
