"""InfluxDB's line protocol: how readings and packs are written there, for 1.x and 2.x alike. Pure.

* One line is one reading. The measurement is the device's kind, the field its channel; tags are site, edge,
  building, device, model and unit, sorted. A number never ends in "i", so that a field never changes type.
* A quality that is not good stands beside the value in the text field `<channel>.quality`; an id has no dot, so
  it can't meet a channel called `…_quality`. A reading never changes: its quality is not cleared by a second write.
* A pack is one line of the measurement `gridcall_packs`.

A tag can hold neither a line break nor, safely, a backslash: in a place's or a product's name they become a space
and a slash. What a reading itself consists of comes back exactly.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import orjson

from collector.stores.base import COARSE_MS, Batch, PackRow
from collector.stores.columns import Columns, columns
from messages.reading import Value

PACKS = "gridcall_packs"
_QUALITY = ".quality"
_NS_PER_MS, _NS_OF_A_MS = 1_000_000, b"000000"
HEADS = 32768
"""Channels whose line heads are remembered, some 400 bytes each."""

_CONTROLS = dict.fromkeys((*range(0x20), 0x7F), r"\ ")
MEASUREMENT = _CONTROLS | str.maketrans({",": r"\,", " ": r"\ ", "\\": "/"})
KEY = MEASUREMENT | str.maketrans({"=": r"\="})
_STRING = str.maketrans({'"': r"\"", "\\": r"\\"})

_TAGS = ("building", "device", "edge", "model", "site", "unit")
_TAKEN = frozenset({"time", *_TAGS})
"""Names that a field can't have (`time` is dropped without a word), or that a query would rename."""
_VALUE = ".value"


def requests(batches: Sequence[Batch], *, absent: str = "") -> list[bytes]:
    """The bodies of two writes, or fewer: all readings, and when they are accepted all packs. Every line has its end.

    Not one: of a write with a line that it can't take InfluxDB keeps the others, and a pack must never be there
    without its readings. `absent`: what stands in a tag without a value, for a database that wants all of them each time.
    """
    readings = b"".join(_reading_lines(batch, absent) for batch in batches)
    packs = "".join(line for batch in batches for line in _pack_lines(batch)).encode()
    return [body for body in (readings, packs) if body]


def late_lines(batch: Batch, before_ms: int, numbers: Iterator[int]) -> Iterator[str]:
    """Marks on the coarse ranges that readings older than `before_ms` change. Each has a time of its own within its range."""
    times = columns(batch.points).at_ms
    if not times or min(times) >= before_ms:
        return
    late = {at_ms // COARSE_MS * COARSE_MS for at_ms in times if at_ms < before_ms}
    tags = f"edge={batch.edge.translate(KEY)},site={batch.site.translate(KEY)}"
    for start_ms in sorted(late):
        yield f"gridcall_late,{tags} start_ms={start_ms}i {(start_ms + next(numbers) % COARSE_MS) * _NS_PER_MS}\n"


def field_of(channel: str) -> str:
    return channel + _VALUE if channel in _TAKEN else channel


def quality_field_of(channel: str) -> str:
    return channel + _QUALITY


def channel_of(field: str) -> str | None:
    """The channel whose value `field` holds; None for a field that holds a quality."""
    return None if field.endswith(_QUALITY) else field.removesuffix(_VALUE)


def read_value(stored: float | int | bool | str) -> Value:
    """JSON writes 5.0 as 5."""
    return stored if isinstance(stored, bool | str) else float(stored)


def pack_time_ns(pack: PackRow) -> int:
    """Packs that end in the same millisecond differ in their nanoseconds: same series, same time would be one row."""
    return pack.last_at_ms * _NS_PER_MS + pack.number % _NS_PER_MS


def _reading_lines(batch: Batch, absent: str) -> bytes:
    """Put together from a head, a value and a time each, and what is the same for many is made once."""
    points = columns(batch.points)
    if not points.values:
        return b""
    heads = {
        each: _head(
            each.kind, each.channel, each.building or absent, each.device, batch.edge, each.model or absent, batch.site,
            each.unit or absent,
        )
        for each in set(points.series)
    }  # fmt: skip
    times = {at_ms: b" %d%b\n" % (at_ms, _NS_OF_A_MS) for at_ms in set(points.at_ms)}
    parts = [b""] * (3 * len(points.values))
    parts[0::3] = map(heads.__getitem__, points.series)
    parts[1::3] = _texts(points)
    parts[2::3] = map(times.__getitem__, points.at_ms)
    return b"".join(parts)


def _texts(points: Columns) -> Sequence[bytes]:
    """Values as a line has them, with their qualities. JSON's numbers and booleans are line protocol too, and orjson writes them
    ten times as fast as Python; a text has rules of its own, and so has what is no number."""
    written = orjson.dumps(points.values)
    plain = b'"' not in written and b"null" not in written
    texts = written[1:-1].split(b",") if plain else [_text(value).encode() for value in points.values]
    for place, quality in points.doubts.items():
        field = quality_field_of(points.series[place].channel).translate(KEY)
        texts[place] += f",{field}={_text(quality.value)}".encode()
    return texts


@lru_cache(maxsize=HEADS)
def _head(kind: str, channel: str, building: str, device: str, edge: str, model: str, site: str, unit: str) -> bytes:
    """A line up to its value: what all readings of a channel have in common."""
    values = (building, device, edge, model, site, unit)
    tags = "".join(f",{tag}={value.translate(KEY)}" for tag, value in zip(_TAGS, values, strict=True) if value)
    return f"{kind.translate(MEASUREMENT)}{tags} {field_of(channel).translate(KEY)}=".encode()


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_STRING)}"'
    return repr(float(value))


def _pack_lines(batch: Batch) -> Iterator[str]:
    tags = f"{PACKS},edge={batch.edge.translate(KEY)},site={batch.site.translate(KEY)},stream="
    for pack in batch.packs:
        fields = f"first={pack.first_at_ms}i,last={pack.last_at_ms}i,number={pack.number}i,readings={pack.readings}i"
        yield f"{tags}{pack.stream.translate(KEY)} {fields} {pack_time_ns(pack)}\n"
