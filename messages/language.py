"""The two languages in which everything is said, and sentences that can be said in both.

A sentence stands once, where it is thought of: as its English template, which is its name. The Chinese one stands under that name in
`texts/`, a file for each part of the plant. Who raises or returns a sentence knows nothing of the reader; who prints it does. A log, and
`str`, have English.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Literal

Language = Literal["zh", "en"]

LONGEST = 160
"""Characters of what is quoted from a file: a sentence must stay one that can be read."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with what stands in its slots, as `str.format` has them. Without slots it is said as it stands, braces included."""

    template: str
    slots: tuple[tuple[str, object], ...] = ()

    def said(self, language: Language) -> str:
        """In one line: what is quoted is shortened, and shows its control characters."""
        text = _chinese().get(self.template, self.template) if language == "zh" else self.template
        return text.format_map({name: _filled(value, language) for name, value in self.slots}) if self.slots else text

    @property
    def in_each(self) -> dict[Language, str]:
        """For a reader whose language is not known yet."""
        return {"zh": self.said("zh"), "en": self.said("en")}

    @property
    def in_both(self) -> str:
        """For readers of either language: the Chinese, then the English, once where they are the same."""
        return " ".join(dict.fromkeys(self.in_each.values()))

    def __str__(self) -> str:
        return self.said("en")

    def __bool__(self) -> bool:
        return bool(self.template)


NOTHING = Phrase("")


def phrase(template: str, /, **slots: object) -> Phrase:
    """`template` is written out where this is called: a test looks there for what wants Chinese."""
    return Phrase(template, tuple(slots.items()))


class Unfit(ValueError):
    """A value that can't be meant so, in a sentence of both languages. Without slots the sentence may be a `Phrase` that is there already."""

    def __init__(self, template: str | Phrase, /, **slots: object) -> None:
        self.phrase = template if isinstance(template, Phrase) else phrase(template, **slots)
        super().__init__(str(self.phrase))


def why(error: Exception) -> Phrase:
    """What somebody else says is wrong. Of the operating system's words the table knows those that are met."""
    if isinstance(error, Unfit):
        return error.phrase
    return Phrase((isinstance(error, OSError) and error.strerror) or str(error))


def either(words: Iterable[str]) -> Phrase:
    """Those that may be taken: "a port or a host", without the first article."""
    first, *others = words
    found = Phrase(first)
    for other in others:
        found = phrase("{some} or a {other}", some=found, other=other)
    return found


def _filled(value: object, language: Language) -> object:
    match value:
        case Phrase():
            return value.said(language)
        case bool() | int() | float():
            return value
    return _Quoted(value)


class _Quoted(str):
    """For a terminal and a log: nothing in it moves a cursor or begins a line."""

    def __new__(cls, text: object) -> "_Quoted":
        whole = str(text)
        shown = isinstance(text, PurePath) or len(whole) <= LONGEST
        return super().__new__(cls, whole if shown else f"{whole[: LONGEST - 1]}…")

    def __format__(self, form: str) -> str:
        return format(str(self) if self.isprintable() else repr(str(self))[1:-1], form)


@cache
def _chinese() -> Mapping[str, str]:
    found = dict[str, str]()
    for file in files("messages").joinpath("texts").iterdir():
        if file.name.endswith(".zh.toml"):
            found |= tomllib.loads(file.read_text(encoding="utf-8"))
    return found
