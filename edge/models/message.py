"""A product that publishes JSON on the local broker: where its channels stand in the message."""

from typing import ClassVar, Literal

from pydantic import Field

from edge.models.base import ChannelName, Product
from messages.language import Phrase, phrase
from messages.reading import Value
from messages.settings import Settings


class JsonChannel(Settings):
    """Where a channel stands in a JSON message."""

    path: str = Field(min_length=1)
    """Keys joined by dots, a number for a place in an array: "door.state", "inputs.0.value"."""
    values: dict[str, Value] | None = None
    """What the device's words mean: { open = true, closed = false }. Other words make no reading."""
    scale: float = Field(default=1.0, strict=False)
    offset: float = Field(default=0.0, strict=False)


class JsonTime(Settings):
    """Where the message says when it was measured. Without it the arrival counts."""

    path: str = Field(min_length=1)
    unit: Literal["s", "ms"]


class JsonModel(Product):
    """A device that publishes JSON on a local MQTT topic. A message need not hold every channel."""

    reached_by: ClassVar[tuple[str, ...]] = ("topic",)
    way: ClassVar[Phrase] = phrase("publishes on a topic of the local broker")

    protocol: Literal["mqtt-json"]
    time: JsonTime | None = None
    channels: dict[ChannelName, JsonChannel] = Field(min_length=1)
