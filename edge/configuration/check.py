"""One TOML file becomes a configuration, checked whole before anything is opened.

A device has a line and a unit, or a topic of the local broker, as its model wants; a line speaks one protocol. Paths in the
file are relative to it. Every complaint names file, line and field.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from edge.acting.order import unfit
from edge.acting.reflex import Deed, Reflex
from edge.configuration.config import Config, Device, GatewayAt, of
from edge.configuration.gateways import LOCAL, LORAWAN, Gateways
from edge.configuration.tables import DeedSettings, DeviceSettings, File, ReflexSettings
from edge.health.own import OwnDevice, own_devices
from edge.models.frame import FrameModel
from edge.models.gpio import GpioModel
from edge.models.lorawan import LorawanModel
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.product import SHIPPED as MODELS
from edge.models.product import Model, load_models
from messages.announcement import Announcement, Place
from messages.broker import Broker, FileError
from messages.ids import DeviceId, EdgeId, SiteId, is_identifier
from messages.kind import SHIPPED as KINDS
from messages.kind import Kinds, load_kinds
from messages.settings import ConfigError, folders, line_of, read, replacements, suggest
from rules.language.library import load_rules
from rules.language.neighbours import WHEREABOUTS
from rules.language.rule import Rules, same_type

MEGABYTE = 1024 * 1024
KEY_BYTES, CARD_KEY_BYTES = 16, 32
"""Of a secure channel (AES-128, SIA OSDP v2.2 annex D), and of the site's key for hashes."""
REACHED_BY = ("line", "unit", "at", "pin", "topic", "dev_eui", "mn", "key_file")
"""The fields of a `[[devices]]` table of which a model wants some, and refuses the others."""


def parse(path: Path) -> Config:
    """The configuration in `path`. Raises ConfigError; opens no port and no connection."""
    file = read(path, File)
    here = path.parent
    own_kinds, own_models = folders(path, "kinds", file.kinds), folders(path, "models", file.models)
    kinds = load_kinds(*own_kinds)
    models = load_models(kinds, *own_models)
    check = _Check(path, file, kinds, models)
    check.lines()
    check.gateways()
    devices = tuple(check.device(index, settings) for index, settings in enumerate(file.devices))
    rules = load_rules(kinds, *folders(path, "rules", file.rules), calendar=file.calendar.calendar())
    reflexes = check.reflexes({device.id: device for device in devices}, rules)
    place = file.place or Place(grid=devices[0].announcement.place.grid, text=f"{file.edge}")
    return Config(
        site=SiteId(file.site),
        edge=EdgeId(file.edge),
        folder=here / file.folder,
        outbox_limit_bytes=file.outbox_limit_mb * MEGABYTE,
        uplink=check.beside("uplink", file.uplink),
        local=check.beside("local", file.local) if file.local else None,
        lorawan=file.lorawan,
        card_key=check.card_key(devices),
        lines={line.name: line for line in file.lines},
        gateways=check.found_gateways,
        devices=devices,
        own_devices=tuple(check.own_devices(place, devices, reflexes)),
        reflexes=reflexes,
        notes=(
            *_replacements(KINDS, own_kinds),
            *_replacements(MODELS, own_models),
            *(note for device in devices for note in _unheeded(device, rules)),
            *(note for device in devices for note in _miscounted(device)),
            *check.doubtful_gateways(devices),
        ),
    )


def _replacements(shipped: Path, own: Iterable[Path]) -> list[str]:
    return replacements(shipped, (file for folder in own for file in sorted(folder.glob("*.toml"))), "channels")


def _unheeded(device: Device[Model], rules: Rules) -> Iterator[str]:
    """Settings that no rule would believe: the rule's own default goes on counting, and nobody hears of it."""
    kind = device.announcement.kind
    known = {name: default for rule in rules.get(kind, ()) for name, default in rule.settings.items()}
    for name, value in device.announcement.settings.items():
        if name not in known and name not in WHEREABOUTS:
            yield f"{device.id}: no rule for a {kind} that is here knows the setting `{name}`{suggest(name, known)}"
        elif name in known and not same_type(value, known[name]):
            yield f"{device.id}: the setting `{name}` is {value!r}, and the rules want something like {known[name]!r}"


def _miscounted(device: Device[Model]) -> Iterator[str]:
    """Addresses as manuals print them: 40001 is the first holding register, which is 0 here."""
    if isinstance(device.model, ModbusModel):
        for name, channel in device.model.channels.items():
            first = {"holding": 40001, "input": 30001, "discrete": 10001}.get(channel.table)
            if first and first <= channel.address < first + 9999:
                yield (
                    f"{device.id}: {device.announcement.model} reads {name} from {channel.table} {channel.address};"
                    f" if a manual counts from {first}, {channel.address - first} is meant"
                )


