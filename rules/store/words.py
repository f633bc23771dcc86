"""Texts as both databases take them: within their length, without what PostgreSQL has no room for (NUL) or nobody can write (half a
surrogate pair). So a text of whatever origin can't keep what it belongs to from being written, and SQLite keeps no more than PostgreSQL.

For words that people read, and names that come from outside. What is compared as a key stays `String`: a key is never mended.
"""

import math
from typing import Any

import orjson
from sqlalchemy import Dialect, String, Text, TypeDecorator

CUT = "…"
UNKNOWN = "\ufffd"
"""Stands for what can't be written."""

MOST_INTEGER = 2**63 - 1


def written(text: str, length: int | None = None) -> str:
    """`text`, or what of it can be kept."""
    if not text.isprintable():  # a quick look: nearly all are
        text = text.replace("\x00", UNKNOWN).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text if length is None or len(text) <= length else text[: length - len(CUT)] + CUT


class Words(TypeDecorator[str]):
    """A column of free text, cut to its length."""

    impl = String
    cache_ok = True
    impl_instance: String

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else written(value, self.impl_instance.length)


class Prose(TypeDecorator[str]):
    """The same without a limit."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else written(value)


def content(value: Any) -> str:
    """JSON for a column. Numbers that JSON has no way to write are none; an integer beyond 64 bits is a float."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = orjson.dumps(_mended(value)).decode()
    return orjson.dumps(_mended(value)).decode() if "\\u0000" in text else text


def _mended(value: Any) -> Any:
    match value:
        case str():
            return written(value)
        case dict():
            return {written(str(name)): _mended(one) for name, one in value.items()}
        case list() | tuple():
            return [_mended(one) for one in value]
        case int() if not isinstance(value, bool) and abs(value) > MOST_INTEGER:
            return float(value) if abs(value) < 10**300 else math.inf
        case _:
            return value
