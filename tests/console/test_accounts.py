"""Accounts, sessions and the waiting that failed logins earn, in a real file."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from console.access.sessions import HOUR_MS, IDLE_MS, LIFE_MS, SEEN_EVERY_MS, Session
from console.accounts import AccountError, Accounts, TooSoon, form_token
from console.rights import Scope, User
from messages.settings import ConfigError
from tests.console.block import NOON_MS, PASSWORD

HOME = "10.0.0.7"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path / "console.db")
    made.add("chen", PASSWORD)
    return made


def logged_in(accounts: Accounts, name: str = "chen", at_ms: int = NOON_MS) -> Session:
    session = accounts.log_in(name, PASSWORD, HOME, at_ms)
    assert isinstance(session, Session)
    return session


def test_the_right_password_opens_a_session_that_another_process_knows(accounts: Accounts, tmp_path: Path) -> None:
    session = logged_in(accounts)
    assert session.user == User("chen", "operator")
    assert Accounts(tmp_path / "console.db").session(session.token, NOON_MS) == session


@pytest.mark.parametrize(("name", "password"), [("chen", "wrong password"), ("nobody", PASSWORD), ("chen", "x" * 5000)])
def test_a_wrong_name_or_password_opens_nothing(accounts: Accounts, name: str, password: str) -> None:
    assert accounts.log_in(name, password, HOME, NOON_MS) is None


def test_nothing_in_the_file_is_a_password_or_a_session_token(accounts: Accounts, tmp_path: Path) -> None:
    session = logged_in(accounts)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PASSWORD.encode() not in content
    assert session.token.encode() not in content
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in content
    assert stat.S_IMODE((tmp_path / "console.db").stat().st_mode) == 0o600


def test_logging_out_ends_the_session_for_whoever_kept_its_cookie(accounts: Accounts) -> None:
    session, other = logged_in(accounts), logged_in(accounts)
    assert accounts.end("chen", only=session.id, actor="chen", now_ms=NOON_MS) == [session.id]
    assert accounts.session(session.token, NOON_MS) is None
    assert accounts.session(other.token, NOON_MS) == other


def test_a_session_ends_when_it_is_unused_for_long_and_lives_on_while_it_is_used(accounts: Accounts) -> None:
    idle, used = logged_in(accounts), logged_in(accounts)
    for hour in range(1, 14):
        assert accounts.session(used.token, NOON_MS + hour * HOUR_MS)
    assert accounts.session(idle.token, NOON_MS + IDLE_MS["operator"] + 1) is None


def test_a_session_grows_old_however_much_it_is_used(accounts: Accounts) -> None:
    session = logged_in(accounts)
    for at_ms in range(NOON_MS, NOON_MS + LIFE_MS["operator"], 6 * HOUR_MS):
        assert accounts.session(session.token, at_ms)
    assert accounts.session(session.token, NOON_MS + LIFE_MS["operator"] + 1) is None


def test_a_worker_is_not_asked_to_log_in_every_day(accounts: Accounts) -> None:
    accounts.add("wang", PASSWORD, "worker")
    session = logged_in(accounts, "wang")
    assert accounts.session(session.token, NOON_MS + 20 * 24 * HOUR_MS)


def test_a_new_password_ends_the_old_sessions(accounts: Accounts) -> None:
    session = logged_in(accounts)
    accounts.add("chen", "quite another password")
    assert accounts.session(session.token, NOON_MS) is None
    assert accounts.log_in("chen", PASSWORD, HOME, NOON_MS) is None


def test_removing_an_account_ends_its_sessions(accounts: Accounts) -> None:
    session = logged_in(accounts)
    assert accounts.remove("chen", actor="li", now_ms=NOON_MS)
    assert accounts.session(session.token, NOON_MS) is None
    assert not accounts.remove("chen", actor="li", now_ms=NOON_MS)
    assert accounts.users() == []


@pytest.mark.parametrize(
    ("name", "password"), [("", PASSWORD), ("a\nb", PASSWORD), (" a", PASSWORD), ("x" * 41, PASSWORD), ("a", "short")]
)
def test_a_name_or_password_that_would_cause_trouble_is_refused(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(AccountError):
        accounts.add(name, password)


def test_after_five_failures_even_the_right_password_has_to_wait(accounts: Accounts) -> None:
    for _ in range(5):
        assert accounts.log_in("chen", "a guess", HOME, NOON_MS) is None
    assert isinstance(accounts.log_in("chen", PASSWORD, HOME, NOON_MS), TooSoon)
    assert isinstance(accounts.log_in("chen", PASSWORD, HOME, NOON_MS + 5000), Session)


def test_the_waiting_survives_a_restart(accounts: Accounts, tmp_path: Path) -> None:
    for _ in range(5):
        accounts.log_in("chen", "a guess", HOME, NOON_MS)
    assert isinstance(Accounts(tmp_path / "console.db").log_in("chen", PASSWORD, HOME, NOON_MS), TooSoon)


def test_a_guesser_elsewhere_does_not_keep_the_operator_out(accounts: Accounts) -> None:
    for second in range(40):
        accounts.log_in("chen", "a guess", "203.0.113.9", NOON_MS + second * 1000)
    assert isinstance(accounts.log_in("chen", PASSWORD, HOME, NOON_MS + 40_000), Session)


def test_a_guesser_who_walks_through_the_names_is_stopped_by_address(accounts: Accounts) -> None:
    for number in range(25):
        assert accounts.log_in(f"name-{number}", "a guess", HOME, NOON_MS) is None
    assert isinstance(accounts.log_in("another", "a guess", HOME, NOON_MS), TooSoon)


def test_a_file_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accounts: .*nowhere/console\.db"):
        Accounts(tmp_path / "nowhere" / "console.db")


def test_old_failures_and_sessions_are_forgotten_at_a_login(accounts: Accounts, tmp_path: Path) -> None:
    logged_in(accounts)
    accounts.log_in("chen", "a guess", HOME, NOON_MS)
    logged_in(accounts, at_ms=NOON_MS + LIFE_MS["operator"] + 1)
    database = sqlite3.connect(tmp_path / "console.db")
    assert database.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM failures").fetchone() == (0,)
    database.close()


def test_the_token_of_a_form_belongs_to_one_session_and_does_not_give_it_away() -> None:
    assert form_token("one") == form_token("one")
    assert form_token("one") != form_token("two")
    assert "one" not in form_token("one")


def test_a_session_holds_while_its_use_can_not_be_written_down(accounts: Accounts, tmp_path: Path) -> None:
    session = logged_in(accounts)
    with closing(sqlite3.connect(tmp_path / "console.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert accounts.session(session.token, NOON_MS + SEEN_EVERY_MS + 1) == session
    assert accounts.session(session.token, NOON_MS + SEEN_EVERY_MS + 1) == session
    with closing(sqlite3.connect(tmp_path / "console.db")) as other:
        assert other.execute("SELECT seen_at_ms FROM sessions").fetchone() == (NOON_MS + SEEN_EVERY_MS + 1,)


def test_an_account_is_confined_to_its_sites_and_grids_and_is_somebody_in_the_roster(accounts: Accounts) -> None:
    accounts.add("wang", PASSWORD, "worker", Scope(("junmen",), ("grid-1", "grid-2")), "wang-xiuying")
    user = logged_in(accounts, "wang").user
    assert user == User("wang", "worker", Scope(("junmen",), ("grid-1", "grid-2")), "wang-xiuying")
    assert user.person_id == "wang-xiuying"
    accounts.add("wang", PASSWORD, "worker")
    assert logged_in(accounts, "wang").user.scope == Scope()
