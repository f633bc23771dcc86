"""Publishers that are none of ours: old clients, one reading at a time, no stream and no number."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import orjson
import pytest

from messages import topics
from tests import services
from tests.collector.block import EDGE, GAS, SITE, announcement, faults, reading
from tests.collector.running import CollectorProcess, an_edge, configured, until

pytestmark = pytest.mark.needs("mosquitto")
NOW_MS = time.time_ns() // 1_000_000
TOPIC = topics.readings(SITE, EDGE)


@pytest.fixture
async def collector(tmp_path: Path, mosquitto: services.MqttBroker) -> AsyncIterator[CollectorProcess]:
    configured(tmp_path, mosquitto, retention="30d")
    process = CollectorProcess(tmp_path)
    process.start()
    await process.linked()
    yield process
    process.stop()


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_an_old_client_with_one_reading_at_a_time_is_served(
    collector: CollectorProcess, mosquitto: services.MqttBroker, qos: int
) -> None:
    """MQTT 3.1.1, a name with a slash in one record, whole numbers, a time of its own."""
    async with (
        an_edge(mosquitto, EDGE) as edge,
        aiomqtt.Client(
            "127.0.0.1",
            mosquitto.port,
            username=f"{SITE}/{EDGE}",
            password=services.PASSWORD,
            protocol=aiomqtt.ProtocolVersion.V311,
        ) as old,
    ):
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS + 90))
        assert await edge.receipted(1) == {1: None}
        for number in range(5):
            record = {"n": f"{GAS}/gas_concentration", "v": number, "t": (NOW_MS + number) / 1000}
            await old.publish(TOPIC, orjson.dumps([record]), qos=qos)
        await old.publish(TOPIC, orjson.dumps([{"n": f"{GAS}/tilt", "v": 1, "t": NOW_MS / 1000}]), qos=qos)
        await old.publish(TOPIC, orjson.dumps({"n": f"{GAS}/gas_concentration", "v": 1}), qos=qos)
        store = collector.store()
        await until(lambda: len(store.readings(SITE, EDGE, NOW_MS, NOW_MS + 10)) == 5)
        assert [one.value for one in store.readings(SITE, EDGE, NOW_MS, NOW_MS + 10)] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert {one.unit for one in store.readings(SITE, EDGE, NOW_MS, NOW_MS + 10)} == {"%LEL"}
        store.close()
        await until(lambda: len(collector.quarantined()) == 2)
        assert [faults(entry.reasons) for entry in collector.quarantined()] == [["unknown-channel"], ["malformed"]]
        await edge.send(2, reading(at_ms=NOW_MS + 91))
        assert await edge.receipted(2) == {2: None}
        assert set(edge.fates) == {1, 2}, "who numbers nothing is receipted nothing"


async def test_a_device_that_is_announced_anew_is_what_it_is_announced_as_without_a_restart(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("waste_bin"))
        await edge.send(1, reading(at_ms=NOW_MS))
        assert await edge.receipted(1) == {1: "unknown-channel"}
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(2, reading(at_ms=NOW_MS + 1))
        assert await edge.receipted(2) == {2: None}
        await edge.announce(GAS, None)
        await edge.send(3, reading(at_ms=NOW_MS + 2))
        assert await edge.receipted(3) == {3: "unknown-device"}
        await edge.announce(GAS, announcement("gas_alarm", building="9"))
        await asyncio.wait_for(_stored(edge.fates, 3), 20)


async def _stored(fates: dict[int, str | None], number: int) -> None:
    """What waited for the announcement is taken again, and receipted anew."""
    await until(lambda: fates[number] is None)
