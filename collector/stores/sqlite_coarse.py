"""Coarse ranges in the history's own file: counted once an hour, and anew where readings came late.

What is older than `condensed.before_ms` is counted, or lies in `stale`; a range that is stale is drawn from its readings, so that a chart is
never behind.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from collector.stores.base import COARSE_MS
from collector.stores.history import Stretch
from collector.stores.sqlite_file import SqliteFile

COARSE_SCHEMA = """
CREATE TABLE IF NOT EXISTS coarse (  -- numbers of a series over COARSE_MS
    series INTEGER NOT NULL, start_ms INTEGER NOT NULL,
    count INTEGER NOT NULL, total REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    PRIMARY KEY (series, start_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stale (  -- coarse ranges that are still to be counted, or counted anew
    series INTEGER NOT NULL, start_ms INTEGER NOT NULL,
    PRIMARY KEY (series, start_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS condensed (before_ms INTEGER NOT NULL);  -- one row: what is older is coarse, or stale
INSERT INTO condensed SELECT 0 WHERE NOT EXISTS (SELECT * FROM condensed);
"""
_RAW = """
SELECT ?1 + (at_ms - ?1) / ?2 * ?2 AS start, count(*), sum(value), min(value), max(value) FROM readings
WHERE series = ?3 AND at_ms BETWEEN ?4 AND ?5 AND typeof(value) = 'real' GROUP BY start
"""
_COARSE = """
SELECT ?1 + (start_ms - ?1) / ?2 * ?2 AS start, sum(count), sum(total), min(low), max(high) FROM coarse
WHERE series = ?3 AND start_ms BETWEEN ?1 AND min(?4, ?5 - 1)
AND NOT EXISTS (SELECT * FROM stale WHERE stale.series = coarse.series AND stale.start_ms = coarse.start_ms)
GROUP BY start
"""
_STALE = "SELECT start_ms FROM stale WHERE series = ? AND start_ms BETWEEN ? AND ?"
_MARK = """
INSERT OR IGNORE INTO stale SELECT DISTINCT series, at_ms / ?1 * ?1
FROM series CROSS JOIN readings ON series = id WHERE at_ms BETWEEN ?2 AND ?3
"""
_COUNT = """
INSERT INTO coarse SELECT series, ?1, count(*), sum(value), min(value), max(value) FROM readings
WHERE series = ?2 AND at_ms BETWEEN ?1 AND ?3 AND typeof(value) = 'real' GROUP BY series
"""
CAUGHT_UP_MS = 86_400_000
COUNTED_AT_ONCE = 200
"""A sixth of a second for a writer to wait, at three thousand readings a second."""


def condensed_before_ms(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT before_ms FROM condensed").fetchone()[0])


def mark_late(database: sqlite3.Connection, late: Iterable[tuple[int, int]]) -> None:
    """The ranges of readings, as series and time, that were counted before these came."""
    ranges = {(series, at_ms // COARSE_MS * COARSE_MS) for series, at_ms in late}
    database.executemany("INSERT OR IGNORE INTO stale VALUES (?, ?)", ranges)


def forget(database: sqlite3.Connection, series: int, before_ms: int) -> None:
    """Ranges that end before `before_ms`."""
    for table in ("coarse", "stale"):
        whole = f"DELETE FROM {table} WHERE series = ? AND start_ms <= ?"  # noqa: S608 (one of two names)
        database.execute(whole, (series, before_ms - COARSE_MS))


def stretches(
    database: sqlite3.Connection, ids: Sequence[int], grid: tuple[int, int], from_ms: int, to_ms: int
) -> Iterator[Stretch]:
    """Counted from the readings themselves, on a grid of (first_ms, step_ms)."""
    for one in ids:
        for row in database.execute(_RAW, (*grid, one, from_ms, to_ms)):
            yield Stretch(*row)


def thinned(database: sqlite3.Connection, ids: Sequence[int], grid: tuple[int, int], to_ms: int) -> Iterator[Stretch]:
    """From coarse ranges as far as they go; of those that are stale, and from there on, from the readings."""
    first_ms, _ = grid
    before_ms = condensed_before_ms(database)
    for one in ids:
        for row in database.execute(_COARSE, (*grid, one, to_ms, before_ms)):
            yield Stretch(*row)
        for (start_ms,) in database.execute(_STALE, (one, first_ms, to_ms)).fetchall():
            yield from stretches(database, [one], grid, start_ms, start_ms + COARSE_MS - 1)
    yield from stretches(database, ids, grid, max(first_ms, before_ms), to_ms)


def condense(file: SqliteFile, before_ms: int) -> None:
    """Count what has settled before `before_ms`, and what came late."""
    before_ms = before_ms // COARSE_MS * COARSE_MS
    with file.writing() as database:
        done_ms = condensed_before_ms(database)
    if before_ms - done_ms > CAUGHT_UP_MS:  # the first time, or after a long rest: in one go
        _mark(file, before_ms - CAUGHT_UP_MS)
    for step_ms in range(max(done_ms, before_ms - CAUGHT_UP_MS) + COARSE_MS, before_ms + 1, COARSE_MS):
        _mark(file, step_ms)
    while _count_some(file):
        pass


def _mark(file: SqliteFile, before_ms: int) -> None:
    """What lies between the last mark and this one is to be counted. A transaction: what is written later is late."""
    with file.writing() as database:
        done_ms = condensed_before_ms(database)
        if before_ms > done_ms:
            database.execute(_MARK, (COARSE_MS, done_ms, before_ms - 1))
            database.execute("UPDATE condensed SET before_ms = ?", (before_ms,))


def _count_some(file: SqliteFile) -> bool:
    """Some of the stale ranges; whether any was left. In small transactions, so that writers get their turn."""
    with file.writing() as database:
        some = database.execute("SELECT series, start_ms FROM stale LIMIT ?", (COUNTED_AT_ONCE,)).fetchall()
        for series, start_ms in some:
            database.execute("DELETE FROM coarse WHERE series = ? AND start_ms = ?", (series, start_ms))
            database.execute(_COUNT, (start_ms, series, start_ms + COARSE_MS - 1))
        database.executemany("DELETE FROM stale WHERE series = ? AND start_ms = ?", some)
    return len(some) == COUNTED_AT_ONCE
