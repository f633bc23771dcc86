import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.intake.desk import Desk
from collector.intake.devices import Devices
from collector.quarantine.kept import Quarantine
from collector.stores.base import Batch, Point, StoreAway, StoreRefused
from collector.stores.bounded import DAY_MS, Bounded
from collector.stores.sqlite import SqliteStore
from messages import announcement as announcements
from messages import topics
from tests.collector.block import EDGE, GAS, KINDS, NOW_MS, SITE, announcement, packed, reading


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Bounded]:
    opened = bounded(tmp_path)
    yield opened
    opened.close()


def bounded(folder: Path, *, most: int = 3, kept_ms: int | None = None) -> Bounded:
    return Bounded(SqliteStore(folder / "history.db"), folder / "series.db", most=most, kept_ms=kept_ms)


def batch(*channels: str, at_ms: int = NOW_MS, building: str = "3") -> Batch:
    points = [
        Point(reading=reading(channel, at_ms=at_ms), kind="gas_alarm", model="m", building=building)
        for channel in channels
    ]
    return Batch(site=SITE, edge=EDGE, points=points, packs=[])


def test_what_is_beyond_the_bound_is_refused_and_the_rest_goes_on(store: Bounded) -> None:
    store.write([batch("a", "b", "c")])
    with pytest.raises(StoreRefused, match="3 series, and most_series is 3"):
        store.write([batch("a", "d")])
    store.write([batch("a", "b", "c", at_ms=NOW_MS + 1)])
    assert store.held == 3
    assert len(store.readings(SITE, EDGE, 0, 2 * NOW_MS)) == 6


def test_a_restart_forgets_none(store: Bounded, tmp_path: Path) -> None:
    store.write([batch("a", "b"), batch("a", building="moved")])
    store.close()
    again = bounded(tmp_path)
    with pytest.raises(StoreRefused):
        again.write([batch("c")])
    again.write([batch("b", at_ms=NOW_MS + 1)])
    assert again.held == 3
    again.close()


def test_a_series_that_the_database_did_not_take_does_not_count(store: Bounded) -> None:
    with pytest.raises(StoreRefused):
        store.write([batch("a", at_ms=2**70)])
    assert store.held == 0


class Halting(SqliteStore):
    """Its first write fails, and not before another has been through."""

    def __init__(self, path: Path, error: BaseException) -> None:
        super().__init__(path)
        self.writers = 2
        self.begun, self.other_is_through = threading.Event(), threading.Event()
        self._error: BaseException | None = error

    def write(self, batches: Sequence[Batch]) -> None:
        error, self._error = self._error, None
        if error:
            self.begun.set()
            assert self.other_is_through.wait(30)
            raise error
        super().write(batches)


@pytest.mark.parametrize("error", [StoreAway("for now"), KeyboardInterrupt()], ids=["away", "interrupted"])
def test_a_series_that_another_write_brought_counts_though_ours_failed(tmp_path: Path, error: BaseException) -> None:
    inner = Halting(tmp_path / "history.db", error)
    store = Bounded(inner, tmp_path / "series.db", most=2)

    def fails() -> None:
        with pytest.raises(type(error)):
            store.write([batch("a", "b")])

    with ThreadPoolExecutor(1) as other:
        failing = other.submit(fails)
        assert inner.begun.wait(30)
        with pytest.raises(StoreRefused):  # until ours has failed its two series count
            store.write([batch("c")])
        store.write([batch("a")])
        inner.other_is_through.set()
        failing.result(30)
    assert store.held == 1
    store.write([batch("c", at_ms=NOW_MS + 1)])
    with pytest.raises(StoreRefused):
        store.write([batch("b", at_ms=NOW_MS + 1)])
    store.close()


def test_a_series_that_was_silent_for_the_whole_retention_makes_room(tmp_path: Path) -> None:
    store = bounded(tmp_path, most=2, kept_ms=30 * DAY_MS)
    store.write([batch("a", "b")])
    with pytest.raises(StoreRefused):
        store.write([batch("c", at_ms=NOW_MS + DAY_MS)])
    for day in range(1, 34):
        store.write([batch("b", at_ms=NOW_MS + day * DAY_MS)])
    store.write([batch("c", at_ms=NOW_MS + 33 * DAY_MS)])
    assert store.held == 2
    store.close()


def test_a_damaged_file_of_series_is_set_aside_and_costs_no_reading(store: Bounded, tmp_path: Path) -> None:
    (tmp_path / "series.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="set aside"):
        store.write([batch("a")])
    store.write([batch("a")])
    assert store.held == 1


def test_a_reading_of_one_series_too_many_lies_in_quarantine_with_the_reason_and_its_pack_does_not(
    tmp_path: Path,
) -> None:
    desk = Desk(
        store=bounded(tmp_path, most=1),
        quarantine=Quarantine(tmp_path / "quarantine.db"),
        devices=Devices(tmp_path / "devices.db"),
        kinds=KINDS,
    )
    desk.open()
    announced = desk.judge(
        topics.announcement(SITE, EDGE, GAS), announcements.encode(announcement("gas_alarm")), NOW_MS
    )
    pack = packed(reading(), reading("alarm_contact", True), number=1)
    settled = desk.put_away([announced, desk.judge(topics.readings(SITE, EDGE), pack, NOW_MS)])
    (reason,) = settled[1].reasons
    assert reason.fault == "refused-by-store"
    assert "most_series is 1" in reason.detail
    assert len(desk.store.readings(SITE, EDGE, 0, 2 * NOW_MS)) == 1
    with sqlite3.connect(tmp_path / "series.db") as database:
        assert database.execute("SELECT count(*) FROM series").fetchone() == (1,)
    desk.close()
