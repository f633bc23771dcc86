"""The register map of a Modbus product, RTU or TCP: which registers or bits its channels are, and what may be written."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edge.models.base import HAS_NONE, ITS_OWN, ChannelName, Mistake, Product
from messages.kind import Channel, Kind, Span
from messages.language import Phrase, Unfit, phrase
from messages.reading import Value
from messages.settings import Seconds, Settings

Register = Annotated[int, Field(ge=0, le=0xFFFF)]
Table = Literal["coil", "discrete", "input", "holding"]
ADDRESSES = 0x10000
WORDS = {
    "bit": 1,
    "int16": 1,
    "uint16": 1,
    "bcd16": 1,
    "int32": 2,
    "uint32": 2,
    "bcd32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
"""Registers that a value of a type takes (Modbus Application Protocol V1.1b3 section 4.4); a text says its own `length`."""
UNSIGNED = ("uint16", "uint32", "uint64")
SIGNED = ("int16", "int32", "int64")
LONGEST_TEXT = 60

Type = Literal[
    "bit",
    "int16",
    "uint16",
    "bcd16",
    "int32",
    "uint32",
    "bcd32",
    "float32",
    "int64",
    "uint64",
    "float64",
    "text",
]


class ModbusChannel(Settings):
    """Where a channel stands in the register map. Exactly one of the four tables; addresses from 0."""

    coil: Register | None = None
    discrete: Register | None = None
    input: Register | None = None
    holding: Register | None = None
    type: Type = "uint16"
    length: Annotated[int, Field(ge=1, le=LONGEST_TEXT)] | None = None
    """Registers of a text, two characters each."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """The bit of the register that is the value, 0 = lowest. For `type = "bit"` in a register table."""
    mask: Annotated[int, Field(ge=1)] | None = None
    """The bits of an unsigned number that count, e.g. 0x00F0; they are shifted down."""
    word_order: Literal["big", "little"] = "big"
    """Which of several registers comes first: the one with the highest ("big") or the lowest part."""
    byte_order: Literal["big", "little"] = "big"
    """Which byte of a register comes first. The standard says "big"; some products don't."""
    values: dict[str, Value] | None = None
    """What raw counts mean: { 0 = "closed", 1 = "open" }. Other counts make no reading."""
    scale: float = Field(default=1.0, strict=False)
    """Channel unit per raw count."""
    offset: float = Field(default=0.0, strict=False)
    """In the channel's unit, added after scaling."""
    valid: Span | None = None
    """Lowest and highest value, after scaling, that the device can measure; outside it the quality is bad."""
    not_available: int | list[int] | None = None
    """The raw counts by which the device says "no value": they make no reading."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        tables = [name for name in ("coil", "discrete", "input", "holding") if getattr(self, name) is not None]
        if len(tables) != 1:
            raise Unfit("exactly one of coil, discrete, input, holding is wanted")
        if tables[0] in ("coil", "discrete"):
            if self.type != "bit" or self.bit is not None:
                raise Unfit('a coil or discrete input is a bit by itself: type = "bit", no `bit`')
            if self.byte_order != "big" or self.not_available is not None:
                raise Unfit("a coil or discrete input has no `byte_order`, and no count for `not_available`")
        elif (self.type == "bit") != (self.bit is not None):
            raise Unfit('`bit` and type = "bit" belong together')
        if (self.type == "text") != (self.length is not None):
            raise Unfit('`length` and type = "text" belong together')
        if self.mask is not None and (self.type not in UNSIGNED or self.mask >> 16 * self.words):
            raise Unfit("`mask` is for the bits of {types}", types=", ".join(UNSIGNED))
        if self.values is not None:
            self._check_values()
        self._check_absent()
        if self.scale == 0:
            raise Unfit("`scale` is 0: every value would be the same")
        if self.address + self.words > ADDRESSES:
            raise Unfit(
                "a {type} takes {words} registers, and {last} is the last there is",
                type=self.type,
                words=self.words,
                last=ADDRESSES - 1,
            )
        return self

    def _check_values(self) -> None:
        if self.type in ("bit", "text") or self.type.startswith("float"):
            raise Unfit("`values` is for whole numbers, not for a {type}", type=self.type)
        most = None if self.mask is None else self.mask // (self.mask & -self.mask)
        for text in self.values or ():
            try:
                count = int(text, 0)
            except ValueError:
                raise Unfit("`values`: {count!r} is no raw count, such as 3 or 0x03", count=text) from None
            if not self._can_be(count):
                raise Unfit("`values`: {count} is no {type}", count=text, type=self.type)
            if most is not None and count > most:
                raise Unfit("`values`: {count} is more than the {most} that `mask` leaves", count=text, most=most)

    def _check_absent(self) -> None:
        if self.type == "text" and self.not_available is not None:
            raise Unfit("`not_available` is for counts, not for a text")
        for code in self._absent_codes:
            if not self._can_be(code):
                raise Unfit("`not_available`: {count} is no {type}", count=code, type=self.type)

    def _can_be(self, count: int) -> bool:
        """Whether the registers can hold it; of a signed type both ways of writing it are taken, -1 and 0xFFFF."""
        bits = 16 * self.words
        return (-(1 << bits - 1) if self.type in SIGNED else 0) <= count < 1 << bits

    @property
    def _absent_codes(self) -> list[int]:
        if self.not_available is None:
            return []
        return self.not_available if isinstance(self.not_available, list) else [self.not_available]

    @property
    def meanings(self) -> dict[int, Value]:
        """`values` by raw count, without sign."""
        return {int(count, 0) % (1 << 16 * self.words): value for count, value in (self.values or {}).items()}

    @property
    def absent(self) -> tuple[int, ...]:
        """The raw counts that make no reading, without sign."""
        return tuple(code % (1 << 16 * self.words) for code in self._absent_codes)

    @property
    def table(self) -> Table:
        return next(name for name in ("coil", "discrete", "input", "holding") if getattr(self, name) is not None)

    @property
    def address(self) -> int:
        return int(getattr(self, self.table))

    @property
    def words(self) -> int:
        return self.length or WORDS[self.type]


class ModbusWrite(Settings):
    """How a command is carried out: what is written where. Exactly one of coil and holding; addresses from 0."""

    coil: Register | None = None
    holding: Register | None = None
    value: Value | None = None
    """What is written; without it the command's own value."""
    type: Literal["int16", "uint16", "int32", "uint32", "float32"] = "uint16"
    word_order: Literal["big", "little"] = "big"
    scale: float = Field(default=1.0, strict=False, gt=0)
    """Unit of the command's value per raw count."""
    many: bool = False
    """By function 15 or 16 even for one coil or register: some products know no other."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.coil is None) == (self.holding is None):
            raise Unfit("exactly one of coil, holding is wanted")
        if isinstance(self.value, str):
            raise Unfit("a text can't be written")
        return self

    @property
    def table(self) -> Table:
        return "coil" if self.coil is not None else "holding"

    @property
    def address(self) -> int:
        return self.coil if self.coil is not None else self.holding or 0

    @property
    def words(self) -> int:
        return 1 if self.coil is not None else WORDS[self.type]


class ModbusModel(Product):
    """A Modbus slave."""

    reached_by: ClassVar[tuple[str, ...]] = ("line", "unit")
    may_have: ClassVar[tuple[str, ...]] = ("at",)
    way: ClassVar[Phrase] = phrase("is a unit on a line")

    protocol: Literal["modbus"]
    poll_every_s: Seconds = Field(alias="poll_every", gt=0)
    gap: Annotated[int, Field(ge=0, le=100)] = 0
    """Registers that may be read over, unasked, to make one request of two. More than none only where the maker says that
    the addresses between answer: many devices refuse a whole request for one address that they don't have."""
    channels: dict[ChannelName, ModbusChannel] = Field(min_length=1)
    commands: dict[ChannelName, ModbusWrite] = Field(default_factory=dict)

    def shifted(self, by: int) -> Self:
        """The same with all addresses `by` higher: one of many like contacts of a module. Raises Unfit past the last."""
        if not by:
            return self
        channels = {
            name: channel.model_copy(update={channel.table: channel.address + by})
            for name, channel in self.channels.items()
        }
        commands = {
            name: write.model_copy(update={write.table: write.address + by}) for name, write in self.commands.items()
        }
        if any(channel.address + channel.words > ADDRESSES for channel in channels.values()):
            raise Unfit("the last address there is is {last}", last=ADDRESSES - 1)
        return self.model_copy(update={"channels": channels, "commands": commands})

    def cells(self) -> Iterator[str]:
        """What it occupies of its unit: each register or bit of its channels, so that devices may share a unit."""
        for channel in self.channels.values():
            for address in range(channel.address, channel.address + channel.words):
                bit = "" if channel.bit is None else f" bit {channel.bit}"
                yield f"{channel.table} {address}{bit}"

    def mistakes(self, kind: Kind) -> Iterator[Mistake]:
        yield from super().mistakes(kind)
        for name in self.channels.keys() & kind.channels.keys():
            if complaint := _misfit(self.channels[name], kind.channels[name]):
                yield ("channels", name), complaint
        for name in self.commands.keys() & kind.commands.keys():
            fixed, wanted = self.commands[name].value is not None, kind.commands[name].type
            if fixed == (wanted != "none"):
                yield ("commands", name), ITS_OWN if fixed else HAS_NONE


def _misfit(channel: ModbusChannel, wanted: Channel) -> Phrase | None:
    """Why a channel of the map can't be that of the kind."""
    if channel.values is not None:
        for count, value in channel.values.items():
            said = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
            if said != wanted.type:
                return phrase(
                    "`values`: {count} = {value!r} is no {type}, as the kind wants it",
                    count=count,
                    value=value,
                    type=wanted.type,
                )
        return None
    if channel.type == "text" or wanted.type == "text":
        return None if channel.type == wanted.type else _cant_be(channel.type, wanted)
    if channel.type == "bit" and wanted.type != "boolean":
        return _cant_be("bit", wanted)
    return None


def _cant_be(type_: str, wanted: Channel) -> Phrase:
    return phrase("a {type} can't be the {wanted} of the kind", type=type_, wanted=wanted.type)
