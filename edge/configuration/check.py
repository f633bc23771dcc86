"""One TOML file becomes a configuration, checked whole before anything is opened.

A device has a line and a unit, or a topic of the local broker, as its model wants; a line speaks one protocol. Paths in the
file are relative to it. Every complaint names file, line and field.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

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
from messages.language import NOTHING, Phrase, Unfit, either, phrase, why
from messages.settings import folders, mistake, replacements, text_of, understood
from messages.spot import Where
from messages.suggestion import suggest
from rules.language.library import load_rules
from rules.language.neighbours import WHEREABOUTS
from rules.language.rule import Rules, same_type

ANOTHER_LINE, ANOTHER_DEVICE = phrase("another line"), phrase("another device")
MEGABYTE = 1024 * 1024
KEY_BYTES, CARD_KEY_BYTES = 16, 32
"""Of a secure channel (AES-128, SIA OSDP v2.2 annex D), and of the site's key for hashes."""
REACHED_BY = ("line", "unit", "at", "pin", "topic", "dev_eui", "mn", "key_file")
"""The fields of a `[[devices]]` table of which a model wants some, and refuses the others."""


def parse(path: Path) -> Config:
    """The configuration in `path`. Raises ConfigError; opens no port and no connection."""
    source = text_of(path)
    file, here = understood(path, source, File), path.parent
    own_kinds, own_models = folders(path, "kinds", file.kinds), folders(path, "models", file.models)
    kinds = load_kinds(*own_kinds)
    models = load_models(kinds, *own_models)
    check = _Check(path, source, file, kinds, models)
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


def _replacements(shipped: Path, own: Iterable[Path]) -> list[Phrase]:
    return replacements(shipped, (file for folder in own for file in sorted(folder.glob("*.toml"))), "channels")


def _unheeded(device: Device[Model], rules: Rules) -> Iterator[Phrase]:
    """Settings that no rule would believe: the rule's own default goes on counting, and nobody hears of it."""
    kind = device.announcement.kind
    known = {name: default for rule in rules.get(kind, ()) for name, default in rule.settings.items()}
    for name, value in device.announcement.settings.items():
        if name not in known and name not in WHEREABOUTS:
            yield phrase(
                "{device}: no rule for a {kind} that is here knows the setting `{name}`{near}",
                device=device.id,
                kind=kind,
                name=name,
                near=suggest(name, known),
            )
        elif name in known and not same_type(value, known[name]):
            yield phrase(
                "{device}: the setting `{name}` is {value!r}, and the rules want something like {wanted!r}",
                device=device.id,
                name=name,
                value=value,
                wanted=known[name],
            )


def _miscounted(device: Device[Model]) -> Iterator[Phrase]:
    """Addresses as manuals print them: 40001 is the first holding register, which is 0 here."""
    if isinstance(device.model, ModbusModel):
        for name, channel in device.model.channels.items():
            first = {"holding": 40001, "input": 30001, "discrete": 10001}.get(channel.table)
            if first and first <= channel.address < first + 9999:
                yield phrase(
                    "{device}: {model} reads {name} from {table} {address}; if a manual counts from {first}, {meant} is meant",
                    device=device.id,
                    model=device.announcement.model,
                    name=name,
                    table=channel.table,
                    address=channel.address,
                    first=first,
                    meant=channel.address - first,
                )


