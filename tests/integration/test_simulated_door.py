"""The door controller's JSON through a real Mosquitto, read as the user `local` reads it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from simulators import mqtt_device
from simulators.block import Block
from simulators.record import Record
from simulators.run import run
from tests.services import PASSWORD, MqttBroker, free_port
from tests.simulators import stage

pytestmark = pytest.mark.needs("mosquitto")

DOOR = '[[steps]]\nat="{}"\ndevice="door-1"\nchannel="{}"\n{}\n'
SWINGING = DOOR.format("0s", "door_open", 'pulse = {to = true, width = "200ms", period = "400ms"}')


def door_only(folder: Path, broker: MqttBroker) -> Block:
    block = stage.block(folder, broker_port=broker.port)
    return replace(block, line=None, uplink=None, devices=block.devices[-1:])


@asynccontextmanager
async def listening(broker: MqttBroker) -> AsyncIterator[aiomqtt.Client]:
    """A session that the broker keeps while nobody is connected."""
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 600
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username="local",
        password=PASSWORD,
        identifier="listener",
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=kept,
    ) as client:
        await client.subscribe("local/#", qos=1)
        yield client


async def heard(client: aiomqtt.Client, wanted: int) -> list[dict[str, Any]]:
    messages = []
    async with asyncio.timeout(20):
        async for message in client.messages:
            assert str(message.topic) == "local/door-1"
            assert message.qos == 1
            assert isinstance(message.payload, bytes)
            messages.append(json.loads(message.payload))
            if len(messages) == wanted:
                break
    return messages


async def test_every_change_is_published_once_and_written_down(mosquitto: MqttBroker, tmp_path: Path) -> None:
    block = door_only(tmp_path, mosquitto)
    text = DOOR.format("400ms", "door_open", "to = true") + DOOR.format("1s", "forced", "to = true")
    text += DOOR.format("1600ms", "door_open", "to = false") + DOOR.format("1600ms", "tamper", "to = true")
    scenario = stage.scenario(tmp_path, block, text)
    async with listening(mosquitto) as client, stage.played(block, scenario, tmp_path) as play:
        messages = await heard(client, 4)
    assert [(message["door"], message["forced"], message["tamper"]) for message in messages] == [
        ("closed", False, False),
        ("open", False, False),
        ("open", True, False),
        ("closed", True, True),
    ]
    written = play.values("door-1")
    assert written[: 3 * 3] == [
        (message["ts"], channel, value)
        for message in messages[:3]
        for channel, value in (
            ("door_open", message["door"] == "open"),
            ("forced", message["forced"]),
            ("tamper", message["tamper"]),
        )
    ]


async def test_a_quiet_door_repeats_itself_every_interval(mosquitto: MqttBroker, tmp_path: Path) -> None:
    block = door_only(tmp_path, mosquitto)
    block = replace(block, devices=(replace(block.devices[0], interval_s=0.2),))
    async with listening(mosquitto) as client, stage.played(block, stage.scenario(tmp_path, block), tmp_path):
        messages = await heard(client, 4)
    assert {message["door"] for message in messages} == {"closed"}
    gaps_ms = [later["ts"] - sooner["ts"] for sooner, later in pairwise(messages)]
    assert min(gaps_ms) >= 200


async def test_a_silent_door_says_what_has_changed_when_it_is_well_again(mosquitto: MqttBroker, tmp_path: Path) -> None:
    block = door_only(tmp_path, mosquitto)
    text = DOOR.format("600ms", "door_open", "to = true") + DOOR.format("700ms", "door_open", "to = false")
    text += DOOR.format("800ms", "forced", "to = true")
    text += '[[faults]]\nat="500ms"\ndevice="door-1"\nfault="silent"\nfor="1s"'
    async with (
        listening(mosquitto) as client,
        stage.played(block, stage.scenario(tmp_path, block, text), tmp_path) as play,
    ):
        before, after = await heard(client, 2)
        assert (before["door"], before["forced"]) == ("closed", False)
        assert (after["door"], after["forced"]) == ("closed", True)
        assert after["ts"] >= play.marks()["door-1 well"]


async def test_nothing_is_lost_while_the_broker_is_away(mosquitto: MqttBroker, tmp_path: Path) -> None:
    block = door_only(tmp_path, mosquitto)
    async with stage.played(block, stage.scenario(tmp_path, block, SWINGING), tmp_path) as play:
        async with listening(mosquitto) as client:
            messages = await heard(client, 3)
        await asyncio.to_thread(mosquitto.stop)
        await asyncio.to_thread(mosquitto.start)
        async with listening(mosquitto) as client:
            messages += await heard(client, 8)
    by_time = {message["ts"]: message["door"] for message in messages}
    doors = [by_time[at_ms] for at_ms in sorted(by_time)]
    assert doors == [("closed", "open")[(index + (doors[0] == "open")) % 2] for index in range(len(doors))], "no gap"
    again = [mark for mark in play.marks() if "again" in mark]
    assert len(messages) - len(by_time) <= len(again), "what came twice is in the record"
    written = {
        (at_ms, "open" if value else "closed")
        for at_ms, channel, value in play.values("door-1")
        if channel == "door_open"
    }
    assert set(list(by_time.items())[:-1]) <= written


async def test_a_message_that_is_not_confirmed_is_published_again_and_the_record_says_so(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_device, "CONFIRMED_WITHIN_S", 0.5)
    block = door_only(tmp_path, mosquitto)
    assert mosquitto.process is not None
    async with (
        listening(mosquitto) as client,
        stage.played(block, stage.scenario(tmp_path, block, SWINGING), tmp_path) as play,
    ):
        messages = await heard(client, 2)
        with capture_logs() as logs:
            mosquitto.process.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(10):
                    while not logs:
                        await asyncio.sleep(0.02)
            finally:
                mosquitto.process.send_signal(signal.SIGCONT)
        messages += await heard(client, 8)
        again = [int(mark.split()[-2]) for mark in play.marks() if mark.endswith("again")]
    assert logs[0]["event"] == "device has lost the broker"
    times = [message["ts"] for message in messages]
    assert again, "the record says which message may have come twice"
    assert {at_ms for at_ms in times if times.count(at_ms) > 1} <= set(again)
    assert {at_ms for at_ms, _, _ in play.values("door-1")} >= set(times[:-1])


async def test_what_waits_for_a_broker_is_bounded_and_what_is_dropped_is_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_device, "MOST_WAITING", 3)
    block = stage.block(tmp_path, broker_port=free_port())
    block = replace(block, line=None, uplink=None, devices=block.devices[-1:])
    async with stage.played(block, stage.scenario(tmp_path, block, SWINGING), tmp_path) as play:
        async with asyncio.timeout(10):
            while len([mark for mark in play.marks() if "dropped" in mark]) < 2:
                await asyncio.sleep(0.02)
    assert play.values("door-1") == []


@pytest.mark.parametrize("later", range(6))
async def test_it_ends_when_it_is_told_to_in_the_moment_of_a_confirmation(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    block = door_only(tmp_path, mosquitto)
    confirmed = aiomqtt.Client._on_publish

    def told_and(client: aiomqtt.Client, *words: Any) -> None:
        playing.cancel()
        and_in(later, lambda: confirmed(client, *words))

    def and_in(turns: int, then: Callable[[], None]) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(and_in, turns - 1, then)
        else:
            then()

    monkeypatch.setattr(aiomqtt.Client, "_on_publish", told_and)
    with Record(tmp_path / "truth.jsonl") as record:
        scenario = stage.scenario(tmp_path, block, SWINGING)
        playing = asyncio.create_task(run(block, scenario, record=record, clock_ms=lambda: 0, say=lambda _: None))
        ended, _ = await asyncio.wait({playing}, timeout=20)
        assert ended
    assert playing.cancelled()


async def test_it_ends_when_it_is_told_to_although_the_broker_no_longer_answers(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_device, "CONFIRMED_WITHIN_S", 0.2)
    block = door_only(tmp_path, mosquitto)
    assert mosquitto.process is not None
    scenario = stage.scenario(tmp_path, block, DOOR.format("0s", "door_open", "to = true"))
    async with asyncio.timeout(20):
        async with listening(mosquitto) as client, stage.played(block, scenario, tmp_path):
            await heard(client, 1)
        try:
            async with stage.played(block, scenario, tmp_path) as play:
                while not play.values("door-1"):
                    await asyncio.sleep(0.02)
                mosquitto.process.send_signal(signal.SIGSTOP)
        finally:
            mosquitto.process.send_signal(signal.SIGCONT)
