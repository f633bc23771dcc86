"""What could not be stored, as it came, with the reasons: on disk before its receipt, bounded in bytes.

One entry is one message; the same message again is the same entry. When the bound is reached the oldest go
first, and their number is kept, as is the number of those that somebody dropped. A message above the limit of a pack is kept in
part, which its true size shows.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.intake.delivery import Delivery
from collector.intake.judge import DeviceKey, Reason
from collector.stores.sqlite_file import SqliteFile
from messages.ids import DeviceId, EdgeId
from messages.pack import LIMIT_BYTES, Fault

MOST_BYTES = 64 * 1024 * 1024
KEPT_BYTES = 64 * 1024
ROW_BYTES = 100
"""What a row costs beside its text, roughly: a million empty messages are not free."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    true_bytes INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,  -- of topic and payload
    site TEXT, edge TEXT,  -- of the topic; NULL if it is no edge's
    cost_bytes INTEGER NOT NULL,
    payload BLOB NOT NULL  -- last: nothing behind it could be read without it
);
CREATE INDEX IF NOT EXISTS messages_by_cost ON messages (cost_bytes);  -- their sum is asked for at every change
CREATE TABLE IF NOT EXISTS reasons (
    message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    position INTEGER NOT NULL,
    fault TEXT NOT NULL, detail TEXT NOT NULL, device TEXT, records INTEGER NOT NULL,
    PRIMARY KEY (message, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reasons_by_device ON reasons (fault, device, message);
CREATE TABLE IF NOT EXISTS figures (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message in quarantine."""

    id: int
    topic: str
    payload: bytes
    true_bytes: int
    received_at_ms: int
    reasons: Sequence[Reason]

    @property
    def whole(self) -> bool:
        return len(self.payload) == self.true_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Entries by what they have in common; without anything, all. Reason and device must be those of one and the same reason."""

    ids: Sequence[int] = ()
    reason: Fault | None = None
    edge: EdgeId | None = None
    device: DeviceId | None = None

    @property
    def condition(self) -> tuple[str, tuple[object, ...]]:
        """Of SQL, over `messages`, with its values."""
        parts, values = ["1"], list[object]()
        if self.ids:
            parts.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(self.ids)))
        if self.edge is not None:
            parts.append("edge = ?")
            values.append(self.edge)
        if self.reason is not None or self.device is not None:
            parts.append(
                "EXISTS (SELECT 1 FROM reasons WHERE message = messages.id"
                " AND fault = coalesce(?, fault) AND device IS coalesce(?, device))"
            )
            values += [self.reason and self.reason.value, self.device]
        return " AND ".join(parts), tuple(values)


ALL = Which()


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How much lies there for one reason, of one device of an edge; those are None where they could not be read."""

    reason: Fault
    site: str | None
    edge: str | None
    device: str | None
    messages: int
    records: int


class Quarantine:
    """Every method raises StoreAway when the disk doesn't do what it should."""

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._file = SqliteFile(path, _SCHEMA, replaceable=True)
        self.most_bytes = most_bytes

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Keep each that has reasons to be here, with these reasons; let go each that has none any more."""
        with self._file.writing() as database:
            for delivery in deliveries:
                if delivery.reasons:
                    _keep(database, delivery)
                else:
                    database.execute("DELETE FROM messages WHERE digest = ?", (_digest(delivery),))
            self._make_room(database)

    def waiting(self, device: DeviceKey, after: int, most: int) -> list[Entry]:
        """Whole messages of this edge that were refused because it had not announced this device, oldest first."""
        site, edge, name = device
        return self._entries(
            "SELECT messages.* FROM reasons JOIN messages ON messages.id = reasons.message"
            " WHERE fault = ? AND device = ? AND site = ? AND edge = ? AND id > ? AND length(payload) = true_bytes"
            " ORDER BY id LIMIT ?",
            (Fault.UNKNOWN_DEVICE.value, name, site, edge, after, most),
        )

    def entries(self, after: int, most: int, which: Which = ALL) -> list[Entry]:
        """The oldest first, those whose id is above `after`."""
        condition, values = which.condition
        question = f"SELECT * FROM messages WHERE id > ? AND {condition} ORDER BY id LIMIT ?"  # noqa: S608 (ours alone)
        return self._entries(question, (after, *values, most))

    def entry(self, number: int) -> Entry | None:
        return next(iter(self._entries("SELECT * FROM messages WHERE id = ?", (number,))), None)

    def count(self, which: Which = ALL) -> int:
        condition, values = which.condition
        with self._file.reading() as database:
            row = database.execute(f"SELECT count(*) FROM messages WHERE {condition}", values).fetchone()  # noqa: S608 (ours alone)
        return int(row[0])

    def counts(self, which: Which = ALL) -> list[Count]:
        """By reason and device, the most first. A message that is there for two reasons counts for both."""
        condition, values = which.condition
        question = (
            "SELECT fault, site, edge, device, count(*), sum(records)"  # noqa: S608 (ours alone)
            f" FROM reasons JOIN messages ON messages.id = reasons.message WHERE {condition}"
            " GROUP BY fault, site, edge, device ORDER BY count(*) DESC, fault, site, edge, device"
        )
        with self._file.reading() as database:
            return [
                Count(reason=Fault(fault), site=site, edge=edge, device=device, messages=messages, records=records)
                for fault, site, edge, device, messages, records in database.execute(question, values)
            ]

    def drop(self, which: Which) -> int:
        """Forget them for good; how many there were."""
        condition, values = which.condition
        with self._file.writing() as database:
            gone = database.execute(f"DELETE FROM messages WHERE {condition}", values).rowcount  # noqa: S608 (ours alone)
            _add(database, "dropped by hand", gone)
        return gone

    def size(self) -> tuple[int, int]:
        """Bytes that it holds, and messages that had to make room since it was made."""
        with self._file.reading() as database:
            held = database.execute("SELECT coalesce(sum(cost_bytes), 0) FROM messages").fetchone()[0]
        return int(held), self.dropped()

    def dropped(self) -> int:
        """Messages that had to make room since the quarantine was made."""
        return self._figure("dropped")

    def dropped_by_hand(self) -> int:
        return self._figure("dropped by hand")

    def _figure(self, name: str) -> int:
        with self._file.reading() as database:
            row = database.execute("SELECT value FROM figures WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._file.close()

    def _entries(self, question: str, values: tuple[object, ...]) -> list[Entry]:
        with self._file.reading() as database:
            rows = database.execute(question, values).fetchall()
            return [
                Entry(
                    id=number,
                    topic=topic,
                    payload=payload,
                    true_bytes=true_bytes,
                    received_at_ms=received_at_ms,
                    reasons=list(_reasons(database, number)),
                )
                for number, topic, true_bytes, received_at_ms, *_, payload in rows
            ]

    def _make_room(self, database: sqlite3.Connection) -> None:
        held = int(database.execute("SELECT coalesce(sum(cost_bytes), 0) FROM messages").fetchone()[0])
        gone = []
        for entry, cost_bytes in database.execute("SELECT id, cost_bytes FROM messages ORDER BY id"):
            if held <= self.most_bytes:
                break
            gone.append((entry,))
            held -= cost_bytes
        if gone:
            database.executemany("DELETE FROM messages WHERE id = ?", gone)
            _add(database, "dropped", len(gone))


def _add(database: sqlite3.Connection, figure: str, more: int) -> None:
    database.execute("INSERT INTO figures VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = value + ?2", (figure, more))


def _keep(database: sqlite3.Connection, delivery: Delivery) -> None:
    size = len(delivery.payload)
    payload = delivery.payload if size <= LIMIT_BYTES else delivery.payload[:KEPT_BYTES]
    cost = len(payload) + ROW_BYTES + sum(ROW_BYTES + len(reason.detail) for reason in delivery.reasons)
    origin = delivery.origin
    site, edge = (origin.site, origin.edge) if origin else (None, None)
    digest = _digest(delivery)
    database.execute(
        "INSERT INTO messages (digest, topic, site, edge, payload, true_bytes, received_at_ms, cost_bytes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET cost_bytes = excluded.cost_bytes",
        (digest, delivery.topic, site, edge, payload, size, delivery.received_at_ms, cost),
    )
    entry = database.execute("SELECT id FROM messages WHERE digest = ?", (digest,)).fetchone()[0]
    database.execute("DELETE FROM reasons WHERE message = ?", (entry,))
    database.executemany(
        "INSERT INTO reasons VALUES (?, ?, ?, ?, ?, ?)",
        (
            (entry, position, reason.fault.value, reason.detail, reason.device, reason.records)
            for position, reason in enumerate(delivery.reasons)
        ),
    )


def _digest(delivery: Delivery) -> bytes:
    return hashlib.sha256(delivery.topic.encode() + b"\0" + delivery.payload).digest()


def _reasons(database: sqlite3.Connection, entry: int) -> Iterator[Reason]:
    for fault, detail, device, records in database.execute(
        "SELECT fault, detail, device, records FROM reasons WHERE message = ? ORDER BY position", (entry,)
    ):
        yield Reason(Fault(fault), detail, DeviceId(device) if device is not None else None, records)
