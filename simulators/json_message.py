"""What a device that publishes JSON says: the way back from values to its message, by the product file. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from edge.models.message import JsonChannel, JsonModel
from simulators.block import Level


def encode(model: JsonModel, values: Mapping[str, Level | None], at_ms: int) -> bytes:
    """The message of a device of `model` that measured `values` at `at_ms`; a channel without a value is left out."""
    message: dict[str, Any] = {}
    if model.time:
        _put(message, model.time.path, at_ms if model.time.unit == "ms" else at_ms / 1000)
    for name, value in values.items():
        if value is not None:
            _put(message, model.channels[name].path, _word(model.channels[name], value))
    return json.dumps(message, separators=(",", ":")).encode()


def _word(channel: JsonChannel, value: Level) -> Level | str:
    """The device's own word for `value`, or the number that it would write."""
    if channel.values is not None:
        return next((word for word, meaning in channel.values.items() if meaning == value), str(value))
    return value if isinstance(value, bool) else (value - channel.offset) / channel.scale


def _put(message: dict[str, Any], path: str, value: object) -> None:
    *branches, leaf = path.split(".")
    for branch in branches:
        message = message.setdefault(branch, {})
    message[leaf] = value
