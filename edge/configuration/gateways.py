"""Which gateways stand behind the local broker: those of the file, and those that the topics of Zigbee devices name.

Zigbee2MQTT publishes a device on its base topic, a slash and the device's name. Either may have slashes of its own; without a
`[[gateways]]` table that says better, what stands before the first slash is the base.
"""

import re
from collections.abc import Iterator, Sequence

from edge.configuration.config import Device, GatewayAt
from edge.configuration.tables import File
from edge.models.base import Product
from edge.models.zigbee import ZigbeeModel
from messages.ids import LONGEST
from messages.language import Phrase, phrase

LOCAL, LORAWAN = "local", "lorawan"
"""What the edge calls its lines to the broker itself, and to the network server on it."""


class Gateways:
    """`found` grows as devices are asked for."""

    def __init__(self, file: File) -> None:
        self._edge = file.edge
        self._taken = {LOCAL, LORAWAN, *(line.name for line in file.lines)}
        self._taken |= {gateway.name for gateway in file.gateways}
        self._written = {gateway.topic: gateway.name for gateway in file.gateways if gateway.topic is not None}
        self._derived: dict[str, str] = {}
        self._found = [
            GatewayAt(gateway.name, gateway.topic or "", (gateway.eui or "").lower()) for gateway in file.gateways
        ]

    @property
    def found(self) -> tuple[GatewayAt, ...]:
        return tuple(self._found)

    def of(self, topic: str, model: Product) -> str:
        """The name of the gateway that publishes this topic; empty if the device does so by itself."""
        written = [base for base in self._written if topic.startswith(f"{base}/")]
        if written:
            return self._written[max(written, key=len)]
        base, slash, _ = topic.partition("/")
        if not (slash and base and isinstance(model, ZigbeeModel)):
            return ""
        if base not in self._derived:
            self._derived[base] = self._name(base)
            self._found.append(GatewayAt(self._derived[base], base))
        return self._derived[base]

    def _name(self, base: str) -> str:
        """What a line may be called, as near to the base topic as can be."""
        plain = re.sub(r"[^a-z0-9_-]+", "-", base.lower()).strip("-_") or "zigbee2mqtt"
        room = LONGEST - len(self._edge) - len("-") - len("-99")
        names = (plain[:room] + (f"-{number}" if number > 1 else "") for number in range(1, 100))
        name = next((name for name in names if name not in self._taken), plain[:room])
        self._taken.add(name)
        return name

    def doubts(self, devices: Sequence[Device[Product]]) -> Iterator[Phrase]:
        """Where the base topic was guessed, and another one is as likely; and gateways that nothing is behind."""
        said = set[str]()
        for device in devices:
            deeper = device.topic.rpartition("/")[0]
            if device.gateway in self._derived.values() and "/" in deeper and deeper not in said:
                said.add(deeper)
                yield phrase(
                    "{device}: its gateway is taken to be Zigbee2MQTT with the base topic `{base}`; if that is `{deeper}`, "
                    "say so in a [[gateways]] table (name, topic)",
                    device=device.id,
                    base=deeper.partition("/")[0],
                    deeper=deeper,
                )
        used = {device.gateway for device in devices}
        for gateway in self._found:
            if gateway.topic and gateway.name not in used:
                yield phrase(
                    "gateway {name}: no device's topic begins with {topic}/", name=gateway.name, topic=gateway.topic
                )
