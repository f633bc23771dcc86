"""Where a key and its value stand: checked against what the TOML parser reads, not against our own idea of it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.spot import DEEPEST, MOST, Where, letters, place, spots

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted(path for name in ("messages", "edge", "rules", "simulators") for path in (ROOT / name).rglob("*.toml"))

EVERY_FORM = '''"quoted key" = 1 # a comment with = and "
dotted . 'and quoted'.key = "a \\"text\\" with # and \\u96e8"
long = """
first line \\
   joined
"two" quotes""""
raw = \'\'\'
C:\\path\'\'\'
array = [ # one
  1, [2, "x"], # two
  { a = "]", b = [ { c = 2024-01-01 00:00:00 } ] },
]
[table.of.tables]
key = -1.5e3
[[rows]]
name = "first"
  [[rows.cells]]
  at = 0
  [[rows.cells]]
  at = 1
[[rows]]
name = "second"
  [[rows.cells]]
  at = 2
  [rows.cells.more]
  "" = true
'''


def below(content: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*where, key), value
        yield from below(value, (*where, key))


@pytest.mark.parametrize("source", [EVERY_FORM, EVERY_FORM.replace("\n", "\r\n")], ids=["LF", "CRLF"])
def test_each_key_is_found_and_each_letter_of_each_text(source: str) -> None:
    found, read = spots(source), dict(below(tomllib.loads(source)))
    assert found.keys() == read.keys()
    for where, value in read.items():
        if isinstance(value, str):
            at = found[where].value
            assert at is not None
            offsets = letters(source, at)
            assert len(offsets) == len(value) + 1, where
            assert all(
                source[one] == letter or source[one] in "\\\r" for one, letter in zip(offsets, value, strict=False)
            )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_that_is_shipped_is_found_as_the_parser_reads_it(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert spots(source).keys() == dict(below(tomllib.loads(source))).keys()


def test_a_value_is_found_in_line_and_column() -> None:
    found = spots(EVERY_FORM)
    spot = found[("rows", 1, "cells", 0, "at")]
    assert spot.value is not None
    assert (place(EVERY_FORM, spot.key), place(EVERY_FORM, spot.value)) == ((24, 3), (24, 8))
    entry = found[("array", 2, "b", 0, "c")]
    assert entry.value == EVERY_FORM.index("2024-01-01")


@given(st.text("[]{}=,.\"'\\# \n\r\tab1é", max_size=60))
def test_of_what_is_no_toml_something_is_said_and_it_ends(source: str) -> None:
    for spot in spots(source).values():
        assert 0 <= spot.key <= len(source)
        assert spot.value is None or not letters(source, spot.value) or letters(source, spot.value)[-1] <= len(source)


def test_what_is_nested_too_deeply_is_left_alone() -> None:
    assert max(map(len, spots(f"a = {'[' * 50_000}"))) == DEEPEST + 1
    assert len(spots(f"a = [{'1,' * (MOST + 10)}]")) == MOST
