"""Devices that publish JSON on the local broker. A message is acknowledged when its readings are on disk.

A device's own time is taken where it can be true; otherwise the arrival counts, with quality "uncertain" if the
device said nonsense or the broker had kept the message for an unknown while.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from edge.config import Publisher
from edge.protocols import json_paths
from edge.protocols.json_paths import JsonError
from messages.bus import Broker, Bus, Incoming
from messages.ids import EdgeId, SiteId
from messages.reading import Quality, Reading

log = structlog.get_logger("listener")


class Listener:
    """`run` is one task. `deliver` takes readings and what is to be called when they are on disk; it may wait."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        publishers: Sequence[Publisher],
        deliver: Callable[[list[Reading], Callable[[], None]], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._publishers = {publisher.topic: publisher for publisher in publishers}
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._said: dict[str, str] = {}
        self._bus = Bus(broker, f"gridcall-edge-{site}-{edge}-local", subscribe=list(self._publishers))

    async def run(self) -> None:
        async with self._bus as bus:
            async for message in bus.messages():
                publisher = self._publishers.get(message.topic)
                # a session may still hold a topic that the configuration has lost
                readings = self._readings(publisher, message) if publisher else []
                await self._deliver(readings, message.ack)

    def _readings(self, publisher: Publisher, message: Incoming) -> list[Reading]:
        now_ms = self._clock_ms()
        device = publisher.device
        try:
            said = json_paths.decode(message.payload, publisher.model, device.kind, now_ms)
        except JsonError as error:
            self._complain(device.id, str(error))
            return []
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
