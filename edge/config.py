"""The configuration of one edge agent: one TOML file, checked whole before anything is opened.

A device has a line and a unit, or a topic of the local broker, as its model wants; a line speaks one protocol. Paths in the file are relative to it. Every complaint names file, line and field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NoReturn, Self, TypeVar, cast

from pydantic import Field, model_validator

from edge.acting.order import unfit
from edge.acting.reflex import Deed, Reflex
from edge.health.own import OwnDevice, own_devices
from edge.models.base import Product
from edge.models.frame import FrameModel
from edge.models.lorawan import LorawanModel
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.product import SHIPPED as MODELS
from edge.models.product import Model, load_models
from messages.announcement import Announcement, Place
from messages.bus import Broker
from messages.ids import DeviceId, EdgeId, Identifier, SiteId, is_identifier
from messages.kind import SHIPPED as KINDS
from messages.kind import Kind, Kinds, load_kinds
from messages.reading import Value
from messages.settings import (
    ConfigError,
    Folder,
    Seconds,
    Settings,
    duration_s,
    folders,
    line_of,
    read,
    replacements,
    suggest,
)
from rules.language.rule import Rules, load_rules

MEGABYTE = 1024 * 1024
KEY_BYTES, CARD_KEY_BYTES = 16, 32
"""Of a secure channel (AES-128, SIA OSDP v2.2 annex D), and of the site's key for hashes."""
REACHED_BY = ("line", "unit", "at", "topic", "dev_eui", "mn", "key_file")
"""The fields of a `[[devices]]` table of which a model wants some, and refuses the others."""


class Rs485Settings(Settings):
    """`rs485 = { … }` of a line whose port switches its transmitter by RTS, as UARTs on a Pi's own pins do."""

    rts_on_send: bool = True
    """RTS is high while sending, or low."""
    delay_before_s: Seconds = Field(default=0.0, alias="delay_before", le=1)
    delay_after_s: Seconds = Field(default=0.0, alias="delay_after", le=1)


class LineSettings(Settings):
    """One bus and how it speaks: a `[[lines]]` table. A serial port, or the host of a gateway or a device."""

    name: Identifier
    port: Annotated[str, Field(min_length=1)] | None = None
    """As pyserial takes it: "/dev/ttyUSB0", better "/dev/serial/by-id/…", which survives replugging."""
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] | None = None
    data_bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    rs485: Rs485Settings | None = None
    host: Annotated[str, Field(min_length=1)] | None = None
    tcp_port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    """Of Modbus on a host: its own TCP frames, or those of a serial line, which plain serial servers pass through."""
    timeout_s: Seconds = Field(default=duration_s("300ms"), alias="timeout", gt=0, le=10)
    """How long a slave may think before its answer begins."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.port is None) == (self.host is None):
            raise ValueError("exactly one of port, host is wanted")
        if self.port is not None and self.baudrate is None:
            raise ValueError("a serial port needs a baudrate")
        serial_only = ("baudrate", "data_bits", "parity", "stop_bits", "rs485")
        foreign = serial_only if self.host else ("tcp_port", "framing")
        if wrong := self.model_fields_set & set(foreign):
            raise ValueError(f"`{min(wrong)}` is for a line with a {'port' if self.host else 'host'}")
        return self

    @property
    def bits(self) -> int:
        """Of one character on the wire."""
        return 1 + self.data_bits + (self.parity != "N") + self.stop_bits

    @property
    def where(self) -> str:
        """The port or the host, as it is said to people."""
        return self.port or f"{self.host}:{self.tcp_port}"


class DeviceSettings(Settings):
    """A `[[devices]]` table."""

    id: Identifier
    model: str
    line: str | None = None
    unit: Annotated[int, Field(ge=0, le=247)] | None = None
    at: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """Of a Modbus device: by how much its product's addresses are shifted, for one of many like inputs of a module."""
    topic: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^+#\x00]+$")] | None = None
    dev_eui: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{16}$")] | None = None
    """Of a LoRaWAN device, as on its label."""
    mn: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,24}$")] | None = None
    """Of an HJ 212 station: its unique code."""
    key_file: Folder | None = None
    """Of an OSDP reader: a file with the 32 hexadecimal digits of its own secure channel base key."""
    place: Place
    settings: dict[Identifier, Value] = Field(default_factory=dict)
    """Names that the rules may use, e.g. `depth`."""


