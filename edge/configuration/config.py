"""What one edge agent runs by: devices with kind and model looked up, and the lines and brokers they are reached by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

from edge.acting.reflex import Reflex
from edge.configuration.tables import LineSettings, LorawanSettings
from edge.health.own import OwnDevice
from edge.models.base import Product
from edge.models.product import Model
from messages.announcement import Announcement
from messages.broker import Broker
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kind
from messages.language import Phrase

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
    pin: int = 0
    topic: str = ""
    gateway: str = ""
    """The name of the gateway that publishes its topic; empty if it publishes by itself."""
    dev_eui: str = ""
    """In lower case."""
    mn: str = ""
    key: bytes = b""
    """Of an OSDP reader's secure channel; empty for one that is spoken to in clear."""


@dataclass(frozen=True, slots=True)
class GatewayAt:
    """A gateway behind the local broker: by the beginning of its devices' topics, or by its EUI in lower case."""

    name: str
    topic: str = ""
    eui: str = ""


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
    gateways: tuple[GatewayAt, ...]
    """Those of the file, and those that the topics of Zigbee devices name."""
    devices: tuple[Device[Model], ...]
    own_devices: tuple[OwnDevice, ...]
    """What the edge says of itself."""
    reflexes: tuple[Reflex, ...]
    notes: tuple[Phrase, ...]
    """What the user's own files do that they may not be meant to do."""

    def on_line(self, name: str) -> list[Device[Model]]:
        """All of one protocol: nothing else is accepted."""
        return [device for device in self.devices if device.line == name]

    def on_broker(self) -> list[Device[Model]]:
        return [device for device in self.devices if device.topic or device.dev_eui]


def of(model: type[M], devices: Iterable[Device[Product]]) -> list[Device[M]]:
    """Those of `devices` whose product file is a `model`."""
    return [cast(Device[M], device) for device in devices if isinstance(device.model, model)]
