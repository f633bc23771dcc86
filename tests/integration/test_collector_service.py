"""The collector as a process, with a real Mosquitto: what it promises an edge, and what it survives."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.stores.base import Batch, Point
from collector.stores.sqlite import SqliteStore
from messages.pack import LIMIT_BYTES
from tests import programs, services
from tests.collector.block import BIN, EDGE, GAS, OTHER_EDGE, SITE, STREAM, announcement, faults, packed, reading
from tests.collector.running import CollectorProcess, an_edge, configured, until

pytestmark = pytest.mark.needs("mosquitto")
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
async def collector(tmp_path: Path, mosquitto: services.MqttBroker) -> AsyncIterator[CollectorProcess]:
    configured(tmp_path / "collector", mosquitto, retention="30d")
    process = CollectorProcess(tmp_path / "collector")
    process.start()
    await process.linked()
    yield process
    process.stop()


async def test_a_pack_is_in_the_store_when_its_receipt_arrives(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        store = collector.store()
        for number in range(1, 20):
            one = reading(value=float(number), at_ms=NOW_MS + number, unit="%LEL")
            await edge.send(number, one)
            assert await edge.receipted(number) == {number: None}
            assert store.readings(SITE, EDGE, NOW_MS + number, NOW_MS + number) == [one]
        assert len(store.packs(SITE, EDGE, STREAM, [(1, 99)])) == 19
        store.close()


async def test_whatever_is_wrong_lies_in_quarantine_with_its_reason_and_stops_nothing(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        good = reading(at_ms=NOW_MS)
        await edge.send_bytes(b"")
        await edge.send_bytes(b"\x00\xff no pack at all")
        await edge.send_bytes(packed(good, number=90) + b" " * LIMIT_BYTES)
        await edge.send_bytes(packed(good, number=1, edge=OTHER_EDGE))
        await edge.send(2, reading(at_ms=NOW_MS, device=BIN))
        await edge.send(3, reading(at_ms=NOW_MS, unit="ppm"))
        await edge.send(4, reading(at_ms=NOW_MS + 3_600_000))
        await edge.send(5, reading(at_ms=NOW_MS - 31 * 86_400_000))
        await edge.send(6, reading("tilt", at_ms=NOW_MS))
        await edge.send(7, reading(value=1001.0, at_ms=NOW_MS), good)
        await edge.send(8, good)
        assert await edge.receipted(1, 2, 3, 4, 5, 6, 7, 8) == {
            1: "wrong-edge",
            2: "unknown-device",
            3: "wrong-unit",
            4: "in-the-future",
            5: "too-old",
            6: "unknown-channel",
            7: None,
            8: None,
        }
        assert 90 not in edge.fates
    entries = collector.quarantined()
    assert [fault for entry in entries for fault in faults(entry.reasons)] == [
        "malformed",
        "malformed",
        "oversized",
        "wrong-edge",
        "unknown-device",
        "wrong-unit",
        "in-the-future",
        "too-old",
        "unknown-channel",
        "out-of-range",
    ]
    assert (entries[2].true_bytes > LIMIT_BYTES, len(entries[2].payload)) == (True, 64 * 1024)
    assert collector.log.count("in quarantine") == 9, "each fault of each sender is said once"


async def test_a_device_announced_after_its_packs_loses_nothing(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.send(1, reading(at_ms=NOW_MS))
        assert await edge.receipted(1) == {1: "unknown-device"}
        await edge.announce(GAS, announcement("gas_alarm"))
        await until(lambda: edge.fates[1] is None)
    store = collector.store()
    assert [one.device for one in store.readings(SITE, EDGE, 0, NOW_MS)] == [GAS]
    store.close()
    assert collector.quarantined() == []


async def test_devices_are_known_after_a_restart_although_the_broker_does_not_repeat_them(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        collector.kill()
        await edge.send(2, reading(at_ms=NOW_MS + 1))
        collector.start()
        assert await edge.receipted(2) == {2: None}
        await edge.announce(GAS, None)
        await edge.send(3, reading(at_ms=NOW_MS + 2))
        assert await edge.receipted(3) == {3: "unknown-device"}


async def test_a_collector_killed_at_any_moment_loses_nothing_that_the_broker_holds(
    collector: CollectorProcess, mosquitto: services.MqttBroker
) -> None:
    packs, deaths = 1500, 5
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)

        async def publish() -> None:
            for number in range(2, packs + 1):
                await edge.send(number, reading(value=number / 100, at_ms=NOW_MS + number))

        publishing = asyncio.create_task(publish())
        for death in range(1, deaths + 1):
            heard = len(edge.fates)
            await until(lambda: len(edge.fates) >= min(heard + 100, packs))  # noqa: B023 (called at once)
            collector.kill()
            receipted = {number for number, fate in edge.fates.items() if fate is None}
            store = collector.store()
            stored = {row.number for row in store.packs(SITE, EDGE, STREAM, [(1, packs)])}
            store.close()
            assert receipted <= stored, f"death {death}: receipts without a row"
            collector.start()
        await publishing
        assert set((await edge.receipted(*range(1, packs + 1))).values()) == {None}
    store = collector.store()
    assert len(store.packs(SITE, EDGE, STREAM, [(1, packs)])) == packs
    values = [one.value for one in store.readings(SITE, EDGE, NOW_MS + 2, NOW_MS + packs)]
    assert values == [number / 100 for number in range(2, packs + 1)]
    store.close()


async def test_edges_get_receipts_of_their_own(collector: CollectorProcess, mosquitto: services.MqttBroker) -> None:
    async with an_edge(mosquitto, EDGE) as one, an_edge(mosquitto, OTHER_EDGE) as other:
        await one.announce(GAS, announcement("gas_alarm"))
        await other.announce(BIN, announcement("waste_bin"))
        await one.send(1, reading(at_ms=NOW_MS))
        await other.send(1, reading("fill", 40.0, device=BIN, at_ms=NOW_MS))
        await other.send(2, reading(at_ms=NOW_MS))
        assert await other.receipted(1, 2) == {1: None, 2: "unknown-device"}
        assert await one.receipted(1) == {1: None}


async def test_sigterm_ends_it_cleanly(collector: CollectorProcess) -> None:
    assert collector.stop() == 130
    assert "Traceback" not in collector.log


async def test_what_is_older_than_the_retention_goes(tmp_path: Path, mosquitto: services.MqttBroker) -> None:
    config = configured(tmp_path, mosquitto, retention="30d")
    store = SqliteStore(tmp_path / "history.db")
    old, new = NOW_MS - 31 * 86_400_000, NOW_MS - 29 * 86_400_000
    points = [Point(reading=reading(at_ms=at), kind="gas_alarm", model="m", building="3") for at in (old, new)]
    store.write([Batch(site=SITE, edge=EDGE, points=points, packs=[])])
    collector = CollectorProcess(config.parent)
    collector.start()
    await until(lambda: len(store.readings(SITE, EDGE, 0, NOW_MS)) == 1)
    assert store.readings(SITE, EDGE, 0, NOW_MS)[0].at_ms == new
    collector.stop()
    store.close()


def test_a_wrong_configuration_ends_it_with_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text('name = "c"\nstore = "histroy.db"\nfolder = "state"\n[broker]\n')
    ended = programs.run("collector", "run", str(tmp_path / "collector.toml"))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"gridcall: {tmp_path}/collector.toml:2: store: ")
    assert ended.stderr.count("\n") == 1
