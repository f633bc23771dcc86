"""The block file: which devices stand on the line and at the broker, and what they say on a quiet day.

A device is described by its model, the same data by which the edge reads it; what a device is not told to say
(`normal`) is False or the number nearest to zero that its kind allows. Reads files and opens nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from edge.models.modbus import ModbusModel
from edge.models.product import Model, load_models
from messages.ids import DeviceId, Identifier
from messages.kind import Kind, Kinds, load_kinds
from messages.settings import ConfigError, Folder, Seconds, Settings, duration_s, line_of, read
from messages.suggestion import suggest


def _number_or_switch(value: object) -> object:
    if not isinstance(value, bool | int | float):
        raise ValueError("a number, true or false is wanted")
    return value


Level = Annotated[float | bool, BeforeValidator(_number_or_switch)]
"""What a simulated channel can say."""
Port = Annotated[int, Field(ge=1, le=65535)]


class Line(Settings):
    """The one RS-485 line."""

    link: Folder
    """A symbolic link to the line's far end, made at the start and removed at the end."""
    baudrate: int = Field(default=9600, ge=300)
    """Answers take as long as they would at this speed."""


class LocalBroker(Settings):
    """Where devices that speak MQTT by themselves connect."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password: str | None = None


class Uplink(Settings):
    """The relay between the edge and its server, which a scenario can cut."""

    listen_port: Port
    target_host: str = "127.0.0.1"
    target_port: Port = 1883


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One simulated device. `unit` stands for Modbus models only, `topic` and `interval_s` for JSON models only."""

    id: DeviceId
    model: Model
    kind: Kind
    normal: Mapping[str, Level]
    """Every channel of the model."""
    unit: int
    topic: str
    interval_s: float
    """It publishes at each change, and after this many seconds without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What the simulator plays. `line`, `broker`: there if a device needs them."""

    seed: int
    kinds: Kinds
    line: Line | None
    broker: LocalBroker | None
    uplink: Uplink | None
    devices: tuple[Device, ...]


class _DeviceSettings(Settings):
    id: Identifier
    model: str
    unit: int | None = Field(default=None, ge=1, le=247)
    topic: str | None = Field(default=None, min_length=1)
    interval_s: Seconds = Field(alias="interval", default=duration_s("60s"), gt=0)
    normal: dict[str, Level] = Field(default_factory=dict)


class _BlockFile(Settings):
    seed: int = 1
    kinds: list[Folder] = Field(default_factory=list)
    models: list[Folder] = Field(default_factory=list)
    line: Line | None = None
    broker: LocalBroker | None = None
    uplink: Uplink | None = None
    devices: list[_DeviceSettings] = Field(min_length=1)


def load_block(path: Path) -> Block:
    """The block in `path`. Raises ConfigError("file:line: field: what is wrong")."""
    file = read(path, _BlockFile)
    kinds = load_kinds(*file.kinds)
    models = load_models(kinds, *file.models)
    devices: list[Device] = []
    for number, settings in enumerate(file.devices):
        where = ("devices", number)
        if settings.id in {device.id for device in devices}:
            raise complaint(path, (*where, "id"), f"`{settings.id}` is there twice")
        if (model := models.get(settings.model)) is None:
            raise complaint(path, (*where, "model"), f"no model `{settings.model}`{suggest(settings.model, models)}")
        _check_address(path, number, file, model)
        devices.append(
            Device(
                id=DeviceId(settings.id),
                model=model,
                kind=kinds[model.kind],
                normal=_normal(path, number, settings, model, kinds[model.kind]),
                unit=settings.unit or 0,
                topic=settings.topic or "",
                interval_s=settings.interval_s,
            )
        )
    return Block(
        seed=file.seed, kinds=kinds, line=file.line, broker=file.broker, uplink=file.uplink, devices=tuple(devices)
    )


def _check_address(path: Path, number: int, file: _BlockFile, model: Model) -> None:
    settings, where = file.devices[number], ("devices", number)
    wanted, unwanted, table = {
        True: ("unit", "topic", "line"),
        False: ("topic", "unit", "broker"),
    }[isinstance(model, ModbusModel)]
    if getattr(settings, unwanted) is not None:
        raise complaint(path, (*where, unwanted), f"a {model.protocol} device has none")
    if getattr(settings, wanted) is None:
        raise complaint(path, where, f"`{settings.id}` speaks {model.protocol}: `{wanted}` is missing")
    if getattr(file, table) is None:
        raise complaint(path, where, f"`{settings.id}` speaks {model.protocol}: the file has no [{table}]")
    if settings.unit is not None and settings.unit in [other.unit for other in file.devices[:number]]:
        raise complaint(path, (*where, "unit"), f"{settings.unit} is another device's on the same line")


def _normal(path: Path, number: int, settings: _DeviceSettings, model: Model, kind: Kind) -> dict[str, Level]:
    normal: dict[str, Level] = {}
    for name in model.channels:
        channel = kind.channels[name]
        if channel.type == "text":
            raise complaint(
                path, ("devices", number, "model"), f"`{name}` is a text; the simulator has no texts to say"
            )
        low, high = channel.range or (0.0, 0.0)
        normal[name] = False if channel.type == "boolean" else min(max(0.0, low), high)
    for name, level in settings.normal.items():
        where = ("devices", number, "normal", name)
        if name not in normal:
            raise complaint(path, where, f"a {settings.model} has no such channel{suggest(name, normal)}")
        if isinstance(level, bool) != isinstance(normal[name], bool):
            raise complaint(path, where, f"a {kind.channels[name].type} is wanted, not {level!r}")
        normal[name] = level
    return normal


def complaint(path: Path, where: tuple[str | int, ...], what: str) -> ConfigError:
    """A ConfigError about the field at `where` in the TOML file `path`."""
    line = line_of(path.read_text(encoding="utf-8"), where)
    return ConfigError(f"{path}:{line}: {'.'.join(map(str, where))}: {what}")
