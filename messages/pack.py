"""Packs: some readings sent together, as SenML JSON (RFC 8428), numbered per stream.

The first records are the edge's own: `<edge>/stream`, `<edge>/pack` and, where the edge did not know the time,
`<edge>/clock`: then no reading in the pack is better than uncertain. After them the device is the base name
(with a closing "/"), the channel the name; `q` carries a quality that is not good (a label of ours, which
RFC 8428 section 4.4 lets receivers ignore). A pack is complete in itself: it can be stored, repeated and reordered.

`decode` judges form only; whether the device exists and the value can be true is the collector's affair.
One bad record costs itself, not its pack, unless it holds base fields that others lean on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from messages.complaint import complaint
from messages.ids import DeviceId, EdgeId, StreamId, is_identifier
from messages.reading import LATEST_MS, Quality, Reading

LIMIT_BYTES = 256 * 1024
"""Larger payloads are refused unread. An edge's packs stay below a tenth of it."""

RECORD_LIMIT = 4096
"""Records in a pack; an edge's have some hundreds."""

TEXT_LIMIT = 4096
"""Characters in a reading that is a text. It may hold tabs and new lines, and no other control characters."""

NUMBER_LIMIT = 2**53
"""The highest pack number: JSON numbers are exact up to here (RFC 8259 section 6)."""

_NAME_LIMIT, _UNIT_LIMIT = 130, 32
_NO_CONTROLS = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
_QUALITIES = {quality.value: quality for quality in Quality}
_VALUES = frozenset({"v", "vb", "vs"})
_DOUBTED = {Quality.GOOD: Quality.UNCERTAIN, Quality.UNCERTAIN: Quality.UNCERTAIN, Quality.BAD: Quality.BAD}
_VERSION = 10  # of SenML; a higher one must not be used (RFC 8428 section 4.4)
_OWN_RECORDS = 2
_CLOCK_MARK = {"n": "clock", "vs": "untrusted"}
_BASES = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_PLAIN = _VALUES | {"bn", "bt", "bu", "n", "u", "t", "q"}
"""Labels that any receiver understands."""
_UNSUPPORTED = frozenset({"bv", "bs", "s", "vd"})
"""Base values, sums and binary data: nothing of ours sends them, and guessing at them would invent readings."""

_RELATIVE_BELOW_S = 2.0**28
"""RFC 8428 section 4.5.3: a time below 2**28 s is relative to now, which a stored pack can't have."""


class Fault(StrEnum):
    """Why a pack or a record is refused. The words are part of the wire: receipts and quarantine use them."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    WRONG_EDGE = "wrong-edge"
    UNKNOWN_DEVICE = "unknown-device"
    UNKNOWN_CHANNEL = "unknown-channel"
    WRONG_TYPE = "wrong-type"
    WRONG_UNIT = "wrong-unit"
    OUT_OF_RANGE = "out-of-range"
    IN_THE_FUTURE = "in-the-future"
    TOO_OLD = "too-old"
    REFUSED_BY_STORE = "refused-by-store"


class PackError(ValueError):
    """Nothing of the payload can be read."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One record of a pack that is not a reading."""

    index: int
    fault: Fault
    detail: str


class Pack(NamedTuple):
    """`edge`, `stream` and `number` are None in a pack of a foreign publisher that numbers nothing."""

    edge: EdgeId | None
    stream: StreamId | None
    number: int | None
    readings: Sequence[Reading]
    bad: Sequence[BadRecord] = ()
    clock_trusted: bool = True
    """False: the edge guessed the times, and they may be hours off. Whoever hears it live had better go by the arrival."""


def _short(most: int) -> Any:
    return Field(max_length=most)


@with_config(ConfigDict(strict=True, extra="allow", allow_inf_nan=False))
class _Record(TypedDict, total=False):
    bn: Annotated[str, _short(_NAME_LIMIT)]
    bt: float
    bu: Annotated[str, _short(_UNIT_LIMIT)]
    bver: int
    n: Annotated[str, _short(_NAME_LIMIT)]
    u: Annotated[str, _short(_UNIT_LIMIT)]
    v: float
    vs: Annotated[str, Field(max_length=TEXT_LIMIT, pattern=_NO_CONTROLS)]
    vb: bool
    t: float
    q: str


