"""What only VictoriaMetrics does: its 204 is no promise, and what it would drop it drops without a word."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.stores.base import Batch, PackRow, Point, StoreAway, StoreError, StoreLocked, StoreRefused
from collector.stores.choose import open_store
from collector.stores.victoria.store import VictoriaStore
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading, Value
from tests import faulty_database, services

pytestmark = pytest.mark.needs("victoria-metrics")
SITE, EDGE, STREAM, GAS = SiteId("junmen"), EdgeId("pi-1"), StreamId("s-1"), DeviceId("gas-1")
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def store(victoria: services.Service) -> Iterator[VictoriaStore]:
    opened = VictoriaStore(f"http://127.0.0.1:{victoria.port}")
    opened.write([])
    yield opened
    opened.close()


def batch(*values: Value, at_ms: int = NOW_MS, channel: str = "tilt", number: int | None = None) -> Batch:
    points = [
        Point(
            reading=Reading(device=GAS, channel=channel, at_ms=at_ms + index, value=value),
            kind="gas_alarm",
            model="m",
            building="3",
        )
        for index, value in enumerate(values)
    ]
    last_ms = at_ms + len(values) - 1
    row = PackRow(stream=STREAM, number=number or 1, first_at_ms=at_ms, last_at_ms=last_ms, readings=len(values))
    return Batch(site=SITE, edge=EDGE, points=points, packs=[row] if number else [])


def values(store: VictoriaStore) -> list[Value]:
    return [one.value for one in store.readings(SITE, EDGE, 0, 2 * NOW_MS)]


@pytest.mark.parametrize(
    ("status", "error"), [(401, StoreLocked), (403, StoreLocked), (422, StoreRefused), (503, StoreAway)]
)
def test_an_error_says_whether_waiting_helps(
    victoria: services.Service, store: VictoriaStore, status: int, error: type[StoreError]
) -> None:
    with faulty_database.before(victoria.port) as faulty:
        before = VictoriaStore(f"http://127.0.0.1:{faulty.port}")
        faulty.mode = status
        with pytest.raises(error) as caught:
            before.write([batch(1.0)])
        assert type(caught.value) is error
        faulty.mode, faulty.unprocessable = faulty_database.PASS, b"tilt=13"
        before.write([batch(1.0)])
        with pytest.raises(StoreRefused, match="unprocessable"):
            before.write([batch(13.0, at_ms=NOW_MS + 9)])
        before.close()
    assert values(store) == [1.0]


def test_killed_right_after_a_write_it_has_every_reading_and_every_pack(
    store: VictoriaStore, victoria: services.Service
) -> None:
    for number in range(1, 9):
        store.write([batch(float(number), f"deed {number}", True, at_ms=NOW_MS + 10 * number, number=number)])
        victoria.kill()
        victoria.start()
        assert len(values(store)) == 3 * number
        assert len(store.packs(SITE, EDGE, STREAM, [(1, 99)])) == number
    assert store._json(store._http.get("/snapshot/list"))["snapshots"] == []


def test_killed_between_its_answer_and_the_flush_it_makes_the_write_fail(
    store: VictoriaStore, victoria: services.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = store._commits._flush

    def killed_before() -> None:
        victoria.kill()
        time.sleep(1.1)  # its clock of starts has whole seconds
        victoria.start()
        flush()

    monkeypatch.setattr(store._commits, "_flush", killed_before)
    with pytest.raises(StoreAway, match="started anew"):
        store.write([batch(1.0)])
    monkeypatch.undo()
    assert values(store) == []
    store.write([batch(1.0)])
    assert values(store) == [1.0]


def test_writers_at_the_same_time_share_flushes_and_all_are_durable(
    store: VictoriaStore, victoria: services.Service
) -> None:
    threads = [
        threading.Thread(target=store.write, args=([batch(float(n), channel=f"c{n}", number=n)],)) for n in range(1, 13)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    victoria.kill()
    victoria.start()
    assert len(values(store)) == 12
    assert len(store.packs(SITE, EDGE, STREAM, [(1, 99)])) == 12


def test_a_server_without_deduplication_is_refused_by_the_name_of_the_flag(tmp_path: Path) -> None:
    for flag, words in (("-retentionPeriod=1y", "dedup.minScrapeInterval=1ms"), ("-dedup.minScrapeInterval=1s", "=1s")):
        with services.victoria(tmp_path / words, flag) as server:
            store = open_store(f"victoria://127.0.0.1:{server.port}", base=tmp_path)
            with pytest.raises(StoreAway, match=words):
                store.write([batch(1.0)])
            store.close()


def test_a_server_with_a_limit_of_series_of_its_own_is_refused(tmp_path: Path) -> None:
    with services.victoria(tmp_path / "v", "-dedup.minScrapeInterval=1ms", "-storage.maxDailySeries=10") as server:
        store = open_store(f"victoria://127.0.0.1:{server.port}", base=tmp_path)
        with pytest.raises(StoreAway, match="maxDailySeries"):
            store.write([batch(1.0)])
        store.close()


def test_what_it_would_drop_is_refused_and_what_it_keeps_is_not(tmp_path: Path) -> None:
    day_ms = 86_400_000
    with services.victoria(tmp_path / "v", "-dedup.minScrapeInterval=1ms", "-retentionPeriod=30d") as server:
        store = VictoriaStore(f"http://127.0.0.1:{server.port}")
        store.write([])
        for at_ms, words in ((NOW_MS - 31 * day_ms, "older than its -retentionPeriod"), (NOW_MS + 3 * day_ms, "ahead")):
            with pytest.raises(StoreRefused, match=words):
                store.write([batch(1.0, at_ms=at_ms)])
        store.write([batch(2.0, at_ms=NOW_MS - 29 * day_ms), batch(3.0, at_ms=NOW_MS + 60_000)])
        assert values(store) == [2.0, 3.0]
        store.delete_before(NOW_MS - 30 * day_ms)  # it does that itself
        for ask in (lambda: store.delete_before(NOW_MS - 90 * day_ms), lambda: store.setup(90 * day_ms)):
            with pytest.raises(StoreAway, match=r"-retentionPeriod=30d, less than .* -retentionPeriod=9[01]d"):
                ask()
        store.close()


def test_a_long_series_is_averaged_by_the_server_over_equal_stretches_with_its_extremes(store: VictoriaStore) -> None:
    minute_ms = 60_000
    start_ms = NOW_MS - 5000 * minute_ms
    points = [
        Point(
            reading=Reading(device=GAS, channel="tilt", at_ms=start_ms + step * minute_ms, value=float(step)),
            kind="gas_alarm",
            model="m",
            building="3" if step % 2 else "",  # half of it before the device moved
        )
        for step in range(4000)
    ]
    store.write([Batch(site=SITE, edge=EDGE, points=points, packs=[])])
    found = store.series(SITE, GAS, "tilt", start_ms, start_ms + 4000 * minute_ms - 1, most=400)
    assert [(one.at_ms, one.value, one.low, one.high) for one in found] == [
        (start_ms + step * 10 * minute_ms, 10 * step + 4.5, 10.0 * step, 10.0 * step + 9) for step in range(400)
    ]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 1e-300, 1.7e308, 5e-324, 123456789.123456, 2.0**53, -1e9 - 0.5])
def test_a_number_that_it_would_round_is_exact_and_costs_its_neighbours_nothing(
    store: VictoriaStore, value: float
) -> None:
    store.write([batch(1.5, value, 0.001, value, 999_999_999.5, 0.000000001)])
    assert values(store) == [1.5, value, 0.001, value, 999_999_999.5, 0.000000001]
