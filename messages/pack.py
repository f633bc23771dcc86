"""Packs: some readings sent together, as SenML JSON (RFC 8428), numbered per stream.

The first records are the edge's own: `<edge>/stream` and `<edge>/pack`. After them the device is the base name
(with a closing "/"), the channel the name; `q` carries a quality that is not good (a label of ours, which
RFC 8428 section 4.4 lets receivers ignore). A pack is complete in itself: it can be stored, repeated and reordered.

`decode` judges form only; whether the device exists and the value can be true is the collector's affair.
One bad record costs itself, not its pack, unless it holds base fields that others lean on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypedDict

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Quality, Reading

LIMIT_BYTES = 256 * 1024
"""Larger payloads are refused unread. An edge's packs stay below a tenth of it."""

_RELATIVE_BELOW_S = 2.0**28
"""RFC 8428 section 4.5.3: a time below 2**28 s is relative to now, which a stored pack can't have."""

_LATEST_MS = 253_402_300_799_999  # 9999-12-31: past it no store can follow


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """`edge`, `stream` and `number` are None in a pack of a foreign publisher that numbers nothing."""

    edge: EdgeId | None
    stream: StreamId | None
    number: int | None
    readings: Sequence[Reading]
    bad: Sequence[BadRecord] = field(default=())


@with_config(ConfigDict(strict=True, extra="allow", allow_inf_nan=False))
class _Record(TypedDict, total=False):
    bn: str
    bt: float
    bu: str
    bver: int
    n: str
    u: str
    v: float
    vs: str
    vb: bool
    t: float
    q: str


_records = TypeAdapter(list[_Record])
_BASES = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_UNSUPPORTED = frozenset({"bv", "bs", "s", "vd"})
"""Base values, sums and binary data: nothing of ours sends them, and guessing at them would invent readings."""


def encode(edge: EdgeId, stream: StreamId, number: int, readings: Iterable[Reading]) -> bytes:
    """One pack. Readings of one device should stand together: its name is then written once."""
    records: list[dict[str, Any]] = [{"bn": f"{edge}/", "n": "stream", "vs": stream}, {"n": "pack", "v": number}]
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
    return orjson.dumps(records)


def decode(payload: bytes, *, limit_bytes: int = LIMIT_BYTES) -> Pack:
    """The readings of a pack, and the records that are none. Raises PackError when nothing can be read."""
    if len(payload) > limit_bytes:
        raise PackError(Fault.OVERSIZED, f"{len(payload)} bytes, more than {limit_bytes}")
    records, bad = _read_records(payload)
    refused = {record.index for record in bad}
    edge, stream, number = None, None, None
    base, base_s, base_unit = "", 0.0, None
    readings = []
    for index, record in enumerate(records):
        if index in refused:
            continue
        base, base_s = record.get("bn", base), record.get("bt", base_s)
        base_unit = record.get("bu", base_unit)
        name = base + record.get("n", "")
        owner, _, channel = name.rpartition("/")
        if index < 3 and channel == "stream" and "vs" in record:
            edge, stream = EdgeId(owner), StreamId(record["vs"])
            continue
        if index < 3 and channel == "pack" and stream and "v" in record:
            number = int(record["v"])
            if number < 1 or number != record["v"]:
                raise PackError(Fault.MALFORMED, f"pack number {record['v']}")
            continue
        reading = _reading(record, owner, channel, base_s, base_unit)
        if isinstance(reading, str):
            bad.append(BadRecord(index, Fault.MALFORMED, reading))
        else:
            readings.append(reading)
    if stream is not None and number is None:
        raise PackError(Fault.MALFORMED, "a stream without a pack number")
    return Pack(edge=edge, stream=stream, number=number, readings=readings, bad=tuple(bad))


def _read_records(payload: bytes) -> tuple[list[_Record], list[BadRecord]]:
    try:
        return _records.validate_json(payload), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    bad: dict[int, BadRecord] = {}
    for problem in problems:
        if not problem["loc"]:
            raise PackError(Fault.MALFORMED, problem["msg"])
        index = int(problem["loc"][0])
        detail = f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}".removeprefix(": ")
        bad.setdefault(index, BadRecord(index, Fault.MALFORMED, detail))
    try:
        records = orjson.loads(payload)
    except orjson.JSONDecodeError as error:  # pydantic's reader is laxer in places; neither may decide alone
        raise PackError(Fault.MALFORMED, str(error)) from error
    for index in bad:
        if not isinstance(records[index], dict) or _BASES & records[index].keys():
            raise PackError(Fault.MALFORMED, f"record {index}, on which others lean: {bad[index].detail}")
    return records, list(bad.values())


def _reading(record: _Record, owner: str, channel: str, base_s: float, base_unit: str | None) -> Reading | str:
    """The record as a reading, or why it is none."""
    if unsupported := [key for key in record if key.endswith("_") or key in _UNSUPPORTED]:
        return f"field {unsupported[0]!r} is not understood"
    if not owner or not channel:
        return "no device or no channel in the name"
    values = [key for key in ("v", "vb", "vs") if key in record]
    if len(values) != 1:
        return f"{len(values)} values"
    at_s = base_s + record.get("t", 0.0)
    at_ms = round(at_s * 1000)
    if at_s < _RELATIVE_BELOW_S or at_ms > _LATEST_MS:
        return f"time {at_s} s is not a date"
    quality = record.get("q", Quality.GOOD)
    return Reading(
        device=DeviceId(owner),
        channel=channel,
        at_ms=at_ms,
        value=record[values[0]],
        unit=record.get("u", base_unit if "v" in record else None),
        quality=Quality(quality) if quality in set(Quality) else Quality.UNCERTAIN,
    )
