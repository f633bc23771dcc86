"""Points in columns, as they come from a pack and go into a database by the thousand: a list for each thing that differs from
reading to reading, and one object for all that readings of one channel have in common.

Python builds, compares and joins lists at a tenth of what a tuple for each reading costs (docs/decisions/0027-the-fast-lane.md). Who
wants to see points one by one does: it is a sequence of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from collector.stores.base import Point
from messages.ids import DeviceId
from messages.reading import Quality, Reading, Value


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One channel of one device. Two of the same content may be about: compared by identity, which is fast, and only to spare work."""

    device: DeviceId
    channel: str
    unit: str | None
    kind: str
    model: str
    building: str


@dataclass(slots=True, eq=False)
class Columns(Sequence[Point]):
    """As many `series` as `at_ms` and `values`. Don't change them once another has them."""

    series: list[Series] = field(default_factory=list)
    at_ms: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    doubts: dict[int, Quality] = field(default_factory=dict)
    """Qualities that are not good, by place."""

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Point]:
        for place, (series, at_ms, value) in enumerate(zip(self.series, self.at_ms, self.values, strict=True)):
            quality = self.doubts.get(place, Quality.GOOD)
            reading = Reading(series.device, series.channel, at_ms, value, series.unit, quality)
            yield Point(reading, series.kind, series.model, series.building)

    @overload
    def __getitem__(self, place: int) -> Point: ...
    @overload
    def __getitem__(self, place: slice) -> list[Point]: ...
    def __getitem__(self, place: int | slice) -> Point | list[Point]:
        return list(self)[place]


def columns(points: Sequence[Point]) -> Columns:
    """`points` in columns; themselves if they are so already."""
    return points if isinstance(points, Columns) else joined([points])


def joined(parts: Iterable[Sequence[Point]]) -> Columns:
    """All points of all parts, in their order."""
    whole = Columns()
    for part in parts:
        some = part if isinstance(part, Columns) else _turned(part)
        if some.doubts:
            begin = len(whole.series)
            whole.doubts.update((begin + place, quality) for place, quality in some.doubts.items())
        whole.series += some.series
        whole.at_ms += some.at_ms
        whole.values += some.values
    return whole


def _turned(points: Iterable[Point]) -> Columns:
    turned = Columns()
    known: dict[tuple[str, str, str | None, str, str, str], Series] = {}
    for place, (reading, kind, model, building) in enumerate(points):
        device, channel, at_ms, value, unit, quality = reading
        key = (device, channel, unit, kind, model, building)
        if (series := known.get(key)) is None:
            series = known[key] = Series(device, channel, unit, kind, model, building)
        turned.series.append(series)
        turned.at_ms.append(at_ms)
        turned.values.append(value)
        if quality is not Quality.GOOD:
            turned.doubts[place] = quality
    return turned
