"""Who is logged in: rows of sessions, and tokens that change while they are used. Inside the caller's transaction.

A token that has been in use for `ROTATE_MS`, or whose account got other rights, is replaced: the next answer carries a new one. The old
one holds until the new one has come back, for an answer may be lost on the way, and `GRACE_MS` longer, for requests that were
under way. After that whoever shows it has a copy that he shouldn't have: it opens nothing, and the journal says so.
"""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass, field

from console.access import journal
from console.access.journal import Line
from console.rights import ROLES, Role, Scope, User

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
IDLE_MS: dict[Role, int] = dict.fromkeys(ROLES, 12 * HOUR_MS) | {"worker": 30 * DAY_MS}
"""A session ends when it was unused for so long. An open feed uses it, so that a wall screen stays."""
LIFE_MS: dict[Role, int] = dict.fromkeys(ROLES, 7 * DAY_MS) | {"worker": 90 * DAY_MS}
"""A worker carries the phone and is not asked to log in every day."""
SEEN_EVERY_MS = 60_000
"""How often the use of a session is written down."""
ROTATE_MS = 4 * HOUR_MS
GRACE_MS = 60_000
OFFER_EVERY_MS = 5 * 60_000
"""A new token that was not seen again for so long was lost on the way: another one is offered."""
MOST_SESSIONS = 20
"""Of one account; the one that was unused longest ends."""
MOST_BROWSER = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A user who is logged in. `token` is the secret of the cookie and `fresh` the one that takes its place: never written
    down, never shown. `form` is what its forms are bound to."""

    token: str
    user: User
    id: str
    form: str
    one_time: bool
    """The password was given for one login: nothing goes on before it is changed."""
    password_at_ms: int
    fresh: str | None = field(default=None, compare=False)
    browser: str | None = field(default=None, compare=False)
    """After a login: the secret by which this browser is known again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One session as its owner sees it in a list."""

    id: str
    began_at_ms: int
    seen_at_ms: int
    address: str
    browser: str


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def begin(database: sqlite3.Connection, name: str, address: str, browser: str, now_ms: int) -> str:
    """A new session's token."""
    token = secrets.token_urlsafe(32)
    database.execute(
        "DELETE FROM sessions WHERE name = ? AND id NOT IN"
        " (SELECT id FROM sessions WHERE name = ? ORDER BY seen_at_ms DESC LIMIT ?)",
        (name, name, MOST_SESSIONS - 1),
    )
    database.execute(
        "INSERT INTO sessions (id, name, token, token_at_ms, form, began_at_ms, seen_at_ms, address, browser)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            secrets.token_hex(8),
            name,
            hashed(token),
            now_ms,
            secrets.token_urlsafe(32),
            now_ms,
            now_ms,
            address,
            browser[:MOST_BROWSER],
        ),
    )
    return token


def find(database: sqlite3.Connection, token: str, now_ms: int) -> tuple[Session, sqlite3.Row] | None:
    """The session that `token` opens, by its present, its next or its former token. Reads alone."""
    database.row_factory = sqlite3.Row
    row: sqlite3.Row | None = database.execute(
        "SELECT * FROM sessions JOIN users USING (name)"
        " WHERE disabled_at_ms IS NULL AND (token = ?1 OR next = ?1 OR former = ?1)",
        (hashed(token),),
    ).fetchone()
    if row is None:
        return None
    user = user_of(row["name"], row["role"], row["sites"], row["grids"], row["person"])
    if now_ms - row["seen_at_ms"] > IDLE_MS[user.role] or now_ms - row["began_at_ms"] > LIFE_MS[user.role]:
        return None
    return Session(token, user, row["id"], row["form"], bool(row["one_time"]), row["password_at_ms"]), row


def is_replayed(row: sqlite3.Row, token: str, now_ms: int) -> bool:
    """Whether a former token is shown after its time."""
    return bool(row["former"] == hashed(token) and now_ms > row["former_until_ms"])


def wants_writing(row: sqlite3.Row, token: str, now_ms: int) -> bool:
    """Whether `used` has something to do."""
    its = hashed(token)
    due = row["token"] == its and _is_due(row, now_ms)
    return due or row["next"] == its or now_ms - row["seen_at_ms"] > SEEN_EVERY_MS


