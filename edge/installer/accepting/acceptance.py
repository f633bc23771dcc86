"""What was seen of each device during an acceptance, and what the installer said of it. Pure.

A device passes when it was heard during the acceptance, is there at its end, and every channel of its model came in good
quality. Of a device that is asked, every channel must have come during the acceptance; one that speaks by itself may have said
the slow ones, such as a battery's state, before. Whether the right device moved when the right cover was lifted only a
person can say: that is the verdict, and it stands beside what was seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge.installer.snapshot import DeviceNow
from messages.ids import DeviceId
from messages.reading import Quality, Value

MOST_CHANGES = 20


class Verdict(StrEnum):
    """What the installer said."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class SeenChannel:
    """The course of one channel during the acceptance."""

    first: Value
    last: Value
    last_at_ms: int
    low: float | None
    high: float | None
    changes: tuple[tuple[int, Value], ...]
    """When it became what; the first MOST_CHANGES."""
    bad: bool
    """It was of bad quality at some time."""
    before: bool = False
    """It was heard before the acceptance and not since."""


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """One device during the acceptance."""

    channels: Mapping[str, SeenChannel] = field(default_factory=dict)
    answers: int = 0
    errors: int = 0
    before: tuple[int, int] | None = None
    """Answers and errors when it began: an agent counts from its own start."""
    since_ms: int | None = None
    """When it began, by the clock of the agent."""
    away: bool = False
    """At the end."""
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One device on the sheet."""

    device: DeviceId
    seen: SeenDevice
    verdict: Verdict
    note: str = ""


def look(seen: SeenDevice, now: DeviceNow, at_ms: int) -> SeenDevice:
    """What one more snapshot, taken at `at_ms`, adds."""
    before, since_ms = seen.before, seen.since_ms
    if before is None or since_ms is None:
        before, since_ms = (now.answers, now.errors), at_ms
    elif now.answers < before[0]:  # an agent that was started anew counts from 0
        before = (0, 0)
    channels = dict(seen.channels)
    for name, found in now.channels.items():
        known = channels.get(name)
        if known is None:
            is_number = not isinstance(found.value, bool | str)
            bound = float(found.value) if is_number else None
            channels[name] = SeenChannel(
                found.value,
                found.value,
                found.at_ms,
                bound,
                bound,
                (),
                found.quality is Quality.BAD,
                before=found.at_ms < since_ms,
            )
        elif found.at_ms > known.last_at_ms:
            channels[name] = _later(known, found.value, found.at_ms, bad=found.quality is Quality.BAD)
    return SeenDevice(
        channels=channels,
        answers=now.answers - before[0],
        errors=max(now.errors - before[1], 0),
        before=before,
        since_ms=since_ms,
        away=now.away,
        latency_s=now.latency_s,
    )


def _later(known: SeenChannel, value: Value, at_ms: int, *, bad: bool) -> SeenChannel:
    changes = known.changes
    if value != known.last and len(changes) < MOST_CHANGES:
        changes = (*changes, (at_ms, value))
    low, high = known.low, known.high
    if low is not None and high is not None and not isinstance(value, bool | str):
        low, high = min(low, value), max(high, value)
    return replace(
        known,
        last=value,
        last_at_ms=at_ms,
        low=low,
        high=high,
        changes=changes,
        bad=(known.bad and not known.before) or bad,
        before=False,
    )


def missing(seen: SeenDevice, wanted: Mapping[str, object]) -> list[str]:
    """Channels of the model that were not heard. All of them if the device wasn't."""
    if not seen.answers or seen.away:
        return list(wanted)
    asked = seen.latency_s is not None
    return [name for name in wanted if (found := seen.channels.get(name)) is None or (found.before and asked)]


def bad(seen: SeenDevice, wanted: Mapping[str, object]) -> list[str]:
    """Channels that were heard, and in bad quality."""
    return [name for name in wanted if name in seen.channels and seen.channels[name].bad]
