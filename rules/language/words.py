"""What a rule tells people: its title and advice, with the values and the place filled in. Pure.

    title = { zh = "{place}燃气泄漏 {gas_concentration} %LEL", en = "Gas leak, {place}: {gas_concentration} %LEL" }

In braces stand the kind's channels, the rule's settings, and `place`, `grid`, `building`, `unit` and `device`. A number is written as finely
as its channel is reported (its deadband), a boolean in the kind's words for it, what isn't known as a dash. A brace itself is written twice.
Names are checked when the rule is read, so that a text can't fail when somebody is called.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from string import Formatter

from messages.announcement import Place
from messages.direction import one_line
from messages.kind import Channel
from messages.language import Language, Phrase, phrase
from messages.reading import Value
from messages.settings import Text
from messages.suggestion import suggest

UNKNOWN = "—"
OF_PLACE = ("place", "grid", "building", "unit", "device")
SIGNIFICANT = 4
"""Digits of a number whose channel has no deadband."""
LONGEST = 80
"""Characters of a text value: what a device says must not push the rest out of a message."""


_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BOOLEANS: dict[Language, tuple[str, str]] = {"zh": ("否", "是"), "en": ("no", "yes")}


def check(
    template: str, channels: Mapping[str, Channel], settings: Mapping[str, Value]
) -> Iterator[tuple[int, Phrase]]:
    """What can't be filled in: at which character, and why."""
    known = (*channels, *settings, *OF_PLACE)
    for piece in _PIECE.finditer(template):
        name = piece[1]
        if piece[0] in ("{", "}"):
            yield (
                piece.start(),
                phrase("a `{sign}` by itself; write a brace that people are to read twice", sign=piece[0]),
            )
        elif name is not None and name not in known:
            named, *form = re.split("[:!]", name, maxsplit=1)
            if form and named in known:
                yield piece.start(), phrase("`{name}`: only the name stands in the braces", name=piece[0])
            else:
                near = suggest(name, known)
                yield (
                    piece.start() + 1,
                    phrase("no channel, setting or part of the place `{name}`{near}", name=name, near=near),
                )


@lru_cache(maxsize=1024)
def _names(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def fill(
    text: Text,
    channels: Mapping[str, Channel],
    settings: Mapping[str, Value],
    values: Mapping[str, Value],
    place: Place,
    device: str,
) -> Text:
    """The text as a person reads it. `values`: of the channels, as far as they are known."""
    of_place = {
        "place": one_line(place.text),
        "grid": place.grid,
        "building": place.building,
        "unit": place.unit,
        "device": device,
    }

    def filled(template: str, tongue: Language) -> str:
        names = {name: _shown(name, tongue) for name in _names(template)}
        return template.format_map(names)

    def _shown(name: str, tongue: Language) -> str:
        if (channel := channels.get(name)) is not None:
            return UNKNOWN if name not in values else shown(values[name], tongue, channel)
        return shown(settings[name], tongue) if name in settings else of_place[name]

    return Text(zh=filled(text.zh, "zh"), en=filled(text.en, "en"))


def shown(value: Value, tongue: Language, channel: Channel | None = None) -> str:
    if isinstance(value, bool):
        words = channel and (channel.when_true if value else channel.when_false)
        return getattr(words, tongue) if words else _BOOLEANS[tongue][value]
    if isinstance(value, str):
        value = one_line(value)
        return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    if channel is None or not channel.deadband:
        return f"{value:.{SIGNIFICANT}g}"
    decimals = max(0, math.ceil(-math.log10(channel.deadband)))
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # the sum makes 0 of -0
