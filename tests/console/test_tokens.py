"""Tokens of other systems: shown once, kept as hashes, of some rights at some sites, for a time."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.commands import app
from console.tokens import DAY_MS, TokenError, Tokens
from tests.console.block import NOON_MS, settings


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "console.db")


def test_a_token_holds_until_its_day(tokens: Tokens) -> None:
    secret = tokens.add("city", ["act", "read"], NOON_MS, days=2, sites=["junmen"])
    found = tokens.find(secret, NOON_MS + 2 * DAY_MS - 1)
    assert found
    assert (found.name, found.rights, found.scope.sites, found.actor) == (
        "city",
        ("read", "act"),
        ("junmen",),
        "api:city",
    )
    assert tokens.find(secret, NOON_MS + 2 * DAY_MS) is None
    assert tokens.find(secret + "x", NOON_MS) is None
    assert tokens.find("gct_\udc80", NOON_MS) is None


def test_the_file_holds_no_token(tokens: Tokens, tmp_path: Path) -> None:
    secret = tokens.add("city", ["read"], NOON_MS, days=1)
    with sqlite3.connect(tmp_path / "console.db") as database:
        kept = "\n".join(database.iterdump())
    database.close()
    assert "city" in kept
    assert secret not in kept
    assert secret.removeprefix("gct_") not in kept


def test_the_last_use_is_written_down_once_a_minute(tokens: Tokens) -> None:
    secret = tokens.add("city", ["read"], NOON_MS, days=1)
    for after_ms in (1_000, 30_000, 62_000):
        tokens.find(secret, NOON_MS + after_ms)
    assert [one.used_at_ms for one in tokens.all()] == [NOON_MS + 62_000]


def test_a_rotated_token_keeps_its_old_secret_as_long_as_it_is_told(tokens: Tokens) -> None:
    old = tokens.add("city", ["read"], NOON_MS, days=1)
    new = tokens.rotate("city", NOON_MS + 1, days=10, keep_old_s=60)
    assert tokens.find(old, NOON_MS + 60_000)
    assert tokens.find(old, NOON_MS + 60_001) is None
    assert tokens.find(new, NOON_MS + 9 * DAY_MS)


def test_a_revoked_token_is_over_at_once_and_its_name_is_never_given_again(tokens: Tokens) -> None:
    old = tokens.add("city", ["read"], NOON_MS, days=1)
    new = tokens.rotate("city", NOON_MS, days=1, keep_old_s=3600)
    assert tokens.revoke("city", NOON_MS)
    assert not tokens.revoke("city", NOON_MS)
    assert tokens.find(old, NOON_MS) is None
    assert tokens.find(new, NOON_MS) is None
    with pytest.raises(TokenError, match="there is, or was"):
        tokens.add("city", ["read"], NOON_MS, days=1)
    with pytest.raises(TokenError, match="revoked"):
        tokens.rotate("city", NOON_MS, days=1)


@pytest.mark.parametrize(
    ("name", "rights", "more", "said"),
    [
        ("City", ["read"], {}, "lower-case"),
        ("city", [], {}, "rights are some of"),
        ("city", ["write"], {}, "not 'write'"),
        ("city", ["read"], {"sites": ["A b"]}, "'A b'"),
        ("city", ["read"], {"days": 0}, "days"),
        ("city", ["act"], {"person": "api:other"}, "no person"),
        ("city", ["act"], {"person": "rules"}, "no person"),
    ],
)
def test_what_is_wrong_with_a_token_is_said(
    tokens: Tokens, name: str, rights: list[str], more: dict[str, object], said: str
) -> None:
    with pytest.raises(TokenError, match=said):
        tokens.add(name, rights, NOON_MS, **({"days": 1} | more))  # type: ignore[arg-type]


def test_the_commands_make_list_rotate_and_end_a_token(tmp_path: Path) -> None:
    config, run = str(settings(tmp_path)), CliRunner().invoke
    made = run(app, ["token", "add", config, "city", "--right", "read", "--site", "junmen"])
    assert made.output.startswith("gct_"), made.output
    assert "city\tread\tjunmen\tapi:city\tuntil" in run(app, ["token", "list", config]).output
    rotated = run(app, ["token", "rotate", config, "city", "--keep-old", "1h"])
    assert rotated.output.startswith("gct_")
    assert rotated.output != made.output
    assert run(app, ["token", "revoke", config, "city"]).exit_code == 0
    listed = run(app, ["token", "list", config]).output
    assert "revoked" in listed
    assert "never used" in listed
