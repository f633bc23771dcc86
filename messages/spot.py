"""Where in a TOML text each key and its value stand. Pure.

It walks through what the TOML parser has taken already, so it need not judge. Of a text that is no TOML it knows some of the places.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Where = tuple[Any, ...]
"""Keys of a file, and numbers in its arrays, from the outermost."""

DEEPEST = 32
"""What is nested deeper has the place of what it is nested in."""
MOST = 100_000
"""Places that are remembered: a file that a person wrote has a few hundred."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_GAP = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|' + r"'''.*?'{3,5}(?!')|" + r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'""", re.DOTALL
)
_BARE = re.compile(r"[^\s,\[\]{}#]+(?: [0-9][^\s,\]}#]*)?")
"""A number, a boolean, a date with its time."""
_ESCAPE = re.compile(r"\\(?:u.{4}|U.{8}|[ \t]*\r?\n\s*|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Spot:
    """Offsets into the text. A table that has a header, or is implied by a longer name, has no value."""

    key: int
    value: int | None = None


def spots(source: str) -> Mapping[Where, Spot]:
    """Of all keys that are written or implied, and of the entries of arrays, in the order of the text."""
    return _Walk(source).document()


def place(source: str, at: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)


def letters(source: str, at: int) -> list[int]:
    """Of the text whose quotes begin at `at`: the offset of each of its characters as it is read, and of its end. Empty for what is no text."""
    if (found := _TEXT.match(source, at)) is None:
        return []
    quote = source[at]
    long = found[0].startswith(quote * 3) and len(found[0]) >= 6
    at += 3 if long else 1
    end = found.end() - (3 if long else 1)
    if long:  # a line that ends right after the quotes is no part of it
        at += len("\r\n") if source.startswith("\r\n", at) else source.startswith("\n", at)
    offsets = []
    while at < end:
        step = 2 if source.startswith("\r\n", at) else 1  # one line's end
        if quote == '"' and (escape := _ESCAPE.match(source, at)) is not None:
            step = len(escape[0])
            if "\n" in escape[0]:  # it joins two lines
                at += step
                continue
        offsets.append(at)
        at += step
    return [*offsets, end]


class _Walk:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._found: dict[Where, Spot] = {}
        self._entries: dict[tuple[str, ...], int] = {}

    def document(self) -> Mapping[Where, Spot]:
        table: Where = ()
        while self._skip(_BLANK) < len(self._source):
            begin = self._at
            if self._source[begin] == "[":
                table = self._header()
            else:
                self._pair(table)
            if self._at == begin:  # no TOML
                self._at += 1
        return self._found

    def _skip(self, what: re.Pattern[str]) -> int:
        if found := what.match(self._source, self._at):
            self._at = found.end()
        return self._at

    def _here(self, sign: str) -> bool:
        """Whether it stands here, and then past it."""
        if there := self._source.startswith(sign, self._at):
            self._at += len(sign)
        return there

    def _header(self) -> Where:
        begin = self._at
        many = self._here("[[") or not self._here("[")
        names = self._names()
        if many:  # a new entry begins its own arrays anew
            counted = {other: count for other, count in self._entries.items() if other[: len(names)] != names}
            self._entries = counted | {names: self._entries.get(names, -1) + 1}
        path: Where = ()
        for end in range(1, len(names) + 1):
            path = (*path, names[end - 1])
            self._note(path, begin)
            if names[:end] in self._entries:
                path = (*path, self._entries[names[:end]])
                self._note(path, begin)
        while self._skip(_GAP) < len(self._source) and self._here("]"):
            pass
        return path

    def _names(self) -> tuple[str, ...]:
        """Of a dotted key."""
        names = []
        while self._skip(_GAP) <= len(self._source) and (found := _KEY.match(self._source, self._at)):
            names.append(_plain(found[0]))
            self._at = found.end()
            self._skip(_GAP)
            if not self._here("."):
                break
        return tuple(names)

    def _pair(self, table: Where) -> None:
        begin = self._at
        names = self._names()
        if not names or not self._here("="):
            return
        for end in range(1, len(names)):
            self._note((*table, *names[:end]), begin)
        self._skip(_GAP)
        self._value((*table, *names), begin)

    def _value(self, path: Where, key: int) -> None:
        begin = self._at
        self._note(path, key, begin)
        if len(path) > DEEPEST:
            return
        if self._here("["):
            self._entries_until("]", lambda index: self._value((*path, index), self._at))
        elif self._here("{"):
            self._entries_until("}", lambda _: self._pair(path))
        elif self._skip(_TEXT) == begin:
            self._skip(_BARE)

    def _entries_until(self, last: str, entry: Callable[[int], None]) -> None:
        index = 0
        while self._skip(_BLANK) < len(self._source) and not self._here(last):
            begin = self._at
            entry(index)
            index += 1
            self._skip(_BLANK)
            if not self._here(",") and self._at == begin:  # no TOML
                self._at += 1

    def _note(self, path: Where, key: int, value: int | None = None) -> None:
        if len(self._found) < MOST:
            self._found.setdefault(path, Spot(key, value))


def _plain(key: str) -> str:
    if key[0] == '"' and "\\" in key:
        try:
            return next(iter(tomllib.loads(f"{key} = 0")))
        except tomllib.TOMLDecodeError:
            return key
    return key[1:-1] if key[0] in "\"'" else key
