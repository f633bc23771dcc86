"""The tables of the accounts' file, and transactions on it. Who reads and writes them: `console.accounts` and its room `console.access`.

The journal is append-only: the file itself refuses to change a line, but for blanking what is personal in it when its time is
over, and to take one away before `KEPT_MS`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

DAY_MS = 86_400_000
KEPT_MS = 2 * 365 * DAY_MS
"""The youngest age at which a line of the journal may be taken away."""

_TABLES = f"""
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL,
    sites TEXT NOT NULL DEFAULT '', grids TEXT NOT NULL DEFAULT '', person TEXT,
    one_time INTEGER NOT NULL DEFAULT 0,        -- the password must be changed at the first login
    password_at_ms INTEGER NOT NULL DEFAULT 0,
    disabled_at_ms INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (           -- tokens as hashes
    id TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    token TEXT NOT NULL UNIQUE,
    next TEXT, offered_at_ms INTEGER NOT NULL DEFAULT 0,    -- sent to the browser, not yet seen from it
    former TEXT, former_until_ms INTEGER NOT NULL DEFAULT 0,
    token_at_ms INTEGER NOT NULL,               -- 0: a new one is due
    form TEXT NOT NULL,                         -- what its forms are bound to
    began_at_ms INTEGER NOT NULL, seen_at_ms INTEGER NOT NULL,
    address TEXT NOT NULL, browser TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_next ON sessions (next);
CREATE INDEX IF NOT EXISTS sessions_by_former ON sessions (former);
CREATE TABLE IF NOT EXISTS left_behind (        -- tokens of logins whose owners have logged out: only a copy can show them
    token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    ended_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS browsers (           -- with which somebody has logged in before; tokens as hashes
    token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    seen_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, count INTEGER NOT NULL, last_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, event TEXT NOT NULL,
    actor TEXT NOT NULL, subject TEXT NOT NULL, cause TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS journal_by_time ON journal (at_ms);
CREATE TRIGGER IF NOT EXISTS journal_is_kept BEFORE DELETE ON journal
    WHEN OLD.at_ms > (SELECT max(at_ms) FROM journal) - {KEPT_MS}
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_is_as_written BEFORE UPDATE ON journal
    WHEN NOT (NEW.seq = OLD.seq AND NEW.at_ms = OLD.at_ms AND NEW.event = OLD.event AND NEW.actor = OLD.actor
        AND NEW.cause = OLD.cause AND NEW.subject IN (OLD.subject, '') AND NEW.address IN (OLD.address, '')
        AND NEW.detail IN (OLD.detail, ''))
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""  # noqa: S608 - its own number


class AccountFile:
    """The file, which is made when it isn't there. Raises OSError, sqlite3.Error when it can't be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600)
        with self.open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_TABLES)

    @contextmanager
    def open(self, wait_s: float = 5) -> Iterator[sqlite3.Connection]:
        """One transaction on a connection of its own."""
        with closing(sqlite3.connect(self._path, timeout=wait_s)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            with database:
                yield database
