"""A rule's sentence in a reader's words: names of channels and settings, signs, and what the functions mean. Pure.

For reading, beside the sentence itself: what counts is the sentence.
"""

import re
from collections.abc import Mapping
from typing import Any

from console.words import Words, plain

_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|[A-Za-z_][A-Za-z0-9_]*|<=|>=|==|!=|[<>]|[^\sA-Za-z_"\'<>=!]+|\s+|.')
_SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "*": "×", "/": "÷"}


def spoken(
    sentence: str, settings: Mapping[str, Mapping[str, Any]], channels: Mapping[str, Mapping[str, Any]], words: Words
) -> str:
    parts = []
    for token in _TOKEN.findall(sentence):
        if token in _SIGNS:
            parts.append(_SIGNS[token])
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
            parts.append(token)
    return " ".join("".join(parts).split())


def valued(setting: Mapping[str, Any], words: Words) -> str:
    """A setting's value with its unit."""
    value, unit = setting.get("value"), setting.get("unit") or ""
    if isinstance(value, bool):
        return words("word.yes" if value else "word.no")
    number = plain(float(value)) if isinstance(value, (int, float)) else str(value)
    sign = {"Cel": "°C", "deg": "°", "m3": "m³", "%EL": "%", "%RH": "%", "/": ""}.get(unit, unit)
    return f"{number}{'' if sign in ('°', '%', '') else ' '}{sign}"
