"""A pack with nothing odd in it, judged without detours: nearly all are, and there may be thousands a second.

The verdict is the one that `intake.judge` gives, or none at all: whatever is unusual here, be it wrong or only rare (a text, a
doubted clock, a foreign publisher's names), is left to it, with all that it knows to say. So no fault is named here, and no
check of it is left out: tests hold the two against each other.

What is saved: JSON becomes plain dictionaries and no model of pydantic's, each channel's checks are looked up once per device and not
once per reading, and no object is made that only one more object needs. docs/decisions/0027-the-fast-lane.md has the figures.
"""

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from collector.intake.devices import Devices
from collector.intake.judge import FUTURE_LIMIT_MS, Accepted
from collector.stores.base import PackRow, Point
from messages import pack as packs
from messages.ids import DeviceId, EdgeId, SiteId, StreamId, is_identifier
from messages.kind import Kinds
from messages.reading import Quality, Reading
from messages.topics import Origin

OWN_RECORDS = 2
CHANNELS_LIMIT = 200_000
"""Channels whose checks are remembered, some 300 bytes each; past it all are worked out again."""

_QUALITIES = {quality.value: quality for quality in Quality}
_EARLIEST_MS = 2**28 * 1000
"""Up to here a time is relative to now (RFC 8428 section 4.5.3): nothing for us."""
_NUMBER, _BOOLEAN = "v", "vb"


Checked = tuple[DeviceId, str, str, float, float, str | None, str, str, str]
"""What a reading of one channel of one device must be, and what is known of it beforehand: device, channel, label of its value in the
record ("v" or "vb"), lowest and highest value, unit, kind, model, building. Lowest and highest are finite, so that an infinite value
is outside, and a NaN too. A plain tuple: Python takes a named one apart by an iterator, which costs as much as a check."""

Channels = Mapping[str, Checked]


class PlainPacks:
    """Remembers what the announced devices may send. One thread."""

    def __init__(self, devices: Devices, kinds: Kinds) -> None:
        self._devices = devices
        self._kinds = kinds
        self._changes = -1
        self._edges: dict[tuple[SiteId, EdgeId], dict[str, Channels]] = {}
        """By base name, such as "gas-1/"."""
        self._held = 0

    def judge(self, payload: bytes, origin: Origin, now_ms: int, *, retention_ms: int | None = None) -> Accepted | None:
        """All of the pack if all of it is plain and good; None leaves it to `intake.judge`."""
        if len(payload) > packs.LIMIT_BYTES:
            return None
        try:
            records = orjson.loads(payload)
            stream, number = _identity(records, origin.edge)
            return self._judge(records, origin, stream, number, now_ms, retention_ms)
        except (orjson.JSONDecodeError, _Odd, LookupError, TypeError, AttributeError, OverflowError):
            return None

    def _judge(  # noqa: C901 (one loop on purpose: a call for each reading would cost a tenth of it)
        self,
        records: list[dict[str, Any]],
        origin: Origin,
        stream: StreamId,
        number: int,
        now_ms: int,
        retention_ms: int | None,
    ) -> Accepted:
        bases = self._bases(origin)
        latest_ms = now_ms + FUTURE_LIMIT_MS
        earliest_ms = _EARLIEST_MS + 1 if retention_ms is None else max(_EARLIEST_MS + 1, now_ms - retention_ms)
        first_ms, last_ms, at_ms = latest_ms, 0, 0
        channels: Channels = {}
        points: dict[tuple[str, str, int], Point] = {}
        new, good = tuple.__new__, Quality.GOOD
        for record in records[OWN_RECORDS:]:
            fields = 2
            if (base_s := record.get("bt")) is not None:
                fields += 1
                if base_s.__class__ is not float:
                    base_s = _float(base_s)
                at_ms = round(base_s * 1000)
                if not earliest_ms <= at_ms <= latest_ms:
                    raise _Odd
                if at_ms < first_ms:
                    first_ms = at_ms
                if at_ms > last_ms:
                    last_ms = at_ms
            if (base := record.get("bn")) is not None:
                fields += 1
                if not at_ms:
                    raise _Odd
                channels = bases.get(base) or self._channels(bases, origin, base)
            device, channel, label, low, high, unit, kind, model, building = channels[record["n"]]
            value = record[label]
            if label == _NUMBER:
                if value.__class__ is not float:
                    value = _float(value)
                if not low <= value <= high:
                    raise _Odd
                if (sent := record.get("u")) is not None:
                    fields += 1
                    if sent != unit:
                        raise _Odd
            elif value.__class__ is not bool:
                raise _Odd
            quality = good
            if (word := record.get("q")) is not None:
                fields += 1
                quality = _QUALITIES[word]
            if len(record) != fields:
                raise _Odd
            # as their constructors do it, in a third of the time
            reading = new(Reading, (device, channel, at_ms, value, unit, quality))
            points[device, channel, at_ms] = new(Point, (reading, kind, model, building))
        if not last_ms or len(records) > packs.RECORD_LIMIT:
            raise _Odd
        good_points = tuple(points.values())
        row = PackRow(stream, number, first_ms, last_ms, len(good_points))
        return Accepted(good_points, row)

    def _bases(self, origin: Origin) -> dict[str, Channels]:
        if self._changes != self._devices.changes or self._held > CHANNELS_LIMIT:
            self._changes, self._held = self._devices.changes, 0
            self._edges.clear()
        edge = (origin.site, origin.edge)
        found = self._edges.get(edge)
        if found is None:
            found = self._edges[edge] = {}
        return found

    def _channels(self, bases: dict[str, Channels], origin: Origin, base: str) -> Channels:
        """What the device may send, remembered if there is such a device. Raises _Odd."""
        device, slash, rest = base.partition("/")
        announced = self._devices.known.get((origin.site, origin.edge, DeviceId(device)))
        kind = self._kinds.get(announced.kind) if announced else None
        if not announced or not kind or not slash or rest:
            raise _Odd
        found = bases[base] = {
            name: (
                DeviceId(device),
                name,
                _NUMBER if channel.type == "number" else _BOOLEAN,
                channel.range[0] if channel.range else -sys.float_info.max,
                channel.range[1] if channel.range else sys.float_info.max,
                channel.unit,
                announced.kind,
                announced.model,
                announced.place.building,
            )
            for name, channel in kind.channels.items()
            if channel.type != "text"
        }
        self._held += len(found)
        return found


class _Odd(Exception):
    """Not for here."""


def _identity(records: Any, edge: EdgeId) -> tuple[StreamId, int]:
    """Of a pack of ours, in the words that `pack.encode` uses."""
    first, second = records[0], records[1]
    stream, number = first["vs"], second["v"]
    plain = (
        records.__class__ is list
        and first == {"bn": f"{edge}/", "n": "stream", "vs": stream}
        and second == {"n": "pack", "v": number}
        and number.__class__ is int
        and 1 <= number <= packs.NUMBER_LIMIT
        and is_identifier(stream)
    )
    if not plain:
        raise _Odd
    return stream, number


def _float(value: Any) -> float:
    """JSON writes 5.0 as 5; a boolean is no number."""
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    raise _Odd
