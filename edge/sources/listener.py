"""Devices that publish JSON on the local broker. A message is acknowledged when its readings are on disk.

A device's own time is taken where it can be true; otherwise the arrival counts, with quality "uncertain" if the
device said nonsense or the broker had kept the message for an unknown while.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from edge.config import Device
from edge.models.message import JsonModel
from edge.protocols import json_paths
from edge.protocols.json_paths import JsonError
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.bus import Broker, Bus, Incoming
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Quality, Reading, Value

log = structlog.get_logger("listener")


class Listener:
    """A `Source`. `deliver` may wait: then the broker keeps what comes."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        publishers: Sequence[Device[JsonModel]],
        deliver: Deliver,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._publishers = {publisher.topic: publisher for publisher in publishers}
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._said: dict[str, str] = {}
        self.vitals = Vitals.of("local", [publisher.id for publisher in publishers])
        self._bus = Bus(broker, f"gridcall-edge-{site}-{edge}-local", subscribe=list(self._publishers))

    async def run(self) -> NoReturn:
        async with self._bus as bus, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            async for message in bus.messages():
                device = self._publishers.get(message.topic)
                if device is None:
                    self.vitals.strays += 1  # a session may still hold a topic that the configuration has lost
                readings = self._readings(device, message) if device else []
                await self._deliver(readings, message.ack)
        raise AssertionError("a bus never runs dry")

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _watch(self) -> None:
        session = 0
        while True:
            session = await self._bus.up(session)
            self.vitals.is_open()

    def _readings(self, device: Device[JsonModel], message: Incoming) -> list[Reading]:
        now_ms = self._clock_ms()
        vitals = self.vitals.devices[device.id]
        try:
            said = json_paths.decode(message.payload, device.model, device.kind, now_ms)
        except JsonError as error:
            vitals.failed("not readable")
            self._complain(device.id, str(error))
            return []
        vitals.heard(now_ms)
        self._complain(device.id, ", ".join(said.unread) or ("its clock is wrong" if said.clock_is_wrong else ""))
        doubtful = said.clock_is_wrong or (said.at_ms is None and message.retain)
        return [
            Reading(
                device=device.id,
                channel=name,
                at_ms=now_ms if said.at_ms is None else said.at_ms,
                value=value,
                unit=device.kind.channels[name].unit,
                quality=Quality.UNCERTAIN if doubtful else Quality.GOOD,
            )
            for name, value in said.values.items()
        ]

    def _complain(self, device: str, why: str) -> None:
        """Of what is new in a device's nonsense, and once when it is over."""
        if why != self._said.get(device, ""):
            if why:
                log.warning("device sends what can't be read", device=device, why=why)
            else:
                log.info("device makes sense again", device=device)
            self._said[device] = why
