"""InfluxQL as our questions need it, and its answers as rows. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

WORDS = 200
"""Characters of an answer that we don't understand, quoted."""

Series = dict[str, Any]


class Ask(Protocol):
    """A question with the values that it names by `$`, to the series that answer it."""

    def __call__(self, question: str, *, epoch: str = "ms", **bound: str) -> list[Series]: ...


def select(what: str, source: str, where: str) -> str:
    return f"SELECT {what} FROM {source} WHERE {where}"  # noqa: S608 (names are quoted, values are bound)


def between(from_ms: int, to_ms: int) -> str:
    return f"time >= {int(from_ms)}ms AND time <= {int(to_ms)}ms"


def name(text: str) -> str:
    """An identifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def quoted(text: str) -> str:
    """A string, for a server that binds no values."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def rows_of(found: Sequence[Series]) -> Iterator[tuple[Series, dict[str, Any]]]:
    """Each row with its series, without the columns that it leaves empty."""
    for series in found:
        for values in series.get("values", ()):  # a series of none is none
            yield (
                series,
                {column: value for column, value in zip(series["columns"], values, strict=True) if value is not None},
            )


def seconds(duration: str) -> int:
    """Of "8760h0m0s"."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def words(answer: str) -> str:
    """What an answer says is wrong."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.strip()[:WORDS] or "no reason given"
