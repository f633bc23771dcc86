"""A device that speaks MQTT by itself, such as a door controller: JSON at each change and every interval, QoS 1.

aiomqtt, not the bus of messages/: the two ends of a test share no client. A message is published until the broker
has confirmed it, so it may arrive twice, with the same time in it; the record says so. While the broker is away
messages wait, the oldest being dropped past `MOST_WAITING`; the record says that too.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import aiomqtt
import structlog

from edge.models.message import JsonModel
from simulators.at_broker import at_broker
from simulators.block import Device, Level, LocalBroker
from simulators.json_message import encode
from simulators.plant import Plant
from simulators.record import Record

LOOK_EVERY_S = 0.05
"""How soon a change is seen."""
CONFIRMED_WITHIN_S = 5.0
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 5.0
MOST_WAITING = 10_000

log = structlog.get_logger("simulators")


@dataclass(frozen=True, slots=True)
class _Message:
    at_ms: int
    values: dict[str, Level]
    payload: bytes


class MqttDevice:
    """One device. `now_s`: the scenario's time."""

    def __init__(
        self,
        device: Device,
        broker: LocalBroker,
        plant: Plant,
        *,
        record: Record,
        clock_ms: Callable[[], int],
        now_s: Callable[[], float],
    ) -> None:
        assert isinstance(device.model, JsonModel)
        self._device = device
        self._model = device.model
        self._broker = broker
        self._plant = plant
        self._record = record
        self._clock_ms = clock_ms
        self._now_s = now_s
        self._waiting: deque[_Message] = deque()
        self._arrived = asyncio.Event()
        self._unconfirmed: _Message | None = None

    async def run(self) -> None:
        """For ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._keep_publishing())
        finally:
            if self._unconfirmed:
                self._mark(f"stopped before its message of {self._unconfirmed.at_ms} was confirmed")

    async def _watch(self) -> None:
        last: dict[str, Level] = {}
        last_ms = 0
        while True:
            at_ms, at_s = self._clock_ms(), self._now_s()
            values = self._measured(at_s)
            due = values != last or at_ms - last_ms >= self._device.interval_s * 1000
            fault = self._plant.fault(self._device.id, at_s)
            if due and fault is None:
                self._say(_Message(at_ms, values, encode(self._model, values, at_ms)))
                last, last_ms = values, at_ms
            await asyncio.sleep(LOOK_EVERY_S)

    def _measured(self, at_s: float) -> dict[str, Level]:
        measured = {channel: self._plant.value(self._device.id, channel, at_s, 0) for channel in self._device.normal}
        return {channel: value for channel, value in measured.items() if value is not None}

    def _say(self, message: _Message) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._mark(f"dropped its message of {self._waiting.popleft().at_ms}")
        self._waiting.append(message)
        self._arrived.set()

    async def _keep_publishing(self) -> None:
        backoff_s, away = FIRST_BACKOFF_S, False
        while True:
            try:
                async with at_broker(self._client()) as client:
                    log.info("device is at the broker", device=self._device.id)
                    backoff_s, away = FIRST_BACKOFF_S, False
                    await self._publish(client)
            except (aiomqtt.MqttError, TimeoutError) as error:
                if not away:
                    why = str(error) or "it confirms nothing"
                    log.warning("device has lost the broker", device=self._device.id, why=why)
                away = True
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, MOST_BACKOFF_S)

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier=f"simulated-{self._device.id}",
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=CONFIRMED_WITHIN_S,
        )

    async def _publish(self, client: aiomqtt.Client) -> None:
        if self._unconfirmed:
            self._mark(f"publishes its message of {self._unconfirmed.at_ms} again")
        while True:
            message = self._unconfirmed = self._unconfirmed or await self._next()
            async with asyncio.timeout(CONFIRMED_WITHIN_S):
                await client.publish(self._device.topic, message.payload, qos=1, timeout=math.inf)
            self._unconfirmed = None
            self._record.values(message.at_ms, self._device.id, message.values)

    async def _next(self) -> _Message:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def _mark(self, what: str) -> None:
        self._record.mark(self._clock_ms(), f"{self._device.id} {what}")
