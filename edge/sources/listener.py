"""Devices that publish JSON on the local broker, by themselves or through a gateway. A message is acknowledged when its readings are on disk.

A message that the broker has kept (MQTT's retain flag) makes readings, but is no sign that its device or its gateway is there.

A device's own time is taken where it can be true; otherwise the arrival counts, with quality "uncertain" if the
device said nonsense or the broker had kept the message for an unknown while.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from edge.configuration.config import Device, GatewayAt
from edge.configuration.gateways import LOCAL
from edge.models.message import JsonModel
from edge.models.zigbee import ZigbeeModel
from edge.protocols import json_paths, zigbee2mqtt
from edge.protocols.json_paths import JsonError
from edge.sources import broker_line
from edge.sources.gateway import Gateway
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.broker import Broker
from messages.bus import Bus, Disconnected, Incoming, Refused
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Quality, Reading, Value

CONFIRM_LIMIT_S = 10.0
"""How long a device may take to say that it did what it was told: one that sleeps wakes up in between."""

log = structlog.get_logger("listener")


class Listener:
    """A `Source`. `deliver` may wait: then the broker keeps what comes."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        publishers: Sequence[Device[JsonModel] | Device[ZigbeeModel]],
        deliver: Deliver,
        *,
        gateways: Sequence[GatewayAt] = (),
        clock_ms: Callable[[], int],
    ) -> None:
        self._broker = broker
        self._publishers = {publisher.topic: publisher for publisher in publishers}
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._said: dict[str, str] = {}
        self.vitals = Vitals.of(LOCAL, [publisher.id for publisher in publishers if not publisher.gateway])
        self._gateways = {
            at.name: Gateway(
                self.vitals.gateway(at.name, [device.id for device in publishers if device.gateway == at.name])
            )
            for at in gateways
        }
        self._bridges = {f"{at.topic}/bridge/state": self._gateways[at.name] for at in gateways}
        """Where Zigbee2MQTT says how it is. What stands on such a topic of another gateway is heeded in the same way."""
        self._vitals = {device: vitals for line in self.vitals.lines() for device, vitals in line.devices.items()}
        self._availability = {
            f"{topic}/availability": device
            for topic, device in self._publishers.items()
            if isinstance(device.model, ZigbeeModel)
        }
        self._confirmed: dict[tuple[DeviceId, str], list[tuple[Value, asyncio.Future[None]]]] = {}
        """By device and key of its state: what is waited for."""
        wanted = [*self._publishers, *self._availability]
        name = f"gridcall-edge-{site}-{edge}-local"
        self._bus = Bus(broker, name, subscribe=wanted, wish=list(self._bridges))

    async def run(self) -> NoReturn:
        async with self._bus as bus, asyncio.TaskGroup() as tasks:
            tasks.create_task(broker_line.watched(bus, self._broker, self.vitals))
            async for message in bus.messages():
                await self._deliver(self._safely_heard(message), message.ack)
        raise AssertionError("a bus never runs dry")

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        topic, publisher = next(
            (topic, publisher) for topic, publisher in self._publishers.items() if publisher.id == device
        )
        if not isinstance(publisher.model, ZigbeeModel):
            raise CannotAct(f"{device} can't be told to {command}")
        how = publisher.model.commands[command]
        wanted = zigbee2mqtt.wanted(how, value)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._confirmed.setdefault((device, how.key), [])
        waiting.append((wanted, done))
        try:
            async with asyncio.timeout(CONFIRM_LIMIT_S):
                await self._bus.up()
                await self._bus.publish(f"{topic}/set", zigbee2mqtt.setting(how, wanted))
                await done
        except (Disconnected, Refused) as error:
            raise CannotAct(f"the local broker does not take it: {error}") from error
        except TimeoutError as error:
            raise CannotAct(f"not confirmed in {CONFIRM_LIMIT_S:g} s; it may have been done") from error
        finally:
            waiting.remove((wanted, done))

    def _safely_heard(self, message: Incoming) -> list[Reading]:
        try:
            return self._heard(message)
        except Exception:  # left with the broker, it would come again for ever, and nothing after it
            log.exception("a message fails by a mistake of ours, and is passed over", topic=message.topic)
            return []

    def _heard(self, message: Incoming) -> list[Reading]:
        if device := self._publishers.get(message.topic):
            self._came_through(device, message)
            return self._readings(device, message)
        if device := self._availability.get(message.topic):
            self._came_through(device, message)
            self._say_availability(device.id, message.payload)
        elif bridge := self._bridges.get(message.topic):
            bridge.says(zigbee2mqtt.is_online(message.payload), self._clock_ms(), kept=message.retain)
        else:
            self.vitals.strays += 1  # a session may still hold a topic that the configuration has lost
        return []

    def _came_through(self, device: Device[JsonModel] | Device[ZigbeeModel], message: Incoming) -> None:
        if device.gateway and not message.retain:
            self._gateways[device.gateway].heard(self._clock_ms())

    def _say_availability(self, device: DeviceId, payload: bytes) -> None:
        """What Zigbee2MQTT says of a device; only its own message makes one that was away heard again."""
        vitals = self._vitals[device]
        if zigbee2mqtt.is_offline(payload) and not vitals.away:
            vitals.away = True
            log.warning("device is away", device=device, why="Zigbee2MQTT calls it offline")

    def _readings(self, device: Device[JsonModel] | Device[ZigbeeModel], message: Incoming) -> list[Reading]:
        now_ms = self._clock_ms()
        vitals = self._vitals[device.id]
        try:
            said = json_paths.decode(message.payload, device.model, device.kind, now_ms)
        except JsonError as error:
            vitals.failed("not readable")
            self._complain(device.id, str(error))
            return []
        if not message.retain and vitals.heard(now_ms):
            log.info("device is back", device=device.id)
        self._confirm(device.id, message.payload)
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

    def _confirm(self, device: DeviceId, payload: bytes) -> None:
        for (of, key), waiting in self._confirmed.items():
            for wanted, done in waiting if of == device else ():
                if not done.done() and zigbee2mqtt.says(payload, key, wanted):
                    done.set_result(None)

    def _complain(self, device: str, why: str) -> None:
        """Of what is new in a device's nonsense, and once when it is over."""
        if why != self._said.get(device, ""):
            if why:
                log.warning("device sends what can't be read", device=device, why=why)
            else:
                log.info("device makes sense again", device=device)
            self._said[device] = why
