"""Columns of a terminal, as wide as they look: a Chinese character takes two cells. Pure."""

import unicodedata
from collections.abc import Sequence

WIDTH = 80


def left(text: str, width: int) -> str:
    """At the left of a column so many cells wide."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    return " " * (width - cells(text)) + text


def cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def table(rows: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
    """The first column at the left, the others at the right, each as wide as its widest cell."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    return [
        (
            left(first, widths[0])
            + "".join(right(one, gap + width) for one, width in zip(rest, widths[1:], strict=True))
        ).rstrip()
        for first, *rest in rows
    ]
