"""An OSDP reader or door controller: which of its events and inputs are the channels, which of its outputs obey."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edge.models.base import ChannelName, Product
from messages.language import Phrase, Unfit, phrase
from messages.settings import Seconds, Settings

Number = Annotated[int, Field(ge=0, le=63)]


class OsdpChannel(Settings):
    """Where a channel comes from: an event of the reader, or one of its inputs. Exactly one of the two."""

    event: Literal["card", "keypad", "tamper", "power"] | None = None
    """What leaves of a card and of what is keyed in is a keyed hash; tamper and power are true when something is wrong."""
    input: Number | None = None
    inverted: bool = False
    """The channel is true while the input is inactive."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.event is None) == (self.input is None):
            raise Unfit("exactly one of event, input is wanted")
        return self


class OsdpWrite(Settings):
    """How a command is carried out: an output of the reader is switched on for a while, or as the command says."""

    output: Number
    for_s: Seconds | None = Field(default=None, alias="for", gt=0, le=6553)
    """Then it falls back by itself; for a command without a value."""


class OsdpModel(Product):
    """A peripheral device of OSDP 2.2 (IEC 60839-11-5)."""

    reached_by: ClassVar[tuple[str, ...]] = ("line", "unit")
    line_is: ClassVar[tuple[str, ...]] = ("port",)
    may_have: ClassVar[tuple[str, ...]] = ("key_file",)
    units: ClassVar[range] = range(127)
    hashes: ClassVar[bool] = True
    way: ClassVar[Phrase] = phrase("is a unit on a line")

    protocol: Literal["osdp"]
    channels: dict[ChannelName, OsdpChannel] = Field(min_length=1)
    commands: dict[ChannelName, OsdpWrite] = Field(default_factory=dict)
