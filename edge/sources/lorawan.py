"""Devices behind a LoRaWAN network server on the local broker. A message is acknowledged when its readings are on disk.

A message that can't be read, and a codec that fails, cost that message: it is said once, counted, acknowledged.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

import structlog

from edge.configuration.config import Device
from edge.models.lorawan import LorawanModel
from edge.protocols import lorawan
from edge.protocols.lorawan import CodecError, Server, Uplink, UplinkError
from edge.sources import broker_line
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.broker import Broker
from messages.bus import Bus, Incoming
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Quality, Reading, Value

if TYPE_CHECKING:
    from edge.sources.codec import Sandbox

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
        clock_ms: Callable[[], int],
    ) -> None:
        self._server = server
        self._broker = broker
        self._devices = {device.dev_eui: device for device in devices}
        self.vitals = Vitals.of("lorawan", [device.id for device in devices])
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._said: dict[DeviceId, str] = {}
        self._newest: dict[DeviceId, tuple[int, bytes]] = {}
        self._sandbox: Sandbox | None = None
        if any(device.model.script is not None for device in devices):
            from edge.sources import codec  # JavaScript is an extra

            self._sandbox = codec.Sandbox()
        wanted = dict.fromkeys(topic for eui in self._devices for topic in lorawan.topics(server, eui))
        self._bus = Bus(broker, f"gridcall-edge-{site}-{edge}-lorawan", subscribe=list(wanted))

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
        try:
            uplink = lorawan.uplink(message.payload, self._server, now_ms)
        except UplinkError as error:
            self.vitals.strays += 1
            log.warning("not an uplink", topic=message.topic, why=str(error))
            return []
        device = self._devices.get(uplink.dev_eui) if uplink else None
        if uplink is None or device is None:
            return []
        ports = device.model.f_ports
        if (ports is not None and uplink.f_port not in ports) or self._is_known(device.id, uplink):
            return []
        try:
            return await self._decoded(device, uplink, now_ms)
        except CodecError as error:
            self.vitals.devices[device.id].failed("not readable")
            self._complain(device.id, str(error))
            return []

    def _is_known(self, device: DeviceId, uplink: Uplink) -> bool:
        """Whether the network hands on what it has handed on before."""
        newest = uplink.f_cnt, uplink.payload
        known = self._newest.get(device) == newest
        self._newest[device] = newest
        return known

    async def _decoded(self, device: Device[LorawanModel], uplink: Uplink, now_ms: int) -> list[Reading]:
        at_ms = now_ms if uplink.at_ms is None else uplink.at_ms
        content = uplink.decoded
        if device.model.script is not None and self._sandbox:
            content = await self._sandbox.decode(device.model.script, uplink.payload, uplink.f_port, at_ms)
        if content is None:
            raise CodecError("the network server decodes nothing, and the product file names no codec")
        network = {"rssi": uplink.rssi_dbm, "snr": uplink.snr_db}
        said = lorawan.channels({**content, "_network": network}, device.model.channels, device.kind)
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
