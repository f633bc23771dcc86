"""Who may log in, and who is logged in: one SQLite file, nothing of it kept in memory.

A password is kept as an argon2 hash, a session as the hash of a random token: whoever steals the file can log in
with neither. A session ends by logout, by a new password, with its account, when it was unused for long or grows old.
Every call opens and closes its own connection, so that any thread and any process may call. What changes something is in the journal.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from console.access import journal, passwords, sessions
from console.access.journal import Event, Line
from console.access.passwords import ONE_TIME_MS, PasswordError
from console.access.sessions import Login, Session, hashed, user_of
from console.access.tables import KEPT_MS, AccountFile
from console.rights import EVERYWHERE, Role, Scope, User
from console.throttle import FORGET_S, PAIR, Failures, Limit, counters, failed, wait_s
from messages.language import Phrase, Unfit, phrase, why
from messages.settings import ConfigError

SEEN_WAIT_S = 0.1
"""How long a request waits for the use of its session to be written down."""
BROWSER_MS = 180 * 86_400_000
"""How long a browser is known again after its last login."""
MOST_BROWSERS = 10

MOST_NAME = 40


class AccountError(Unfit):
    """The name or the password can't be taken; the message says why, and `why` in a word: name_form, or one of PasswordError's."""

    def __init__(self, message: Phrase, why: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class TooSoon:
    """The attempt was not looked at: too many failed before it."""

    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as who keeps the list sees it."""

    user: User
    one_time: bool
    password_at_ms: int
    disabled_at_ms: int | None
    seen_at_ms: int | None
    """When it was last used, as far as it is logged in."""


