"""History in one SQLite file: the embedded default, good for one server with some thousand readings a second.

A series is one channel of one device with its unit; its readings lie together, in order of time, in a table without
row ids. Values keep their type: REAL for a number, INTEGER for a boolean, TEXT for a text.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from collector.stores.base import COARSE_MS, IS_THERE, MADE, Batch, PackRow, Sample, kept_for
from collector.stores.columns import Series, columns
from collector.stores.history import averaged, coarse_grid, newest, stretch_ms
from collector.stores.sqlite_coarse import (
    COARSE_SCHEMA,
    condense,
    condensed_before_ms,
    forget,
    mark_late,
    stretches,
    thinned,
)
from collector.stores.sqlite_file import SqliteFile
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.language import NOTHING, Phrase, phrase
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

_GOOD = Quality.GOOD
_SERIES_OF = "SELECT id FROM series WHERE site = ? AND device = ? AND channel = ?"
_SeriesKey = tuple[str, str, str, str, str, str]


class SqliteStore:
    """See `collector.stores.base.Store`."""

    writers = 1

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA + COARSE_SCHEMA)
        self._ids: dict[_SeriesKey, int] = {}

    def write(self, batches: Sequence[Batch]) -> None:
        ids, self._ids = self._ids, {}  # until it has succeeded: a transaction that failed took its new series with it
        with self._file.writing() as database:
            before_ms = condensed_before_ms(database)
            for batch in batches:
                rows = list(_rows(database, ids, batch))
                database.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", rows)
                if late := {(row[0], row[1]) for row in rows if row[1] < before_ms}:
                    mark_late(database, late)
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
                "SELECT series, at_ms, value, quality FROM series CROSS JOIN readings ON series = id"
                " WHERE site = ? AND edge = ? AND at_ms BETWEEN ? AND ? ORDER BY id",
                (site, edge, from_ms, to_ms),
            ).fetchall()
            of_edge = "FROM series WHERE site = ? AND edge = ?"  # asked afterwards: those of all rows are there by now
            series = database.execute(f"SELECT id, device, channel, unit {of_edge}", (site, edge)).fetchall()
        return _in_order(rows, series)

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        with self._file.reading() as database:
            ids = [row[0] for row in database.execute(_SERIES_OF, (site, device, channel))]
            raw: dict[int, float | int | str] = {}
            for one in ids:
                newest_first = "SELECT at_ms, value FROM readings WHERE series = ? AND at_ms BETWEEN ? AND ?"
                raw |= database.execute(f"{newest_first} ORDER BY at_ms DESC LIMIT ?", (one, from_ms, to_ms, most + 1))
            if len(raw) <= most or not isinstance(raw[max(raw)], float):
                return [Sample(at_ms, _value(raw[at_ms])) for at_ms in sorted(raw)[-most:]]
            if (grid := coarse_grid(from_ms, to_ms, most)) is None:
                step_ms = stretch_ms(from_ms, to_ms, most)
                return averaged(stretches(database, ids, (from_ms, step_ms), from_ms, to_ms), from_ms, step_ms)
            return averaged(thinned(database, ids, grid, to_ms), *grid)

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
                forget(database, one, at_ms)
        with self._file.writing() as database:
            database.execute("DELETE FROM packs WHERE last_at_ms < ?", (at_ms,))

    def condense(self, before_ms: int) -> None:
        condense(self._file, before_ms)

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        there = self._file.path.exists()
        self.write([])
        deletes = phrase("; the collector deletes once an hour what is older") if retention_ms else NOTHING
        table = phrase(
            "coarse ranges of {minutes} min: in a table of their own; the collector fills them once an hour",
            minutes=COARSE_MS // 60_000,
        )
        return [
            phrase("{what}: {state}", what=self._file.path, state=IS_THERE if there else MADE),
            phrase("retention: {kept}{deletes}", kept=kept_for(retention_ms), deletes=deletes),
            table,
        ]

    def close(self) -> None:
        self._file.close()


def _rows(
    database: sqlite3.Connection, ids: dict[_SeriesKey, int], batch: Batch
) -> Iterator[tuple[int, int, Value, str | None]]:
    points = columns(batch.points)
    of = {series: _series_id(database, ids, batch, series) for series in dict.fromkeys(points.series)}
    for place, (series, at_ms, value) in enumerate(zip(points.series, points.at_ms, points.values, strict=True)):
        doubt = points.doubts.get(place)
        yield of[series], at_ms, value if isinstance(value, bool | str) else float(value), doubt and doubt.value


def _series_id(database: sqlite3.Connection, ids: dict[_SeriesKey, int], batch: Batch, series: Series) -> int:
    key = (batch.site, series.device, series.channel, batch.edge, series.kind, series.unit or "")
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


def _in_order(
    rows: Iterable[tuple[int, int, float | int | str, str | None]], series: Sequence[tuple[int, str, str, str]]
) -> list[Reading]:
    """As `history.in_order`, for a hundred thousand at a time: readings of a series share its names, and what is sorted is numbers."""
    places = {spot: place for place, spot in enumerate(sorted({(device, channel) for _, device, channel, _ in series}))}
    named = {
        number: (DeviceId(device), channel, unit or None, places[device, channel])
        for number, device, channel, unit in series
    }
    width = len(places)
    unique: dict[int, Reading] = {}
    for number, at_ms, value, quality in rows:
        device, channel, unit, place = named[number]
        typed = bool(value) if value.__class__ is int else value
        doubt = _GOOD if quality is None else Quality(quality)
        unique[at_ms * width + place] = Reading(device, channel, at_ms, typed, unit, doubt)
    return list(map(unique.__getitem__, sorted(unique)))


def _value(stored: float | int | str) -> Value:
    return bool(stored) if isinstance(stored, int) else stored
