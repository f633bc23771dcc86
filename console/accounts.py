"""Who may log in, and who is logged in: one SQLite file, nothing of it kept in memory.

A password is kept as an argon2 hash, a session as the hash of a random token: whoever steals the file can log in
with neither. A session ends by logout, by a new password, with its account, when it was unused for long or grows old.
Every call opens and closes its own connection, so that any thread and any process may call.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from console.rights import EVERYWHERE, ROLES, Role, Scope, User
from console.throttle import FORGET_S, PAIR, Failures, counters, failed, wait_s
from messages.settings import ConfigError

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
IDLE_MS: dict[Role, int] = dict.fromkeys(ROLES, 12 * HOUR_MS) | {"worker": 30 * DAY_MS}
"""A session ends when it was unused for so long. An open feed uses it, so that a wall screen stays."""
LIFE_MS: dict[Role, int] = dict.fromkeys(ROLES, 7 * DAY_MS) | {"worker": 90 * DAY_MS}
"""A worker carries the phone and is not asked to log in every day."""
SEEN_EVERY_MS = 60_000
"""How often the use of a session is written down."""
SEEN_WAIT_S = 0.1
"""How long a request waits for that."""

MOST_NAME = 40
LEAST_PASSWORD, MOST_PASSWORD = 8, 200

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODYS_HASH = _HASHER.hash(secrets.token_hex())
"""Verified for unknown names, so that they take as long as known ones."""

_TABLES = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL,
    sites TEXT NOT NULL DEFAULT '', grids TEXT NOT NULL DEFAULT '', person TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    began_at_ms INTEGER NOT NULL, seen_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, count INTEGER NOT NULL, last_at_ms INTEGER NOT NULL) WITHOUT ROWID;
"""


class AccountError(ValueError):
    """The name or the password can't be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user who is logged in. `token` is the secret of the cookie: never written down, never shown."""

    token: str
    user: User


@dataclass(frozen=True, slots=True)
class TooSoon:
    """The attempt was not looked at: too many failed before it."""

    wait_s: float


class Accounts:
    """The accounts in one file, which is made when it isn't there. Raises ConfigError when it can't be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.touch(mode=0o600)
            with self._open() as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"accounts: {path}: {error}") from error

    def add(
        self,
        name: str,
        password: str,
        role: Role = "operator",
        scope: Scope = EVERYWHERE,
        person: str | None = None,
    ) -> None:
        """Make the account, or give it a new password, role and scope, which ends its sessions. Raises AccountError."""
        if not 0 < len(name) <= MOST_NAME or not name.isprintable() or name != name.strip():
            raise AccountError(f"a name has 1 to {MOST_NAME} printable characters and no blank at either end: {name!r}")
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise AccountError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
        with self._open() as database:
            database.execute("DELETE FROM sessions WHERE name = ?", (name,))
            database.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET role = ?2, password = ?3, sites = ?4, grids = ?5, person = ?6",
                (name, role, _HASHER.hash(password), " ".join(scope.sites), " ".join(scope.grids), person),
            )

    def users(self) -> list[User]:
        with self._open() as database:
            return [
                _user(*row)
                for row in database.execute("SELECT name, role, sites, grids, person FROM users ORDER BY name")
            ]

    def remove(self, name: str) -> bool:
        """End the account and its sessions. False if there is none of that name."""
        with self._open() as database:
            return database.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount > 0

    def log_in(self, name: str, password: str, address: str, now_ms: int) -> Session | TooSoon | None:
        """A new session; None for a wrong name or password. Takes some 50 ms and 19 MiB."""
        name, keys = name[:MOST_NAME], counters(name[:MOST_NAME], address)
        with self._open() as database:
            known = {key: _failures(database, key) for key in keys}
            if wait := max(wait_s(limit, known[key], now_ms) for key, limit in keys.items()):
                return TooSoon(wait)
            row = database.execute(
                "SELECT password, name, role, sites, grids, person FROM users WHERE name = ?", (name,)
            ).fetchone()
        right = _matches(row[0] if row else _NOBODYS_HASH, password) and row is not None
        with self._open() as database:
            if not right:
                database.executemany(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)",
                    [(key, now.count, now.last_at_ms) for key in keys for now in (failed(known[key], now_ms),)],
                )
                return None
            # The address keeps its count: whoever has one password may still be guessing at others'.
            database.executemany(
                "DELETE FROM failures WHERE key = ?", [(key,) for key, limit in keys.items() if limit is PAIR]
            )
            self._forget_the_old(database, now_ms)
            token = secrets.token_urlsafe(32)
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (_hashed(token), name, now_ms, now_ms))
        return Session(token, _user(*row[1:]))

    def session(self, token: str, now_ms: int) -> Session | None:
        """Who is logged in with `token`; counts as use of the session."""
        with self._open() as database:
            row = database.execute(
                "SELECT began_at_ms, seen_at_ms, name, role, sites, grids, person"
                " FROM sessions JOIN users USING (name) WHERE token = ?",
                (_hashed(token),),
            ).fetchone()
            if row is None:
                return None
            began_at_ms, seen_at_ms, user = row[0], row[1], _user(*row[2:])
            if now_ms - seen_at_ms > IDLE_MS[user.role] or now_ms - began_at_ms > LIFE_MS[user.role]:
                return None
        if now_ms - seen_at_ms > SEEN_EVERY_MS:
            # A full disk, or another one who writes, must not keep a person from the alarms.
            with suppress(sqlite3.OperationalError), self._open(wait_s=SEEN_WAIT_S) as database:
                database.execute("UPDATE sessions SET seen_at_ms = ? WHERE token = ?", (now_ms, _hashed(token)))
        return Session(token, user)

    def log_out(self, token: str) -> None:
        with self._open() as database:
            database.execute("DELETE FROM sessions WHERE token = ?", (_hashed(token),))

    def _forget_the_old(self, database: sqlite3.Connection, now_ms: int) -> None:
        database.execute("DELETE FROM failures WHERE last_at_ms < ?", (now_ms - FORGET_S * 1000,))
        for role, life_ms in LIFE_MS.items():
            database.execute(
                "DELETE FROM sessions WHERE began_at_ms < ? AND name IN (SELECT name FROM users WHERE role = ?)",
                (now_ms - life_ms, role),
            )

    @contextmanager
    def _open(self, wait_s: float = 5) -> Iterator[sqlite3.Connection]:
        """One transaction on a connection of its own."""
        with closing(sqlite3.connect(self._path, timeout=wait_s)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            with database:
                yield database


def form_token(secret: str) -> str:
    """What a form must carry to be believed: bound to the cookie's secret, of no use for finding it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def _user(name: str, role: Role, sites: str, grids: str, person: str | None) -> User:
    return User(name, role, Scope(tuple(sites.split()), tuple(grids.split())), person)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _matches(stored: str, password: str) -> bool:
    if len(password) > MOST_PASSWORD:
        return False
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _failures(database: sqlite3.Connection, key: str) -> Failures:
    row = database.execute("SELECT count, last_at_ms FROM failures WHERE key = ?", (key,)).fetchone()
    return Failures(*row) if row else Failures()