_record = TypeAdapter(_Record)
_records = TypeAdapter(list[_Record])


def encode(
    edge: EdgeId, stream: StreamId, number: int, readings: Iterable[Reading], *, clock_trusted: bool = True
) -> bytes:
    """One pack. Readings of one device should stand together: its name is then written once."""
    own = [{"bn": f"{edge}/", "n": "stream", "vs": stream}, {"n": "pack", "v": number}]
    mark = [] if clock_trusted else [_CLOCK_MARK]
    return orjson.dumps(own + mark + _encoded(readings))


def moved(payload: bytes, by_ms: int) -> bytes | None:
    """A pack of ours whose clock was not trusted, with all its times moved and without the mark; None for another."""
    records = orjson.loads(payload)
    if records[_OWN_RECORDS : _OWN_RECORDS + 1] != [_CLOCK_MARK]:
        return None
    del records[_OWN_RECORDS]
    for record in records:
        if "bt" in record:
            record["bt"] = (round(record["bt"] * 1000) + by_ms) / 1000
    return orjson.dumps(records)


def encode_unnumbered(readings: Iterable[Reading]) -> bytes:
    """A pack that nobody can receipt or miss: of readings that must be heard before any disk has them."""
    return orjson.dumps(_encoded(readings))


def _encoded(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    records = []
    device, base_ms = None, 0
    for reading in readings:
        record: dict[str, Any] = {}
        if reading.device != device or reading.at_ms != base_ms:
            device, base_ms = reading.device, reading.at_ms
            record |= {"bn": f"{device}/", "bt": base_ms / 1000}
        record["n"] = reading.channel
        if isinstance(reading.value, bool):
            record["vb"] = reading.value
        elif isinstance(reading.value, str):
            record["vs"] = reading.value
        else:
            record["v"] = reading.value
        if reading.unit is not None:
            record["u"] = reading.unit
        if reading.quality is not Quality.GOOD:
            record["q"] = reading.quality.value
        records.append(record)
    return records


def decode(payload: bytes, *, limit_bytes: int = LIMIT_BYTES) -> Pack:
    """The readings of a pack, and the records that are none. Raises PackError when nothing can be read."""
    if len(payload) > limit_bytes:
        raise PackError(Fault.OVERSIZED, f"{len(payload)} bytes, more than {limit_bytes}")
    records, bad = _read_records(payload)
    edge, stream, number = _identity(records)
    clock_trusted = not (stream and _has_clock_mark(records, f"{edge}/"))
    own_records = _OWN_RECORDS if clock_trusted else _OWN_RECORDS + 1
    base, base_s = "", 0.0
    base_unit: str | None = None
    readings = []
    for index, record in enumerate(records):
        if record is None:
            continue
        base, base_s = record.get("bn", base), record.get("bt", base_s)
        base_unit = record.get("bu", base_unit)
        if (stream and index < own_records) or record.keys() <= _BASES:
            continue
        reading = _reading(record, base + record.get("n", ""), base_s, base_unit)
        if isinstance(reading, str):
            bad.append(BadRecord(index, Fault.MALFORMED, reading))
        else:
            readings.append(reading)
    if not clock_trusted:
        readings = [each._replace(quality=_DOUBTED[each.quality]) for each in readings]
    bad.sort(key=lambda refused: refused.index)
    return Pack(edge=edge, stream=stream, number=number, readings=readings, bad=tuple(bad), clock_trusted=clock_trusted)


def _read_records(payload: bytes) -> tuple[list[_Record | None], list[BadRecord]]:
    """Every record, or None and the reason in its place. Records are looked at one by one only if one is bad."""
    records: list[_Record | None] = []
    bad = []
    try:
        records += _records.validate_json(payload)
    except ValidationError:
        for index, item in enumerate(_json_array(payload)):
            try:
                records.append(_record.validate_python(item))
            except ValidationError as error:
                detail = complaint(error)
                if not isinstance(item, dict) or _is_leaned_on(item):
                    raise PackError(Fault.MALFORMED, f"record {index}, on which others lean: {detail}") from error
                records.append(None)
                bad.append(BadRecord(index, Fault.MALFORMED, detail))
    if len(records) > RECORD_LIMIT:
        raise PackError(Fault.OVERSIZED, f"{len(records)} records, more than {RECORD_LIMIT}")
    for index, record in enumerate(records):
        if record is not None and not record.keys() <= _PLAIN and (problem := _not_understood(record)):
            if _is_leaned_on(record):
                raise PackError(Fault.MALFORMED, f"record {index}, on which others lean: {problem}")
            records[index] = None
            bad.append(BadRecord(index, Fault.MALFORMED, problem))
    return records, bad


def _json_array(payload: bytes) -> list[Any]:
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise PackError(Fault.MALFORMED, f"not JSON: {error}") from error
    if not isinstance(found, list):
        raise PackError(Fault.MALFORMED, "not an array of records")
    if len(found) > RECORD_LIMIT:
        raise PackError(Fault.OVERSIZED, f"{len(found)} records, more than {RECORD_LIMIT}")
    return found


def _not_understood(record: _Record) -> str | None:
    """RFC 8428 section 4.4: a label that ends with "_" must be understood, and a version must be known."""
    for label in record:
        if label in _UNSUPPORTED or label.endswith("_"):
            return f"field {label[:_NAME_LIMIT]!r} is not understood"
    if record.get("bver", _VERSION) > _VERSION:
        return "a version of SenML that is not understood"
    return None


def _is_leaned_on(record: Mapping[str, Any]) -> bool:
    """Whether it holds a base field, or a mandatory extension that may be one: the records after it mean nothing then."""
    return any(label in _BASES or (label.startswith("b") and label.endswith("_")) for label in record)


def _identity(records: Sequence[_Record | None]) -> tuple[EdgeId | None, StreamId | None, int | None]:
    """Edge, stream and number, if the pack is one of ours: it begins with them."""
    first = records[0] if records else None
    edge, _, leaf = (first.get("bn", "") + first.get("n", "") if first else "").rpartition("/")
    if not first or leaf != "stream" or "vs" not in first:
        return None, None, None
    stream = first["vs"]
    if not (is_identifier(edge) and is_identifier(stream)):
        raise PackError(Fault.MALFORMED, f"edge {edge!r} with stream {stream[:_NAME_LIMIT]!r} can't be names")
    second = records[1] if len(records) > 1 else None
    if not second or second.get("bn", f"{edge}/") + second.get("n", "") != f"{edge}/pack" or "v" not in second:
        raise PackError(Fault.MALFORMED, "a stream without a pack number")
    number = second["v"]
    if not (1 <= number <= NUMBER_LIMIT and number == int(number)):
        raise PackError(Fault.MALFORMED, f"pack number {number:.17g}")
    return EdgeId(edge), StreamId(stream), int(number)


def _has_clock_mark(records: Sequence[_Record | None], base: str) -> bool:
    mark = records[_OWN_RECORDS] if len(records) > _OWN_RECORDS else None
    return mark is not None and mark.get("bn", base) + mark.get("n", "") == f"{base}clock" and "vs" in mark


def _reading(record: _Record, name: str, base_s: float, base_unit: str | None) -> Reading | str:
    """The record as a reading, or why it is none."""
    parts = _parts(name)
    if isinstance(parts, str):
        return parts
    values = _VALUES & record.keys()
    if len(values) != 1:
        return f"{len(values)} values"
    (key,) = values
    at_s = base_s + record.get("t", 0.0)
    if at_s < _RELATIVE_BELOW_S:
        return f"time {at_s:g} s is relative to now, and now is over"
    if at_s > LATEST_MS / 1000:
        return f"time {at_s:g} s is not a date"
    device, channel = parts
    return Reading(
        device=device,
        channel=channel,
        at_ms=round(at_s * 1000),
        value=record[key],  # type: ignore[literal-required]
        unit=record.get("u", base_unit) if key == "v" else None,
        quality=_QUALITIES.get(record["q"], Quality.UNCERTAIN) if "q" in record else Quality.GOOD,
    )


@lru_cache(maxsize=16384)
def _parts(name: str) -> tuple[DeviceId, str] | str:
    """Device and channel, or why there are none."""
    device, slash, channel = name.rpartition("/")
    if not slash:
        return f"the name {name!r} is not a device's and a channel's with a slash between them"
    if not is_identifier(device):
        return f"{device!r} is not the name of a device"
    if not is_identifier(channel):
        return f"{channel!r} is not the name of a channel"
    return DeviceId(device), channel
