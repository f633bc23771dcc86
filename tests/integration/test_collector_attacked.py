"""Whatever is published at it, a collector goes on: raw bytes on every topic, through a real Mosquitto."""

import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import psutil
import pytest

from messages import announcement as announcements
from messages import pack, status, topics
from messages.ids import DeviceId
from messages.status import EdgeStatus
from tests import services
from tests.collector.block import EDGE, GAS, SITE, announcement, faults, packed, reading, senml
from tests.collector.running import CollectorProcess, an_edge, configured, until

pytestmark = pytest.mark.needs("mosquitto")
NOW_MS = time.time_ns() // 1_000_000
GOOD = {"bn": "gas-1/", "bt": NOW_MS / 1000, "n": "gas_concentration", "v": 1.5}
MEGABYTE = 1024 * 1024


@pytest.fixture
async def collector(tmp_path: Path, mosquitto: services.MqttBroker) -> AsyncIterator[CollectorProcess]:
    configured(tmp_path, mosquitto, retention="30d")
    process = CollectorProcess(tmp_path)
    process.start()
    await process.linked()
    yield process
    process.stop()


def noise(dice: random.Random) -> Iterator[bytes]:
    """Bytes that are nothing, and good messages with some of their bytes changed, doubled or left out."""
    good = [
        packed(reading(at_ms=NOW_MS), reading("alarm_contact", True, at_ms=NOW_MS - 1), number=7),
        announcements.encode(announcement("gas_alarm")),
        status.encode(EdgeStatus(online=True, stream="s1", packs=3)),
        senml(GOOD, {"n": "x", "vs": "3号楼"}),
    ]
    while True:
        yield dice.randbytes(dice.randrange(200))
        spoiled = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 6)):
            place = dice.randrange(len(spoiled))
            match dice.randrange(3):
                case 0:
                    spoiled[place] = dice.randrange(256)
                case 1:
                    del spoiled[place : place + dice.randrange(1, 9)]
                case 2:
                    spoiled[place:place] = spoiled[place : place + dice.randrange(1, 30)]
            if not spoiled:
                break
        yield bytes(spoiled)


async def test_noise_on_every_topic_ends_nothing(collector: CollectorProcess, mosquitto: services.MqttBroker) -> None:
    dice = random.Random(27)
    where = [
        topics.readings(SITE, EDGE),
        topics.status(SITE, EDGE),
        topics.announcement(SITE, EDGE, DeviceId("noise-1")),
        f"gridcall/1/{SITE}/{EDGE}/devices/Not a name 号",
    ]
    async with an_edge(mosquitto, EDGE) as edge:
        for payload, _ in zip(noise(dice), range(1500), strict=False):
            await edge.bus.publish(dice.choice(where), payload, retain=dice.random() < 0.05)
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(900_001, reading(at_ms=NOW_MS))
        assert await edge.receipted(900_001) == {900_001: None}
    assert "Traceback" not in collector.log
    assert "fails to judge" not in collector.log
    assert len(collector.quarantined()) > 500


ATTACKS = {
    "deep": (b"[" * 200_000, "malformed"),
    "deep objects": (b'[{"a":' * 40_000, "malformed"),
    "huge": (packed(reading(at_ms=NOW_MS)) + b" " * 900_000, "oversized"),
    "too many records": (orjson.dumps([GOOD] + [{"n": "x", "v": 1}] * 5000), "oversized"),
    "not a number": (senml(GOOD).replace(b"1.5", b"NaN"), "malformed"),
    "infinite": (senml(GOOD).replace(b"1.5", b"-1e400"), "malformed"),
    "400 digits": (senml(GOOD).replace(b"1.5", b"1" * 400), "malformed"),
    "no UTF-8": (senml(GOOD).replace(b"gas-1", b"gas\xc3\x28"), "malformed"),
    "half a character": (senml(GOOD).replace(b"gas-1", b"gas\\ud800"), "malformed"),
    "no date": (senml(GOOD | {"bt": 1e18}), "malformed"),
    "in thirty years": (senml(GOOD | {"bt": NOW_MS / 1000 + 1e9}), "in-the-future"),
    "number past all": (senml(GOOD, number=2**63), "malformed"),
}


async def test_each_attack_lies_in_quarantine_under_its_name_and_memory_stays_what_it_is(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    assert collector.process
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(9000, reading(at_ms=NOW_MS))
        await edge.receipted(9000)
        before = psutil.Process(collector.process.pid).memory_info().rss
        for number, (payload, _) in enumerate(ATTACKS.values(), 9001):
            await edge.send_bytes(payload)
            await edge.send(number, reading(at_ms=NOW_MS + number))
            assert await edge.receipted(number) == {number: None}
        grown = psutil.Process(collector.process.pid).memory_info().rss - before
    assert grown < 24 * MEGABYTE
    named = zip(ATTACKS, (faults(entry.reasons) for entry in collector.quarantined()), strict=True)
    assert dict(named) == {name: [fault] for name, (_, fault) in ATTACKS.items()}


async def test_of_a_label_that_is_said_twice_the_last_counts(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send_bytes(senml(GOOD).replace(b'"v":1.5', b'"v":5000,"v":2.5'))
        assert await edge.receipted(1) == {1: None}
    store = collector.store()
    assert [one.value for one in store.readings(SITE, EDGE, 0, NOW_MS)] == [2.5]
    store.close()


async def test_ten_thousand_devices_in_packs_that_are_full(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    """As many as an edge may announce; the one after them is told so."""
    names = [DeviceId(f"d-{number}") for number in range(10_001)]
    async with an_edge(mosquitto, EDGE) as edge:
        for name in names[:300]:
            await edge.announce(name, announcement("gas_alarm"))
        for number, start in enumerate(range(0, len(names), 2000), 1):
            some = [reading(device=name, at_ms=NOW_MS) for name in names[start : start + 2000]]
            payload = pack.encode(EDGE, "s1", number, some)  # type: ignore[arg-type]
            assert len(payload) < pack.LIMIT_BYTES
            await edge.send_bytes(payload)
        fates = await edge.receipted(1, 2, 3, 4, 5, 6)
    assert fates == {1: None, **dict.fromkeys(range(2, 7), "unknown-device")}
    await until(lambda: len(collector.quarantined()) == 6)
    records = sum(reason.records for entry in collector.quarantined() for reason in entry.reasons)
    assert records == len(names) - 300