class _Check:
    """What one table can't know of the others."""

    def __init__(self, path: Path, file: File, kinds: Kinds, models: Mapping[str, Model]) -> None:
        self._path, self._file, self._kinds, self._models = path, file, kinds, models
        self._taken: dict[tuple[str, ...], str] = {}
        self._spoken: dict[str, tuple[str, str]] = {}
        """By line: the protocol of its devices, and the first of them."""
        self._units: dict[tuple[str, str], tuple[str, bool]] = {}
        """By unit and line: its device, and whether others may share it."""
        self._gateways = Gateways(file)

    def lines(self) -> None:
        for index, line in enumerate(self._file.lines):
            self._once(("the name", line.name), "another line", ("lines", index, "name"))
            where = os.path.realpath(line.port) if line.port and "://" not in line.port else line.where
            self._once((where,), f"line `{line.name}`", ("lines", index, line.way))

    def gateways(self) -> None:
        for index, gateway in enumerate(self._file.gateways):
            here = ("gateways", index)
            if gateway.name in (LOCAL, LORAWAN):
                self._wrong((*here, "name"), f"`{gateway.name}` is what the edge calls a line of its own")
            self._once(("the name", gateway.name), "another line", (*here, "name"))
            if gateway.topic is not None:
                self._once(("the gateway's topic", gateway.topic), f"gateway `{gateway.name}`", (*here, "topic"))
            if gateway.eui is not None:
                self._once(("EUI", gateway.eui.lower()), f"gateway `{gateway.name}`", (*here, "eui"))
                if self._file.lorawan is None:
                    self._wrong(("lorawan",), f"is missing: which network server is gateway `{gateway.name}` one of?")

    @property
    def found_gateways(self) -> tuple[GatewayAt, ...]:
        return self._gateways.found

    def doubtful_gateways(self, devices: Sequence[Device[Model]]) -> Iterator[str]:
        return self._gateways.doubts(devices)

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
            pin=device.pin or 0,
            topic=device.topic or "",
            gateway=self._gateways.of(device.topic, model) if device.topic else "",
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
            self._wrong((*here, "model"), f"the codec of a {device.model} needs JavaScript: {_extra('codecs')}")

    def card_key(self, devices: Sequence[Device[Model]]) -> bytes:
        readers = of(OsdpModel, devices)
        if not readers:
            return b""
        if find_spec("osdp_sys") is None:
            self._wrong(("devices",), f"`{readers[0].id}` is an OSDP reader: {_extra('osdp')}")
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
        lines = {line.name: line for line in self._file.lines}
        if (line := lines.get(str(device.line))) is None:
            self._wrong((*here, "line"), f"no line `{device.line}`{suggest(str(device.line), lines)}")
        if line.way not in model.line_is:
            wanted = " or a ".join(model.line_is)
            self._wrong(
                (*here, "line"), f"a {device.model} wants a line with a {wanted}; `{line.name}` has a {line.way}"
            )
        spoken = self._spoken.setdefault(str(device.line), (model.protocol, device.id))
        if spoken[0] != model.protocol:
            complaint = f"a {device.model} speaks {model.protocol}, and `{spoken[1]}` on this line {spoken[0]}"
            self._wrong((*here, "line"), complaint)
        if device.mn is not None:
            self._once((f"station {device.mn} of line", str(device.line)), f"device `{device.id}`", (*here, "mn"))
        if device.pin is not None:
            self._once((f"pin {device.pin} of line", str(device.line)), f"device `{device.id}`", (*here, "pin"))
        if isinstance(model, GpioModel) and find_spec("gpiod") is None:
            self._wrong((*here, "model"), f"a {device.model} is on a GPIO chip: {_extra('gpio')}")
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

    def reflexes(self, devices: Mapping[DeviceId, Device[Model]], rules: Rules) -> tuple[Reflex, ...]:
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
        lines += [LOCAL] if any(device.topic for device in devices) else []
        lines += [LORAWAN] if any(device.dev_eui for device in devices) else []
        behind_topic, behind_eui = LOCAL in lines, LORAWAN in lines
        lines += [at.name for at in self.found_gateways if (behind_topic if at.topic else behind_eui)]
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

    def beside(self, table: str, broker: Broker) -> Broker:
        """`broker` with its files looked for beside the configuration."""
        names = ("password_file", "ca_file", "cert_file", "key_file")
        files = {name: self._path.parent / file for name in names if (file := getattr(broker, name)) is not None}
        found = broker.model_copy(update=files)
        try:
            found.check()
        except FileError as error:
            self._wrong((table, error.field), str(error))
        return found

    def _once(self, what: tuple[str, ...], owner: str, where: tuple[Any, ...]) -> None:
        if what in self._taken:
            self._wrong(where, f"{' '.join(what)} is taken by {self._taken[what]}")
        self._taken[what] = owner

    def _wrong(self, where: tuple[Any, ...], complaint: str) -> NoReturn:
        line = line_of(self._path.read_text(encoding="utf-8-sig"), where)
        raise ConfigError(f"{self._path}:{line}: {'.'.join(map(str, where))}: {complaint}")


def _extra(name: str) -> str:
    """How an extra of the package is had: from the source that it was installed from, for no registry has it."""
    return f"in the folder of Gridcall's source, {sys.prefix}/bin/pip install --no-build-isolation '.[{name}]'"
