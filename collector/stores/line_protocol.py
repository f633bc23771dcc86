"""InfluxDB's line protocol: how readings and packs are written there, for 1.x and 2.x alike. Pure.

* One line is one reading. The measurement is the device's kind, the field its channel; tags are site, edge,
  building, device, model and unit, sorted. A number always has a decimal point, so that a field never changes type.
* A quality that is not good stands beside the value in the text field `<channel>.quality`; an id has no dot, so
  it can't meet a channel called `…_quality`. A reading never changes: its quality is not cleared by a second write.
* A pack is one line of the measurement `gridcall_packs`.

A tag can hold neither a line break nor, safely, a backslash: in a place's or a product's name they become a space
and a slash. What a reading itself consists of comes back exactly.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from collector.stores.base import COARSE_MS, Batch, PackRow
from messages.reading import Quality, Value

PACKS = "gridcall_packs"
_QUALITY = ".quality"
_NS_PER_MS, _NS_OF_A_MS = 1_000_000, "000000"
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


def requests(batches: Sequence[Batch], *, absent: str = "") -> list[str]:
    """The bodies of two writes, or fewer: all readings, and when they are accepted all packs.

    Not one: of a write with a line that it can't take InfluxDB keeps the others, and a pack must never be there
    without its readings. `absent`: what stands in a tag without a value, for a database that wants all of them each time.
    """
    readings = "\n".join(line for batch in batches for line in _reading_lines(batch, absent))
    packs = "\n".join(line for batch in batches for line in _pack_lines(batch))
    return [body for body in (readings, packs) if body]


def late_lines(batch: Batch, before_ms: int, numbers: Iterator[int]) -> Iterator[str]:
    """Marks on the coarse ranges that readings older than `before_ms` change. Each has a time of its own within its range."""
    late = {at_ms // COARSE_MS * COARSE_MS for (_, _, at_ms, _, _, _), _, _, _ in batch.points if at_ms < before_ms}
    tags = f"edge={batch.edge.translate(KEY)},site={batch.site.translate(KEY)}"
    for start_ms in sorted(late):
        yield f"gridcall_late,{tags} start_ms={start_ms}i {(start_ms + next(numbers) % COARSE_MS) * _NS_PER_MS}"


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


def _reading_lines(batch: Batch, absent: str) -> list[str]:
    site, edge = batch.site, batch.edge
    good, lines = Quality.GOOD, list[str]()
    for reading, kind, model, building in batch.points:
        device, channel, at_ms, value, unit, quality = reading
        head = _head(kind, channel, building or absent, device, edge, model or absent, site, unit or absent)
        text = repr(value) if value.__class__ is float else _text(value)  # nearly all are numbers, and good
        if quality is not good:
            text += f",{quality_field_of(channel).translate(KEY)}={_text(quality.value)}"
        lines.append(f"{head}{text} {at_ms}{_NS_OF_A_MS}")
    return lines


@lru_cache(maxsize=HEADS)
def _head(kind: str, channel: str, building: str, device: str, edge: str, model: str, site: str, unit: str) -> str:
    """A line up to its value: what all readings of a channel have in common."""
    values = (building, device, edge, model, site, unit)
    tags = "".join(f",{tag}={value.translate(KEY)}" for tag, value in zip(_TAGS, values, strict=True) if value)
    return f"{kind.translate(MEASUREMENT)}{tags} {field_of(channel).translate(KEY)}="


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str):
        return f'"{value.translate(_STRING)}"'
    return repr(float(value))


def _pack_lines(batch: Batch) -> Iterable[str]:
    for pack in batch.packs:
        tags = f"edge={batch.edge.translate(KEY)},site={batch.site.translate(KEY)},stream={pack.stream.translate(KEY)}"
        fields = f"first={pack.first_at_ms}i,last={pack.last_at_ms}i,number={pack.number}i,readings={pack.readings}i"
        yield f"{PACKS},{tags} {fields} {pack_time_ns(pack)}"
