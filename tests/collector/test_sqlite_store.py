import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.stores.base import COARSE_MS, Batch, Point, StoreAway, StoreRefused
from collector.stores.sqlite import SqliteStore
from tests.collector.block import EDGE, GAS, NOW_MS, SITE, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    opened.write([])
    yield opened
    opened.close()


def batch(at_ms: int = NOW_MS, channel: str = "gas_concentration") -> Batch:
    point = Point(reading=reading(channel, at_ms=at_ms), kind="gas_alarm", model="m", building="3")
    return Batch(site=SITE, edge=EDGE, points=[point], packs=[])


def times(store: SqliteStore) -> list[int]:
    return [one.at_ms for one in store.readings(SITE, EDGE, 0, 2 * NOW_MS)]


def test_a_file_that_another_process_has_locked_is_away_and_takes_the_same_batch_later(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.stores.sqlite_file.BUSY_TIMEOUT_S", 0.05)
    store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreAway, match="locked"):
        store.write([batch()])
    other.execute("COMMIT")
    other.close()
    store.write([batch()])
    assert times(store) == [NOW_MS]


def test_a_full_disk_is_away_and_leaves_nothing_half_written(store: SqliteStore) -> None:
    store.write([batch()])
    with store._file.writing() as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
    many = Batch(site=SITE, edge=EDGE, points=[batch(NOW_MS + n, f"c{n}").points[0] for n in range(1, 5000)], packs=[])
    with pytest.raises(StoreAway, match="full"):
        store.write([many])
    assert times(store) == [NOW_MS]
    store.write([many])
    assert len(times(store)) == 5000


def test_a_file_that_is_no_database_is_away_for_somebody_must_look(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    store = SqliteStore(path)
    with pytest.raises(StoreAway, match="not a database"):
        store.write([batch()])
    path.unlink()
    store.write([batch()])
    assert times(store) == [NOW_MS]
    store.close()


def test_a_folder_that_is_missing_is_away_until_it_is_there(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "disk" / "history.db")
    with pytest.raises(StoreAway):
        store.write([])
    (tmp_path / "disk").mkdir()
    store.write([])
    store.close()


def test_a_number_that_no_row_can_hold_is_refused_and_takes_nothing_with_it(store: SqliteStore) -> None:
    store.write([batch()])
    with pytest.raises(StoreRefused):
        store.write([batch(NOW_MS + 1), batch(2**70)])
    assert times(store) == [NOW_MS]


def test_a_reader_sees_no_half_of_a_write_and_does_not_hold_it_up(store: SqliteStore, path: Path) -> None:
    store.write([batch()])
    with sqlite3.connect(path, isolation_level=None) as slow_reader:
        slow_reader.execute("BEGIN")
        assert slow_reader.execute("SELECT count(*) FROM readings").fetchone() == (1,)
        store.write([batch(NOW_MS + 1)])
        assert slow_reader.execute("SELECT count(*) FROM readings").fetchone() == (1,)
        slow_reader.execute("COMMIT")
        assert slow_reader.execute("SELECT count(*) FROM readings").fetchone() == (2,)
    slow_reader.close()


def test_a_series_that_was_rolled_back_is_made_again(store: SqliteStore) -> None:
    with pytest.raises(StoreRefused):
        store.write([batch(NOW_MS, "tilt"), batch(2**70)])
    store.write([batch(NOW_MS, "tilt")])
    assert [one.channel for one in store.latest(SITE, GAS)] == ["tilt"]


def test_two_writers_agree_on_the_series(store: SqliteStore, path: Path) -> None:
    other = SqliteStore(path)
    for step in range(10):
        (store, other)[step % 2].write([batch(NOW_MS + step, f"c{step // 2}")])
    assert len(times(store)) == 10
    assert len(store.latest(SITE, GAS)) == 5
    other.close()


def test_it_may_be_used_from_one_thread_after_another(store: SqliteStore) -> None:
    thread = threading.Thread(target=lambda: store.write([batch()]))
    thread.start()
    thread.join()
    assert times(store) == [NOW_MS]


def test_every_commit_is_on_the_disk(store: SqliteStore) -> None:
    with store._file.reading() as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_long_span_is_drawn_from_coarse_ranges_and_what_came_late_from_its_readings(store: SqliteStore) -> None:
    first_ms, quarter_ms = NOW_MS // COARSE_MS * COARSE_MS - 1000 * COARSE_MS, COARSE_MS // 2
    for step in range(0, 2000, 100):
        points = [batch(first_ms + n * quarter_ms).points[0] for n in range(step, step + 100)]
        store.write([Batch(site=SITE, edge=EDGE, points=points, packs=[])])
    store.condense(NOW_MS - 10 * COARSE_MS)
    with store._file.writing() as database:  # so that what is drawn from where can be seen
        database.execute("UPDATE coarse SET total = 1000 * count, low = 1000, high = 1000")
    late_ms = first_ms + 500 * COARSE_MS + 1
    store.write([batch(late_ms)])
    value = batch().points[0].reading.value
    found = store.series(SITE, GAS, "gas_concentration", first_ms, NOW_MS, most=1000)
    by_time = {one.at_ms: one.value for one in found}
    step_ms = found[1].at_ms - found[0].at_ms
    assert by_time[first_ms] == 1000
    assert by_time[found[-1].at_ms] == value
    around = by_time[first_ms + (late_ms - first_ms) // step_ms * step_ms]
    assert around != 1000  # the range that the late one lies in is counted from its readings
    store.condense(NOW_MS - 10 * COARSE_MS)
    with store._file.reading() as database:
        assert database.execute("SELECT count(*) FROM stale").fetchone() == (0,)
        row = database.execute("SELECT count FROM coarse WHERE start_ms = ?", (late_ms // COARSE_MS * COARSE_MS,))
        assert row.fetchone() == (3,)


def test_retention_forgets_coarse_ranges_with_their_readings(store: SqliteStore) -> None:
    store.write([batch(NOW_MS - 10 * COARSE_MS), batch(NOW_MS)])
    store.condense(NOW_MS + COARSE_MS)
    store.delete_before(NOW_MS - 5 * COARSE_MS)
    with store._file.reading() as database:
        assert database.execute("SELECT count(*) FROM coarse").fetchone() == (1,)


def test_a_year_of_a_channel_is_drawn_in_a_glance(store: SqliteStore) -> None:
    """The page waits 1.5 s for its charts. A reading a minute here, for the sake of the test's time."""
    year_ms, minute_ms = 365 * 86_400_000, 60_000
    store.write([batch(NOW_MS - year_ms)])
    with store._file.writing() as database:
        database.execute(
            "WITH RECURSIVE minutes(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM minutes WHERE n < ?)"
            " INSERT INTO readings SELECT 1, ? + n * ?, n % 100 / 7.0, NULL FROM minutes",
            (year_ms // minute_ms - 1, NOW_MS - year_ms, minute_ms),
        )
    store.condense(NOW_MS)
    began_s = time.perf_counter()
    found = store.series(SITE, GAS, "gas_concentration", NOW_MS - year_ms, NOW_MS, most=600)
    assert time.perf_counter() - began_s < 0.5
    assert 500 < len(found) <= 600