class DeedSettings(Settings):
    """One thing that a reflex does."""

    device: Identifier
    command: Identifier
    value: Value | None = None


class ReflexSettings(Settings):
    """A `[[reflexes]]` table: what this Pi does by itself when a rule of some devices says so."""

    id: Identifier
    rule: Annotated[str, Field(pattern=r"^[a-z0-9_-]+/[a-z0-9_-]+$")]
    """Kind and name of a rule that says `reflex = true`: "gas_alarm/leak"."""
    devices: list[Identifier] = Field(min_length=1)
    """Whose readings are watched, all of the rule's kind."""
    raised: list[DeedSettings] = Field(min_length=1)
    """What is done when the first of them raises."""
    cleared: list[DeedSettings] = Field(default_factory=list)
    """What is done when the last of them has cleared."""


class LorawanSettings(Settings):
    """The `[lorawan]` table: how the network server on the `[local]` broker publishes."""

    server: Literal["chirpstack", "things-stack"]


class OsdpSettings(Settings):
    """The `[osdp]` table."""

    card_key_file: Folder
    """A file with 64 hexadecimal digits, the site's own: cards leave the edge as hashes by this key."""


class File(Settings):
    """The file as it is written."""

    site: Identifier
    edge: Identifier
    place: Place | None = None
    """Where the edge itself is; the grid of its first device if it isn't said."""
    folder: Folder
    kinds: list[Folder] = Field(default_factory=list)
    models: list[Folder] = Field(default_factory=list)
    rules: list[Folder] = Field(default_factory=list)
    """Folders of rule files of one's own, for the reflexes."""
    outbox_limit_mb: Annotated[int, Field(ge=1)] = 512
    uplink: Broker
    local: Broker | None = None
    lorawan: LorawanSettings | None = None
    osdp: OsdpSettings | None = None
    lines: list[LineSettings] = Field(default_factory=list)
    devices: list[DeviceSettings] = Field(min_length=1)
    reflexes: list[ReflexSettings] = Field(default_factory=list)


M = TypeVar("M", bound=Product, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Generic[M]):
    """One configured device with its kind and model looked up. Of `line`, `unit` and `topic` it has what its model wants."""

    id: DeviceId
    kind: Kind
    model: M
    announcement: Announcement
    line: str = ""
    unit: int = 0
    topic: str = ""
    dev_eui: str = ""
    """In lower case."""
    mn: str = ""
    key: bytes = b""
    """Of an OSDP reader's secure channel; empty for one that is spoken to in clear."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the agent runs by. Nothing in it can be wrong any more; what it names may still be away."""

    site: SiteId
    edge: EdgeId
    folder: Path
    outbox_limit_bytes: int
    uplink: Broker
    local: Broker | None
    lorawan: LorawanSettings | None
    card_key: bytes
    """For the hashes of cards; empty without OSDP readers."""
    lines: Mapping[str, LineSettings]
    devices: tuple[Device[Model], ...]
    own_devices: tuple[OwnDevice, ...]
    """What the edge says of itself."""
    reflexes: tuple[Reflex, ...]
    notes: tuple[str, ...]
    """What the user's own files do that they may not be meant to do."""

    def on_line(self, name: str) -> list[Device[Model]]:
        """All of one protocol: nothing else is accepted."""
        return [device for device in self.devices if device.line == name]

    def on_broker(self) -> list[Device[Model]]:
        return [device for device in self.devices if device.topic or device.dev_eui]


def of(model: type[M], devices: Iterable[Device[Product]]) -> list[Device[M]]:
    """Those of `devices` whose product file is a `model`."""
    return [cast(Device[M], device) for device in devices if isinstance(device.model, model)]


