"""The outbox: every pack that no receipt names yet, in one SQLite file, with the ledger of what became of the rest.

Rules. A pack that `add` has returned is on disk. Each opening begins a new stream: a file that was restored from an
older copy gives no number twice, and what it still holds drains under the stream and the number it had. Counts and
rows change in one transaction, so that produced = receipted + pending + dropped holds after any crash. When the
file's limit is reached, the oldest periodic packs go first and alarm-class packs last, and each drop is counted.

One thread uses it, and it blocks for as long as the disk takes (edge/disk.py). It knows no clock and no network.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from edge.report import Reported, Urgency
from edge.window import PackKey
from messages.ids import EdgeId, StreamId
from messages.pack import encode
from messages.ranges import Range
from messages.receipt import Receipt
from messages.status import OutboxFigures

MOST_READINGS = 200
"""Readings in one pack: some 20 kB, a tenth of what the collector takes."""
ROW_BYTES = 100
"""What a row costs beside its payload."""
MOST_REASONS = 50
"""Different reasons that are counted one by one; they come from the network."""
OUTBOX_FULL, DISK_REFUSED = "outbox-full", "disk-refused"

_NEVER_MS = 2**63 - 1

_TABLES = """
CREATE TABLE IF NOT EXISTS packs (
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (stream, number)
);
CREATE INDEX IF NOT EXISTS packs_by_urgency ON packs (urgency, created_at_ms);
CREATE TABLE IF NOT EXISTS stream (id TEXT NOT NULL, packs INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS newest (at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
    fate TEXT NOT NULL,
    reason TEXT NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (fate, reason)
) WITHOUT ROWID;
"""

_OF_ONE_STREAM = """
DROP INDEX packs_by_urgency;
ALTER TABLE packs RENAME TO old_packs;
"""
"""The first layout had one stream for all packs: its rows are brought into this one, in their order."""
_BROUGHT = """
INSERT INTO packs SELECT id, number, urgency, readings, bytes, created_at_ms, payload FROM old_packs, stream
    ORDER BY created_at_ms, number;
DROP TABLE old_packs;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A pack as it waits."""

    stream: StreamId
    number: int
    urgency: Urgency
    payload: bytes

    @property
    def key(self) -> PackKey:
        return self.stream, self.number


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of every reading of the file."""

    stream: StreamId
    """That of new packs."""
    packs: int
    """Its highest number so far."""
    figures: OutboxFigures
    dropped: dict[str, int]
    """Readings by reason."""
    rejected: dict[str, int]
    """Readings that the collector keeps in quarantine, by reason; receipted all the same."""


class Outbox:
    """One file, open, with a stream that `new_stream` names. Raises sqlite3.DatabaseError throughout."""

    def __init__(self, path: Path, edge: EdgeId, limit_bytes: int, new_stream: Callable[[], StreamId]) -> None:
        self._edge = edge
        self._limit_bytes = limit_bytes
        self._bytes = self._pending = 0
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._open(new_stream)
        except BaseException:
            self._db.close()
            raise

    def _open(self, new_stream: Callable[[], StreamId]) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 4194304")
        if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(packs)")]
        if columns and "stream" not in columns:
            db.executescript(f"BEGIN IMMEDIATE; {_OF_ONE_STREAM} {_TABLES} {_BROUGHT} COMMIT;")
        db.executescript(_TABLES)
        self.stream = new_stream()
        with self._transaction():
            db.execute("DELETE FROM stream")
            db.execute("INSERT INTO stream VALUES (?, 0)", (self.stream,))
        self.newest_ms = int(db.execute("SELECT coalesce(max(at_ms), 0) FROM newest").fetchone()[0])
        self._bytes, self._pending = db.execute(
            "SELECT coalesce(sum(bytes), 0), coalesce(sum(readings), 0) FROM packs"
        ).fetchone()

    def close(self) -> None:
        self._db.close()

    def add(self, reported: Sequence[Reported], now_ms: int, lost: int = 0) -> int:
        """Put readings on disk as packs, those that can't wait in packs of their own; the number of the last.

        `lost` are readings that memory did not hold until the disk took something again: they are counted.
        """
        with self._transaction():
            number = self._db.execute("SELECT packs FROM stream").fetchone()[0]
            for urgency in (Urgency.ALARM, Urgency.PERIODIC):
                readings = [each.reading for each in reported if each.urgency is urgency]
                for start in range(0, len(readings), MOST_READINGS):
                    number += 1
                    part = readings[start : start + MOST_READINGS]
                    payload = encode(self._edge, self.stream, number, part)
                    self._db.execute(
                        "INSERT INTO packs VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (self.stream, number, urgency, len(part), len(payload) + ROW_BYTES, now_ms, payload),
                    )
                    self._bytes += len(payload) + ROW_BYTES
            self._pending += len(reported)
            self._db.execute("UPDATE stream SET packs = ?", (number,))
            self._db.execute("DELETE FROM newest WHERE at_ms < ?", (now_ms,))
            self._db.execute("INSERT INTO newest SELECT ? WHERE NOT EXISTS (SELECT * FROM newest)", (now_ms,))
            self._count("produced", "", len(reported) + lost)
            self._count("dropped", DISK_REFUSED, lost)
            self._make_room()
        return int(number)

    def waiting(
        self, urgency: Urgency, *, since_ms: int = 0, before_ms: int = _NEVER_MS, but: Sequence[PackKey] = (), most: int
    ) -> list[Row]:
        """The oldest packs of `urgency` created in [since_ms, before_ms), without `but`."""
        rows = self._db.execute(
            "SELECT stream, number, payload FROM packs WHERE urgency = ? AND created_at_ms >= ? AND created_at_ms < ?"
            " AND (stream, number) NOT IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
            " ORDER BY created_at_ms, rowid LIMIT ?",
            (urgency, since_ms, before_ms, orjson.dumps(but).decode(), most),
        )
        return [Row(stream, number, urgency, payload) for stream, number, payload in rows]

    def named(self, keys: Sequence[PackKey]) -> list[Row]:
        """Those of the packs `keys` that are still here."""
        rows = self._db.execute(
            "SELECT stream, number, urgency, payload FROM packs"
            " WHERE (stream, number) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?)) ORDER BY rowid",
            (orjson.dumps(keys).decode(),),
        )
        return [Row(stream, number, Urgency(urgency), payload) for stream, number, urgency, payload in rows]

    def settle(self, receipts: Sequence[Receipt]) -> None:
        """Forget what the collector has. A receipt of another stream, or for packs long gone, changes nothing."""
        with self._transaction():
            for receipt in receipts:
                for stored in receipt.stored:
                    self._count("receipted", "", self._delete(receipt.stream, stored))
                for part in receipt.rejected:
                    readings = self._delete(receipt.stream, (part.first, part.last))
                    self._count("receipted", "", readings)
                    self._count("rejected", part.reason[:60], readings)

    def ledger(self) -> Ledger:
        counts = {(fate, reason): n for fate, reason, n in self._db.execute("SELECT * FROM ledger")}
        dropped, rejected = (
            {reason: n for (fate, reason), n in counts.items() if fate == wanted} for wanted in ("dropped", "rejected")
        )
        figures = OutboxFigures(
            produced=counts.get(("produced", ""), 0),
            receipted=counts.get(("receipted", ""), 0),
            pending=self._pending,
            dropped=sum(dropped.values()),
            bytes=self._bytes,
        )
        packs = self._db.execute("SELECT packs FROM stream").fetchone()[0]
        return Ledger(self.stream, packs, figures, dropped, rejected)

    def _make_room(self) -> None:
        dropped = 0
        while self._bytes > self._limit_bytes:
            oldest = self._db.execute("SELECT stream, number FROM packs ORDER BY urgency, created_at_ms, rowid LIMIT 1")
            stream, number = oldest.fetchone()
            dropped += self._delete(stream, (number, number))
        self._count("dropped", OUTBOX_FULL, dropped)

    def _delete(self, stream: StreamId, numbers: Range) -> int:
        """The readings that were in the packs `numbers` of `stream`."""
        gone = self._db.execute(
            "DELETE FROM packs WHERE stream = ? AND number BETWEEN ? AND ? RETURNING readings, bytes",
            (stream, *numbers),
        )
        readings = 0
        for its_readings, its_bytes in gone.fetchall():
            readings += its_readings
            self._bytes -= its_bytes
        self._pending -= readings
        return readings

    def _count(self, fate: str, reason: str, readings: int) -> None:
        if not readings:
            return
        known = self._db.execute("SELECT count(*), max(reason = ?) FROM ledger WHERE fate = ?", (reason, fate))
        reasons, is_known = known.fetchone()
        self._db.execute(
            "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET readings = readings + excluded.readings",
            (fate, reason if is_known or reasons < MOST_REASONS else "others", readings),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        before = self._bytes, self._pending
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._bytes, self._pending = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