class Accounts:
    """The accounts in one file, which is made when it isn't there. Raises ConfigError when it can't be."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = AccountFile(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError("accounts: {path}: {why}", path=path, why=why(error)) from error

    def add(
        self,
        name: str,
        password: str,
        role: Role = "operator",
        scope: Scope = EVERYWHERE,
        person: str | None = None,
        *,
        one_time: bool = False,
        actor: str = "command",
        now_ms: int = 0,
    ) -> None:
        """Make the account, or give it a new password, role and scope, which ends its sessions. Raises AccountError."""
        if not 0 < len(name) <= MOST_NAME or not name.isprintable() or name != name.strip():
            form = phrase(
                "a name has 1 to {most} printable characters and no blank at either end: {name!r}",
                most=MOST_NAME,
                name=name,
            )
            raise AccountError(form, "name_form")
        checked(password, name)
        values = (
            role,
            passwords.hashed(password),
            " ".join(scope.sites),
            " ".join(scope.grids),
            person,
            one_time,
            now_ms,
        )
        with self._open() as database:
            sessions.end(database, name)
            database.execute("DELETE FROM browsers WHERE name = ?", (name,))
            database.execute(
                "INSERT INTO users (name, role, password, sites, grids, person, one_time, password_at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = ?2, password = ?3, sites = ?4,"
                " grids = ?5, person = ?6, one_time = ?7, password_at_ms = ?8, disabled_at_ms = NULL",
                (name, *values),
            )
            _note(database, "account.added", actor, name, now_ms, _rights_in_words(role, scope))

    def users(self) -> list[User]:
        return [account.user for account in self.list()]

    def list(self) -> Sequence[Account]:
        """All of them, by name."""
        query = (
            "SELECT name, role, sites, grids, person, one_time, password_at_ms, disabled_at_ms, max(seen_at_ms)"
            " FROM users LEFT JOIN sessions USING (name) GROUP BY name ORDER BY name"
        )
        with self._open() as database:
            return [_account(*row) for row in database.execute(query)]

    def account(self, name: str) -> Account | None:
        return next((account for account in self.list() if account.user.name == name), None)

    def change(
        self, name: str, role: Role, scope: Scope, person: str | None, *, actor: str, now_ms: int
    ) -> Sequence[str]:
        """Give an account other rights. It stays logged in, under new tokens. The ids of its sessions."""
        with self._open() as database:
            if not database.execute(
                "UPDATE users SET role = ?, sites = ?, grids = ?, person = ? WHERE name = ?",
                (role, " ".join(scope.sites), " ".join(scope.grids), person, name),
            ).rowcount:
                return ()
            sessions.renew(database, name)
            _note(database, "account.changed", actor, name, now_ms, _rights_in_words(role, scope))
            return [login.id for login in sessions.of(database, name, now_ms)]

    def enable(self, name: str, *, enabled: bool, actor: str, now_ms: int) -> Sequence[str]:
        """Let an account in again, or keep it out, which ends its sessions. The ids of those."""
        with self._open() as database:
            if not database.execute(
                "UPDATE users SET disabled_at_ms = ? WHERE name = ? AND (disabled_at_ms IS NULL) <> ?",
                (None if enabled else now_ms, name, enabled),
            ).rowcount:
                return ()
            _note(database, "account.enabled" if enabled else "account.disabled", actor, name, now_ms)
            return () if enabled else sessions.end(database, name)

    def give_password(self, name: str, *, actor: str, now_ms: int) -> tuple[str, Sequence[str]] | None:
        """A password for one login, within three days, and the ids of the sessions that this ends. None if there is no such account."""
        password = passwords.one_time()
        with self._open() as database:
            if not database.execute(
                "UPDATE users SET password = ?, one_time = 1, password_at_ms = ? WHERE name = ?",
                (passwords.hashed(password), now_ms, name),
            ).rowcount:
                return None
            database.execute("DELETE FROM browsers WHERE name = ?", (name,))
            _note(database, "password.given", actor, name, now_ms)
            return password, sessions.end(database, name)

    def change_password(
        self, session: Session, old: str, new: str, address: str, now_ms: int
    ) -> Sequence[str] | TooSoon | None:
        """The user's own: ends the other sessions, whose ids are the answer. None when `old` is wrong. Raises AccountError."""
        name, key = session.user.name, f"own {session.user.name}"
        with self._open() as database:
            known = _failures(database, key)
            if wait := wait_s(PAIR, known, now_ms):
                return TooSoon(wait)
            row = database.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        if row is None or not passwords.matches(row[0], old):
            with self._open() as database:
                _remember(database, {key: failed(known, now_ms)})
                _note(database, "login.failed", name, name, now_ms, "own", address)
            return None
        if old == new:
            raise AccountError(phrase("this is the old password"), "same")
        checked(new, name)
        with self._open() as database:
            database.execute(
                "UPDATE users SET password = ?, one_time = 0, password_at_ms = ? WHERE name = ?",
                (passwords.hashed(new), now_ms, name),
            )
            sessions.renew(database, name)
            _note(database, "password.changed", name, name, now_ms, address=address)
            return sessions.end(database, name, but=session.id)

    def remove(self, name: str, *, actor: str, now_ms: int) -> bool:
        """End the account and its sessions. False if there is none of that name."""
        with self._open() as database:
            if not database.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount:
                return False
            _note(database, "account.removed", actor, name, now_ms)
        return True

    def free(self, name: str, *, actor: str, now_ms: int) -> None:
        """Let nobody wait for what failed before under this name."""
        with self._open() as database:
            database.execute("DELETE FROM failures WHERE key IN (?, ?)", (f"name {name}", f"own {name}"))
            database.execute(
                "DELETE FROM failures WHERE (key LIKE 'pair %' OR key LIKE 'browser %') AND substr(key, -?) = ?",
                (len(name) + 1, f" {name}"),
            )
            _note(database, "account.freed", actor, name, now_ms)

    def log_in(
        self, name: str, password: str, address: str, now_ms: int, *, browser: str = "", program: str = ""
    ) -> Session | TooSoon | None:
        """A new session; None for a wrong name or password. Takes some 50 ms and 19 MiB.

        `browser`: the secret that an earlier login of this name left there. It has a counter of its own, so that no stranger's
        failures, from wherever, keep its owner waiting. `program`: what the browser calls itself.
        """
        name = name[:MOST_NAME]
        with self._open() as database:
            is_known = _is_known(database, name, browser, now_ms)
            keys = {f"browser {hashed(browser)} {name}": PAIR} if is_known else counters(name, address)
            known = {key: _failures(database, key) for key in keys}
            if wait := max(wait_s(limit, known[key], now_ms) for key, limit in keys.items()):
                return TooSoon(wait)
            row = database.execute(
                "SELECT password, one_time, password_at_ms, disabled_at_ms FROM users WHERE name = ?", (name,)
            ).fetchone()
        right = passwords.matches(row[0] if row else passwords.NOBODYS_HASH, password)
        with self._open() as database:
            if (why := _why_not(row, now_ms, right=right)) is not None:
                _remember(database, {key: failed(known[key], now_ms) for key in keys})
                _note(database, "login.failed", name, name, now_ms, why, address)
                return None
            _forgive(database, keys)
            _forget_the_old(database, now_ms)
            token = sessions.begin(database, name, address, program, now_ms)
            browser = browser if is_known else secrets.token_urlsafe(32)
            _know(database, name, browser, now_ms)
            _note(database, "login.opened", name, name, now_ms, "", address)
            found = sessions.find(database, token, now_ms)
        if found is None:  # disabled meanwhile
            return None
        return _with(found[0], browser=browser)

    def session(self, token: str, now_ms: int, address: str = "") -> Session | None:
        """Who is logged in with `token`; counts as use of the session. Its `fresh` is to be sent back."""
        with self._open() as database:
            found = sessions.find(database, token, now_ms)
            copied = sessions.whose_copy(database, token, now_ms) if found is None else None
        if copied is not None:
            with suppress(sqlite3.OperationalError), self._open(wait_s=SEEN_WAIT_S) as database:
                sessions.copied(database, copied, token, now_ms, address)
        if found is None:
            return None
        session, row = found
        replayed = sessions.is_replayed(row, token, now_ms)
        if not replayed and not sessions.wants_writing(row, token, now_ms):
            return session
        # A full disk, or another one who writes, must not keep a person from the alarms.
        with suppress(sqlite3.OperationalError), self._open(wait_s=SEEN_WAIT_S) as database:
            if replayed:
                sessions.replayed(database, row, now_ms, address)
            elif fresh := sessions.used(database, row, token, now_ms):
                session = _with(session, fresh=fresh)
        return None if replayed else session

    def sessions(self, name: str, now_ms: int) -> Sequence[Login]:
        with self._open() as database:
            return sessions.of(database, name, now_ms)

    def standing(self) -> Mapping[str, Scope]:
        """The sessions that have not been ended, by id, and for which places they count."""
        query = "SELECT id, sites, grids FROM sessions JOIN users USING (name) WHERE disabled_at_ms IS NULL"
        with self._open() as database:
            return {
                session_id: Scope(tuple(sites.split()), tuple(grids.split()))
                for session_id, sites, grids in database.execute(query)
            }

    def end(
        self, name: str, *, actor: str, now_ms: int, only: str | None = None, but: str | None = None
    ) -> Sequence[str]:
        """End sessions of an account: one, all but one, or all. Their ids."""
        with self._open() as database:
            if ended := sessions.end(database, name, only=only, but=but):
                _note(database, "login.ended", actor, name, now_ms, str(len(ended)))
            return ended

    def log_out(self, session: Session, now_ms: int) -> Sequence[str]:
        """The end of a login by its owner: whoever shows it later has a copy, and the journal says so. Its id."""
        with self._open() as database:
            sessions.leave(database, session.id, now_ms)
        return self.end(session.user.name, only=session.id, actor=session.user.name, now_ms=now_ms)

    def note(self, line: Line) -> None:
        """Something for the journal. Raises sqlite3.Error when it can't be written."""
        with self._open() as database:
            journal.append(database, line)

    def journal(
        self,
        *,
        events: Sequence[str] = (),
        names: Sequence[str] = (),
        among: Sequence[str] | None = None,
        before_seq: int | None = None,
        limit: int = 200,
    ) -> Sequence[Line]:
        """Its lines, the latest first. `among`: of these accounts alone."""
        with self._open() as database:
            return journal.lines(database, events=events, names=names, among=among, before_seq=before_seq, limit=limit)

    def forget(self, before_ms: int) -> int:
        """Take what is personal out of the journal's lines before a time. How many."""
        with self._open() as database:
            return journal.blank(database, before_ms)

    def _open(self, wait_s: float = 5) -> AbstractContextManager[sqlite3.Connection]:
        return self._file.open(wait_s)


