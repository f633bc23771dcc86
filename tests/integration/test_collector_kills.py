"""A database that is killed and killed again while readings come: what was receipted is there, once, and nothing else is missing."""

import time
from pathlib import Path

import pytest

from collector.stores.base import Store, StoreError
from tests import faulty_database, services
from tests.collector.block import EDGE, GAS, SITE, STREAM, announcement, reading
from tests.collector.running import CollectorProcess, an_edge, configured, until
from tests.faulty_database import DEAF, PASS

NOW_MS = time.time_ns() // 1_000_000
KILLS, PACKS_BETWEEN = 3, 25


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize(
    "database",
    [
        pytest.param("influxdb", marks=pytest.mark.needs("influxd")),
        pytest.param("victoria", marks=pytest.mark.needs("victoria-metrics")),
    ],
)
async def test_a_database_killed_under_load_loses_nothing_that_was_receipted(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    server: services.Service = request.getfixturevalue(database)
    address = f"{database}://127.0.0.1:{server.port}" + ("/gridcall" if database == "influxdb" else "")
    configured(tmp_path / "collector", mosquitto, store=address)
    collector = CollectorProcess(tmp_path / "collector")
    collector.start()
    await collector.linked()
    store = collector.store()
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        await edge.send(1, reading(at_ms=NOW_MS))
        await edge.receipted(1)
        number = 1
        for _ in range(KILLS):
            for _ in range(PACKS_BETWEEN):
                number += 1
                await edge.send(number, reading(value=number / 2, at_ms=NOW_MS + number))
            await edge.receipted(number - PACKS_BETWEEN + 1)  # the first of them is; of the others nobody knows
            server.kill()
            receipted = set(edge.fates)
            server.start()
            await until(lambda: _there(store))
            there = {row.number for row in store.packs(SITE, EDGE, STREAM, [(1, number)])}
            assert receipted <= there
            await edge.receipted(number)
        assert set((await edge.receipted(*range(1, number + 1))).values()) == {None}
    found = [one.at_ms - NOW_MS for one in store.readings(SITE, EDGE, NOW_MS, NOW_MS + 10**6)]
    assert found == [0, *range(2, number + 1)]
    collector.stop()


@pytest.mark.needs("mosquitto", "victoria-metrics")
@pytest.mark.parametrize("mode", [503, DEAF])
async def test_what_victoriametrics_does_not_take_is_kept_and_stored_when_it_does(
    tmp_path: Path, mosquitto: services.MqttBroker, victoria: services.Service, mode: str | int
) -> None:
    with faulty_database.before(victoria.port, retry_after_s=1) as faulty:
        configured(tmp_path / "collector", mosquitto, store=f"victoria://127.0.0.1:{faulty.port}")
        collector = CollectorProcess(tmp_path / "collector")
        collector.start()
        await collector.linked()
        async with an_edge(mosquitto, EDGE) as edge:
            await edge.announce(GAS, announcement("gas_alarm"))
            await edge.send(1, reading(at_ms=NOW_MS))
            await edge.receipted(1)
            faulty.mode = mode
            for number in range(2, 20):
                await edge.send(number, reading(at_ms=NOW_MS + number))
            await until(lambda: "store is away" in collector.log)
            assert set(edge.fates) == {1}, "nothing is receipted that is not stored"
            faulty.mode = PASS
            assert set((await edge.receipted(*range(2, 20))).values()) == {None}
        assert len(collector.store().readings(SITE, EDGE, NOW_MS, NOW_MS + 20)) == 19
        collector.stop()


def _there(store: Store) -> bool:
    try:
        store.latest(SITE, GAS)
    except StoreError:
        return False
    return True
