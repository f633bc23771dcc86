"""A Zigbee product behind Zigbee2MQTT: its channels in the state that is published, its commands in what is set."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edge.models.base import HAS_NONE, ITS_OWN, ChannelName, Mistake, Product
from edge.models.message import JsonChannel, JsonTime
from messages.kind import Kind
from messages.language import Phrase, phrase
from messages.reading import Value
from messages.settings import Settings


class ZigbeeWrite(Settings):
    """How a command is carried out: `<topic>/set` gets { key: value }, and the device's next state says the same."""

    key: Annotated[str, Field(min_length=1)]
    value: Value | None = None
    """What is set; without it the command's own value."""
    values: dict[str, Value] | None = None
    """What the command's value is called there: { true = "ON", false = "OFF" }."""


class ZigbeeModel(Product):
    """A device of Zigbee2MQTT. Its `topic` is the base topic and the friendly name: "zigbee2mqtt/valve"."""

    reached_by: ClassVar[tuple[str, ...]] = ("topic",)
    way: ClassVar[Phrase] = phrase("publishes on a topic of the local broker")

    protocol: Literal["zigbee2mqtt"]
    time: JsonTime | None = None
    channels: dict[ChannelName, JsonChannel] = Field(min_length=1)
    commands: dict[ChannelName, ZigbeeWrite] = Field(default_factory=dict)

    def mistakes(self, kind: Kind) -> Iterator[Mistake]:
        yield from super().mistakes(kind)
        for name in self.commands.keys() & kind.commands.keys():
            fixed, wanted = self.commands[name].value is not None, kind.commands[name].type
            if fixed == (wanted != "none"):
                yield ("commands", name), ITS_OWN if fixed else HAS_NONE
