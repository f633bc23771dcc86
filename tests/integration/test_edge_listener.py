"""The edge's local topics through a real Mosquitto: a message is the broker's until its readings are on disk."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from edge.configuration.config import Device
from edge.models.message import JsonModel
from edge.models.product import load_models
from edge.protocols import json_paths
from edge.protocols.json_paths import Message
from edge.sources.listener import Listener
from messages.announcement import Announcement, Place
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import load_kinds
from messages.reading import Quality, Reading, Value
from tests.services import MqttBroker

KINDS = load_kinds()
NOW_MS = 1_763_700_000_000
LIMIT_S = 20.0
TOPIC = "local/door-1"

pytestmark = pytest.mark.needs("mosquitto")

Delivered = asyncio.Queue[tuple[list[Reading], Callable[[], None]]]


def door() -> Device[JsonModel]:
    model = load_models(KINDS)["json-door-controller"]
    assert isinstance(model, JsonModel)
    announcement = Announcement(kind=model.kind, model="json-door-controller", place=Place(grid="grid-1", text=""))
    return Device(id=DeviceId("door-1"), kind=KINDS[model.kind], model=model, announcement=announcement, topic=TOPIC)


@asynccontextmanager
async def listening(broker: MqttBroker) -> AsyncIterator[Delivered]:
    delivered: Delivered = asyncio.Queue()

    async def deliver(readings: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        assert then
        delivered.put_nowait((readings, then))

    listener = Listener(
        SiteId("junmen"), EdgeId("pi-1"), broker.settings("local"), [door()], deliver, clock_ms=lambda: NOW_MS
    )
    task = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            await listener._bus.up()
            yield delivered
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def device(broker: MqttBroker) -> AsyncIterator[Bus]:
    async with Bus(broker.settings("devices"), "a-door") as bus:
        await bus.up()
        yield bus


def values(readings: list[Reading]) -> dict[str, Value]:
    return {reading.channel: reading.value for reading in readings}


async def test_a_message_becomes_readings_at_the_devices_own_time(mosquitto: MqttBroker) -> None:
    async with device(mosquitto) as bus, listening(mosquitto) as delivered:
        await bus.publish(TOPIC, b'{"door": "open", "forced": true, "tamper": false, "ts": 1763699999000}')
        readings, _ = await delivered.get()
        assert values(readings) == {"door_open": True, "forced": True, "tamper": False}
        assert {(reading.at_ms, reading.quality) for reading in readings} == {(1_763_699_999_000, Quality.GOOD)}


async def test_what_is_not_on_disk_comes_again_and_what_is_does_not(mosquitto: MqttBroker) -> None:
    async with device(mosquitto) as bus:
        async with listening(mosquitto) as delivered:
            await bus.publish(TOPIC, b'{"door": "open"}')
            first, _ = await delivered.get()  # and the agent dies before its commit
        async with listening(mosquitto) as delivered:
            again, on_disk = await delivered.get()
            assert values(again) == values(first) == {"door_open": True}
            on_disk()
        async with listening(mosquitto) as delivered:
            await bus.publish(TOPIC, b'{"door": "closed"}')
            next_, _ = await delivered.get()
            assert values(next_) == {"door_open": False}


async def test_nonsense_is_taken_off_the_broker_and_said_once(mosquitto: MqttBroker) -> None:
    with structlog.testing.capture_logs() as said:
        async with device(mosquitto) as bus, listening(mosquitto) as delivered:
            for payload in (b"\x00", b"\x00", b'{"door": "ajar"}', b'{"door": "open"}'):
                await bus.publish(TOPIC, payload)
            found = []
            for _ in range(4):
                readings, on_disk = await delivered.get()
                found.append(values(readings))
                on_disk()
    assert found == [{}, {}, {}, {"door_open": True}]
    events = [entry["event"] for entry in said if entry.get("device") == "door-1"]
    assert events == ["device sends what can't be read"] * 2 + ["device makes sense again"]


@pytest.mark.parametrize(("payload", "retain"), [(b'{"door": "open", "ts": 7}', False), (b'{"door": "open"}', True)])
async def test_a_time_that_nobody_knows_makes_the_reading_uncertain(
    mosquitto: MqttBroker, payload: bytes, retain: bool
) -> None:
    async with device(mosquitto) as bus:
        if retain:
            await bus.publish(TOPIC, payload, retain=True)
        async with listening(mosquitto) as delivered:
            if not retain:
                await bus.publish(TOPIC, payload)
            (reading,), _ = await delivered.get()
            assert (reading.at_ms, reading.quality) == (NOW_MS, Quality.UNCERTAIN)


@pytest.mark.parametrize("mistake", [False, True], ids=["nested too deeply", "a mistake of ours"])
async def test_a_message_that_nobody_can_read_keeps_no_other_back(
    mosquitto: MqttBroker, monkeypatch: pytest.MonkeyPatch, mistake: bool
) -> None:
    decode = json_paths.decode

    def trips(payload: bytes, *more: Any) -> Message:
        if b"[[" in payload:
            raise IndexError("by a mistake of ours")
        return decode(payload, *more)

    if mistake:
        monkeypatch.setattr("edge.protocols.json_paths.decode", trips)
    async with device(mosquitto) as bus, listening(mosquitto) as delivered:
        with structlog.testing.capture_logs() as said:
            await bus.publish(TOPIC, b'{"door": ' + b"[" * 1000 + b"]" * 1000 + b"}")
            await bus.publish(TOPIC, b'{"door": "open"}')
            nothing, acknowledge = await delivered.get()
            acknowledge()
            readings, _ = await delivered.get()
    assert (nothing, values(readings)) == ([], {"door_open": True})
    expected = (
        "a message fails by a mistake of ours, and is passed over" if mistake else "device sends what can't be read"
    )
    assert expected in [entry["event"] for entry in said]


async def test_a_broker_that_is_away_is_a_line_that_is_away_and_no_silence_of_its_devices(
    mosquitto: MqttBroker,
) -> None:
    async def deliver(readings: list[Reading], then: Callable[[], None] | None = None, /) -> None: ...

    listener = Listener(
        SiteId("junmen"), EdgeId("pi-1"), mosquitto.settings("local"), [door()], deliver, clock_ms=lambda: NOW_MS
    )

    async def until(is_open: bool) -> None:
        while listener.vitals.open is not is_open:
            await asyncio.sleep(0.01)

    assert not listener.vitals.open
    task = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            await until(True)
            mosquitto.kill()
            await until(False)
            assert str(listener.vitals.why) == f"the broker {mosquitto.settings('local').address} is away"
            mosquitto.start()
            await until(True)
            assert (str(listener.vitals.why), listener.vitals.opened) == ("", 2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
