"""Tokens of other systems: shown once, kept as hashes, of some rights at some sites, for a time."""

import re
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.commands import app
from console.tokens import DAY_MS, TokenError, Tokens
from messages.settings import ConfigError
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


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--site", "junmeng"), "--site: no site `junmeng`; did you mean `junmen`?"),
        (("--site", "junmen", "--person", "gas-dest"), "--person: nobody on a roster is `gas-dest`; did you mean `gas-desk`?"),
        (("--person", "gas-dest"), "--person: nobody on a roster is `gas-dest`; did you mean `gas-desk`?"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", ["token", "account"])
def test_nobody_is_let_in_at_a_site_or_as_a_person_that_nobody_knows(
    tmp_path: Path, more: tuple[str, ...], said: str, what: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(app, _adding(what, tmp_path, *more), catch_exceptions=False)
    assert str(caught.value) == said
    assert CliRunner().invoke(app, [_WORDS[what][0], "list", str(tmp_path / "console.toml")]).output == ""


def test_a_grid_is_looked_for_in_the_files_of_its_sites(tmp_path: Path) -> None:
    for more in (("--grid", "grid-1"), ("--site", "junmen", "--grid", "junmen/grid-2")):
        assert CliRunner().invoke(app, _adding("account", tmp_path, *more)).exit_code == 0
    with pytest.raises(ConfigError, match="no grid `grid-9`"):
        CliRunner().invoke(app, _adding("account", tmp_path, "--grid", "grid-9"), catch_exceptions=False)


@pytest.mark.parametrize("what", ["token", "account"])
def test_where_no_file_of_a_site_can_be_read_whoever_lets_somebody_in_is_warned(tmp_path: Path, what: str) -> None:
    words = _adding(what, tmp_path, "--site", "junmen", "--person", "gas-desk", "--language", "zh")
    config = tmp_path / "console.toml"
    config.write_text(re.sub("(?m)^site_files.*", "", config.read_text(encoding="utf-8")), encoding="utf-8")
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    assert made.stderr.splitlines() == [
        f"警告：--site：无法核对有没有社区 `junmen`：{config} 没有写 `site_files`",
        f"警告：--person：无法核对有没有 `gas-desk`：{config} 没有写 `site_files`",
    ]


def test_a_site_whose_file_is_broken_is_known_and_who_is_on_its_roster_a_doubt(tmp_path: Path) -> None:
    words = _adding("token", tmp_path, "--site", "junmen", "--person", "gas-desk")
    (tmp_path / "sites/junmen.toml").write_text("name = ")
    made = CliRunner().invoke(app, words)
    assert (made.exit_code, made.stdout[:4]) == (0, "gct_")
    assert (
        made.stderr == "warning: --person: whether there is a `gas-desk` can't be told: no file of junmen can be read\n"
    )


_WORDS = {"token": ("token", "--right", "read"), "account": ("user", "--one-time")}


def _adding(what: str, folder: Path, *more: str) -> list[str]:
    group, *rights = _WORDS[what]
    return [group, "add", str(settings(folder)), "city", *rights, *more]
