"""The collector as a process, with a real Mosquitto and a real InfluxDB that goes away and comes back."""

import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from collector.stores.base import Batch, Point, StoreAway
from collector.stores.influx.v1 import InfluxStore
from tests import services
from tests.collector.block import EDGE, GAS, SITE, STREAM, announcement, packed, reading
from tests.collector.running import CollectorProcess, an_edge, configured, until

pytestmark = pytest.mark.needs("mosquitto", "influxd")
NOW_MS = time.time_ns() // 1_000_000
MEGABYTE = 1024 * 1024


@pytest.fixture
async def collector(
    tmp_path: Path, mosquitto: services.MqttBroker, influxdb: services.Influx
) -> AsyncIterator[CollectorProcess]:
    configured(tmp_path / "collector", mosquitto, store=f"influxdb://127.0.0.1:{influxdb.port}/gridcall")
    process = CollectorProcess(tmp_path / "collector")
    process.start()
    await process.linked()
    yield process
    process.stop()


async def test_while_the_store_is_away_nothing_is_receipted_and_afterwards_everything_is_stored(
    collector: CollectorProcess, mosquitto: services.MqttBroker, influxdb: services.Influx
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        influxdb.stop()
        for number in range(2, 200):
            await edge.send(number, reading(value=number / 2, at_ms=NOW_MS + number))
        await until(lambda: "store is away" in collector.log)
        assert set(edge.fates) == {1}
        influxdb.start()
        assert set((await edge.receipted(*range(1, 200))).values()) == {None}
    store = collector.store()
    assert [one.value for one in store.readings(SITE, EDGE, NOW_MS + 2, NOW_MS + 300)] == [
        number / 2 for number in range(2, 200)
    ]
    assert len(store.packs(SITE, EDGE, STREAM, [(1, 300)])) == 199
    assert collector.log.count("store is away") == 1
    assert collector.log.count("store is back") == 1
    assert collector.quarantined() == []


async def test_a_collector_killed_with_packs_in_its_hands_loses_none_of_them(
    collector: CollectorProcess, mosquitto: services.MqttBroker, influxdb: services.Influx
) -> None:
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        influxdb.stop()
        for number in range(2, 50):
            await edge.send(number, reading(at_ms=NOW_MS + number))
        await until(lambda: "store is away" in collector.log)
        collector.kill()
        influxdb.start()
        collector.start()
        assert set((await edge.receipted(*range(1, 50))).values()) == {None}
    assert len(collector.store().readings(SITE, EDGE, NOW_MS, NOW_MS + 50)) == 49


async def test_memory_stays_bounded_while_the_broker_holds_what_the_store_can_t_take(
    collector: CollectorProcess, mosquitto: services.MqttBroker, influxdb: services.Influx
) -> None:
    assert collector.process is not None
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        process = psutil.Process(collector.process.pid)
        before = process.memory_info().rss
        influxdb.stop()
        padding = b" " * 200_000  # JSON may have it: 80 MB of packs that are cheap to store
        for number in range(2, 402):
            await edge.send_bytes(packed(reading(at_ms=NOW_MS + number), number=number) + padding)
        await until(lambda: "store is away" in collector.log)
        grown = process.memory_info().rss - before
        assert grown < 40 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"
        influxdb.start()
        assert set((await edge.receipted(*range(1, 402))).values()) == {None}
    assert len(collector.store().packs(SITE, EDGE, STREAM, [(1, 500)])) == 401


async def test_a_reading_that_the_database_refuses_lies_in_quarantine_with_its_words_and_costs_only_itself(
    collector: CollectorProcess, mosquitto: services.MqttBroker, influxdb: services.Influx
) -> None:
    line = f'gas_alarm,device=gas-1,site=junmen gas_concentration="once it was a text" {NOW_MS}000000'
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading("alarm_contact", False, at_ms=NOW_MS))
        await edge.receipted(1)
        with urllib.request.urlopen(f"{influxdb.url}/write?db=gridcall", data=line.encode()) as answer:
            assert answer.status == 204
        await edge.send(2, reading(at_ms=NOW_MS), reading("alarm_contact", True, at_ms=NOW_MS + 1))
        await edge.send(3, reading(at_ms=NOW_MS))
        await edge.send(4, reading("alarm_contact", False, at_ms=NOW_MS + 2))
        assert await edge.receipted(2, 3, 4) == {2: None, 3: "refused-by-store", 4: None}
    store = collector.store()
    assert [(row.number, row.readings) for row in store.packs(SITE, EDGE, STREAM, [(2, 4)])] == [(2, 1), (4, 1)]
    assert [one.value for one in store.readings(SITE, EDGE, NOW_MS + 1, NOW_MS + 2)] == [True, False]
    reasons = [reason for entry in collector.quarantined() for reason in entry.reasons]
    assert [reason.fault for reason in reasons] == ["refused-by-store"] * 2
    assert all("field type conflict" in reason.detail for reason in reasons)
    assert collector.log.count("in quarantine: refused-by-store") == 1


def test_wrong_credentials_are_away_and_not_a_refusal_of_the_readings(tmp_path: Path) -> None:
    """Else every reading would go to quarantine, and its edge be told to forget it, over a password."""
    with services.influxdb(tmp_path / "open") as server:
        question = b"q=CREATE USER root WITH PASSWORD 'right' WITH ALL PRIVILEGES"
        with urllib.request.urlopen(f"{server.url}/query", data=question) as answer:
            assert b"error" not in answer.read()  # to its end: InfluxDB drops a question whose asker has gone
        server.stop()
        config = Path(server.command[-1])
        config.write_text(config.read_text().replace("[http]", "[http]\n  auth-enabled = true"))
        server.start()
        for password, reason in (("wrong", "401"), (None, "401")):
            store = InfluxStore(server.url, "gridcall", username="root" if password else None, password=password)
            with pytest.raises(StoreAway, match=reason):
                store.write([Batch(site=SITE, edge=EDGE, points=[], packs=[])])
        right = InfluxStore(server.url, "gridcall", username="root", password="right")
        right.write([])
        assert right.latest(SITE, GAS) == []
        for grant in ("CREATE USER writer WITH PASSWORD 'w'", "GRANT ALL ON gridcall TO writer"):
            right._ask(grant)
        writer = InfluxStore(server.url, "gridcall", username="writer", password="w")
        writer.write([])  # may make nothing, and need not
        point = Point(reading=reading(at_ms=NOW_MS), kind="gas_alarm", model="m", building="3")
        writer.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[])])
        assert [one.at_ms for one in writer.latest(SITE, GAS)] == [NOW_MS]
        with pytest.raises(StoreAway):
            writer.condense(NOW_MS)  # until an administrator has set it up
        right.setup(None)
        writer.condense(NOW_MS + 3_600_000)
        assert writer._coarse.before_ms() > NOW_MS