def form_token(secret: str) -> str:
    """What a form must carry to be believed: bound to the login's secret, of no use for finding it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def checked(password: str, name: str) -> None:
    """Raises AccountError that says what is wrong with a password."""
    try:
        passwords.check(password, name)
    except PasswordError as error:
        raise AccountError(_COMPLAINTS[str(error)], str(error)) from error


_COMPLAINTS = {
    "length": phrase("a password has {least} to {most} characters", least=passwords.LEAST, most=passwords.MOST),
    "name": phrase("a password is not the name"),
    "common": phrase("this password is among the first that are guessed"),
}


def _with(session: Session, *, fresh: str | None = None, browser: str | None = None) -> Session:
    one_time, at_ms = session.one_time, session.password_at_ms
    return Session(session.token, session.user, session.id, session.form, one_time, at_ms, fresh, browser)


def _why_not(row: tuple[str, int, int, int | None] | None, now_ms: int, *, right: bool) -> str | None:
    """Why nobody comes in; for the journal, not for who tried."""
    if row is None:
        return "unknown"
    if not right:
        return "password"
    _, one_time, password_at_ms, disabled_at_ms = row
    if disabled_at_ms is not None:
        return "disabled"
    return "expired" if one_time and now_ms - password_at_ms > ONE_TIME_MS else None


def _is_known(database: sqlite3.Connection, name: str, browser: str, now_ms: int) -> bool:
    if not browser:
        return False
    its = (hashed(browser), name, now_ms - BROWSER_MS)
    found = database.execute("SELECT 1 FROM browsers WHERE token = ? AND name = ? AND seen_at_ms > ?", its)
    return found.fetchone() is not None


def _know(database: sqlite3.Connection, name: str, browser: str, now_ms: int) -> None:
    database.execute("INSERT OR REPLACE INTO browsers VALUES (?, ?, ?)", (hashed(browser), name, now_ms))
    database.execute(
        "DELETE FROM browsers WHERE name = ? AND token NOT IN"
        " (SELECT token FROM browsers WHERE name = ? ORDER BY seen_at_ms DESC LIMIT ?)",
        (name, name, MOST_BROWSERS),
    )


def _forgive(database: sqlite3.Connection, keys: dict[str, Limit]) -> None:
    """The address keeps its count, for whoever has one password may still be guessing at others'; and the name, for others may."""
    database.executemany("DELETE FROM failures WHERE key = ?", [(key,) for key, limit in keys.items() if limit is PAIR])


