"""What stands on a line after some keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.installer.keyboard import END_OF_INPUT, typed


@pytest.mark.parametrize(
    ("line", "keys", "found"),
    [
        ("", "f", ("f", None)),
        ("f", "\n", ("f", "")),
        ("", "f wrong cover\rs\r", ("f wrong cover", "s\r")),
        ("fx", "\x7f", ("f", None)),
        ("", "\b\x7f", ("", None)),
        ("盖", "子\n", ("盖子", "")),
        ("abc", "\x15s\n", ("s", "")),
        ("f", "\x1b[A\x1b[1;5C\x1bOP\n", ("f", "")),
        ("f", END_OF_INPUT, ("f", None)),
    ],
)
def test_keys_make_a_line(line: str, keys: str, found: tuple[str, str | None]) -> None:
    assert typed(line, keys) == found


def test_an_end_of_input_on_an_empty_line_is_the_end() -> None:
    with pytest.raises(EOFError):
        typed("", f"f\x7f{END_OF_INPUT}")


@given(st.text(max_size=30).filter(lambda keys: END_OF_INPUT not in keys))
def test_whatever_is_pressed_no_control_character_stands_on_the_line(keys: str) -> None:
    line, rest = typed("", keys)
    assert not any(key < " " for key in line)
    assert rest is None or len(line) + len(rest) < len(keys)