def parse(path: Path) -> Config:
    """The configuration in `path`. Raises ConfigError; opens no port and no connection."""
    file = read(path, File)
    here = path.parent
    own_kinds, own_models = folders(path, "kinds", file.kinds), folders(path, "models", file.models)
    kinds = load_kinds(*own_kinds)
    models = load_models(kinds, *own_models)
    check = _Check(path, file, kinds, models)
    check.lines()
    devices = tuple(check.device(index, settings) for index, settings in enumerate(file.devices))
    reflexes = check.reflexes({device.id: device for device in devices}, folders(path, "rules", file.rules))
    place = file.place or Place(grid=devices[0].announcement.place.grid, text=f"{file.edge}")
    return Config(
        site=SiteId(file.site),
        edge=EdgeId(file.edge),
        folder=here / file.folder,
        outbox_limit_bytes=file.outbox_limit_mb * MEGABYTE,
        uplink=_beside(file.uplink, here),
        local=_beside(file.local, here) if file.local else None,
        lorawan=file.lorawan,
        card_key=check.card_key(devices),
        lines={line.name: line for line in file.lines},
        devices=devices,
        own_devices=tuple(check.own_devices(place, devices, reflexes)),
        reflexes=reflexes,
        notes=(*_replacements(KINDS, own_kinds), *_replacements(MODELS, own_models)),
    )


def _replacements(shipped: Path, own: Iterable[Path]) -> list[str]:
    return replacements(shipped, (file for folder in own for file in sorted(folder.glob("*.toml"))), "channels")


