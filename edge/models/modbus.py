"""The register map of a Modbus product, RTU or TCP: which registers or bits its channels are."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edge.models.base import ChannelName, Mistake, Product
from messages.kind import Kind, Span
from messages.settings import Seconds, Settings

Register = Annotated[int, Field(ge=0, le=0xFFFF)]
Table = Literal["coil", "discrete", "input", "holding"]
ADDRESSES = 0x10000
WORDS = {"bit": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2}
"""Registers that a value of a type takes (Modbus Application Protocol V1.1b3 section 4.4)."""


class ModbusChannel(Settings):
    """Where a channel stands in the register map. Exactly one of the four tables; addresses from 0."""

    coil: Register | None = None
    discrete: Register | None = None
    input: Register | None = None
    holding: Register | None = None
    type: Literal["bit", "int16", "uint16", "int32", "uint32", "float32"] = "uint16"
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """The bit of the register that is the value, 0 = lowest. For `type = "bit"` in a register table."""
    word_order: Literal["big", "little"] = "big"
    """Which of two registers comes first: the high ("big") or the low word."""
    scale: float = Field(default=1.0, strict=False)
    """Channel unit per raw count."""
    offset: float = Field(default=0.0, strict=False)
    """In the channel's unit, added after scaling."""
    valid: Span | None = None
    """Lowest and highest value, after scaling, that the device can measure; outside it the quality is bad."""
    not_available: int | None = None
    """The raw count by which the device says "no value": it makes no reading."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        tables = [name for name in ("coil", "discrete", "input", "holding") if getattr(self, name) is not None]
        if len(tables) != 1:
            raise ValueError("exactly one of coil, discrete, input, holding is wanted")
        if tables[0] in ("coil", "discrete"):
            if self.type != "bit" or self.bit is not None:
                raise ValueError('a coil or discrete input is a bit by itself: type = "bit", no `bit`')
        elif (self.type == "bit") != (self.bit is not None):
            raise ValueError('`bit` and type = "bit" belong together')
        if self.address + self.words > ADDRESSES:
            raise ValueError(f"a {self.type} takes {self.words} registers, and {self.address} is the last there is")
        return self

    @property
    def table(self) -> Table:
        return next(name for name in ("coil", "discrete", "input", "holding") if getattr(self, name) is not None)

    @property
    def address(self) -> int:
        return int(getattr(self, self.table))

    @property
    def words(self) -> int:
        return WORDS[self.type]


class ModbusModel(Product):
    """A Modbus slave."""

    reached_by: ClassVar[tuple[str, ...]] = ("line", "unit")
    way: ClassVar[str] = "is a unit on a line"

    protocol: Literal["modbus"]
    poll_every_s: Seconds = Field(alias="poll_every", gt=0)
    channels: dict[ChannelName, ModbusChannel] = Field(min_length=1)

    def mistakes(self, kind: Kind) -> Iterator[Mistake]:
        yield from super().mistakes(kind)
        for name in self.channels.keys() & kind.channels.keys():
            wanted = kind.channels[name].type
            if wanted == "text":
                yield ("channels", name), "is text, which no register holds"
            elif self.channels[name].type == "bit" and wanted != "boolean":
                yield ("channels", name, "type"), f"a bit can't be the {wanted} of the kind"
