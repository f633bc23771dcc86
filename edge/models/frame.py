"""An instrument that sends frames by itself over a serial line: how a frame is found, and where the channels stand in it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edge.models.base import ChannelName, Product
from messages.kind import Span
from messages.language import Phrase, Unfit, phrase
from messages.settings import Settings, shaped

LONGEST = 256
SIZES = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "float32": 4}


class Lines(Settings):
    """`[lines]`: frames are lines of ASCII."""

    terminator: Literal["\r", "\n", "\r\n"]
    prefix: str = ""
    """What a line begins with; others are passed over."""
    length: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    """Characters of a whole line, prefix included; a line that lost or doubled some is none."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Parts the line, after its prefix, into fields."""


class Bytes(Settings):
    """`[bytes]`: frames have a fixed length and begin with fixed bytes."""

    start: Annotated[str, shaped(r"([0-9A-Fa-f]{2} ?)+", phrase('should be bytes in hexadecimal, such as "42 4D"'))]
    """In hexadecimal: "FF", "42 4D"."""
    length: Annotated[int, Field(ge=2, le=LONGEST)]
    """Of the whole frame, start and check included."""
    check: Literal["sum8", "xor8", "sum16", "crc16-modbus", "none"] = "none"
    """At the frame's end, over all that stands before it; two bytes have the high one first, CRC-16 the low one."""

    @property
    def head(self) -> bytes:
        return bytes.fromhex(self.start)


class FrameChannel(Settings):
    """Where a channel stands: the field of a line, or bytes of a frame."""

    field: Annotated[int, Field(ge=0, le=100)] | None = None
    """Of a line, from 0; without a separator the line has one field, 0."""
    offset: Annotated[int, Field(ge=0, lt=LONGEST)] | None = None
    """Of a frame's bytes, from 0."""
    type: Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"] = "uint16"
    byte_order: Literal["big", "little"] = "big"
    scale: float = Field(default=1.0, strict=False)
    add: float = Field(default=0.0, strict=False)
    """In the channel's unit, added after scaling."""
    valid: Span | None = None
    """Lowest and highest value that the device can measure; outside it the quality is bad."""
    not_available: list[int] = Field(default_factory=list)
    """Raw counts by which the device says "no value"."""


class FrameModel(Product):
    """A device that speaks by itself; it has its line for itself."""

    reached_by: ClassVar[tuple[str, ...]] = ("line",)
    way: ClassVar[Phrase] = phrase("has a line for itself")

    protocol: Literal["frame"]
    lines: Lines | None = None
    bytes_: Bytes | None = Field(default=None, alias="bytes")
    channels: dict[ChannelName, FrameChannel] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.lines is None) == (self.bytes_ is None):
            raise Unfit("exactly one of [lines], [bytes] is wanted")
        for name, channel in self.channels.items():
            if self.lines is not None and channel.field is None:
                raise Unfit("{name}: `field` is wanted: frames are lines", name=name)
            if self.bytes_ is not None and channel.offset is None:
                raise Unfit("{name}: `offset` is wanted: frames are bytes", name=name)
            if self.bytes_ is not None and (channel.offset or 0) + SIZES[channel.type] > self.bytes_.length:
                raise Unfit(
                    "{name}: a {type} at {at} ends beyond the frame", name=name, type=channel.type, at=channel.offset
                )
        return self
