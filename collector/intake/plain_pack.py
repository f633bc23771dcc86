"""A pack with nothing odd in it, judged without detours: nearly all are, and there may be thousands a second.

The verdict is the one that `intake.judge` gives, or none at all: whatever is unusual here, be it wrong or only rare (a text, a
doubted clock, a foreign publisher's names), is left to it, with all that it knows to say. So no fault is named here, and no
check of it is left out: tests hold the two against each other.

What is saved: JSON becomes plain dictionaries and no model of pydantic's, each channel's checks are looked up once per device and not
once per reading, and no object is made for a reading at all: it is a place in three columns. docs/decisions/0027-the-fast-lane.md has the figures.
"""

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from collector.intake.devices import Devices
from collector.intake.judge import FUTURE_LIMIT_MS, Accepted
from collector.stores.base import PackRow
from collector.stores.columns import Columns, Series
from messages import pack as packs
from messages.ids import DeviceId, EdgeId, SiteId, StreamId, is_identifier
from messages.kind import Kinds
from messages.reading import Quality, Value
from messages.topics import Origin

OWN_RECORDS = 2
CHANNELS_LIMIT = 200_000
"""Channels whose checks are remembered, some 300 bytes each; past it all are worked out again."""

_QUALITIES = {quality.value: quality for quality in Quality}
_EARLIEST_MS = 2**28 * 1000
"""Up to here a time is relative to now (RFC 8428 section 4.5.3): nothing for us."""
_NUMBER, _BOOLEAN = "v", "vb"
_BARE, _WITH_UNIT = 2, 3
"""Labels of a record that are left when bases and quality are counted off: name and value, and, of a number alone, its unit."""


Checked = tuple[Series, str, float, float]
"""What a reading of one channel of one device must be: the series that it belongs to, label of its value in the record ("v" or "vb"),
lowest and highest value. Lowest and highest are finite, so that an infinite value is outside, and a NaN too. A plain tuple: Python
takes a named one apart by an iterator, which costs as much as a check."""

Channels = Mapping[str, Checked]


class _Edge:
    """What is remembered of one."""

    def __init__(self, name: EdgeId) -> None:
        self.bases: dict[str, Channels] = {}
        """By base name, such as "gas-1/"."""
        self._name = name
        self._head: dict[str, Any] = {}
        """The first record of its last pack: the next one begins with the same, unless the edge has a new stream."""

    def identity(self, records: list[dict[str, Any]]) -> tuple[StreamId, int]:
        """Of a pack of ours, in the words that `pack.encode` uses. Raises _Odd."""
        first, second = records[0], records[1]
        if first != self._head:
            stream = first["vs"]
            if first != {"bn": f"{self._name}/", "n": "stream", "vs": stream} or not is_identifier(stream):
                raise _Odd
            self._head = first
        number = second["v"]
        if number.__class__ is not int or not 1 <= number <= packs.NUMBER_LIMIT or second != {"n": "pack", "v": number}:
            raise _Odd
        return self._head["vs"], number


class PlainPacks:
    """Remembers what the announced devices may send. One thread."""

    def __init__(self, devices: Devices, kinds: Kinds) -> None:
        self._devices = devices
        self._kinds = kinds
        self._changes = -1
        self._edges: dict[tuple[SiteId, EdgeId], _Edge] = {}
        self._held = 0

    def judge(self, payload: bytes, origin: Origin, now_ms: int, *, retention_ms: int | None = None) -> Accepted | None:
        """All of the pack if all of it is plain and good; None leaves it to `intake.judge`."""
        if len(payload) > packs.LIMIT_BYTES:
            return None
        try:
            return self._judge(orjson.loads(payload), origin, now_ms, retention_ms)
        except (orjson.JSONDecodeError, _Odd, LookupError, TypeError, AttributeError, OverflowError):
            return None

    def _judge(  # noqa: C901 (one loop on purpose: a call for each reading would cost a tenth of it)
        self, records: list[dict[str, Any]], origin: Origin, now_ms: int, retention_ms: int | None
    ) -> Accepted:
        edge = self._edge(origin)
        stream, number = edge.identity(records)
        bases = edge.bases
        latest_ms = now_ms + FUTURE_LIMIT_MS
        earliest_ms = _EARLIEST_MS + 1 if retention_ms is None else max(_EARLIEST_MS + 1, now_ms - retention_ms)
        first_ms, last_ms, at_ms = latest_ms, 0, 0
        channels: Channels = {}
        of_series: list[Series] = []
        times: list[int] = []
        values: list[Value] = []
        doubts: dict[int, Quality] = {}
        for record in records[OWN_RECORDS:]:
            fields = len(record)
            if "bt" in record:
                fields -= 1
                base_s = record["bt"]
                if base_s.__class__ is not float:
                    base_s = _float(base_s)
                at_ms = round(base_s * 1000)
                if not earliest_ms <= at_ms <= latest_ms:
                    raise _Odd
                if at_ms < first_ms:
                    first_ms = at_ms
                if at_ms > last_ms:
                    last_ms = at_ms
            if "bn" in record:
                fields -= 1
                if not at_ms:
                    raise _Odd
                base = record["bn"]
                channels = bases.get(base) or self._channels(bases, origin, base)
            if "q" in record:
                fields -= 1
                quality = _QUALITIES[record["q"]]
                if quality is not Quality.GOOD:
                    doubts[len(values)] = quality
            series, label, low, high = channels[record["n"]]
            value = record[label]
            if label == _NUMBER:
                if value.__class__ is not float:
                    value = _float(value)
                if not low <= value <= high:
                    raise _Odd
                if fields == _WITH_UNIT:
                    fields -= 1
                    if series.unit is None or record["u"] != series.unit:
                        raise _Odd
            elif value.__class__ is not bool:
                raise _Odd
            if fields != _BARE:
                raise _Odd
            of_series.append(series)
            times.append(at_ms)
            values.append(value)
        if not values or len(records) > packs.RECORD_LIMIT:
            raise _Odd
        points = Columns(of_series, times, values, doubts)
        if len(set(of_series)) < len(of_series):
            points = _last_ones(points)
        return Accepted(points, PackRow(stream, number, first_ms, last_ms, len(points.series)))

    def _edge(self, origin: Origin) -> "_Edge":
        if self._changes != self._devices.changes or self._held > CHANNELS_LIMIT:
            self._changes, self._held = self._devices.changes, 0
            self._edges.clear()
        key = (origin.site, origin.edge)
        found = self._edges.get(key)
        if found is None:
            found = self._edges[key] = _Edge(origin.edge)
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
                Series(DeviceId(device), name, channel.unit, announced.kind, announced.model, announced.place.building),
                _NUMBER if channel.type == "number" else _BOOLEAN,
                channel.range[0] if channel.range else -sys.float_info.max,
                channel.range[1] if channel.range else sys.float_info.max,
            )
            for name, channel in kind.channels.items()
            if channel.type != "text"
        }
        self._held += len(found)
        return found


class _Odd(Exception):
    """Not for here."""


def _last_ones(points: Columns) -> Columns:
    """Of readings of one channel at one time the last, in the place of the first."""
    lasts = {key: place for place, key in enumerate(zip(points.series, points.at_ms, strict=True))}
    if len(lasts) == len(points):
        return points
    places = list(lasts.values())
    return Columns(
        [points.series[place] for place in places],
        [points.at_ms[place] for place in places],
        [points.values[place] for place in places],
        {new: points.doubts[place] for new, place in enumerate(places) if place in points.doubts},
    )


def _float(value: Any) -> float:
    """JSON writes 5.0 as 5; a boolean is no number."""
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    raise _Odd