class _Check:
    """What one table can't know of the others."""

    def __init__(self, path: Path, source: str, file: File, kinds: Kinds, models: Mapping[str, Model]) -> None:
        self._path, self._source, self._file, self._kinds, self._models = path, source, file, kinds, models
        self._taken: dict[Phrase, Phrase] = {}
        self._spoken: dict[str, tuple[str, str]] = {}
        """By line: the protocol of its devices, and the first of them."""
        self._units: dict[Phrase, tuple[Phrase, bool]] = {}
        """By unit and line: its device, and whether others may share it."""
        self._gateways = Gateways(file)

    def lines(self) -> None:
        for index, line in enumerate(self._file.lines):
            self._once(_the_name(line.name), ANOTHER_LINE, ("lines", index, "name"))
            where = os.path.realpath(line.port) if line.port and "://" not in line.port else line.where
            self._once(
                phrase("{where}", where=where), phrase("line `{name}`", name=line.name), ("lines", index, line.way)
            )

    def gateways(self) -> None:
        for index, gateway in enumerate(self._file.gateways):
            here = ("gateways", index)
            if gateway.name in (LOCAL, LORAWAN):
                self._wrong((*here, "name"), "`{name}` is what the edge calls a line of its own", name=gateway.name)
            self._once(_the_name(gateway.name), ANOTHER_LINE, (*here, "name"))
            owner = phrase("gateway `{name}`", name=gateway.name)
            if gateway.topic is not None:
                self._once(phrase("the gateway's topic {topic}", topic=gateway.topic), owner, (*here, "topic"))
            if gateway.eui is not None:
                self._once(phrase("EUI {eui}", eui=gateway.eui.lower()), owner, (*here, "eui"))
                if self._file.lorawan is None:
                    self._wrong(("lorawan",), "is missing: which network server does {owner} belong to?", owner=owner)

    @property
    def found_gateways(self) -> tuple[GatewayAt, ...]:
        return self._gateways.found

    def doubtful_gateways(self, devices: Sequence[Device[Model]]) -> Iterator[Phrase]:
        return self._gateways.doubts(devices)

    def device(self, index: int, device: DeviceSettings) -> Device[Model]:
        here = ("devices", index)
        self._once(phrase("the id {id}", id=device.id), ANOTHER_DEVICE, (*here, "id"))
        if (model := self._models.get(device.model)) is None:
            near = suggest(device.model, self._models)
            self._wrong((*here, "model"), "no model `{model}`{near}", model=device.model, near=near)
        if isinstance(model, ModbusModel) and device.at:
            try:
                model = model.shifted(device.at)
            except Unfit as error:
                self._wrong((*here, "at"), error.phrase)
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

    def _reached(self, here: Where, device: DeviceSettings, model: Model) -> None:
        """The device says where it is, in its protocol's way, and nobody else is there."""
        lines, owner = {line.name: line for line in self._file.lines}, _device(device.id)
        for name in REACHED_BY:
            said = getattr(device, name) is not None
            if said and name not in (*model.reached_by, *model.may_have):
                self._wrong(
                    (*here, name),
                    "a {model} has no {field}; it {way}",
                    model=device.model,
                    field=name,
                    way=model.way,
                )
            if not said and name in model.reached_by:
                self._wrong(
                    (*here, name),
                    "is missing: a {model} {way}{others}",
                    model=device.model,
                    way=model.way,
                    others=suggest("", lines) if name == "line" else NOTHING,
                )
        if device.line is not None:
            self._on_line(here, device, model)
        if device.topic is not None:
            self._once(phrase("topic {topic}", topic=device.topic), owner, (*here, "topic"))
        if device.dev_eui is not None:
            self._once(phrase("DevEUI {eui}", eui=device.dev_eui.lower()), owner, (*here, "dev_eui"))
            if self._file.lorawan is None:
                self._wrong(("lorawan",), "is missing: which network server does {owner} come through?", owner=owner)
        if (device.topic or device.dev_eui) and self._file.local is None:
            self._wrong(("local",), "is missing: {owner} publishes on the local broker", owner=owner)
        if isinstance(model, LorawanModel) and model.codec and find_spec("quickjs") is None:
            self._wrong(
                (*here, "model"),
                "the codec of a {model} needs JavaScript: {extra}",
                model=device.model,
                extra=_extra("codecs"),
            )

    def card_key(self, devices: Sequence[Device[Model]]) -> bytes:
        readers = of(OsdpModel, devices)
        if not readers:
            return b""
        if find_spec("osdp_sys") is None:
            self._wrong(("devices",), "`{id}` is an OSDP reader: {extra}", id=readers[0].id, extra=_extra("osdp"))
        if self._file.osdp is None:
            self._wrong(
                ("osdp",),
                "is missing: cards that `{id}` reads leave as hashes by the site's own key",
                id=readers[0].id,
            )
        return self._key(("osdp", "card_key_file"), self._file.osdp.card_key_file, CARD_KEY_BYTES)

    def _key(self, where: Where, file: Path, length: int) -> bytes:
        path = self._path.parent / file
        try:
            if path.stat().st_mode & 0o077:
                self._wrong(where, "{path}: others may read this key: chmod 600", path=path)
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except OSError as error:
            self._wrong(where, "{path}: no key can be read: {why}", path=path, why=why(error))
        except ValueError:
            key = b""
        if len(key) != length:
            self._wrong(
                where,
                "{path}: {n} hexadecimal digits are wanted, e.g. by `openssl rand -hex {length}`",
                path=path,
                n=2 * length,
                length=length,
            )
        return key

    def _on_line(self, here: Where, device: DeviceSettings, model: Model) -> None:
        lines = {line.name: line for line in self._file.lines}
        if (line := lines.get(str(device.line))) is None:
            near = suggest(str(device.line), lines)
            self._wrong((*here, "line"), "no line `{line}`{near}", line=device.line, near=near)
        if line.way not in model.line_is:
            self._wrong(
                (*here, "line"),
                "a {model} wants a line with a {wanted}; `{line}` has a {way}",
                model=device.model,
                wanted=either(model.line_is),
                line=line.name,
                way=line.way,
            )
        spoken = self._spoken.setdefault(str(device.line), (model.protocol, device.id))
        if spoken[0] != model.protocol:
            self._wrong(
                (*here, "line"),
                "a {model} speaks {protocol}, and `{other}` on this line {spoken}",
                model=device.model,
                protocol=model.protocol,
                other=spoken[1],
                spoken=spoken[0],
            )
        owner, on = _device(device.id), str(device.line)
        if device.mn is not None:
            self._once(phrase("station {mn} of line {line}", mn=device.mn, line=on), owner, (*here, "mn"))
        if device.pin is not None:
            self._once(phrase("pin {pin} of line {line}", pin=device.pin, line=on), owner, (*here, "pin"))
        if isinstance(model, GpioModel) and find_spec("gpiod") is None:
            self._wrong(
                (*here, "model"), "a {model} is on a GPIO chip: {extra}", model=device.model, extra=_extra("gpio")
            )
        if isinstance(model, FrameModel):
            self._once(phrase("line {line}", line=on), owner, (*here, "line"))
        if device.unit is not None:
            if device.unit not in model.units:
                self._wrong(
                    (*here, "unit"),
                    "{unit} is not in {low} to {high}, the units of {protocol}",
                    unit=device.unit,
                    low=model.units[0],
                    high=model.units[-1],
                    protocol=model.protocol,
                )
            self._its_unit(here, device, model)

    def _its_unit(self, here: Where, device: DeviceSettings, model: Model) -> None:
        """A unit is one device's, or, where all of them say `at`, that of several that don't overlap."""
        unit, owner = phrase("unit {unit} of line {line}", unit=device.unit, line=device.line), _device(device.id)
        shared = device.at is not None and isinstance(model, ModbusModel)
        known = self._units.setdefault(unit, (owner, shared))
        if known != (owner, shared) and not (known[1] and shared):
            both = NOTHING if known[1] == shared else phrase("; devices that share a unit all say `at`")
            self._wrong((*here, "unit"), "{what} is taken by {owner}{more}", what=unit, owner=known[0], more=both)
        for cell in model.cells() if shared and isinstance(model, ModbusModel) else ():
            self._once(phrase("{cell} of {unit}", cell=cell, unit=unit), owner, (*here, "unit"))

    def reflexes(self, devices: Mapping[DeviceId, Device[Model]], rules: Rules) -> tuple[Reflex, ...]:
        return tuple(
            self._reflex(("reflexes", index), settings, devices, rules)
            for index, settings in enumerate(self._file.reflexes)
        )

    def _reflex(
        self, here: Where, settings: ReflexSettings, devices: Mapping[DeviceId, Device[Model]], rules: Rules
    ) -> Reflex:
        self._once(phrase("the id {id}", id=settings.id), ANOTHER_DEVICE, (*here, "id"))
        kind, _, name = settings.rule.partition("/")
        by_name = {rule.id: rule for rule in rules.get(kind, ())}
        if (rule := by_name.get(name)) is None:
            known = by_name if kind in rules else rules
            near = suggest(name if kind in rules else kind, known)
            self._wrong((*here, "rule"), "no rule `{rule}`{near}", rule=settings.rule, near=near)
        if not rule.reflex:
            self._wrong(
                (*here, "rule"), "`{rule}` is no reflex: its rule file doesn't say `reflex = true`", rule=settings.rule
            )
        watched = {}
        for device in map(DeviceId, settings.devices):
            if (found := devices.get(device)) is None:
                self._no_device((*here, "devices"), device, devices)
            if found.announcement.kind != kind:
                self._wrong(
                    (*here, "devices"),
                    "`{device}` is a {kind}, not a {wanted}",
                    device=device,
                    kind=found.announcement.kind,
                    wanted=kind,
                )
            watched[device] = rule.for_device(found.announcement.settings)
        raised, cleared = (
            tuple(self._deed((*here, when, index), deed, devices) for index, deed in enumerate(deeds))
            for when, deeds in (("raised", settings.raised), ("cleared", settings.cleared))
        )
        return Reflex(id=DeviceId(settings.id), rules=watched, raised=raised, cleared=cleared)

    def _deed(self, here: Where, settings: DeedSettings, devices: Mapping[DeviceId, Device[Model]]) -> Deed:
        if (device := devices.get(DeviceId(settings.device))) is None:
            self._no_device((*here, "device"), settings.device, devices)
        if reason := unfit(settings.command, settings.value, device.kind, device.model):
            self._wrong((*here, "command"), reason)
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
                where = ("devices", configured[device.id], "id")
                self._wrong(where, "`{id}` is what the edge calls a part of itself", id=device.id)
            if not is_identifier(device.id):
                self._wrong(("edge",), "`{id}`, what the edge would call a part of itself, is too long", id=device.id)
        return own

    def beside(self, table: str, broker: Broker) -> Broker:
        """`broker` with its files looked for beside the configuration."""
        names = ("password_file", "ca_file", "cert_file", "key_file")
        files = {name: self._path.parent / file for name in names if (file := getattr(broker, name)) is not None}
        found = broker.model_copy(update=files)
        try:
            found.check()
        except FileError as error:
            self._wrong((table, error.field), error.phrase)
        return found

    def _no_device(self, where: Where, device: str, devices: Mapping[DeviceId, Device[Model]]) -> NoReturn:
        self._wrong(where, "no device `{device}`{near}", device=device, near=suggest(device, devices))

    def _once(self, what: Phrase, owner: Phrase, where: Where) -> None:
        if what in self._taken:
            self._wrong(where, "{what} is taken by {owner}{more}", what=what, owner=self._taken[what], more=NOTHING)
        self._taken[what] = owner

    def _wrong(self, where: Where, what: str | Phrase, /, **slots: object) -> NoReturn:
        raise mistake(self._path, self._source, where, what if isinstance(what, Phrase) else phrase(what, **slots))


def _the_name(name: str) -> Phrase:
    return phrase("the name {name}", name=name)


def _device(name: str) -> Phrase:
    return phrase("device `{name}`", name=name)


def _extra(name: str) -> Phrase:
    """How an extra of the package is had: from the source that it was installed from, for no registry has it."""
    return phrase(
        "in the folder of Gridcall's source, {prefix}/bin/pip install --no-build-isolation '.[{name}]'",
        prefix=Path(sys.prefix),
        name=name,
    )
