"""A model: one product of a kind, and how the kind's channels are read from it.

One TOML file per product in this folder or in a folder of the user's; the file's stem is the model's name. The
agent reads by it, the simulator answers by it. What data can't say does not belong here.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from messages.ids import IDENTIFIER
from messages.kind import Kinds, Span
from messages.reading import Value
from messages.settings import ConfigError, Seconds, Settings, line_of, read, suggest

SHIPPED = Path(str(files("edge"))) / "models"

ChannelName = Annotated[str, Field(pattern=IDENTIFIER)]
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


class ModbusModel(Settings):
    """A Modbus RTU slave."""

    protocol: Literal["modbus-rtu"]
    name: str
    source: str
    """Where the register map comes from: maker, document, revision."""
    kind: str
    poll_every_s: Seconds = Field(alias="poll_every", gt=0)
    channels: dict[ChannelName, ModbusChannel] = Field(min_length=1)


class JsonChannel(Settings):
    """Where a channel stands in a JSON message."""

    path: str = Field(min_length=1)
    """Keys joined by dots: "door.state"."""
    values: dict[str, Value] | None = None
    """What the device's words mean: { open = true, closed = false }. Other words make no reading."""
    scale: float = Field(default=1.0, strict=False)
    offset: float = Field(default=0.0, strict=False)


class JsonTime(Settings):
    """Where the message says when it was measured. Without it the arrival counts."""

    path: str = Field(min_length=1)
    unit: Literal["s", "ms"]


class JsonModel(Settings):
    """A device that publishes JSON on a local MQTT topic. A message need not hold every channel."""

    protocol: Literal["mqtt-json"]
    name: str
    source: str
    kind: str
    time: JsonTime | None = None
    channels: dict[ChannelName, JsonChannel] = Field(min_length=1)


class _Product(RootModel[Annotated[ModbusModel | JsonModel, Field(discriminator="protocol")]]):
    pass


Model = ModbusModel | JsonModel


def load_models(kinds: Kinds, *folders: Path) -> dict[str, Model]:
    """All models in the shipped folder and then in `folders`, each checked against its kind.

    Raises ConfigError that names file, line and field.
    """
    models: dict[str, Model] = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of models")
        for path in sorted(folder.glob("*.toml")):
            models[path.stem] = _checked(read(path, _Product).root, kinds, path)
    return models


def _checked(model: Model, kinds: Kinds, path: Path) -> Model:
    if (kind := kinds.get(model.kind)) is None:
        raise _mistake(path, ("kind",), f"no kind `{model.kind}`{suggest(model.kind, kinds)}")
    for name, channel in model.channels.items():
        if name not in kind.channels:
            raise _mistake(path, ("channels", name), f"a {model.kind} has none{suggest(name, kind.channels)}")
        is_bit = isinstance(channel, ModbusChannel) and channel.type == "bit"
        if is_bit and kind.channels[name].type != "boolean":
            complaint = f"a bit can't be the {kind.channels[name].type} of the kind"
            raise _mistake(path, ("channels", name, "type"), complaint)
    return model


def _mistake(path: Path, where: tuple[str, ...], complaint: str) -> ConfigError:
    line = line_of(path.read_text(encoding="utf-8-sig"), where)
    return ConfigError(f"{path}:{line}: {'.'.join(where)}: {complaint}")