def used(database: sqlite3.Connection, row: sqlite3.Row, token: str, now_ms: int) -> str | None:
    """Note that the session was used; a new token if it is time for one. Of two that come at once, one gets it."""
    its = hashed(token)
    database.execute("UPDATE sessions SET seen_at_ms = ? WHERE id = ? AND seen_at_ms < ?1", (now_ms, row["id"]))
    if row["next"] == its:
        database.execute(
            "UPDATE sessions SET former = token, former_until_ms = ?, token = next, next = NULL, token_at_ms = ?"
            " WHERE id = ? AND next = ?",
            (now_ms + GRACE_MS, now_ms, row["id"], its),
        )
        return None
    if row["token"] != its or not _is_due(row, now_ms):
        return None
    fresh = secrets.token_urlsafe(32)
    offered = database.execute(
        "UPDATE sessions SET next = ?, offered_at_ms = ? WHERE id = ? AND token = ? AND (next IS NULL OR offered_at_ms < ?)",
        (hashed(fresh), now_ms, row["id"], its, now_ms - OFFER_EVERY_MS),
    ).rowcount
    return fresh if offered else None


def replayed(database: sqlite3.Connection, row: sqlite3.Row, now_ms: int, address: str) -> None:
    """Say so, once."""
    database.execute("UPDATE sessions SET former = NULL WHERE id = ?", (row["id"],))
    journal.append(database, Line(at_ms=now_ms, event="login.replayed", actor=row["name"], address=address))


def renew(database: sqlite3.Connection, name: str) -> None:
    """All sessions of an account get new tokens at their next use: its rights are others now."""
    database.execute("UPDATE sessions SET token_at_ms = 0 WHERE name = ?", (name,))


def of(database: sqlite3.Connection, name: str, now_ms: int) -> list[Login]:
    """The sessions of an account that hold, the one used last first."""
    found = database.execute(
        "SELECT id, began_at_ms, seen_at_ms, address, browser, role FROM sessions JOIN users USING (name)"
        " WHERE name = ? ORDER BY seen_at_ms DESC",
        (name,),
    )
    return [
        Login(id=id_, began_at_ms=began_ms, seen_at_ms=seen_ms, address=address, browser=browser)
        for id_, began_ms, seen_ms, address, browser, role in found
        if now_ms - seen_ms <= IDLE_MS[role] and now_ms - began_ms <= LIFE_MS[role]
    ]


def leave(database: sqlite3.Connection, session_id: str, now_ms: int) -> None:
    """Before the end of a session whose owner logs out: his browser forgets its tokens, so whoever shows one later has a copy."""
    for token in ("token", "next", "former"):
        database.execute(
            "INSERT OR IGNORE INTO left_behind (token, name, ended_at_ms)"  # noqa: S608 - a column's name
            f" SELECT {token}, name, ? FROM sessions WHERE id = ? AND {token} IS NOT NULL",
            (now_ms, session_id),
        )


def whose_copy(database: sqlite3.Connection, token: str, now_ms: int) -> str | None:
    """Whose login it was that is shown after its owner has logged out, and requests under way have come in."""
    row = database.execute(
        "SELECT name FROM left_behind WHERE token = ? AND ended_at_ms < ?", (hashed(token), now_ms - GRACE_MS)
    ).fetchone()
    return str(row[0]) if row else None


def copied(database: sqlite3.Connection, name: str, token: str, now_ms: int, address: str) -> None:
    """Say so, once."""
    database.execute("DELETE FROM left_behind WHERE token = ?", (hashed(token),))
    journal.append(database, Line(at_ms=now_ms, event="login.replayed", actor=name, address=address))


def end(database: sqlite3.Connection, name: str, *, only: str | None = None, but: str | None = None) -> list[str]:
    """End sessions of an account: one, all but one, or all. Their ids."""
    found = [row[0] for row in database.execute("SELECT id FROM sessions WHERE name = ?", (name,))]
    ended = [one for one in found if (only is None or one == only) and one != but]
    database.executemany("DELETE FROM sessions WHERE id = ?", [(one,) for one in ended])
    return ended


def forget_the_old(database: sqlite3.Connection, now_ms: int) -> None:
    database.execute("DELETE FROM left_behind WHERE ended_at_ms < ?", (now_ms - max(LIFE_MS.values()),))
    for role, life_ms in LIFE_MS.items():
        database.execute(
            "DELETE FROM sessions WHERE began_at_ms < ? AND name IN (SELECT name FROM users WHERE role = ?)",
            (now_ms - life_ms, role),
        )


def user_of(name: str, role: Role, sites: str, grids: str, person: str | None) -> User:
    return User(name, role, Scope(tuple(sites.split()), tuple(grids.split())), person)


def _is_due(row: sqlite3.Row, now_ms: int) -> bool:
    due = now_ms - row["token_at_ms"] > ROTATE_MS
    return due and (row["next"] is None or now_ms - row["offered_at_ms"] > OFFER_EVERY_MS)
