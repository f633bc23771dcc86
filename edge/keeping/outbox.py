"""The outbox: every pack that no receipt names yet, compressed, in one SQLite file, with the ledger of the rest.

Rules. A pack that `add` has returned is on disk. Each opening begins a new stream: a file that was restored from an
older copy gives no number twice, and what it still holds drains under the stream and the number it had. Counts and
packs change in one transaction. When the file's limit is reached, the oldest periodic packs go first and alarm-class
packs last, and each drop is counted. So it is while the disk itself runs short: what is new takes the place of what is oldest.

Flash wears by what is written, so little is: a pack is one row (edge/keeping/layout.py), and what a receipt lets go is committed
together with the next pack. Packs whose times are a clock's guess are moved when the clock is trusted, unless they may
have left by then (edge/keeping/guesses.py).

One thread uses it, and it blocks for as long as the disk takes (edge/keeping/disk.py). It knows no clock and no network.
"""

import contextlib
import sqlite3
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from edge.keeping import layout
from edge.keeping.guesses import Guesses
from edge.keeping.ledger import Figures, Ledger
from edge.link.window import PackKey
from edge.report import Reported, Urgency
from messages.ids import EdgeId, StreamId
from messages.pack import encode, moved
from messages.ranges import Range
from messages.reading import Reading
from messages.receipt import Receipt
from messages.status import OutboxFigures

MOST_READINGS = 200
"""Readings in one pack: some 20 kB, a tenth of what the collector takes."""
ROW_BYTES = 150
"""What a row costs beside its payload: key, lengths, its share of the tree, and of the page that it does not fill."""
OUTBOX_FULL, DISK_SHORT, DISK_REFUSED, PACK_DAMAGED = "outbox-full", "disk-short", "disk-refused", "pack-damaged"
SHORT_BYTES = 16 * 1024 * 1024
"""To which the outbox may grow at any rate, also while the disk is short: a million readings."""

COMPRESSION = 6

_MOST_ADDS = 1000
"""Adds whose time is remembered, to tell the living from the backlog: more than any window of some seconds holds."""


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


