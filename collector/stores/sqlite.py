"""History in one SQLite file: the embedded default, good for one server with some thousand readings a second.

A series is one channel of one device with its unit; its readings lie together, in order of time, in a table without
row ids. Values keep their type: REAL for a number, INTEGER for a boolean, TEXT for a text.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from collector.stores.base import Batch, PackRow, Point, Sample
from collector.stores.history import in_order, newest, stretch_ms
from collector.stores.sqlite_file import SqliteFile
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.ranges import Range
from messages.reading import Quality, Reading, Value

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL, device TEXT NOT NULL, channel TEXT NOT NULL,
    edge TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL,  -- unit: '' for none
    UNIQUE (site, device, channel, edge, kind, unit)
);
CREATE INDEX IF NOT EXISTS series_of_edge ON series (site, edge);
CREATE TABLE IF NOT EXISTS readings (
    series INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    value NOT NULL,
    quality TEXT,  -- NULL: good
    PRIMARY KEY (series, at_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packs (
    site TEXT NOT NULL, edge TEXT NOT NULL, stream TEXT NOT NULL, number INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL, readings INTEGER NOT NULL,
    PRIMARY KEY (site, edge, stream, number)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS history AS
    SELECT id, site, edge, device, channel, at_ms, value, unit, quality
    FROM series CROSS JOIN readings ON series = id;  -- CROSS: series first, whatever the planner thinks of it
"""

_SeriesKey = tuple[str, str, str, str, str, str]


class SqliteStore:
    """See `collector.stores.base.Store`."""

    writers = 1

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)
        self._ids: dict[_SeriesKey, int] = {}

    def write(self, batches: Sequence[Batch]) -> None:
        ids, self._ids = self._ids, {}  # until it has succeeded: a transaction that failed took its new series with it
        with self._file.writing() as database:
            for batch in batches:
                database.executemany(
                    "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
                    (_row(_series_id(database, ids, batch, point), point.reading) for point in batch.points),
                )
                database.executemany(
                    "INSERT OR REPLACE INTO packs VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (_pack_row(batch, pack) for pack in batch.packs),
                )
        self._ids = ids

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        rows: dict[int, PackRow] = {}
        with self._file.reading() as database:
            for first, last in wanted:
                for number, first_at_ms, last_at_ms, readings in database.execute(
                    "SELECT number, first_at_ms, last_at_ms, readings FROM packs"
                    " WHERE site = ? AND edge = ? AND stream = ? AND number BETWEEN ? AND ?",
                    (site, edge, stream, first, last),
                ):
                    rows[number] = PackRow(
                        stream=stream,
                        number=number,
                        first_at_ms=first_at_ms,
                        last_at_ms=last_at_ms,
                        readings=readings,
                    )
        return [rows[number] for number in sorted(rows)]

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT device, channel, at_ms, value, unit, quality FROM history"
                " WHERE site = ? AND edge = ? AND at_ms BETWEEN ? AND ? ORDER BY id",
                (site, edge, from_ms, to_ms),
            ).fetchall()
        return in_order(_readings(rows))

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        where = (site, device, channel, from_ms, to_ms)
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT at_ms, value FROM history WHERE site = ? AND device = ? AND channel = ? AND at_ms BETWEEN ? AND ?"
                " GROUP BY at_ms ORDER BY at_ms DESC LIMIT ?",
                (*where, most + 1),
            ).fetchall()
            if len(rows) <= most or not isinstance(rows[0][1], float):
                return [Sample(at_ms, _value(value)) for at_ms, value in reversed(rows[:most])]
            step_ms = stretch_ms(from_ms, to_ms, most)
            stretches = database.execute(
                "SELECT ?1 + (at_ms - ?1) / ?2 * ?2 AS start, avg(value), min(value), max(value)"
                " FROM history WHERE site = ?3 AND device = ?4 AND channel = ?5 AND at_ms BETWEEN ?1 AND ?6"
                " AND typeof(value) = 'real' GROUP BY start ORDER BY start",
                (from_ms, step_ms, site, device, channel, to_ms),
            ).fetchall()
        return [Sample(*row) for row in stretches]

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT device, channel, at_ms, value, unit, quality FROM history"
                " WHERE site = ? AND device = ?"
                " AND at_ms = (SELECT max(at_ms) FROM readings WHERE series = id) ORDER BY id",
                (site, device),
            ).fetchall()
        return newest(_readings(rows))

    def delete_before(self, at_ms: int) -> None:
        with self._file.reading() as database:
            series = [row[0] for row in database.execute("SELECT id FROM series")]
        for one in series:  # a transaction each: whoever wants to write waits for one series, not for a year
            with self._file.writing() as database:
                database.execute("DELETE FROM readings WHERE series = ? AND at_ms < ?", (one, at_ms))
        with self._file.writing() as database:
            database.execute("DELETE FROM packs WHERE last_at_ms < ?", (at_ms,))

    def close(self) -> None:
        self._file.close()


def _series_id(database: sqlite3.Connection, ids: dict[_SeriesKey, int], batch: Batch, point: Point) -> int:
    reading = point.reading
    key = (batch.site, reading.device, reading.channel, batch.edge, point.kind, reading.unit or "")
    if key not in ids:
        database.execute(
            "INSERT OR IGNORE INTO series (site, device, channel, edge, kind, unit) VALUES (?, ?, ?, ?, ?, ?)", key
        )
        found = database.execute(
            "SELECT id FROM series"
            " WHERE site = ? AND device = ? AND channel = ? AND edge = ? AND kind = ? AND unit = ?",
            key,
        )
        ids[key] = int(found.fetchone()[0])
    return ids[key]


def _row(series: int, reading: Reading) -> tuple[int, int, Value, str | None]:
    value = reading.value if isinstance(reading.value, bool | str) else float(reading.value)
    return series, reading.at_ms, value, None if reading.quality is Quality.GOOD else reading.quality.value


def _pack_row(batch: Batch, pack: PackRow) -> tuple[str | int, ...]:
    span = (pack.first_at_ms, pack.last_at_ms)
    return (batch.site, batch.edge, pack.stream, pack.number, *span, pack.readings)


def _readings(rows: Iterable[tuple[str, str, int, float | int | str, str, str | None]]) -> Iterable[Reading]:
    for device, channel, at_ms, value, unit, quality in rows:
        yield Reading(
            device=DeviceId(device),
            channel=channel,
            at_ms=at_ms,
            value=_value(value),
            unit=unit or None,
            quality=Quality(quality or Quality.GOOD),
        )


def _value(stored: float | int | str) -> Value:
    return bool(stored) if isinstance(stored, int) else stored