def _forget_the_old(database: sqlite3.Connection, now_ms: int) -> None:
    database.execute("DELETE FROM failures WHERE last_at_ms < ?", (now_ms - FORGET_S * 1000,))
    database.execute("DELETE FROM browsers WHERE seen_at_ms < ?", (now_ms - BROWSER_MS,))
    database.execute("DELETE FROM journal WHERE at_ms < (SELECT max(at_ms) FROM journal) - ?", (KEPT_MS,))
    sessions.forget_the_old(database, now_ms)


def _note(
    database: sqlite3.Connection,
    event: Event,
    actor: str,
    subject: str,
    now_ms: int,
    detail: str = "",
    address: str = "",
) -> None:
    line = Line(at_ms=now_ms, event=event, actor=actor, subject=subject, detail=detail, address=address)
    journal.append(database, line)


def _rights_in_words(role: Role, scope: Scope) -> str:
    return " ".join((role, *scope.sites, *scope.grids))


def _account(
    name: str,
    role: Role,
    sites: str,
    grids: str,
    person: str | None,
    one_time: int,
    password_at_ms: int,
    disabled_at_ms: int | None,
    seen_at_ms: int | None,
) -> Account:
    return Account(
        user=user_of(name, role, sites, grids, person),
        one_time=bool(one_time),
        password_at_ms=password_at_ms,
        disabled_at_ms=disabled_at_ms,
        seen_at_ms=seen_at_ms,
    )


def _remember(database: sqlite3.Connection, failures: dict[str, Failures]) -> None:
    rows = [(key, now.count, now.last_at_ms) for key, now in failures.items()]
    database.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", rows)


def _failures(database: sqlite3.Connection, key: str) -> Failures:
    row = database.execute("SELECT count, last_at_ms FROM failures WHERE key = ?", (key,)).fetchone()
    return Failures(*row) if row else Failures()