class _Check:
    """What one table can't know of the others."""

    def __init__(self, path: Path, file: File, kinds: Kinds, models: Mapping[str, Model]) -> None:
        self._path, self._file, self._kinds, self._models = path, file, kinds, models
        self._taken: dict[tuple[str, ...], str] = {}
        self._spoken: dict[str, tuple[str, str]] = {}
        """By line: the protocol of its devices, and the first of them."""
        self._units: dict[tuple[str, str], tuple[str, bool]] = {}
        """By unit and line: its device, and whether others may share it."""

    def lines(self) -> None:
        for index, line in enumerate(self._file.lines):
            self._once(("the name", line.name), "another line", ("lines", index, "name"))
            self._once((line.where,), f"line `{line.name}`", ("lines", index, "port" if line.port else "host"))

    def device(self, index: int, device: DeviceSettings) -> Device[Model]:
        here = ("devices", index)
        self._once(("the id", device.id), "another device", (*here, "id"))
        if (model := self._models.get(device.model)) is None:
            self._wrong((*here, "model"), f"no model `{device.model}`{suggest(device.model, self._models)}")
        if isinstance(model, ModbusModel) and device.at:
            try:
                model = model.shifted(device.at)
            except ValueError as error:
                self._wrong((*here, "at"), str(error))
        self._reached(here, device, model)
        return Device(
            id=DeviceId(device.id),
            kind=self._kinds[model.kind],
            model=model,
            announcement=Announcement(
                kind=model.kind, model=device.model, place=device.place, settings={**model.settings, **device.settings}
            ),
            line=device.line or "",
            unit=device.unit or 0,
            topic=device.topic or "",
            dev_eui=(device.dev_eui or "").lower(),
            mn=device.mn or "",
            key=self._key((*here, "key_file"), device.key_file, KEY_BYTES) if device.key_file else b"",
        )

    def _reached(self, here: tuple[Any, ...], device: DeviceSettings, model: Model) -> None:
        """The device says where it is, in its protocol's way, and nobody else is there."""
        lines = {line.name: line for line in self._file.lines}
        for name in REACHED_BY:
            said = getattr(device, name) is not None
            if said and name not in (*model.reached_by, *model.may_have):
                self._wrong((*here, name), f"a {device.model} has no {name}; it {model.way}")
            if not said and name in model.reached_by:
                others = suggest("", lines) if name == "line" else ""
                self._wrong((*here, name), f"is missing: a {device.model} {model.way}{others}")
        if device.line is not None:
            self._on_line(here, device, model)
        if device.topic is not None:
            self._once(("topic", device.topic), f"device `{device.id}`", (*here, "topic"))
        if device.dev_eui is not None:
            self._once(("DevEUI", device.dev_eui.lower()), f"device `{device.id}`", (*here, "dev_eui"))
            if self._file.lorawan is None:
                self._wrong(("lorawan",), f"is missing: which network server does device `{device.id}` come through?")
        if (device.topic or device.dev_eui) and self._file.local is None:
            self._wrong(("local",), f"is missing: device `{device.id}` publishes on the local broker")
        if isinstance(model, LorawanModel) and model.codec and find_spec("quickjs") is None:
            self._wrong(
                (*here, "model"), f"the codec of a {device.model} needs JavaScript: pip install gridcall[codecs]"
            )

    def card_key(self, devices: Sequence[Device[Model]]) -> bytes:
        readers = of(OsdpModel, devices)
        if not readers:
            return b""
        if find_spec("osdp_sys") is None:
            self._wrong(("devices",), f"`{readers[0].id}` is an OSDP reader: pip install gridcall[osdp]")
        if self._file.osdp is None:
            self._wrong(
                ("osdp",), f"is missing: cards that `{readers[0].id}` reads leave as hashes by the site's own key"
            )
        return self._key(("osdp", "card_key_file"), self._file.osdp.card_key_file, CARD_KEY_BYTES)

    def _key(self, where: tuple[Any, ...], file: Path, length: int) -> bytes:
        path = self._path.parent / file
        try:
            if path.stat().st_mode & 0o077:
                self._wrong(where, f"{path}: others may read this key: chmod 600")
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except OSError as error:
            self._wrong(where, f"{path}: no key can be read: {error.strerror or error}")
        except ValueError:
            key = b""
        if len(key) != length:
            self._wrong(
                where, f"{path}: {2 * length} hexadecimal digits are wanted, e.g. by `openssl rand -hex {length}`"
            )
        return key

    def _on_line(self, here: tuple[Any, ...], device: DeviceSettings, model: Model) -> None:
        lines = [line.name for line in self._file.lines]
        if device.line not in lines:
            self._wrong((*here, "line"), f"no line `{device.line}`{suggest(str(device.line), lines)}")
        spoken = self._spoken.setdefault(str(device.line), (model.protocol, device.id))
        if spoken[0] != model.protocol:
            complaint = f"a {device.model} speaks {model.protocol}, and `{spoken[1]}` on this line {spoken[0]}"
            self._wrong((*here, "line"), complaint)
        if device.mn is not None:
            self._once((f"station {device.mn} of line", str(device.line)), f"device `{device.id}`", (*here, "mn"))
        if isinstance(model, FrameModel):
            self._once(("line", str(device.line)), f"device `{device.id}`", (*here, "line"))
        if device.unit is not None:
            if device.unit not in model.units:
                here_ = f"{model.units[0]} to {model.units[-1]}"
                self._wrong((*here, "unit"), f"{device.unit} is not in {here_}, the units of {model.protocol}")
            self._its_unit(here, device, model)

    def _its_unit(self, here: tuple[Any, ...], device: DeviceSettings, model: Model) -> None:
        """A unit is one device's, or, where all of them say `at`, that of several that don't overlap."""
        unit, owner = (f"unit {device.unit} of line", str(device.line)), f"device `{device.id}`"
        shared = device.at is not None and isinstance(model, ModbusModel)
        known = self._units.setdefault(unit, (owner, shared))
        if known != (owner, shared) and not (known[1] and shared):
            both = "" if known[1] == shared else "; devices that share a unit all say `at`"
            self._wrong((*here, "unit"), f"{' '.join(unit)} is taken by {known[0]}{both}")
        for cell in model.cells() if shared and isinstance(model, ModbusModel) else ():
            self._once((f"{cell} of {unit[0]}", unit[1]), owner, (*here, "unit"))

    def reflexes(self, devices: Mapping[DeviceId, Device[Model]], own_rules: Sequence[Path]) -> tuple[Reflex, ...]:
        if not self._file.reflexes:
            return ()
        rules = load_rules(self._kinds, *own_rules)
        return tuple(
            self._reflex(("reflexes", index), settings, devices, rules)
            for index, settings in enumerate(self._file.reflexes)
        )

    def _reflex(
        self, here: tuple[Any, ...], settings: ReflexSettings, devices: Mapping[DeviceId, Device[Model]], rules: Rules
    ) -> Reflex:
        self._once(("the id", settings.id), "another device", (*here, "id"))
        kind, _, name = settings.rule.partition("/")
        by_name = {rule.id: rule for rule in rules.get(kind, ())}
        if (rule := by_name.get(name)) is None:
            known = by_name if kind in rules else rules
            self._wrong((*here, "rule"), f"no rule `{settings.rule}`{suggest(name if kind in rules else kind, known)}")
        if not rule.reflex:
            self._wrong((*here, "rule"), f"`{settings.rule}` is no reflex: its rule file doesn't say `reflex = true`")
        watched = {}
        for device in map(DeviceId, settings.devices):
            if (found := devices.get(device)) is None:
                self._wrong((*here, "devices"), f"no device `{device}`{suggest(device, devices)}")
            if found.announcement.kind != kind:
                self._wrong((*here, "devices"), f"`{device}` is a {found.announcement.kind}, not a {kind}")
            watched[device] = rule.for_device(found.announcement.settings)
        raised, cleared = (
            tuple(self._deed((*here, when, index), deed, devices) for index, deed in enumerate(deeds))
            for when, deeds in (("raised", settings.raised), ("cleared", settings.cleared))
        )
        return Reflex(id=DeviceId(settings.id), rules=watched, raised=raised, cleared=cleared)

    def _deed(self, here: tuple[Any, ...], settings: DeedSettings, devices: Mapping[DeviceId, Device[Model]]) -> Deed:
        if (device := devices.get(DeviceId(settings.device))) is None:
            self._wrong((*here, "device"), f"no device `{settings.device}`{suggest(settings.device, devices)}")
        if why := unfit(settings.command, settings.value, device.kind, device.model):
            self._wrong((*here, "command"), why)
        return Deed(device.id, settings.command, settings.value)

    def own_devices(
        self, place: Place, devices: Sequence[Device[Model]], reflexes: Sequence[Reflex]
    ) -> list[OwnDevice]:
        """Raises ConfigError if a device has a name that the edge needs for itself."""
        lines = [line.name for line in self._file.lines]
        lines += ["local"] if any(device.topic for device in devices) else []
        lines += ["lorawan"] if any(device.dev_eui for device in devices) else []
        own = own_devices(
            EdgeId(self._file.edge),
            place,
            lines,
            {device.id: device.announcement.place for device in devices},
            [reflex.id for reflex in reflexes],
            self._kinds,
        )
        configured = {device.id: index for index, device in enumerate(devices)}
        for device in own:
            if device.id in configured:
                complaint = f"`{device.id}` is what the edge calls a part of itself"
                self._wrong(("devices", configured[device.id], "id"), complaint)
            if not is_identifier(device.id):
                self._wrong(("edge",), f"`{device.id}`, what the edge would call a part of itself, is too long")
        return own

    def _once(self, what: tuple[str, ...], owner: str, where: tuple[Any, ...]) -> None:
        if what in self._taken:
            self._wrong(where, f"{' '.join(what)} is taken by {self._taken[what]}")
        self._taken[what] = owner

    def _wrong(self, where: tuple[Any, ...], complaint: str) -> NoReturn:
        line = line_of(self._path.read_text(encoding="utf-8-sig"), where)
        raise ConfigError(f"{self._path}:{line}: {'.'.join(map(str, where))}: {complaint}")


def _beside(broker: Broker, here: Path) -> Broker:
    """`broker` with its files looked for beside the configuration. Raises ConfigError if one can't be read."""
    names = ("password_file", "ca_file", "cert_file", "key_file")
    files = {name: here / file for name in names if (file := getattr(broker, name)) is not None}
    found = broker.model_copy(update=files)
    found.secret()
    found.tls()
    return found
