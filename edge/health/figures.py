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

    @property
    def patience_ms(self) -> float:
        """How long it may be silent, if it speaks by itself."""
        return 1000 * self.every_s * (MISSED_BY_GUARD if self.guards_lives else MISSED)


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
    return vitals.silence_ms(started_at_ms, now_ms) > expected.patience_ms


def quiet_together_ms(
    line: Vitals, expected: Mapping[DeviceId, Expected], started_at_ms: int, now_ms: int
) -> int | None:
    """How long nothing has come over a shared line, if that is its own silence and not that of its devices; else None.

    It is when, of the devices that were heard until then, one is silent and at least two should have spoken since. So it is known
    when the first of them would be called silent, not when the last is; and one device alone proves nothing.
    """
    carried = line.carried()
    silences = {device: vitals.silence_ms(started_at_ms, now_ms) for device, vitals in carried.items()}
    quiet_ms = min(silences.values(), default=0)
    if line.heard_at_ms is not None:
        quiet_ms = min(quiet_ms, now_ms - line.heard_at_ms)
    heard_until_then = [
        device
        for device, silence_ms in silences.items()
        if not carried[device].away and silence_ms - quiet_ms <= expected[device].patience_ms
    ]
    due = [device for device in heard_until_then if quiet_ms > 1000 * expected[device].every_s]
    silent = any(silences[device] > expected[device].patience_ms for device in heard_until_then)
    return quiet_ms if silent and len(due) > 1 else None


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
        "line_open": (line.reaches(vitals), None),
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
    """One line. Its error rate counts the devices that answer: a dead one is no sign of bad wiring.

    Whether a gateway is there is said of itself alone: a broker that is away is one line that is away, not each of those on it.
    """
    carried = line.carried()
    alive = [device for device in carried if device not in silent]
    now = [Counted.of(carried[device]) for device in alive]
    then = [before.get(device, Counted()) for device in alive]
    heard_at_ms = [vitals.heard_at_ms for vitals in carried.values() if vitals.heard_at_ms is not None]
    heard_at_ms += [line.heard_at_ms] if line.heard_at_ms is not None else []
    said: dict[str, tuple[Value | None, str | None]] = {
        "open": (line.works, None),
        "why": ((line.why or line.mute).in_both[:200], None),
        "answering": (len(alive) if line.there else 0, "count"),
        "silent": (len(silent & carried.keys()) if line.there else len(carried), "count"),
        "error_rate": (_sum(now).error_percent(_sum(then)), "%"),
        "errors": (sum(vitals.faults.total() for vitals in carried.values()), "count"),
        "strays": (line.strays, "count"),
        "heard": (max(now_ms - max(heard_at_ms), 0) // 1000 if heard_at_ms else None, "s"),
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
