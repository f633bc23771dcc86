"""Which packs hold times that a clock guessed, and may still be moved: docs/decisions/0013-the-clock-of-a-pi.md.

What has been handed out for sending keeps its times for good, and that is written down before it is handed out. A guess
can be put right within the boot that made it. All of it happens in transactions that the outbox opens and commits.
"""

import sqlite3

from edge.keeping import layout
from edge.keeping.ledger import Figures
from edge.report import Urgency


class Guesses:
    """Raises sqlite3.DatabaseError throughout."""

    def __init__(self, database: sqlite3.Connection, figures: Figures) -> None:
        self._db = database
        self._figures = figures
        self._first: dict[Urgency, int] = {}
        """By urgency the first key that may hold guessed times and has not left."""
        self.clock_was_trusted = False
        """Whether the clock has been trusted since the machine was switched on."""

    def __bool__(self) -> bool:
        """Whether there may be packs to move."""
        return bool(self._first)

    def first(self, urgency: Urgency) -> int | None:
        return self._first.get(urgency)

    def begin(self, boot: str) -> None:
        """`boot` names the machine's life since it was switched on; "" is a new one each time."""
        known = self._db.execute("SELECT id, trusted FROM boot").fetchone() or ("", 0)
        self.clock_was_trusted = known == (boot, 1)
        if known[0] != boot or not boot:
            self._db.execute("DELETE FROM boot")
            self._db.execute("INSERT INTO boot VALUES (?, 0)", (boot,))
            self._db.execute("UPDATE streams SET guess_ms = NULL WHERE guess_ms IS NOT NULL")
        no = self._db.execute("SELECT min(no) FROM streams WHERE guess_ms IS NOT NULL").fetchone()[0]
        if no is not None:
            for urgency in Urgency:
                left = self._figures.get("left", urgency.name) or 0
                self._first[urgency] = max(layout.key(urgency, no, 0), left)

    def stamped(self, urgency: Urgency, no: int, number: int, guess_ms: int) -> None:
        """Pack `number` of the stream holds times that the guess `guess_ms` stamped: its one guess."""
        self._db.execute("UPDATE streams SET guess_ms = ?1 WHERE no = ?2 AND guess_ms IS NOT ?1", (guess_ms, no))
        self._first.setdefault(urgency, layout.key(urgency, no, number))

    def by_stream(self) -> dict[int, int]:
        return dict(self._db.execute("SELECT no, guess_ms FROM streams WHERE guess_ms IS NOT NULL"))

    def leaves(self, urgency: Urgency, key: int) -> bool:
        """A pack is handed out; whether that has to be written down."""
        if urgency not in self._first or key < self._first[urgency]:
            return False
        self._first[urgency] = key + 1
        return True

    def write_down(self, urgency: Urgency, key: int) -> None:
        self._figures.put("left", key + 1, urgency.name)

    def moved_to(self, urgency: Urgency, key: int) -> None:
        """All up to `key` is done."""
        self._first[urgency] = key + 1

    def done(self) -> None:
        """Nothing is left to move. The clock counts as trusted until the machine is switched off."""
        self._first.clear()
        self._db.execute("UPDATE streams SET guess_ms = NULL WHERE guess_ms IS NOT NULL")
        self._db.execute("UPDATE boot SET trusted = 1")
        self._figures.forget("left")
        self.clock_was_trusted = True
