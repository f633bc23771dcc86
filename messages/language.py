"""The two languages in which everything is said, and which of them a terminal wants."""

from collections.abc import Mapping
from typing import Literal

from messages.settings import ConfigError

Language = Literal["zh", "en"]


def language_of(wanted: str, environment: Mapping[str, str]) -> Language:
    """The one that `--language` names; without it that of the locale, which POSIX.1-2017 section 8.2 looks for in this order, an empty name saying
    nothing. Raises ConfigError for another one."""
    if wanted in ("zh", "en"):
        return "zh" if wanted == "zh" else "en"
    if wanted:
        raise ConfigError(f"--language: zh or en is wanted, not {wanted!r}")
    named = filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG")))
    return "zh" if next(named, "").startswith("zh") else "en"
