"""The outbox: every pack that no receipt names yet, in one SQLite file, with the ledger of what became of the rest.

Rules. A pack that `add` has returned is on disk. Its number is never given again, whatever is deleted. Counts and
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
OUTBOX_FULL = "outbox-full"

_NEVER_MS = 2**63 - 1

_TABLES = """
CREATE TABLE IF NOT EXISTS packs (
    number INTEGER PRIMARY KEY,
    urgency INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS packs_by_urgency ON packs (urgency, created_at_ms, number);
CREATE TABLE IF NOT EXISTS stream (id TEXT NOT NULL, packs INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
    fate TEXT NOT NULL,
    reason TEXT NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (fate, reason)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A pack as it waits."""

    number: int
    urgency: Urgency
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of every reading of the stream."""

    stream: StreamId
    packs: int
    """The highest number so far."""
    figures: OutboxFigures
    dropped: dict[str, int]
    """Readings by reason."""
    rejected: dict[str, int]
    """Readings that the collector keeps in quarantine, by reason; receipted all the same."""


class Outbox:
    """One file, open. `new_stream` names the stream if the file is new. Raises sqlite3.DatabaseError throughout."""

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
        db.executescript(_TABLES)
        with self._transaction():
            if db.execute("SELECT count(*) FROM stream").fetchone()[0] == 0:
                db.execute("INSERT INTO stream VALUES (?, 0)", (new_stream(),))
        self.stream = StreamId(db.execute("SELECT id FROM stream").fetchone()[0])
        self._bytes, self._pending = db.execute(
            "SELECT coalesce(sum(bytes), 0), coalesce(sum(readings), 0) FROM packs"
        ).fetchone()

    def close(self) -> None:
        self._db.close()

    def add(self, reported: Sequence[Reported], now_ms: int) -> int:
        """Put readings on disk as packs, those that can't wait in packs of their own; the number of the last."""
        with self._transaction():
            number = self._db.execute("SELECT packs FROM stream").fetchone()[0]
            for urgency in (Urgency.ALARM, Urgency.PERIODIC):
                readings = [each.reading for each in reported if each.urgency is urgency]
                for start in range(0, len(readings), MOST_READINGS):
                    number += 1
                    part = readings[start : start + MOST_READINGS]
                    payload = encode(self._edge, self.stream, number, part)
                    self._db.execute(
                        "INSERT INTO packs VALUES (?, ?, ?, ?, ?, ?)",
                        (number, urgency, len(part), len(payload) + ROW_BYTES, now_ms, payload),
                    )
                    self._bytes += len(payload) + ROW_BYTES
            self._pending += len(reported)
            self._db.execute("UPDATE stream SET packs = ?", (number,))
            self._count("produced", "", len(reported))
            self._make_room()
        return int(number)

    def waiting(
        self, urgency: Urgency, *, since_ms: int = 0, before_ms: int = _NEVER_MS, but: Sequence[int] = (), most: int
    ) -> list[Row]:
        """The oldest packs of `urgency` created in [since_ms, before_ms), without those numbered `but`."""
        rows = self._db.execute(
            "SELECT number, payload FROM packs WHERE urgency = ? AND created_at_ms >= ? AND created_at_ms < ?"
            " AND number NOT IN (SELECT value FROM json_each(?)) ORDER BY created_at_ms, number LIMIT ?",
            (urgency, since_ms, before_ms, orjson.dumps(but).decode(), most),
        )
        return [Row(number, urgency, payload) for number, payload in rows]

    def numbered(self, numbers: Sequence[int]) -> list[Row]:
        """Those of the packs `numbers` that are still here."""
        rows = self._db.execute(
            "SELECT number, urgency, payload FROM packs WHERE number IN (SELECT value FROM json_each(?))",
            (orjson.dumps(numbers).decode(),),
        )
        return [Row(number, Urgency(urgency), payload) for number, urgency, payload in rows]

    def settle(self, receipts: Sequence[Receipt]) -> None:
        """Forget what the collector has. A receipt of another stream, or for packs long gone, changes nothing."""
        with self._transaction():
            for receipt in receipts:
                if receipt.stream != self.stream:
                    continue
                for stored in receipt.stored:
                    self._count("receipted", "", self._delete(stored))
                for part in receipt.rejected:
                    readings = self._delete((part.first, part.last))
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
            oldest = self._db.execute("SELECT number FROM packs ORDER BY urgency, created_at_ms, number LIMIT 1")
            number = oldest.fetchone()[0]
            dropped += self._delete((number, number))
        self._count("dropped", OUTBOX_FULL, dropped)

    def _delete(self, numbers: Range) -> int:
        """The readings that were in the packs `numbers`."""
        gone = self._db.execute("DELETE FROM packs WHERE number BETWEEN ? AND ? RETURNING readings, bytes", numbers)
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
