"""A database that fails in every way that is known: nothing is lost, nothing doubled, nothing receipted too early."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from collector.stores.influx.v1 import InfluxStore
from messages import topics
from tests import faulty_database, services
from tests.collector.block import EDGE, GAS, SITE, announcement, reading
from tests.collector.running import CollectorProcess, Edge, an_edge, configured, until
from tests.faulty_database import DEAF, HANG, PASS, REFUSE, RESET, FaultyDatabase

pytestmark = pytest.mark.needs("mosquitto", "influxd")
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def faulty(influxdb: services.Influx) -> Iterator[FaultyDatabase]:
    with faulty_database.before(influxdb.port, retry_after_s=1) as one:
        yield one


@pytest.fixture
async def edge(
    tmp_path: Path, mosquitto: services.MqttBroker, faulty: FaultyDatabase
) -> AsyncIterator[tuple[Edge, CollectorProcess]]:
    configured(tmp_path, mosquitto, store=f"influxdb://127.0.0.1:{faulty.port}/gridcall")
    collector = CollectorProcess(tmp_path)
    collector.start()
    await collector.linked()
    async with an_edge(mosquitto, EDGE) as one:
        await one.announce(GAS, announcement("gas_alarm"))
        await one.send(1, reading(at_ms=NOW_MS))
        await one.receipted(1)
        yield one, collector
    collector.stop()


def stored(influxdb: services.Influx) -> dict[int, object]:
    store = InfluxStore(influxdb.url, "gridcall")
    found = store.readings(SITE, EDGE, NOW_MS, NOW_MS + 10**6)
    store.close()
    return {one.at_ms - NOW_MS: one.value for one in found}


@pytest.mark.parametrize("mode", [REFUSE, RESET, DEAF, 500, 503, 429, 502])
async def test_what_the_database_does_not_take_is_kept_and_stored_when_it_does(
    edge: tuple[Edge, CollectorProcess], faulty: FaultyDatabase, influxdb: services.Influx, mode: str | int
) -> None:
    one, collector = edge
    faulty.mode = mode
    for number in range(2, 60):
        await one.send(number, reading(value=float(number), at_ms=NOW_MS + number))
    await until(lambda: "store is away" in collector.log)
    assert set(one.fates) == {1}, "nothing is receipted that is not stored"
    faulty.mode = PASS
    assert set((await one.receipted(*range(2, 60))).values()) == {None}
    assert stored(influxdb) == {0: 1.5, **{number: float(number) for number in range(2, 60)}}
    assert collector.quarantined() == []


async def test_a_database_that_hangs_is_waited_for(
    edge: tuple[Edge, CollectorProcess], faulty: FaultyDatabase, influxdb: services.Influx
) -> None:
    one, collector = edge
    faulty.mode, asked = HANG, faulty.asked
    await one.send(2, reading(at_ms=NOW_MS + 2))
    await until(lambda: faulty.asked > asked)
    assert 2 not in one.fates
    faulty.mode = PASS
    assert await one.receipted(2) == {2: None}
    assert stored(influxdb) == {0: 1.5, 2: 1.5}
    assert collector.quarantined() == []


async def test_a_body_that_is_too_large_is_halved_until_it_fits(
    edge: tuple[Edge, CollectorProcess], faulty: FaultyDatabase, influxdb: services.Influx
) -> None:
    one, collector = edge
    faulty.largest_bytes = 2000
    readings = [reading(value=float(number), at_ms=NOW_MS + number) for number in range(2, 102)]
    await one.send(2, *readings)
    assert await one.receipted(2) == {2: None}
    assert len(stored(influxdb)) == 101
    assert collector.quarantined() == []


async def test_a_reading_that_the_database_cannot_process_lies_in_quarantine_and_the_others_do_not(
    edge: tuple[Edge, CollectorProcess], faulty: FaultyDatabase, influxdb: services.Influx
) -> None:
    one, collector = edge
    faulty.unprocessable = b"gas_concentration=13"
    readings = [reading(value=float(number), at_ms=NOW_MS + number) for number in range(2, 22)]
    await one.send(2, *readings)
    await one.send(3, reading(value=13.0, at_ms=NOW_MS + 30))
    assert await one.receipted(2, 3) == {2: None, 3: "refused-by-store"}
    assert sorted(stored(influxdb)) == [0, *range(2, 13), *range(14, 22)]
    assert [entry.topic for entry in collector.quarantined()] == [topics.readings(SITE, EDGE)] * 2
    assert "store is away" not in collector.log


@pytest.mark.parametrize("status", [401, 403])
async def test_a_database_that_lets_nobody_in_is_not_knocked_at_and_the_collector_says_so(
    edge: tuple[Edge, CollectorProcess], faulty: FaultyDatabase, influxdb: services.Influx, status: int
) -> None:
    one, collector = edge
    faulty.mode = status
    await one.send(2, reading(at_ms=NOW_MS + 2))
    await until(lambda: "store does not let us in" in collector.log)
    asked = faulty.asked
    await one.send(3, reading(at_ms=NOW_MS + 3))
    assert faulty.asked <= asked + 2, "a writer each, and then half a minute's rest"
    assert set(one.fates) == {1}
    collector.kill()
    faulty.mode = PASS
    collector.start()
    assert await one.receipted(2, 3) == {2: None, 3: None}
    assert collector.quarantined() == []
    assert len(stored(influxdb)) == 3
