"""What VictoriaMetrics is sent and how it is read: numbers alone, so that all else is said in numbers. Pure.

* A number or a boolean (0 and 1) is a sample of the metric `<kind>_<channel>`, with the labels site, building, edge, device,
  model, unit and channel; a boolean's `type` is "boolean", a quality that is not good stands in the label `quality`.
* A text is cut into numbers of six bytes, each in a series of its own, `gridcall_parts_value` with the label `part`. Not
  into labels: each text that was ever said would be a series for ever, and cards and deeds have no end.
* VictoriaMetrics keeps some twelve digits, and fewer where large and small numbers meet. A number that it would round is
  written as it can be kept and, beside it, exactly, as its eight bytes in parts.
* A pack is three samples of `gridcall_packs_*`. Timestamps have whole milliseconds here, so its own is not its time but
  `pack_at_ms`: no two packs of a stream share one. How many readings it has is a label: a pack that comes again with more of
  them is another row. In one row the server would mix the two, figure by figure.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from collector.stores.base import Batch
from collector.stores.line_protocol import HEADS, KEY, MEASUREMENT
from messages.ids import DeviceId
from messages.reading import Quality, Reading, Value

PARTS, PACKS = "gridcall_parts", "gridcall_packs"
PART_BYTES = 6
"""Of 53 bits that a double holds exactly, 48 and one that marks the length."""
LENGTH_BYTES = 2
WINDOW_MS = 2**26
"""18.6 hours: packs of a stream that end in the same stretch of this length differ by their number, up to 67 million."""

PLAIN_BELOW, PLAIN_DIGITS, PLAIN_DECIMALS = 1e9, 11, 9
"""Numbers that keep every digit, whatever other such numbers lie in the same block (a block has one exponent)."""

_Group = tuple[int, str, str, str]


def readings_body(batches: Sequence[Batch]) -> str:
    return "\n".join(line for batch in batches for line in _reading_lines(batch))


def packs_body(batches: Sequence[Batch]) -> str:
    return "\n".join(line for batch in batches for line in _pack_lines(batch))


def plain(value: float) -> bool:
    """Whether VictoriaMetrics keeps it as it is."""
    return (
        abs(value) < PLAIN_BELOW
        and float(f"{value:.{PLAIN_DIGITS}g}") == value
        and round(value, PLAIN_DECIMALS) == value
    )


def pack_at_ms(last_at_ms: int, number: int) -> int:
    """The timestamp of a pack's row."""
    return last_at_ms // WINDOW_MS * WINDOW_MS + number % WINDOW_MS


def parts(content: bytes) -> list[int]:
    """`content` behind its length, cut; each part says by a leading 1 how long it is."""
    whole = len(content).to_bytes(LENGTH_BYTES, "big") + content
    cuts = range(0, len(whole), PART_BYTES)
    return [int.from_bytes(b"\x01" + whole[start : start + PART_BYTES], "big") for start in cuts]


def joined(numbers: Sequence[int]) -> bytes | None:
    """What `parts` has cut; None while some are missing."""
    whole = b"".join(number.to_bytes(PART_BYTES + 1, "big").lstrip(b"\x00")[1:] for number in numbers)
    length, content = int.from_bytes(whole[:LENGTH_BYTES], "big"), whole[LENGTH_BYTES:]
    return content if len(whole) >= LENGTH_BYTES and len(content) == length else None


def readings(series: Iterable[dict[str, Any]]) -> Iterator[Reading]:
    """Those that lie in exported series; of what is there in part only, none."""
    numbers: dict[_Group, tuple[dict[str, str], float]] = {}
    pieces: dict[_Group, tuple[dict[str, str], dict[int, int]]] = {}
    for one in series:
        labels = one["metric"]
        for at_ms, value in zip(one["timestamps"], one["values"], strict=True):
            group = (at_ms, labels["device"], labels["channel"], labels.get("quality", ""))
            if "part" in labels:
                pieces.setdefault(group, (labels, {}))[1][int(labels["part"])] = int(value)
            else:
                numbers[group] = (labels, float(value))
    for group, (labels, number) in numbers.items():
        if group not in pieces and "rounded" not in labels:
            yield _reading(group, labels, bool(number) if labels.get("type") == "boolean" else number)
    for group, (labels, found) in pieces.items():
        content = joined([found[index] for index in sorted(found)]) if len(found) == max(found) + 1 else None
        if content is not None:
            value = content.decode() if labels["type"] == "text" else struct.unpack(">d", content)[0]
            yield _reading(group, labels, value)


def _reading(group: _Group, labels: dict[str, str], value: Value) -> Reading:
    at_ms, device, channel, quality = group
    return Reading(
        device=DeviceId(device),
        channel=channel,
        at_ms=at_ms,
        value=value,
        unit=labels.get("unit"),
        quality=Quality(quality or Quality.GOOD),
    )


def _reading_lines(batch: Batch) -> Iterable[str]:
    for reading, kind, model, building in batch.points:
        device, channel, at_ms, value, unit, quality = reading
        doubt = "" if quality is Quality.GOOD else quality.value
        of = (channel, building, device, batch.edge, model, batch.site, unit or "", doubt)
        if isinstance(value, bool):
            yield f"{_head(kind, 'boolean', '', *of)}{int(value)} {at_ms}000000"
            continue
        if isinstance(value, str):
            content, what = value.encode(), "text"
        elif plain(value):
            yield f"{_head(kind, '', '', *of)}{float(value)!r} {at_ms}000000"
            continue
        else:
            content, what = struct.pack(">d", value), "number"
            rounded, near = _near(value)
            yield f"{_head(kind, '', rounded, *of)}{near!r} {at_ms}000000"
        for index, number in enumerate(parts(content)):
            yield f"{_head(PARTS, what, str(index), *of)}{number} {at_ms}000000"


def _near(value: float) -> tuple[str, float]:
    """The label of the series that holds a number which is not plain, and what it holds.

    Very large ones lie apart: they would cost their neighbours the digits.
    """
    near = round(float(f"{value:.{PLAIN_DIGITS}g}"), PLAIN_DECIMALS)
    return ("digits", near) if abs(value) < PLAIN_BELOW else ("large", value)


@lru_cache(maxsize=HEADS)
def _head(
    measurement: str, what: str, index: str, channel: str, building: str, device: str, edge: str, model: str, site: str,
    unit: str, quality: str,
) -> str:  # fmt: skip
    """A line up to its value. `index`: of a part, or, of a metric, how its number is rounded."""
    of_parts = measurement == PARTS
    tags = {
        "building": building,
        "channel": channel,
        "device": device,
        "edge": edge,
        "model": model,
        "part": index if of_parts else "",
        "quality": quality,
        "rounded": "" if of_parts else index,
        "site": site,
        "type": what,
        "unit": unit,
    }
    written = "".join(f",{tag}={text.translate(KEY)}" for tag, text in tags.items() if text)
    field = "value" if of_parts else channel.translate(KEY)
    return f"{measurement.translate(MEASUREMENT)}{written} {field}="


def _pack_lines(batch: Batch) -> Iterable[str]:
    for pack in batch.packs:
        tags = (
            f"edge={batch.edge.translate(KEY)},readings={pack.readings},site={batch.site.translate(KEY)}"
            f",stream={pack.stream.translate(KEY)}"
        )
        fields = f"last={pack.last_at_ms},number={pack.number},span={pack.last_at_ms - pack.first_at_ms}"
        yield f"{PACKS},{tags} {fields} {pack_at_ms(pack.last_at_ms, pack.number)}000000"
