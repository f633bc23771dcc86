"""Every sentence that a program can say to people stands in both languages (messages/language.py)."""

import ast
import errno
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

ROOT = Path(__file__).parent.parent
SENTENCES = {"phrase": 0, "Unfit": 0, "Misfit": 0, "ConfigError": 0, "TokenError": 0, "_should_be": 0, "_wrong": 1}
"""What takes a template, and the position at which it stands."""
ELSEWHERE = "outside.zh.toml"
"""The words of others: the operating system, the TOML parser, pydantic."""

OF_LINES = (
    errno.EACCES, errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EBADF, errno.EBUSY, errno.ECONNREFUSED, errno.ECONNRESET,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EINVAL, errno.EIO, errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV, errno.ENOENT, errno.ENOTTY,
    errno.ENXIO, errno.EPERM, errno.EPIPE, errno.EPROTO, errno.EREMOTEIO, errno.ETIMEDOUT,
)  # fmt: skip


def slots(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def is_said(template: str) -> bool:
    """Whether there is anything to translate: a word outside the slots."""
    return any(letter.isalpha() for text, _, _, _ in Formatter().parse(template) for letter in text)


def calls() -> Iterator[tuple[str, ast.Call]]:
    """All in the product's code, with their file."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in files.stdout.split():
        if name.startswith("tests/") or not (ROOT / name).exists():
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield name, node


def templates() -> Iterator[tuple[str, str]]:
    """All that stand in the product's code, with their place."""
    for name, node in calls():
        if (called := called_by(node)) in SENTENCES:
            at = SENTENCES[called]
            if (
                len(node.args) > at
                and isinstance(found := node.args[at], ast.Constant)
                and isinstance(found.value, str)
            ):
                yield found.value, f"{name}:{node.lineno}"


def test_no_error_of_configuration_is_said_in_one_language_alone() -> None:
    """What is put together before it is said can't be said anew."""
    assert [
        f"{name}:{node.lineno}"
        for name, node in calls()
        if called_by(node) == "ConfigError"
        and node.args
        and not name.startswith("simulators/")
        and is_put_together(node.args[0])
    ] == []


def is_put_together(said: ast.expr) -> bool:
    return isinstance(said, ast.JoinedStr) or (isinstance(said, ast.Call) and called_by(said) == "str")


def called_by(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def table(*, elsewhere: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted((ROOT / "messages/texts").glob("*.zh.toml")):
        if (file.name == ELSEWHERE) == elsewhere:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
            assert not found.keys() & content.keys(), f"{file.name}: said twice"
            found |= content
    return found


def test_every_sentence_stands_in_chinese_and_no_other() -> None:
    wanted = {template: place for template, place in templates() if is_said(template)}
    known = table(elsewhere=False)
    assert {template: place for template, place in wanted.items() if template not in known} == {}
    assert [template for template in known if template not in wanted] == []


@pytest.mark.parametrize("elsewhere", [True, False])
def test_both_languages_have_the_same_slots_and_the_chinese_is_chinese(elsewhere: bool) -> None:
    for template, chinese in table(elsewhere=elsewhere).items():
        if not elsewhere:
            assert slots(template) == slots(chinese), template
        assert any("一" <= sign <= "龥" for sign in chinese) or not chinese.isascii(), template


@pytest.mark.parametrize("number", OF_LINES)
def test_what_the_kernel_says_of_ports_and_connections_stands_in_chinese(number: int) -> None:
    assert os.strerror(number) in table(elsewhere=True)
