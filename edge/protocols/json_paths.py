"""A device's JSON message, read by the paths of its product file.

A message need not hold every channel. A word that the product file doesn't know, or a value of another type than
the channel's, makes no reading and is named instead. Left to others: units, qualities, what is reported.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from edge.models.message import JsonChannel, JsonModel
from edge.models.zigbee import ZigbeeModel
from messages.kind import Kind
from messages.reading import Value

EARLIEST_MS = 1_577_836_800_000  # 2020-01-01: a device that says less has lost its clock
AHEAD_MS = 60_000
"""How far a device's clock may run ahead of the edge's."""

LIMIT_BYTES = 64 * 1024
LONGEST_TEXT = 1000
SHOWN = 40
"""Characters of what a message says, in a complaint."""

_ABSENT = object()


class JsonError(ValueError):
    """The device sent nonsense: nothing of the message can be read."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says. `at_ms` is None where it says no time, or none that can be true."""

    values: dict[str, Value]
    at_ms: int | None
    clock_is_wrong: bool = False
    """The message says a time, and it can't be true."""
    unread: Sequence[str] = ()
    """Why a channel that stands in the message makes no reading: "door_open: 'ajar'"."""


def decode(payload: bytes, model: JsonModel | ZigbeeModel, kind: Kind, now_ms: int) -> Message:
    """Raises JsonError."""
    if len(payload) > LIMIT_BYTES:
        raise JsonError(f"{len(payload)} bytes, more than {LIMIT_BYTES}")
    try:
        content = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise JsonError(f"not a JSON object but {type(content).__name__}")
    values, unread = read_channels(content, model.channels, kind)
    at_ms, clock_is_wrong = _time(content, model, now_ms)
    return Message(values, at_ms, clock_is_wrong, tuple(unread))


def read_channels(
    content: Mapping[str, Any], channels: Mapping[str, JsonChannel], kind: Kind
) -> tuple[dict[str, Value], list[str]]:
    """The values of the channels that stand in `content`, and why one that stands there makes no reading."""
    values: dict[str, Value] = {}
    unread = []
    for name, channel in channels.items():
        found = _at(content, channel.path)
        if found is _ABSENT or found is None:
            continue
        value = _value(found, channel, kind.channels[name].type)
        if value is None:
            unread.append(f"{name}: {shown(found)}")
        else:
            values[name] = value
    return values, unread


def shown(found: object) -> str:
    """What a message says, for a complaint. Of what has parts only that: it may be deeper than Python can print."""
    if isinstance(found, dict | list):
        return "an object" if isinstance(found, dict) else "an array"
    return repr(str(found)[:SHOWN])


def _at(content: Mapping[str, Any], path: str) -> Any:
    found: Any = content
    for key in path.split("."):
        if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            return _ABSENT
    return found


def _value(found: Any, channel: JsonChannel, wanted: str) -> Value | None:
    if channel.values is not None:
        if isinstance(found, dict | list):
            return None
        word = found if isinstance(found, str) else orjson.dumps(found).decode()
        return channel.values.get(word)
    if wanted == "boolean":
        return found if isinstance(found, bool) else None
    if wanted == "text":
        return found if isinstance(found, str) and len(found) <= LONGEST_TEXT and found.isprintable() else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    number = float(f"{found * channel.scale + channel.offset:.12g}")
    return number if math.isfinite(number) else None


def _time(content: Mapping[str, Any], model: JsonModel | ZigbeeModel, now_ms: int) -> tuple[int | None, bool]:
    said = _at(content, model.time.path) if model.time else _ABSENT
    if model.time is None or said is _ABSENT:
        return None, False
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None, True
    at_ms = said * 1000 if model.time.unit == "s" else said
    return (round(at_ms), False) if EARLIEST_MS <= at_ms <= now_ms + AHEAD_MS else (None, True)
