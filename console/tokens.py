"""Tokens of other systems: what each may do, where, and until when; beside the accounts, in the same SQLite file.

A token is shown once, when it is made or rotated; what is kept is its hash, which is enough for a secret of 256 random bits. It names no
person's password and opens no page. A name is never given to another system: what that system has brought in is known by it.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from console.rights import Scope
from messages.ids import is_identifier
from messages.language import Unfit, why
from messages.settings import ConfigError

TokenRight = Literal["read", "report", "act", "dispatch", "admin"]
"""read: cases, alarms, changes. report: bring in tickets and reports. act: accept, arrive, mend, for a department. dispatch: what a desk does with
cases. admin: webhooks."""
RIGHTS: tuple[TokenRight, ...] = get_args(TokenRight)

DAY_MS = 86_400_000
MOST_DAYS = 3 * 366
USED_EVERY_MS = 60_000
"""How often the use of a token is written down."""
PREFIX = "gct_"

_TABLE = """
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, old_hash TEXT, old_until_ms INTEGER NOT NULL DEFAULT 0,
    rights TEXT NOT NULL, sites TEXT NOT NULL, person TEXT, made_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER, revoked_at_ms INTEGER) WITHOUT ROWID;
"""


class TokenError(Unfit):
    """The token can't be made or changed so; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One system's way in. `person`: as whom of the roster it acts, if not under its own name."""

    name: str
    rights: tuple[TokenRight, ...]
    scope: Scope
    person: str | None
    made_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None = None
    revoked_at_ms: int | None = None

    @property
    def actor(self) -> str:
        """Who stands in the log. The prefix keeps it apart from every person."""
        return self.person or f"api:{self.name}"

    def may(self, right: TokenRight) -> bool:
        return right in self.rights

    def holds(self, now_ms: int) -> bool:
        return self.revoked_at_ms is None and now_ms < self.expires_at_ms


class Tokens:
    """Every call opens and closes its own connection, so that any thread and any process may call. Raises ConfigError when it can't be made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.touch(mode=0o600)
            with self._open() as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError("accounts: {path}: {why}", path=path, why=why(error)) from error

    def add(
        self,
        name: str,
        rights: Sequence[str],
        now_ms: int,
        *,
        days: int,
        sites: Sequence[str] = (),
        person: str | None = None,
    ) -> str:
        """A new token's secret. Raises TokenError."""
        if not is_identifier(name) or len(name) > 40:
            raise TokenError(
                "a name has 1 to 40 lower-case letters, digits, hyphens and underscores, not {name!r}", name=name
            )
        if not rights:
            raise TokenError("rights are some of {rights}", rights=", ".join(RIGHTS))
        if unknown := sorted(set(rights) - set(RIGHTS)):
            raise TokenError(
                "rights are some of {rights}, not {unknown!r}", rights=", ".join(RIGHTS), unknown=unknown[0]
            )
        if wrong := [site for site in sites if not is_identifier(site)]:
            raise TokenError("{name!r} is no name of a site", name=wrong[0])
        if person is not None and (not is_identifier(person) or person == "rules"):
            raise TokenError("{person!r} is no person of a roster", person=person)
        if not 1 <= days <= MOST_DAYS:
            raise TokenError("a token lasts 1 to {most} days", most=MOST_DAYS)
        secret = _secret()
        row = (
            name,
            _hashed(secret),
            " ".join(right for right in RIGHTS if right in rights),
            " ".join(dict.fromkeys(sites)),
            person,
            now_ms,
            now_ms + days * DAY_MS,
        )
        with self._open() as database:
            if database.execute("SELECT 1 FROM tokens WHERE name = ?", (name,)).fetchone():
                raise TokenError("there is, or was, a token {name!r}: rotate it, or take another name", name=name)
            database.execute(
                "INSERT INTO tokens (name, hash, rights, sites, person, made_at_ms, expires_at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return secret

    def rotate(self, name: str, now_ms: int, *, days: int, keep_old_s: float = 0) -> str:
        """A new secret in place of the old one, which holds for `keep_old_s` more. Raises TokenError."""
        if not 1 <= days <= MOST_DAYS or not 0 <= keep_old_s <= 7 * 86_400:
            raise TokenError("a token lasts 1 to {most} days, and its old secret at most 7d longer", most=MOST_DAYS)
        secret = _secret()
        with self._open() as database:
            changed = database.execute(
                "UPDATE tokens SET old_hash = hash, old_until_ms = min(?, expires_at_ms), hash = ?, expires_at_ms = ?"
                " WHERE name = ? AND revoked_at_ms IS NULL",
                (now_ms + round(keep_old_s * 1000), _hashed(secret), now_ms + days * DAY_MS, name),
            )
            if not changed.rowcount:
                raise TokenError("no token {name!r}, or it was revoked", name=name)
        return secret

    def revoke(self, name: str, now_ms: int) -> bool:
        """End it at once. False if there is none, or it was ended before."""
        with self._open() as database:
            query = "UPDATE tokens SET revoked_at_ms = ? WHERE name = ? AND revoked_at_ms IS NULL"
            return database.execute(query, (now_ms, name)).rowcount > 0

    def all(self) -> list[Token]:
        """By name, those that are over too."""
        with self._open() as database:
            return [_token(row) for row in database.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY name")]  # noqa: S608

    def find(self, secret: str, now_ms: int) -> Token | None:
        """The token of a secret that holds; counts as its use."""
        if not secret.startswith(PREFIX) or len(secret) > 100:
            return None
        hashed = _hashed(secret)
        with self._open() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?1 OR (old_hash = ?1 AND old_until_ms > ?2)",  # noqa: S608
                (hashed, now_ms),
            ).fetchone()
        if row is None or not (token := _token(row)).holds(now_ms):
            return None
        if now_ms - (token.used_at_ms or 0) > USED_EVERY_MS:
            with suppress(sqlite3.OperationalError), self._open(wait_s=0.1) as database:
                database.execute("UPDATE tokens SET used_at_ms = ? WHERE name = ?", (now_ms, token.name))
        return token

    @contextmanager
    def _open(self, wait_s: float = 5) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=wait_s)) as database, database:
            yield database


_COLUMNS = "name, rights, sites, person, made_at_ms, expires_at_ms, used_at_ms, revoked_at_ms"


def _token(row: tuple[str, str, str, str | None, int, int, int | None, int | None]) -> Token:
    name, rights, sites, person, made, expires, used, revoked = row
    return Token(
        name=name,
        rights=tuple(right for right in RIGHTS if right in rights.split()),
        scope=Scope(tuple(sites.split())),
        person=person,
        made_at_ms=made,
        expires_at_ms=expires,
        used_at_ms=used,
        revoked_at_ms=revoked,
    )


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
