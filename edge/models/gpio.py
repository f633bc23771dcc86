"""A dry contact on a pin of the Pi: what it means when it is closed."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edge.models.base import ChannelName, Mistake, Product
from messages.kind import Kind
from messages.language import Phrase, phrase
from messages.settings import Seconds, Settings, duration_s


class GpioChannel(Settings):
    """The channel is true while the pin is active: at 3.3 V, or, with `active_low`, at ground."""

    active_low: bool = True
    """A contact between pin and ground pulls the pin low when it closes."""
    bias: Literal["pull-up", "pull-down", "none"] = "pull-up"
    """The resistor inside the chip; "none" where there is one on the board."""
    debounce_s: Seconds = Field(default=duration_s("20ms"), alias="debounce", ge=0, le=10)
    """How long the contact must stay before it counts; the kernel sees to it."""


class GpioModel(Product):
    """A contact with a pin for itself, as the kernel numbers it ("GPIO17" of a Pi is 17)."""

    reached_by: ClassVar[tuple[str, ...]] = ("line", "pin")
    line_is: ClassVar[tuple[str, ...]] = ("chip",)
    way: ClassVar[Phrase] = phrase("is a pin of a chip, which is a line")

    protocol: Literal["gpio"]
    channels: Annotated[dict[ChannelName, GpioChannel], Field(min_length=1, max_length=1)]

    def mistakes(self, kind: Kind) -> Iterator[Mistake]:
        yield from super().mistakes(kind)
        for name in self.channels.keys() & kind.channels.keys():
            if kind.channels[name].type != "boolean":
                yield (
                    ("channels", name),
                    phrase("a contact can't be the {type} of the kind", type=kind.channels[name].type),
                )
