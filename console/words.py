"""The pages' words: one file per language in `texts/`, and how times, spans and values are said. Pure after loading.

Both files hold the same keys (a test says so), and a key that is missing fails loudly. Chinese comes first: it is
what a browser gets that asks for a language we don't have.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import get_args
from zoneinfo import ZoneInfo

from messages.kind import Channel
from messages.language import Language
from messages.reading import Value
from messages.settings import Text

LANGUAGES: tuple[Language, ...] = get_args(Language)

DAYS_FROM_MS = 48 * 3_600_000
"""From so much on nobody reads hours, and no seconds."""
_UNIT_SIGNS = {"Cel": "°C", "deg": "°", "m3": "m³", "%EL": "%", "%RH": "%", "/": ""}
"""How a person writes some units of the SenML registry."""


class Words:
    """One language, with the site's time zone: `words("feed.more", n=200)`."""

    def __init__(self, language: Language, texts: Mapping[str, str], zone: ZoneInfo) -> None:
        self.language = language
        self._texts = texts
        self._zone = zone

    def __call__(self, key: str, *slots: str, **values: object) -> str:
        """The text of `key` with its slots filled. A positional slot `{}` may stay open by passing "{}"."""
        text = self._texts[key]
        return text.format(*slots, **values) if slots or values else text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def of(self, text: Text) -> str:
        return str(getattr(text, self.language))

    def event(self, event: str) -> str:
        """A log event in words; one that has none yet keeps its name."""
        return self._texts.get(f"event.{event}", event)

    def actor(self, actor: str) -> str:
        return self("event.rules") if actor == "rules" else actor

    def detail(self, detail: str) -> str:
        """What the log adds to an event: an outcome or a remark that has words, anything else as it is."""
        return self._texts.get(f"outcome.{detail}") or self._texts.get(f"remark.{detail}", detail)

    def time(self, at_ms: int, now_ms: int) -> str:
        """The time of day in the site's zone, with the date when it isn't today."""
        at, now = (datetime.fromtimestamp(ms / 1000, self._zone) for ms in (at_ms, now_ms))
        return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"

    def span(self, ms: int) -> str:
        """A stretch of time in plain words, never negative."""
        seconds = max(0, ms // 1000)
        if seconds < 60:
            return self("span.s", n=seconds)
        if seconds < 3600:
            return self("span.min", n=seconds // 60)
        if seconds < 86_400:
            return self("span.h", h=seconds // 3600, min=seconds % 3600 // 60)
        return self("span.d", d=seconds // 86_400, h=seconds % 86_400 // 3600)

    def countdown(self, ms: int) -> str:
        """A span as a clock counts it, and of days in words; the same in `clock.mjs`."""
        days = abs(ms) >= DAYS_FROM_MS
        return self.span(abs(ms)) if days else countdown(ms)

    def value(self, value: Value, channel: Channel | None) -> str:
        """A channel's value as a person says it. `channel` is None for one that the kind does not know."""
        if isinstance(value, bool):
            said = channel and (channel.when_true if value else channel.when_false)
            return self.of(said) if said else self("word.yes" if value else "word.no")
        if isinstance(value, str):
            return value
        unit = channel.unit if channel else None
        sign = _UNIT_SIGNS.get(unit, unit) if unit else ""
        return f"{plain(value)}{'' if sign in ('°', '%', '') else ' '}{sign}"


def plain(number: float) -> str:
    """A number with no more digits than a person reads, and no exponent."""
    size = abs(number)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = f"{number:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def countdown(ms: int) -> str:
    """A span as a clock counts it, 0:42 or 1:02:05: the same in every language."""
    seconds = abs(ms) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def preferred(accept_language: str) -> Language:
    """The language that a browser asks for first among ours, by the header's order of weights; else Chinese."""
    wishes: list[tuple[float, int, Language]] = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        for language in LANGUAGES:
            if name.strip().lower().split("-")[0] == language:
                wishes.append((-_number(weight), position, language))
    return min(wishes)[2] if wishes else LANGUAGES[0]


def load_words(zone: ZoneInfo) -> dict[Language, Words]:
    return {language: Words(language, texts(language), zone) for language in LANGUAGES}


@cache
def texts(language: Language) -> Mapping[str, str]:
    """All texts of a language by dotted key: of `<language>.toml`, and of each room of pages that has a file of its own,
    `<room>.<language>.toml`."""
    folder, found = files("console").joinpath("texts"), dict[str, str]()
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if f".{file.name}".endswith(f".{language}.toml"):
            found |= _flat(tomllib.loads(file.read_text(encoding="utf-8")))
    return found


def _flat(table: Mapping[str, object], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": str(value)}
    return found


def _number(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
