"""Tokens that change while they are used, browsers that are known again, passwords for one login, and the journal of it all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from console.access.journal import MOST_AN_HOUR, Line
from console.access.passwords import ONE_TIME_MS, PasswordError, check, common
from console.access.sessions import GRACE_MS, MOST_SESSIONS, OFFER_EVERY_MS, ROTATE_MS, Session
from console.access.tables import KEPT_MS
from console.accounts import AccountError, Accounts, TooSoon
from console.rights import Scope
from tests.console.block import NOON_MS, PASSWORD

HOME = "10.0.0.7"
LATER_MS = NOON_MS + ROTATE_MS + 1


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path / "console.db")
    made.add("chen", PASSWORD, now_ms=NOON_MS)
    return made


def log_in(accounts: Accounts, at_ms: int = NOON_MS, browser: str = "", password: str = PASSWORD) -> Session:
    session = accounts.log_in("chen", password, HOME, at_ms, browser=browser, program="Firefox")
    assert isinstance(session, Session)
    return session


def seen(accounts: Accounts, token: str | None, at_ms: int) -> Session:
    assert token
    session = accounts.session(token, at_ms)
    assert session
    return session


def test_a_token_in_use_for_hours_is_replaced_and_its_forms_still_count(accounts: Accounts) -> None:
    old = log_in(accounts)
    assert seen(accounts, old.token, NOON_MS + ROTATE_MS).fresh is None
    offered = seen(accounts, old.token, LATER_MS)
    new = seen(accounts, offered.fresh, LATER_MS + 1)
    assert (new.id, new.form) == (old.id, old.form)
    assert new.token != old.token


def test_requests_under_way_go_on_under_the_old_token_for_a_moment_and_then_it_opens_nothing(
    accounts: Accounts,
) -> None:
    old = log_in(accounts)
    seen(accounts, seen(accounts, old.token, LATER_MS).fresh, LATER_MS + 1)
    assert seen(accounts, old.token, LATER_MS + GRACE_MS).fresh is None
    assert accounts.session(old.token, LATER_MS + GRACE_MS + 2, "203.0.113.9") is None
    assert accounts.session(old.token, LATER_MS + GRACE_MS + 3, "203.0.113.9") is None
    (line,) = accounts.journal(events=["login.replayed"])
    assert (line.actor, line.address) == ("chen", "203.0.113.9")


def test_of_two_requests_at_once_one_gets_the_new_token_and_both_go_on(accounts: Accounts) -> None:
    old = log_in(accounts)
    fresh = [seen(accounts, old.token, LATER_MS).fresh for _ in range(2)]
    assert fresh[0]
    assert fresh[1] is None


def test_a_new_token_that_was_lost_on_the_way_locks_nobody_out(accounts: Accounts) -> None:
    old = log_in(accounts)
    lost = seen(accounts, old.token, LATER_MS).fresh
    again = seen(accounts, old.token, LATER_MS + OFFER_EVERY_MS + 1).fresh
    assert again not in (None, lost)
    assert accounts.session(str(lost), LATER_MS + OFFER_EVERY_MS + 2) is None
    seen(accounts, again, LATER_MS + OFFER_EVERY_MS + 2)


def test_other_rights_count_at_once_and_bring_a_new_token(accounts: Accounts) -> None:
    old = log_in(accounts)
    ids = accounts.change("chen", "auditor", Scope(("junmen",)), None, actor="li", now_ms=NOON_MS)
    assert ids == [old.id]
    session = seen(accounts, old.token, NOON_MS + 1)
    assert session.user.role == "auditor"
    assert session.user.scope == Scope(("junmen",))
    assert session.fresh
    assert accounts.change("nobody", "auditor", Scope(), None, actor="li", now_ms=NOON_MS) == ()


def test_a_disabled_account_is_out_at_once_and_back_when_it_is_enabled(accounts: Accounts) -> None:
    old = log_in(accounts)
    assert accounts.enable("chen", enabled=False, actor="li", now_ms=NOON_MS) == [old.id]
    assert accounts.session(old.token, NOON_MS) is None
    assert accounts.log_in("chen", PASSWORD, HOME, NOON_MS) is None
    accounts.enable("chen", enabled=True, actor="li", now_ms=NOON_MS)
    log_in(accounts)
    assert [line.event for line in accounts.journal(names=["li"])] == ["account.enabled", "account.disabled"]


def test_a_password_for_one_login_must_be_changed_and_holds_three_days(accounts: Accounts) -> None:
    given = accounts.give_password("chen", actor="li", now_ms=NOON_MS)
    assert given
    assert accounts.log_in("chen", given[0], HOME, NOON_MS + ONE_TIME_MS + 1) is None
    session = log_in(accounts, password=given[0])
    assert session.one_time
    assert accounts.change_password(session, given[0], "mended by noon", HOME, NOON_MS) == []
    assert not seen(accounts, session.token, NOON_MS).one_time
    assert accounts.give_password("nobody", actor="li", now_ms=NOON_MS) is None


def test_a_new_password_of_ones_own_ends_the_other_sessions(accounts: Accounts) -> None:
    mine, other = log_in(accounts), log_in(accounts)
    assert accounts.change_password(mine, "not the old one", "mended by noon", HOME, NOON_MS) is None
    assert accounts.change_password(mine, PASSWORD, "mended by noon", HOME, NOON_MS) == [other.id]
    assert accounts.session(other.token, NOON_MS) is None
    assert seen(accounts, mine.token, NOON_MS).fresh


def test_whoever_has_a_stolen_session_can_not_guess_its_password_for_long(accounts: Accounts) -> None:
    session = log_in(accounts)
    for _ in range(5):
        assert accounts.change_password(session, "a guess", "mended by noon", HOME, NOON_MS) is None
    assert isinstance(accounts.change_password(session, PASSWORD, "mended by noon", HOME, NOON_MS), TooSoon)


def test_the_same_password_is_no_new_one(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="old password"):
        accounts.change_password(log_in(accounts), PASSWORD, PASSWORD, HOME, NOON_MS)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("too short", "length"),
        ("x" * 201, "length"),
        ("password123!", "common"),
        ("P@ssw0rd2024", "common"),
        ("qwertyuiopas", "common"),
        ("1990-12-24 13800138000", "common"),
        ("chenchen12345", "common"),
        ("woaini1314520", "common"),
        ("adminadmin", "common"),
        ("abababababab", "common"),
        ("wang-xiuying", "name"),
        ("Wang-Xiuying8", "name"),
    ],
)
def test_what_is_guessed_first_is_no_password(password: str, why: str) -> None:
    with pytest.raises(PasswordError, match=why):
        check(password, "wang-xiuying")


@pytest.mark.parametrize("password", ["mended by noon", "三号楼门口的老榕树下有猫", "wang7 crosses Jintai", PASSWORD])
def test_a_sentence_is_a_password(password: str) -> None:
    check(password, "wang")
    assert len(common()) > 300


def test_nobody_can_lock_an_operator_out_whose_browser_is_known(accounts: Accounts) -> None:
    browser = log_in(accounts).browser
    assert browser
    for second in range(300):  # from many addresses, and from the desk's own
        accounts.log_in("chen", "a guess", f"203.0.113.{second % 250}" if second % 2 else HOME, NOON_MS)
    assert isinstance(accounts.log_in("chen", PASSWORD, HOME, NOON_MS), TooSoon)
    assert log_in(accounts, browser=browser).browser == browser


def test_a_known_browser_earns_its_own_waiting_and_is_known_for_its_own_name_alone(accounts: Accounts) -> None:
    browser = log_in(accounts).browser or ""
    for _ in range(5):
        assert accounts.log_in("chen", "a guess", HOME, NOON_MS, browser=browser) is None
    assert isinstance(accounts.log_in("chen", PASSWORD, HOME, NOON_MS, browser=browser), TooSoon)
    accounts.add("li", PASSWORD)
    for _ in range(5):
        accounts.log_in("li", "a guess", HOME, NOON_MS, browser=browser)
    assert isinstance(accounts.log_in("li", PASSWORD, HOME, NOON_MS, browser=browser), TooSoon)


def test_who_waits_is_freed_by_a_command(accounts: Accounts) -> None:
    for _ in range(5):
        accounts.log_in("chen", "a guess", HOME, NOON_MS)
    accounts.free("chen", actor="li", now_ms=NOON_MS)
    log_in(accounts)


def test_the_sessions_of_an_account_are_listed_and_ended_one_by_one(accounts: Accounts) -> None:
    first, second, third = (log_in(accounts, NOON_MS + n) for n in range(3))
    listed = accounts.sessions("chen", NOON_MS + 3)
    assert [login.id for login in listed] == [third.id, second.id, first.id]
    assert (listed[0].address, listed[0].browser) == (HOME, "Firefox")
    accounts.end("chen", only=first.id, actor="chen", now_ms=NOON_MS)
    assert accounts.end("chen", but=third.id, actor="chen", now_ms=NOON_MS) == [second.id]
    assert [login.id for login in accounts.sessions("chen", NOON_MS + 3)] == [third.id]


def test_an_account_has_so_many_sessions_and_no_more(accounts: Accounts) -> None:
    first = log_in(accounts)
    for n in range(1, MOST_SESSIONS + 1):
        log_in(accounts, NOON_MS + n)
    assert len(accounts.sessions("chen", NOON_MS + 100)) == MOST_SESSIONS
    assert accounts.session(first.token, NOON_MS + 100) is None


def test_logins_and_failures_are_in_the_journal_with_the_reason_that_the_guesser_is_not_told(
    accounts: Accounts,
) -> None:
    log_in(accounts)
    accounts.log_in("chen", "a guess", HOME, NOON_MS)
    accounts.log_in("nobody", "a guess", HOME, NOON_MS)
    lines = [(line.event, line.actor, line.detail) for line in accounts.journal()]
    assert lines == [
        ("login.failed", "nobody", "unknown"),
        ("login.failed", "chen", "password"),
        ("login.opened", "chen", ""),
        ("account.added", "command", "operator"),
    ]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM journal", "UPDATE journal SET actor = 'li'", "UPDATE journal SET subject = 'li'"]
)
def test_the_file_itself_refuses_to_change_the_journal(accounts: Accounts, tmp_path: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "console.db")) as database,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        database.execute(statement)


def test_lines_that_are_very_old_go_at_a_login(accounts: Accounts) -> None:
    accounts.note(Line(at_ms=NOON_MS - KEPT_MS - 1, event="refused", actor="li"))
    log_in(accounts)
    assert [line.event for line in accounts.journal()] == ["login.opened", "account.added"]


def test_a_flood_of_failures_does_not_fill_the_disk(accounts: Accounts) -> None:
    for _ in range(MOST_AN_HOUR + 5):
        accounts.note(Line(at_ms=NOON_MS, event="refused", actor="li"))
    counted = [line.event for line in accounts.journal(limit=5000)]
    assert counted.count("refused") == MOST_AN_HOUR
    assert counted.count("journal.more") == 1
    log_in(accounts)
    assert accounts.journal(limit=1)[0].event == "login.opened"


def test_noise_does_not_hide_what_somebody_else_is_refused_or_a_copied_cookie(accounts: Accounts) -> None:
    for event in ("refused", "login.failed"):
        for _ in range(MOST_AN_HOUR + 5):
            accounts.note(Line(at_ms=NOON_MS, event=event, actor="api" if event == "refused" else "whoever"))
    for event, who in (("refused", "wang"), ("login.replayed", "li")):
        accounts.note(Line(at_ms=NOON_MS, event=event, actor=who))  # type: ignore[arg-type]
    assert [(line.event, line.actor) for line in accounts.journal(limit=2)] == [
        ("login.replayed", "li"),
        ("refused", "wang"),
    ]
    for number in range(5):
        accounts.note(Line(at_ms=NOON_MS, event="login.failed", actor=f"made up {number}"))
    lines = accounts.journal(limit=5000)
    assert len(lines) == 2 * MOST_AN_HOUR + 5, "a name for each try makes no room"
    assert [line.detail for line in lines if line.event == "journal.more"] == ["login.failed", "refused"]


def test_what_is_personal_in_old_lines_is_blanked_and_the_lines_remain(accounts: Accounts) -> None:
    def looked(at_ms: int) -> Line:
        return Line(
            at_ms=at_ms,
            event="person.looked",
            actor="chen",
            subject="junmen/h-1",
            cause="c-1",
            address=HOME,
            detail="fell",
        )

    accounts.note(looked(NOON_MS))
    accounts.note(looked(NOON_MS + 1000))
    assert accounts.forget(NOON_MS + 1000) == 1
    new, old = accounts.journal(events=["person.looked"])
    assert (new.subject, new.detail, new.address) == ("junmen/h-1", "fell", HOME)
    assert (old.subject, old.detail, old.address, old.actor, old.cause) == ("", "", "", "chen", "c-1")
    assert accounts.forget(NOON_MS + 1000) == 0
