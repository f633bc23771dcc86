"""What the edge's own devices say, from what is known of lines, devices, outbox and host. Pure.

Counts become rates over the time since the last saying. A device that is asked answers until it has failed PATIENCE
times; one that speaks by itself is silent when it has missed 2.5 of its intervals, 2 where lives hang on it
(docs/field-notes.md section 4).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.health import own
from edge.health.host import HostFigures
from edge.vitals import DeviceVitals, Vitals
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading, Value
from messages.status import OutboxFigures

MISSED, MISSED_BY_GUARD = 2.5, 2.0
COUNTS = ("error_rate", "errors", "faults")
"""Channels that a bad line changes at every look: they are said more rarely."""
MOST_FAULTS = 5
"""Of the kinds of fault, the most frequent ones are named."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a device."""

    every_s: float
    """How often it should be heard."""
    guards_lives: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """A device's counts at one time."""

    answers: int = 0
    faults: int = 0

    @classmethod
    def of(cls, vitals: DeviceVitals) -> "Counted":
        return cls(vitals.answers, vitals.faults.total())

    def error_percent(self, before: "Counted") -> float | None:
        """Share of the questions since `before` without a good answer; None if nothing was asked."""
        good, bad = self.answers - before.answers, self.faults - before.faults
        return round(100 * bad / (good + bad), 1) if good + bad > 0 else None


def is_silent(vitals: DeviceVitals, expected: Expected, started_at_ms: int, now_ms: int) -> bool:
    """Whether a device is silent. One that was never heard has its time since the start."""
    if vitals.away:
        return True
    if vitals.asked and vitals.heard_at_ms is not None:
        return False
    since_ms = now_ms - (vitals.heard_at_ms or started_at_ms)
    return since_ms > 1000 * expected.every_s * (MISSED_BY_GUARD if expected.guards_lives else MISSED)


def of_link(
    device: DeviceId,
    vitals: DeviceVitals,
    line: Vitals,
    expected: Expected,
    before: Counted,
    *,
    silent: bool,
    now_ms: int,
) -> Iterator[Reading]:
    """How one device is reached."""
    said: dict[str, tuple[Value | None, str | None]] = {
        "guards_lives": (expected.guards_lives, None),
        "line_open": (line.open, None),
        "answering": (not silent, None),
        "latency": (None if vitals.latency_s is None else round(vitals.latency_s, 3), "s"),
        "error_rate": (Counted.of(vitals).error_percent(before), "%"),
        "errors": (vitals.faults.total(), "count"),
        "faults": (_faults(vitals), None),
        "heard": (None if vitals.heard_at_ms is None else max(now_ms - vitals.heard_at_ms, 0) // 1000, "s"),
    }
    yield from _readings(own.link_id(device), said, now_ms)


def of_line(
    edge: EdgeId, line: Vitals, before: Mapping[DeviceId, Counted], silent: set[DeviceId], now_ms: int
) -> Iterator[Reading]:
    """One line. Its error rate counts the devices that answer: a dead one is no sign of bad wiring."""
    alive = [device for device in line.devices if device not in silent]
    now = [Counted.of(line.devices[device]) for device in alive]
    then = [before.get(device, Counted()) for device in alive]
    said: dict[str, tuple[Value | None, str | None]] = {
        "open": (line.open, None),
        "why": (line.why[:200], None),
        "answering": (len(alive) if line.open else 0, "count"),
        "silent": (len(silent & line.devices.keys()) if line.open else len(line.devices), "count"),
        "error_rate": (_sum(now).error_percent(_sum(then)), "%"),
        "errors": (sum(vitals.faults.total() for vitals in line.devices.values()), "count"),
        "strays": (line.strays, "count"),
    }
    yield from _readings(own.line_id(edge, line.name), said, now_ms)


def of_agent(
    edge: EdgeId,
    host: HostFigures,
    outbox: OutboxFigures | None,
    outbox_limit_bytes: int,
    *,
    clock_trusted: bool,
    disk_refuses: bool,
    refused: str,
    running_s: float,
    now_ms: int,
) -> Iterator[Reading]:
    """The agent and its machine. `refused`: why it does not run by its file as it is now."""
    said: dict[str, tuple[Value | None, str | None]] = {
        "temperature": (host.temperature_cel, "Cel"),
        "throttled": (host.throttled, None),
        "memory_free": (host.memory_free_percent, "%"),
        "disk_free": (host.disk_free_percent, "%"),
        "load": (host.load_per_core, "1"),
        "uptime": (host.uptime_s, "s"),
        "running": (round(running_s), "s"),
        "clock_trusted": (clock_trusted, None),
        "disk_refuses": (disk_refuses, None),
        "configuration_refused": (bool(refused), None),
        "why": (refused[:200], None),
    }
    if outbox:
        said |= {
            "outbox_used": (round(100 * outbox.bytes / outbox_limit_bytes, 1), "%"),
            "produced": (outbox.produced, "count"),
            "receipted": (outbox.receipted, "count"),
            "pending": (outbox.pending, "count"),
            "dropped": (outbox.dropped, "count"),
        }
    yield from _readings(DeviceId(edge), said, now_ms)


def _faults(vitals: DeviceVitals) -> str:
    return ", ".join(f"{why} {count}" for why, count in vitals.faults.most_common(MOST_FAULTS))


def _sum(counted: list[Counted]) -> Counted:
    return Counted(sum(each.answers for each in counted), sum(each.faults for each in counted))


def _readings(device: DeviceId, said: Mapping[str, tuple[Value | None, str | None]], now_ms: int) -> Iterator[Reading]:
    for channel, (value, unit) in said.items():
        if value is not None:
            yield Reading(device=device, channel=channel, at_ms=now_ms, value=value, unit=unit)
