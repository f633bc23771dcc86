"""What an agent knows at one moment: its lines, its devices, their latest readings. Plain data, as JSON through a socket.

Names, places and kinds are not in it: whoever looks has the agent's configuration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from edge.vitals import DeviceVitals, Vitals
from messages.ids import DeviceId
from messages.language import Language, Phrase
from messages.reading import Quality, Reading, Value

Latest = dict[tuple[DeviceId, str], Reading]
"""The newest reading of every channel, as it was taken, reported or not."""


@dataclass(frozen=True, slots=True)
class LineNow:
    """One line."""

    name: str
    open: bool
    why: Mapping[Language, str]
    """In both languages: who looks has one of them."""
    strays: int


@dataclass(frozen=True, slots=True)
class ChannelNow:
    """One channel's newest reading."""

    value: Value
    quality: Quality
    at_ms: int


@dataclass(frozen=True, slots=True)
class DeviceNow:
    """One device."""

    id: DeviceId
    line: str
    away: bool
    """It doesn't answer, or nothing behind its line can be heard."""
    answers: int
    faults: Mapping[str, int]
    latency_s: float | None
    heard_at_ms: int | None
    channels: Mapping[str, ChannelNow]

    @property
    def errors(self) -> int:
        return sum(self.faults.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of an agent at `at_ms`."""

    at_ms: int
    lines: tuple[LineNow, ...]
    devices: tuple[DeviceNow, ...]
    refused: Mapping[Language, str] = field(default_factory=dict)
    """Why the agent does not run by its file as it is now, in both languages; empty if it does."""


def taken(at_ms: int, lines: Iterable[Vitals], latest: Latest, refused: Phrase | None = None) -> Snapshot:
    """Of what is known now."""
    lines = list(lines)
    channels: dict[DeviceId, dict[str, ChannelNow]] = {}
    for (device, channel), reading in latest.items():
        channels.setdefault(device, {})[channel] = ChannelNow(reading.value, reading.quality, reading.at_ms)
    return Snapshot(
        at_ms,
        tuple(LineNow(line.name, line.works, (line.why or line.mute).in_each, line.strays) for line in lines),
        tuple(
            _device(device, line, vitals, channels.get(device, {}))
            for line in lines
            for device, vitals in line.devices.items()
        ),
        refused.in_each if refused else {},
    )


def _device(device: DeviceId, line: Vitals, vitals: DeviceVitals, channels: Mapping[str, ChannelNow]) -> DeviceNow:
    hidden = line.open and not line.reaches(vitals)  # by what its line stands on, or by the gateways that heard it last
    return DeviceNow(
        device,
        line.name,
        vitals.away or hidden,
        vitals.answers,
        dict(vitals.faults),
        vitals.latency_s,
        vitals.heard_at_ms,
        channels,
    )


def aged(snapshot: Snapshot, by_ms: int, why: Phrase) -> Snapshot:
    """The same `by_ms` later, when nobody can see any line."""
    lines = tuple(replace(line, open=False, why=why.in_each) for line in snapshot.lines)
    return replace(snapshot, at_ms=snapshot.at_ms + by_ms, lines=lines)


def dump(snapshot: Snapshot) -> bytes:
    """One line of JSON, without its end."""
    return orjson.dumps(snapshot)


def load(line: bytes) -> Snapshot:
    """Raises ValueError for what no agent wrote."""
    try:
        content = orjson.loads(line)
        return Snapshot(
            content["at_ms"],
            tuple(_line(line) for line in content["lines"]),
            tuple(_loaded(device) for device in content["devices"]),
            content["refused"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a snapshot: {error}") from error


def _line(content: Mapping[str, Any]) -> LineNow:
    return LineNow(**{**content, "why": dict(content["why"])})


def _loaded(content: Mapping[str, Any]) -> DeviceNow:
    channels = {
        name: ChannelNow(channel["value"], Quality(channel["quality"]), channel["at_ms"])
        for name, channel in content["channels"].items()
    }
    return DeviceNow(**{**content, "channels": channels})
