"""A station that reports by HJ 212-2017: which of its factors are the channels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edge.models.base import ChannelName, Product
from messages.kind import Span
from messages.language import Phrase, phrase
from messages.settings import Settings, shaped


class Hj212Channel(Settings):
    """One factor: "w01018-Rtd". Its "-Flag" beside it says how far it can be trusted."""

    factor: Annotated[str, shaped(r"[a-zA-Z0-9]{1,16}", phrase("should be 1 to 16 letters and digits, such as w01018"))]
    """As HJ 525 and the maker's list code it: w00000 flow, w01001 pH, w01018 COD, w21003 ammonia."""
    what: Literal["Rtd", "Avg", "Min", "Max", "Cou"] = "Rtd"
    scale: float = Field(default=1.0, strict=False)
    add: float = Field(default=0.0, strict=False)
    valid: Span | None = None


class Hj212Model(Product):
    """A monitor that sends packets by itself."""

    reached_by: ClassVar[tuple[str, ...]] = ("line", "mn")
    line_is: ClassVar[tuple[str, ...]] = ("port", "host", "listen")
    way: ClassVar[Phrase] = phrase("is a station on a line, known by its MN")

    protocol: Literal["hj212"]
    commands_read: list[int] = Field(default_factory=lambda: [2011])
    """Which messages are read, by CN: 2011 real-time, 2051 minutes, 2061 hour, 2031 day."""
    channels: dict[ChannelName, Hj212Channel] = Field(min_length=1)
