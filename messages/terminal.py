"""Which language a terminal wants."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from messages.language import Language
from messages.settings import ConfigError

OPTION = "--language"

In = Annotated[str, typer.Option(OPTION, help="zh or en; without it, as the terminal's LANG says.")]
"""The option, for a command that says something."""


def language_of(wanted: str, environment: Mapping[str, str]) -> Language:
    """The one that `--language` names; without it that of the locale, which POSIX.1-2017 section 8.2 looks for in this order, an empty name saying
    nothing. Raises ConfigError for another one."""
    if wanted in ("zh", "en"):
        return "zh" if wanted == "zh" else "en"
    if wanted:
        raise ConfigError("--language: zh or en is wanted, not {wanted!r}", wanted=wanted)
    named = filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG")))
    return "zh" if next(named, "").startswith("zh") else "en"


def language_in(words: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The same for a command that did not come so far as to ask: its words are looked through for the option."""
    wanted = ""
    for word, after in zip(words, (*words[1:], ""), strict=True):
        if word == OPTION:
            wanted = after
        elif word.startswith(f"{OPTION}="):
            wanted = word.partition("=")[2]
    return language_of(wanted if wanted in ("zh", "en") else "", environment)
