"""What became of every reading that the outbox ever took, counted in the outbox's own file.

produced = receipted + pending + dropped, after any crash: counts and packs change in one transaction, which the
outbox opens and commits. It knows no packs.
"""

import sqlite3
from dataclasses import dataclass

from messages.ids import StreamId
from messages.status import OutboxFigures

MOST_REASONS = 50
"""Different reasons that are counted one by one; they come from the network."""
REASON_LIMIT = 60
"""Characters of a reason."""

TABLE = """
CREATE TABLE figures (
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, detail)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of every reading of the file."""

    stream: StreamId
    """That of new packs."""
    packs: int
    """Its highest number so far."""
    figures: OutboxFigures


class Figures:
    """Numbers by name and detail. Raises sqlite3.DatabaseError throughout."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def put(self, name: str, value: int, detail: str = "") -> None:
        self._db.execute("INSERT OR REPLACE INTO figures VALUES (?, ?, ?)", (name, detail, value))

    def get(self, name: str, detail: str = "") -> int | None:
        row = self._db.execute("SELECT value FROM figures WHERE name = ? AND detail = ?", (name, detail)).fetchone()
        return None if row is None else int(row[0])

    def forget(self, name: str) -> None:
        self._db.execute("DELETE FROM figures WHERE name = ?", (name,))

    def count(self, fate: str, readings: int, reason: str = "") -> None:
        """`readings` more; under "others" when there are too many reasons already."""
        if not readings:
            return
        reason = reason[:REASON_LIMIT]
        if reason and self.get(fate, reason) is None:
            known = self._db.execute("SELECT count(*) FROM figures WHERE name = ?", (fate,)).fetchone()[0]
            reason = reason if known < MOST_REASONS else "others"
        self._db.execute(
            "INSERT INTO figures VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
            (fate, reason, readings),
        )

    def by_reason(self, fate: str) -> dict[str, int]:
        return dict(self._db.execute("SELECT detail, value FROM figures WHERE name = ? ORDER BY detail", (fate,)))
