"""A rule's sentence in a reader's words: names of channels and settings, signs, and what the functions mean. Pure.

For reading, beside the sentence itself: what counts is the sentence.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from console.words import Words, plain
from messages.settings import duration_s

_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|[A-Za-z_][A-Za-z0-9_]*|<=|>=|==|!=|[<>]|[^\sA-Za-z_"\'<>=!]+|\s+|.')
_SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "*": "×", "/": "÷"}


def spoken(
    sentence: str,
    settings: Mapping[str, Mapping[str, Any]],
    channels: Mapping[str, Mapping[str, Any]],
    words: Words,
    named: Callable[[str], str | None] = lambda name: None,
) -> str:
    """`named`: what kinds and channels of other devices are called, of which a sentence speaks in quotes."""
    parts = []
    for token in _TOKEN.findall(sentence):
        if token in _SIGNS:
            parts.append(_SIGNS[token])
        elif len(token) > 2 and token[0] in "\"'":
            inner = token[1:-1]
            length = _length(inner, words)
            parts.append(length or f"“{spoken(inner, settings, channels, words, named)}”")
        elif token in channels:
            name = channels[token].get("name", {})
            parts.append(
                f"「{name.get(words.language) or token}」" if words.language == "zh" else name.get("en") or token
            )
        elif token in settings:
            parts.append(valued(settings[token], words))
        elif f"sentence.{token}" in words:
            parts.append(words(f"sentence.{token}"))
        else:
            parts.append(named(token) or token)
    return " ".join("".join(parts).split())


def lasting(delay: str, settings: Mapping[str, Mapping[str, Any]], words: Words) -> str:
    """For how long a condition must hold: a duration, or a setting by its value. Empty: it counts at once."""
    if delay in settings:
        return valued(settings[delay], words)
    return "" if delay == "0s" else _length(delay, words) or delay


def _length(text: str, words: Words) -> str:
    """A duration in a reader's words; empty for what is none, or shorter than a second."""
    try:
        return words.span(round(duration_s(text) * 1000)) if duration_s(text) >= 1 else ""
    except ValueError:
        return ""


def valued(setting: Mapping[str, Any], words: Words) -> str:
    """A setting's value with its unit."""
    value, unit = setting.get("value"), setting.get("unit") or ""
    if isinstance(value, bool):
        return words("word.yes" if value else "word.no")
    number = plain(float(value)) if isinstance(value, (int, float)) else str(value)
    sign = {"Cel": "°C", "deg": "°", "m3": "m³", "%EL": "%", "%RH": "%", "/": "", "1": ""}.get(unit, unit)
    return f"{number}{'' if sign in ('°', '%', '') else ' '}{sign}"
