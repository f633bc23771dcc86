"""Flux as our questions need it, and the rows of its answers. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.stores.base import COARSE_MS
from collector.stores.line_protocol import channel_of, quality_field_of, read_value
from messages.ids import DeviceId
from messages.reading import Quality, Reading

COARSE, COARSE_BACK = "_coarse", "26h"
"""What a bucket's name has more where coarse ranges lie, and how far the task that fills it looks back."""
FIGURES = ("count", "sum", "min", "max")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


def held_in(bucket: str, from_ms: int, to_ms: int, **equal: str) -> str:
    """The rows of a span, both ends included, whose columns are what `equal` says."""
    where = " and ".join(f"r.{column} == {quoted(value)}" for column, value in equal.items())
    return (
        f"from(bucket: {quoted(bucket)})"
        f" |> range(start: {instant(from_ms)}, stop: {instant(to_ms + 1)})"
        f" |> filter(fn: (r) => {where})"
    )


def coarse_task(name: str, bucket: str) -> str:
    """The task's Flux: of every number count, sum, lowest and highest over each COARSE_MS."""
    every = f"{COARSE_MS // 60_000}m"
    lines = [
        'import "date"',
        'import "types"',
        f"option task = {{name: {quoted(name)}, every: 1h, offset: 5m}}",
        "numbers = () =>",
        f"    from(bucket: {quoted(bucket)})",
        f"        |> range(start: date.truncate(t: -{COARSE_BACK}, unit: 1h), stop: date.truncate(t: now(), unit: 1h))",
        '        |> filter(fn: (r) => exists r.device and types.isType(v: r._value, type: "float"))',
    ]
    for fn in FIGURES:
        lines += [
            "numbers()",
            f'    |> aggregateWindow(every: {every}, fn: {fn}, createEmpty: false, timeSrc: "_start")',
            f'    |> map(fn: (r) => ({{r with _field: "{fn}_" + r._field, _value: float(v: r._value)}}))',
            f"    |> to(bucket: {quoted(bucket + COARSE)})",
        ]
    return "\n".join(lines) + "\n"


def readings(rows: Sequence[Row]) -> Iterator[Reading]:
    """The readings among `rows`; a quality is a row of its own, beside the value's, at the same time."""
    qualities = {(series(row), row["_field"], row["_time"]): row["_value"] for row in rows}
    for row in rows:
        channel = channel_of(row["_field"])
        if channel is None:
            continue
        yield Reading(
            device=DeviceId(row["device"]),
            channel=channel,
            at_ms=at_ms(row),
            value=value(row),
            unit=row.get("unit") or None,
            quality=Quality(qualities.get((series(row), quality_field_of(channel), row["_time"]), Quality.GOOD)),
        )


def series(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in ("_measurement", "device", "building", "model", "unit", "edge"))


def value(row: Row) -> float | bool | str:
    """Annotated CSV writes an empty text as it writes nothing at all."""
    stored = row["_value"]
    return "" if stored is None else read_value(stored)


def at_ms(row: Row) -> int:
    since: timedelta = row["_time"] - EPOCH
    return since // timedelta(milliseconds=1)


def instant(at_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quoted(text: str) -> str:
    """A string of Flux, in which "${" would begin an expression."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${").replace("\n", "\\n")
    return f'"{escaped}"'
