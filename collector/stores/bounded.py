"""A store whose number of series has a bound: a database dies of the series that a broken edge invents, not of readings.

A series is whatever a store keeps apart: channel, device and edge with their kind, model, building and unit. Those
that were written are remembered in a file, so that a restart forgets none; one that was silent for the whole
retention is forgotten. What would be one too many is refused, and lies in quarantine with these words.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from collector.stores.base import Batch, PackRow, Sample, Store, StoreRefused
from collector.stores.columns import columns
from collector.stores.sqlite_file import SqliteFile
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.language import Phrase, phrase
from messages.ranges import Range
from messages.reading import Reading

DAY_MS = 86_400_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    digest BLOB PRIMARY KEY,
    day INTEGER NOT NULL  -- of its newest reading when it was last noted, since 1970
) WITHOUT ROWID;
"""
_Series = tuple[str, str, str, str, str, str, str, str | None]


class Bounded:
    """See `collector.stores.base.Store`. `kept_ms`: how long readings are kept; None is for ever."""

    def __init__(self, store: Store, path: Path, *, most: int, kept_ms: int | None = None) -> None:
        self.inner = store
        self._file = SqliteFile(path, _SCHEMA, replaceable=True)
        self._most = most
        self._kept_ms = kept_ms
        self._lock = threading.Lock()
        self._known: set[bytes] | None = None
        """Digests of those that count. None before the file was read."""
        self._under_way = Counter[bytes]()
        """Of those that are new in a write which hasn't ended, by how many such writes: they count too, until they have failed."""
        self._noted: set[int] = set()
        """Hashes of those whose `day` in the file is today's."""
        self._day = 0

    @property
    def writers(self) -> int:
        return self.inner.writers

    @property
    def held(self) -> int:
        """How many series there are."""
        return len(self._known or ())

    @property
    def most(self) -> int:
        return self._most

    def write(self, batches: Sequence[Batch]) -> None:
        series = {one for batch in batches for one in _series_in(batch)}
        with self._lock:
            if self._known is None:
                self._known = self._load()
            self._turn_the_day(batches)
            fresh: dict[_Series, bytes] = {one: _digest(one) for one in series if hash(one) not in self._noted}
            new = set(fresh.values()) - self._known
            if new and len(self._known) + len(self._under_way.keys() | new) > self._most:
                raise StoreRefused(f"there are {len(self._known)} series, and most_series is {self._most}")
            self._under_way.update(new)
        try:
            self.inner.write(batches)
            if fresh:
                with self._lock:
                    self._known |= new
                    self._note(fresh)
        finally:
            if new:
                with self._lock:
                    self._under_way -= Counter(new)

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        return self.inner.packs(site, edge, stream, wanted)

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        return self.inner.readings(site, edge, from_ms, to_ms)

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        return self.inner.series(site, device, channel, from_ms, to_ms, most=most)

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        return self.inner.latest(site, device)

    def delete_before(self, at_ms: int) -> None:
        self.inner.delete_before(at_ms)

    def condense(self, before_ms: int) -> None:
        self.inner.condense(before_ms)

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        with self._lock:
            self._known = self._load()
        said = self.inner.setup(retention_ms)
        return [
            *said,
            phrase("series: {held} of at most {most} are in use by this collector", held=self.held, most=self._most),
        ]

    def close(self) -> None:
        self._file.close()
        self.inner.close()

    def _load(self) -> set[bytes]:
        with self._file.writing() as database:
            return {row[0] for row in database.execute("SELECT digest FROM series")}

    def _turn_the_day(self, batches: Sequence[Batch]) -> None:
        """Readings say what day it is. On a new one every series is noted again, and the silent ones go."""
        times = [pack.last_at_ms for batch in batches for pack in batch.packs] or [
            at_ms for batch in batches for at_ms in columns(batch.points).at_ms
        ]
        day = max(times, default=0) // DAY_MS
        if day <= self._day:
            return
        self._day = day
        self._noted.clear()
        if self._kept_ms is not None:
            with self._file.writing() as database:
                database.execute("DELETE FROM series WHERE day < ?", (day - self._kept_ms // DAY_MS - 1,))
            self._known = self._load()

    def _note(self, fresh: dict[_Series, bytes]) -> None:
        with self._file.writing() as database:
            database.executemany(
                "INSERT INTO series VALUES (?1, ?2) ON CONFLICT DO UPDATE SET day = max(day, ?2)",
                ((digest, self._day) for digest in fresh.values()),
            )
        self._noted |= {hash(one) for one in fresh}


def _series_in(batch: Batch) -> set[_Series]:
    """What tells its series apart, once for each and not for each reading."""
    return {
        (batch.site, batch.edge, one.device, one.channel, one.kind, one.model, one.building, one.unit)
        for one in set(columns(batch.points).series)
    }


def _digest(series: _Series) -> bytes:
    return hashlib.blake2b("\0".join(part or "" for part in series).encode(), digest_size=8).digest()
