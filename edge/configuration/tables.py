"""The configuration of one edge agent as it is written: a class per table. What one table can't know of another is
checked elsewhere (check.py)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from messages.announcement import Place, SettingValue
from messages.broker import Broker
from messages.ids import Identifier
from messages.language import Unfit, either, phrase
from messages.reading import Value
from messages.settings import Folder, Seconds, Settings, duration_s, shaped
from rules.language.calendar import CalendarText

WAYS = ("port", "host", "listen", "chip")
"""What a line can be."""
_FIELD_OF = {
    **dict.fromkeys(("baudrate", "data_bits", "parity", "stop_bits", "rs485"), ("port",)),
    **dict.fromkeys(("tcp_port", "framing"), ("host",)),
    "address": ("listen",),
    "timeout_s": ("port", "host"),
}
"""The ways that a field of a `[[lines]]` table is for."""


_PRINTED = r"[^\x00-\x1f\x7f-\x9f]+"
_TOPIC = phrase("should be a topic of 1 to 200 characters, without + and #")
Named = Annotated[str, shaped(_PRINTED, phrase("should be a name, without control characters"))]
"""Of a port, a host or an address."""
Topic = Annotated[str, Field(max_length=200), shaped(r"[^+#$\x00-\x1f\x7f-\x9f][^+#\x00-\x1f\x7f-\x9f]*", _TOPIC)]
GatewayTopic = Annotated[Topic, shaped(r".*[^/]", phrase("should be a topic that doesn't end in a slash"))]
Eui = Annotated[str, shaped(r"[0-9A-Fa-f]{16}", phrase("should be 16 hexadecimal digits, as on the label"))]


class Rs485Settings(Settings):
    """`rs485 = { … }` of a line whose port switches its transmitter by RTS, as UARTs on a Pi's own pins do."""

    rts_on_send: bool = True
    """RTS is high while sending, or low."""
    delay_before_s: Seconds = Field(default=0.0, alias="delay_before", le=1)
    delay_after_s: Seconds = Field(default=0.0, alias="delay_after", le=1)


class LineSettings(Settings):
    """One bus and how it speaks: a `[[lines]]` table. A serial port, the host of a gateway or a device, a TCP port on which
    devices call, or a chip whose pins are contacts."""

    name: Identifier
    port: Named | None = None
    """As pyserial takes it: "/dev/ttyUSB0", better "/dev/serial/by-id/…", which survives replugging."""
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] | None = None
    data_bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    rs485: Rs485Settings | None = None
    host: Named | None = None
    tcp_port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    """Of Modbus on a host: its own TCP frames, or those of a serial line, which plain serial servers pass through."""
    listen: Annotated[int, Field(ge=1, le=65535)] | None = None
    """A TCP port of this Pi, for stations that call."""
    address: Named = "0.0.0.0"  # noqa: S104 (stations call from outside)
    """Of this Pi, where `listen` is: that of one network card keeps the others shut."""
    chip: Annotated[str, shaped(rf"/dev/{_PRINTED}", phrase("should be a chip, such as /dev/gpiochip0"))] | None = None
    """A GPIO chip: "/dev/gpiochip0", on a Pi 5 with an older kernel "/dev/gpiochip4"."""
    timeout_s: Seconds = Field(default=duration_s("300ms"), alias="timeout", gt=0, le=10)
    """How long a slave may think before its answer begins."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ways = [way for way in WAYS if getattr(self, way) is not None]
        if len(ways) != 1:
            raise Unfit("exactly one of {ways} is wanted", ways=", ".join(WAYS))
        if self.port is not None and self.baudrate is None:
            raise Unfit("a serial port needs a baudrate")
        for field in sorted(self.model_fields_set):
            if field in _FIELD_OF and self.way not in _FIELD_OF[field]:
                raise Unfit(
                    "`{field}` is for a line with a {ways}",
                    field=field.removesuffix("_s"),
                    ways=either(_FIELD_OF[field]),
                )
        return self

    @property
    def way(self) -> str:
        """One of WAYS: which of them is set."""
        return next(way for way in WAYS if getattr(self, way) is not None)

    @property
    def bits(self) -> int:
        """Of one character on the wire."""
        return 1 + self.data_bits + (self.parity != "N") + self.stop_bits

    @property
    def where(self) -> str:
        """The port, host or chip, as it is said to people."""
        if self.listen is not None:
            return f"{self.address}:{self.listen}"
        return self.port or self.chip or f"{self.host}:{self.tcp_port}"


class DeviceSettings(Settings):
    """A `[[devices]]` table."""

    id: Identifier
    model: str
    line: str | None = None
    unit: Annotated[int, Field(ge=0, le=247)] | None = None
    at: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """Of a Modbus device: by how much its product's addresses are shifted, for one of many like inputs of a module."""
    pin: Annotated[int, Field(ge=0, le=511)] | None = None
    """Of a contact on a chip, as the kernel numbers it: 17 for a Pi's GPIO17."""
    topic: Topic | None = None
    dev_eui: Eui | None = None
    """Of a LoRaWAN device, as on its label."""
    mn: (
        Annotated[
            str, shaped(r"[0-9A-Za-z]{1,24}", phrase("should be 1 to 24 letters and digits, the MN of the station"))
        ]
        | None
    ) = None
    """Of an HJ 212 station: its unique code."""
    key_file: Folder | None = None
    """Of an OSDP reader: a file with the 32 hexadecimal digits of its own secure channel base key."""
    place: Place
    settings: dict[Identifier, SettingValue] = Field(default_factory=dict)
    """Names that the rules may use, e.g. `depth`."""


class DeedSettings(Settings):
    """One thing that a reflex does."""

    device: Identifier
    command: Identifier
    value: Value | None = None


class ReflexSettings(Settings):
    """A `[[reflexes]]` table: what this Pi does by itself when a rule of some devices says so."""

    id: Identifier
    rule: Annotated[
        str, shaped(r"[a-z0-9_-]+/[a-z0-9_-]+", phrase("should be a kind and a rule, such as gas_alarm/leak"))
    ]
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


class GatewaySettings(Settings):
    """A `[[gateways]]` table: what stands between the `[local]` broker and devices, and is a line of its own. One of Zigbee2MQTT whose
    devices' topics are its base topic and a plain name needs none."""

    name: Identifier
    topic: GatewayTopic | None = None
    """What the topics of its devices begin with, up to a slash: Zigbee2MQTT's base topic, or what another gateway puts first."""
    eui: Eui | None = None
    """Of a LoRaWAN gateway, as on its label: wanted only where there are several."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.topic is None) == (self.eui is None):
            raise Unfit("exactly one of topic, eui is wanted")
        return self


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
    calendar: CalendarText = Field(default_factory=CalendarText)
    """As the rules have it: a reflex means what its rule means."""
    outbox_limit_mb: Annotated[int, Field(ge=1)] = 512
    uplink: Broker
    local: Broker | None = None
    lorawan: LorawanSettings | None = None
    osdp: OsdpSettings | None = None
    lines: list[LineSettings] = Field(default_factory=list)
    gateways: list[GatewaySettings] = Field(default_factory=list)
    devices: list[DeviceSettings] = Field(min_length=1)
    reflexes: list[ReflexSettings] = Field(default_factory=list)
