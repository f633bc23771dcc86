"""Devices behind a LoRaWAN network server on the local broker. A message is acknowledged when its readings are on disk.

A message that can't be read, and a codec that fails, cost that message: it is said once, counted, acknowledged.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

import structlog

from edge.configuration.config import Device, GatewayAt
from edge.configuration.gateways import LORAWAN
from edge.models.lorawan import LorawanModel
from edge.protocols import chirpstack_gateway, lorawan
from edge.protocols.lorawan import CodecError, Server, Uplink, UplinkError
from edge.sources import broker_line
from edge.sources.gateway import Gateway
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.broker import Broker
from messages.bus import Bus, Incoming
from messages.ids import DeviceId, EdgeId, SiteId
from messages.language import NOTHING, phrase
from messages.reading import Quality, Reading, Value

if TYPE_CHECKING:
    from edge.sources.codec import Sandbox

MOST_GATEWAYS = 256
"""That are remembered by what they say of themselves: a broker may carry those of a whole city."""
ALL_OFFLINE = phrase("all gateways say that they are offline")

log = structlog.get_logger("lorawan")


class LorawanNetwork:
    """A `Source`. `deliver` may wait: then the broker keeps what comes."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        server: Server,
        devices: Sequence[Device[LorawanModel]],
        deliver: Deliver,
        *,
        gateways: Sequence[GatewayAt] = (),
        clock_ms: Callable[[], int],
    ) -> None:
        self._server = server
        self._broker = broker
        self._devices = {device.dev_eui: device for device in devices}
        self.vitals = Vitals.of(LORAWAN, [device.id for device in devices])
        self.vitals.shared = True
        self._network = Gateway(self.vitals)
        self._named = {at.eui: Gateway(self.vitals.gateway(at.name), self._weigh_gateways) for at in gateways}
        self._others: dict[str, Gateway] = {}
        """Those that no table names, by what they say of themselves."""
        for vitals in self.vitals.devices.values():
            vitals.ways = tuple(self.vitals.gateways)  # it may be any of them
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._said: dict[DeviceId, str] = {}
        self._newest: dict[DeviceId, tuple[int, bytes]] = {}
        self._sandbox: Sandbox | None = None
        if any(device.model.script is not None for device in devices):
            from edge.sources import codec  # JavaScript is an extra

            self._sandbox = codec.Sandbox()
        wanted = dict.fromkeys(topic for eui in self._devices for topic in lorawan.topics(server, eui))
        states = chirpstack_gateway.TOPICS if server == "chirpstack" else ()
        self._bus = Bus(broker, f"gridcall-edge-{site}-{edge}-lorawan", subscribe=list(wanted), wish=states)

    async def run(self) -> NoReturn:
        async with self._bus as bus, self._sandbox or nullcontext(), asyncio.TaskGroup() as tasks:
            tasks.create_task(broker_line.watched(bus, self._broker, self.vitals))
            async for message in bus.messages():
                await self._deliver(await self._safely_read(message), message.ack)
        raise AssertionError("a bus never runs dry")

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _safely_read(self, message: Incoming) -> list[Reading]:
        try:
            return await self._readings(message)
        except Exception:  # left with the broker, it would come again for ever, and nothing after it
            log.exception("a message fails by a mistake of ours, and is passed over", topic=message.topic)
            return []

    async def _readings(self, message: Incoming) -> list[Reading]:
        now_ms = self._clock_ms()
        if gateway := chirpstack_gateway.gateway_of(message.topic):
            self._gateway_says(gateway, message, now_ms)
            return []
        try:
            uplink = lorawan.uplink(message.payload, self._server, now_ms)
        except UplinkError as error:
            self.vitals.strays += 1
            log.warning("not an uplink", topic=message.topic, why=str(error))
            return []
        if uplink is None:
            return []
        device = self._devices.get(uplink.dev_eui)
        if not message.retain:
            self._came_through(uplink, device, now_ms)
        if device is None:
            return []
        ports = device.model.f_ports
        if (ports is not None and uplink.f_port not in ports) or self._is_known(device.id, uplink):
            return []
        try:
            return await self._decoded(device, uplink, now_ms, kept=message.retain)
        except CodecError as error:
            self.vitals.devices[device.id].failed("not readable")
            self._complain(device.id, str(error))
            return []

    def _gateway_says(self, eui: str, message: Incoming, now_ms: int) -> None:
        online = chirpstack_gateway.is_online(eui, message.payload)
        gateway = self._named.get(eui) or self._others.get(eui)
        if gateway is None and online is not None and len(self._others) < MOST_GATEWAYS:
            vitals = Vitals(eui, {}, open=True)
            gateway = self._others[eui] = Gateway(vitals, self._weigh_gateways)
        if gateway is not None:
            gateway.says(online, now_ms, kept=message.retain)
        if gateway is None or online is None:
            self.vitals.strays += 1

    def _weigh_gateways(self) -> None:
        """Whoever names no gateway has one, or doesn't mind which: the network is away when none is left. One that is named is a line."""
        known = [*self._others.values(), *self._named.values()]
        if self._others and not any(gateway.vitals.works for gateway in known):
            if self.vitals.falls_mute(ALL_OFFLINE):
                log.warning("all gateways are away", gateways=len(known))
        elif self.vitals.mute == ALL_OFFLINE:
            self.vitals.mute = NOTHING
            log.info("a gateway is back")

    def _came_through(self, uplink: Uplink, device: Device[LorawanModel] | None, now_ms: int) -> None:
        self._network.heard(now_ms)
        for eui in uplink.gateways:
            if gateway := self._named.get(eui) or self._others.get(eui):
                gateway.heard(now_ms)
        if device is not None:
            ways = (self._named[eui].vitals for eui in uplink.gateways if eui in self._named)
            self.vitals.devices[device.id].ways = tuple(ways)

    def _is_known(self, device: DeviceId, uplink: Uplink) -> bool:
        """Whether the network hands on what it has handed on before."""
        newest = uplink.f_cnt, uplink.payload
        known = self._newest.get(device) == newest
        self._newest[device] = newest
        return known

    async def _decoded(self, device: Device[LorawanModel], uplink: Uplink, now_ms: int, *, kept: bool) -> list[Reading]:
        at_ms = now_ms if uplink.at_ms is None else uplink.at_ms
        content = uplink.decoded
        if device.model.script is not None and self._sandbox:
            content = await self._sandbox.decode(device.model.script, uplink.payload, uplink.f_port, at_ms)
        if content is None:
            raise CodecError("the network server decodes nothing, and the product file names no codec")
        network = {"rssi": uplink.rssi_dbm, "snr": uplink.snr_db}
        said = lorawan.channels({**content, "_network": network}, device.model.channels, device.kind)
        if not kept:
            self.vitals.devices[device.id].heard(now_ms)
        self._complain(device.id, ", ".join(said.unread))
        return [
            Reading(
                device=device.id,
                channel=name,
                at_ms=at_ms,
                value=value,
                unit=device.kind.channels[name].unit,
                quality=Quality.UNCERTAIN if uplink.at_ms is None else Quality.GOOD,
            )
            for name, value in said.values.items()
        ]

    def _complain(self, device: DeviceId, why: str) -> None:
        """Of what is new in a device's nonsense, and once when it is over."""
        if why != self._said.get(device, ""):
            if why:
                log.warning("device sends what can't be read", device=device, why=why)
            else:
                log.info("device makes sense again", device=device)
            self._said[device] = why
