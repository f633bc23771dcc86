"""The outbox's file: its tables, how it is opened, and the key of a pack. Little of ours is written in it:
docs/decisions/0014-what-the-outbox-writes.md says why it looks as it does.

A pack's key is urgency, stream and number in one integer: in their order a full outbox lets packs go, and those of one
urgency leave. A stream has a small number of its own within the file.
"""

import sqlite3
from pathlib import Path

from edge.keeping import ledger
from edge.report import Urgency
from messages.ranges import Range

LAYOUT = 2
PAGE_BYTES = 1024
"""A commit writes whole pages, and most of them hardly changed: small ones cost the card less."""
WAL_PAGES = 4096
"""4 MB of log before its pages are copied into the file, each once, however often it was written."""

NUMBER_BITS, URGENCY_BIT = 40, 62
LAST_NUMBER = (1 << NUMBER_BITS) - 1
LAST_STREAM = (1 << URGENCY_BIT - NUMBER_BITS) - 1

# STRICT, so that a check of the file shows what a card has made of a row.
_TABLES = f"""
CREATE TABLE streams (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    guess_ms INTEGER  -- what the clock added to the time since the boot, while it guessed; NULL: it does not guess
) STRICT;
CREATE TABLE boot (id TEXT NOT NULL, trusted INTEGER NOT NULL) STRICT;
CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    readings INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
{ledger.TABLE}
PRAGMA user_version = {LAYOUT};
"""


def opened(path: Path) -> sqlite3.Connection:
    """The file, made if it is not there. Raises sqlite3.DatabaseError if it is damaged or of another layout."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        database.execute(f"PRAGMA journal_size_limit = {2 * WAL_PAGES * PAGE_BYTES}")
        if (verdict := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)
        if database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        if (layout := database.execute("PRAGMA user_version").fetchone()[0]) != LAYOUT:
            raise sqlite3.DatabaseError(f"an outbox of layout {layout}, not {LAYOUT}")
    except BaseException:
        database.close()
        raise
    return database


def key(urgency: Urgency, no: int, number: int) -> int:
    return urgency << URGENCY_BIT | no << NUMBER_BITS | number


def span(urgency: Urgency, no: int) -> Range:
    """All keys of a stream."""
    return key(urgency, no, 0), key(urgency, no, LAST_NUMBER)


def parts(packed: int) -> tuple[Urgency, int, int]:
    return Urgency(packed >> URGENCY_BIT), packed >> NUMBER_BITS & LAST_STREAM, packed & LAST_NUMBER