class Outbox:
    """One file, open, with a stream that `new_stream` names. Raises sqlite3.DatabaseError throughout.

    `boot` names the machine's life since it was switched on: a guessed time can be put right within it only.
    """

    def __init__(
        self, path: Path, edge: EdgeId, limit_bytes: int, new_stream: Callable[[], StreamId], boot: str = ""
    ) -> None:
        self._edge = edge
        self.limit_bytes = limit_bytes
        self._bytes = self._pending = self._packs = 0
        self._before = (0, 0, 0)
        self._added: list[tuple[float, int]] = []
        self.holds = True
        """Whether periodic packs with guessed times stay here."""
        self._db = layout.opened(path)
        self._figures = Figures(self._db)
        self._guesses = Guesses(self._db, self._figures)
        try:
            self._open(new_stream(), boot)
        except BaseException:
            self._db.close()
            raise

    def _open(self, stream: StreamId, boot: str) -> None:
        self.stream = stream
        with self._transaction():
            self._guesses.begin(boot)
            self._begin_stream()
        self.newest_ms = self._figures.get("newest") or 0
        self._bytes, self._pending = self._db.execute(
            "SELECT coalesce(sum(length(payload) + ?), 0), coalesce(sum(readings), 0) FROM packs", (ROW_BYTES,)
        ).fetchone()

    def _begin_stream(self) -> None:
        db = self._db
        self._streams: dict[StreamId, int] = {}
        for no, name in db.execute("SELECT no, id FROM streams ORDER BY no").fetchall():
            spans = (layout.span(urgency, no) for urgency in Urgency)
            if any(db.execute("SELECT 1 FROM packs WHERE id BETWEEN ? AND ?", span).fetchone() for span in spans):
                self._streams[name] = no
            else:
                db.execute("DELETE FROM streams WHERE no = ?", (no,))
        self._drop_strays()
        self._names = {no: name for name, no in self._streams.items()}
        self._no = max(self._streams.values(), default=0) + 1
        self._streams[self.stream], self._names[self._no] = self._no, self.stream
        db.execute("INSERT INTO streams VALUES (?, ?, NULL)", (self._no, self.stream))

    def _drop_strays(self) -> None:
        """Packs whose key is none, or of a stream that nobody knows: a spoilt card can still read as a sound file."""
        known = orjson.dumps(sorted(self._streams.values())).decode()
        gone = self._db.execute(
            "DELETE FROM packs WHERE id < 0 OR id >> ? & ? NOT IN (SELECT value FROM json_each(?)) RETURNING readings",
            (layout.NUMBER_BITS, layout.LAST_STREAM, known),
        )
        self._figures.count("dropped", sum(readings for (readings,) in gone.fetchall()), PACK_DAMAGED)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.DatabaseError):
            self.commit()
        self._db.close()

    def add(
        self,
        reported: Sequence[Reported],
        now_ms: int,
        now_s: float = 0.0,
        *,
        lost: int = 0,
        clock_ms: int | None = 0,
        disk_is_short: bool = False,
    ) -> int:
        """Put readings on disk as packs, those that can't wait in packs of their own; the number of the last.

        `now_s` counts steadily, from anywhere. `lost` are readings that memory did not hold until the disk took
        something again: they are counted. `clock_ms` is what is to be added to the time since the boot to have the
        true one; None if that is not known yet. While `disk_is_short` the outbox grows no more.
        """
        short_bytes = max(self._bytes, SHORT_BYTES)
        with self._transaction():
            first = self._packs + 1
            groups: dict[tuple[Urgency, int | None], list[Reading]] = {}
            for each in sorted(reported, key=lambda each: -each.urgency):
                reading, guess_ms = each.reading, each.guess_ms
                if guess_ms is not None and clock_ms is not None:
                    reading, guess_ms = reading._replace(at_ms=reading.at_ms + clock_ms - guess_ms), None
                groups.setdefault((each.urgency, guess_ms), []).append(reading)
            for (urgency, guess_ms), readings in groups.items():
                if guess_ms is not None:
                    self._guesses.stamped(urgency, self._no, self._packs + 1, guess_ms)
                for start in range(0, len(readings), MOST_READINGS):
                    self._insert(urgency, readings[start : start + MOST_READINGS], guessed=guess_ms is not None)
            self._figures.put("newest", now_ms)
            self._figures.count("produced", len(reported) + lost)
            self._figures.count("dropped", lost, DISK_REFUSED)
            if disk_is_short and short_bytes < self.limit_bytes:
                self._make_room(short_bytes, DISK_SHORT)
            else:
                self._make_room(self.limit_bytes, OUTBOX_FULL)
        if self._packs >= first:
            self._added = [*self._added[-_MOST_ADDS:], (now_s, first)]
        return self._packs

    def waiting(
        self,
        urgency: Urgency,
        *,
        since_s: float | None = None,
        before_s: float | None = None,
        but: Sequence[PackKey] = (),
        most: int,
    ) -> list[Row]:
        """The oldest packs of `urgency` that were added in [since_s, before_s), without `but`.

        What earlier runs left was added before any time of this one.
        """
        low = (
            layout.key(urgency, 0, 0) if since_s is None else layout.key(urgency, self._no, self._first_since(since_s))
        )
        high = layout.key(urgency, self._no, layout.LAST_NUMBER)
        if before_s is not None:
            high = layout.key(urgency, self._no, self._first_since(before_s)) - 1
        if self.holds and urgency is Urgency.PERIODIC and (guessed := self._guesses.first(urgency)) is not None:
            high = min(high, guessed - 1)
        rows = self._db.execute(
            "SELECT id, payload FROM packs WHERE id BETWEEN ? AND ?"
            " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
            (low, high, orjson.dumps([self._id(key, urgency) for key in but]).decode(), most),
        )
        found = self._rows(rows.fetchall())
        if found:
            self._has_left(urgency, layout.key(urgency, self._streams[found[-1].stream], found[-1].number))
        return found

    def named(self, keys: Sequence[PackKey]) -> list[Row]:
        """Those of the packs `keys` that are still here, alarms first."""
        ids = [self._id(key, urgency) for key in keys for urgency in Urgency]
        rows = self._db.execute(
            "SELECT id, payload FROM packs WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id >> ? DESC, id",
            (orjson.dumps(ids).decode(), layout.URGENCY_BIT),
        )
        return self._rows(rows.fetchall())

    def settle(self, receipts: Sequence[Receipt]) -> None:
        """Let go what the collector has. A receipt of another stream, or for packs long gone, changes nothing.

        It is on disk with the next `add` or `commit`. If the power goes before, the packs are sent again: they are
        stored once all the same.
        """
        with self._transaction(commit=False):
            for receipt in receipts:
                for stored in receipt.stored:
                    self._figures.count("receipted", self._delete(receipt.stream, stored))
                for part in receipt.rejected:
                    readings = self._delete(receipt.stream, (part.first, part.last))
                    self._figures.count("receipted", readings)
                    self._figures.count("rejected", readings, part.reason)

    def commit(self) -> None:
        """What receipts let go is on disk from now on."""
        if self._db.in_transaction:
            with self._transaction():
                pass

    def ledger(self) -> Ledger:
        dropped = self._figures.by_reason("dropped")
        figures = OutboxFigures(
            produced=self._figures.get("produced") or 0,
            receipted=self._figures.get("receipted") or 0,
            pending=self._pending,
            dropped=sum(dropped.values()),
            bytes=self._bytes,
            dropped_for=dropped,
            rejected_for=self._figures.by_reason("rejected"),
        )
        return Ledger(self.stream, self._packs, figures)

    @property
    def clock_was_trusted(self) -> bool:
        """Whether the clock has been trusted since the machine was switched on."""
        return self._guesses.clock_was_trusted

    @property
    def guesses(self) -> bool:
        """Whether there may be packs whose times `correct` would move."""
        return bool(self._guesses)

    def correct(self, clock_ms: int, most: int = MOST_READINGS) -> bool:
        """Move the guessed times of up to `most` packs that have not left; whether there may be more.

        `clock_ms` is what is to be added to the time since the boot. Order stays, since all that one guess stamped
        moves alike. When nothing is left to do, the clock counts as trusted until the machine is switched off.
        """
        with self._transaction():
            guesses = self._guesses.by_stream()
            for urgency in Urgency:
                if (first := self._guesses.first(urgency)) is None:
                    continue
                rows = self._db.execute(
                    "SELECT id, payload FROM packs WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                    (first, layout.key(urgency, self._no, layout.LAST_NUMBER), most),
                ).fetchall()
                for key, packed in rows:
                    if (guess_ms := guesses.get(layout.parts(key)[1])) is not None:
                        self._move(key, packed, clock_ms - guess_ms)
                if rows:
                    self._guesses.moved_to(urgency, rows[-1][0])
                if len(rows) == most:
                    return True
            self._guesses.done()
        return False

    def _has_left(self, urgency: Urgency, key: int) -> None:
        """Where a pack's times are still a guess, they stay one: the store may know them from now on."""
        if self._guesses.leaves(urgency, key):
            with contextlib.suppress(sqlite3.OperationalError), self._transaction():  # no full disk keeps an alarm here
                self._guesses.write_down(urgency, key)

    def _move(self, key: int, packed: bytes, by_ms: int) -> None:
        try:
            corrected = moved(zlib.decompress(packed), by_ms)
        except zlib.error:
            return  # noticed when its turn comes to leave
        if corrected is not None:
            payload = zlib.compress(corrected, COMPRESSION)
            self._db.execute("UPDATE packs SET payload = ? WHERE id = ?", (payload, key))
            self._bytes += len(payload) - len(packed)

    def _insert(self, urgency: Urgency, readings: Sequence[Reading], *, guessed: bool) -> None:
        self._packs += 1
        pack = encode(self._edge, self.stream, self._packs, readings, clock_trusted=not guessed)
        payload = zlib.compress(pack, COMPRESSION)
        key = layout.key(urgency, self._no, self._packs)
        self._db.execute("INSERT INTO packs VALUES (?, ?, ?)", (key, len(readings), payload))
        self._bytes += len(payload) + ROW_BYTES
        self._pending += len(readings)

    def _rows(self, found: Iterable[tuple[int, bytes]]) -> list[Row]:
        """The packs; one whose bytes the card has spoilt is dropped, and counted."""
        rows = []
        for key, packed in found:
            urgency, no, number = layout.parts(key)
            try:
                rows.append(Row(self._names[no], number, urgency, zlib.decompress(packed)))
            except zlib.error:
                with self._transaction():
                    self._figures.count("dropped", self._delete_span(key, key), PACK_DAMAGED)
        return rows

    def _first_since(self, since_s: float) -> int:
        """The first number of this stream that was added at `since_s` or later."""
        at = bisect_left(self._added, (since_s, 0))
        return self._added[at][1] if at < len(self._added) else self._packs + 1

    def _id(self, key: PackKey, urgency: Urgency) -> int:
        return layout.key(urgency, self._streams.get(key[0], 0), key[1])

    def _make_room(self, limit_bytes: int, why: str) -> None:
        dropped = 0
        while self._bytes > limit_bytes:
            (oldest,) = self._db.execute("SELECT id FROM packs ORDER BY id LIMIT 1").fetchone()
            dropped += self._delete_span(oldest, oldest)
        self._figures.count("dropped", dropped, why)

    def _delete(self, stream: StreamId, numbers: Range) -> int:
        """The readings that were in the packs `numbers` of `stream`."""
        no = self._streams.get(stream)
        if no is None or numbers[0] > layout.LAST_NUMBER:
            return 0
        last = min(numbers[1], layout.LAST_NUMBER)
        return sum(
            self._delete_span(layout.key(urgency, no, numbers[0]), layout.key(urgency, no, last)) for urgency in Urgency
        )

    def _delete_span(self, first: int, last: int) -> int:
        gone: list[tuple[int, int]] = self._db.execute(
            "DELETE FROM packs WHERE id BETWEEN ? AND ? RETURNING readings, length(payload)", (first, last)
        ).fetchall()
        readings = sum(count for count, _ in gone)
        self._bytes -= sum(length + ROW_BYTES for _, length in gone)
        self._pending -= readings
        return readings

    @contextlib.contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[None]:
        """One, in which that of earlier receipts may be contained: what fails takes it back too."""
        if not self._db.in_transaction:
            self._before = self._bytes, self._pending, self._packs
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if commit:
                self._db.execute("COMMIT")
        except BaseException:
            self._bytes, self._pending, self._packs = self._before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
