"""A rule is made of what a file says of it, or made again from what was kept of it. Its version is of what it means alone."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from messages.kind import Channel, Kind
from messages.settings import duration_words
from messages.suggestion import suggest
from rules.language import words
from rules.language.calendar import CHINA, Calendar
from rules.language.rule import LEVELS, Rule
from rules.language.rule_text import RuleText
from rules.language.sentence import Expression, SentenceError, Setting, Vocabulary, parse

VERSION_BYTES = 6
"""Enough to tell apart the few dozen versions that a rule ever has."""


class Mistaken(ValueError):
    """A rule can't be made; says in which of its fields, and where in the sentence (from 1; 0: no place in one)."""

    def __init__(
        self, field: tuple[str | int, ...], why: str, sentence: str = "", line: int = 0, column: int = 0
    ) -> None:
        super().__init__(f"{'.'.join(map(str, field))}: {why}")
        self.field = field
        self.why = why
        self.sentence = sentence
        self.line = line
        self.column = column


def made(
    kind: Kind,
    kind_name: str,
    name: str,
    text: RuleText,
    settings: Mapping[str, Setting],
    others: Mapping[str, Vocabulary],
    calendar: Calendar,
) -> Rule:
    """Raises Mistaken."""

    def sentence(source: str, *field: str | int) -> Expression:
        try:
            return parse(source, kind.channels, settings, calendar=calendar, kinds=others)
        except SentenceError as error:
            raise Mistaken(field, error.why, source, error.line, error.column) from error

    raise_when, clear_when = sentence(text.raise_, "raise"), sentence(text.clear, "clear")
    graver_when = sorted(
        ((more.level, sentence(more.when, "levels", index, "when")) for index, more in enumerate(text.levels)),
        key=lambda more: LEVELS.index(more[0]),
    )
    sentences = (raise_when, clear_when, *(when for _, when in graver_when))
    channels = tuple(dict.fromkeys(channel for one in sentences for channel in one.channels))
    keeps = {keep.key: keep for one in sentences for keep in one.keeps}
    questions = {asked.key: asked for one in sentences for asked in one.questions}
    if questions and text.reflex:
        raise Mistaken(("reflex",), "a Pi sees only its own devices: no `count_devices` in a reflex")
    for which, delay in (("raise_delay", text.raise_delay), ("clear_delay", text.clear_delay)):
        if isinstance(delay, str) and (wrong := _no_delay(delay, settings)):
            raise Mistaken((which,), wrong)
    values = {name: setting.value for name, setting in settings.items()}
    for which, told in (("title", text.title), ("advice", text.advice)):
        try:
            if told:
                words.check(told, kind.channels, values)
        except ValueError as error:
            raise Mistaken((which,), str(error)) from error
    names = [setting for one in sentences for setting in one.settings]
    names += [delay for delay in (text.raise_delay, text.clear_delay) if isinstance(delay, str)]
    used = {setting: settings[setting] for setting in names}
    return Rule(
        id=name,
        kind=kind_name,
        version=_version(kind_name, name, text, used, {channel: kind.channels[channel] for channel in channels}),
        level=text.level,
        title=text.title,
        advice=text.advice,
        raise_when=raise_when,
        clear_when=clear_when,
        delays=(text.raise_delay, text.clear_delay),
        latch=text.latch,
        lateness_ms=round(text.lateness_s * 1000),
        life_safety=text.life_safety,
        reflex=text.reflex,
        shadow=text.shadow,
        guards=text.life_safety or kind.guards_lives,
        gathers=tuple(text.gathers),
        situation=text.situation or "",
        raise_samples=text.raise_samples,
        clear_samples=text.clear_samples,
        graver_when=tuple(graver_when),
        channels=channels,
        known=kind.channels,
        settings=values,
        events=frozenset(channel for channel in channels if kind.channels[channel].event),
        keeps=tuple(keeps.values()),
        questions=tuple(questions.values()),
        plain=not any(one.timed for one in sentences),
        written=written(text, settings, kind),
    )


def _no_delay(name: str, settings: Mapping[str, Setting]) -> str | None:
    """Why the setting `name` can be no delay."""
    if (setting := settings.get(name)) is None:
        return f'a duration such as "10min" or a setting is wanted, not {name!r}{suggest(name, settings)}'
    if isinstance(setting.value, bool | str) or setting.unit != "s":
        return f'the setting `{name}` should be a number with unit = "s"'
    return None


def _version(
    kind: str, name: str, text: RuleText, settings: Mapping[str, Setting], channels: Mapping[str, Channel]
) -> str:
    """Of all that decides what a course of readings raises, and of nothing that is only told."""
    meaning = {
        "kind": kind,
        "rule": name,
        "text": text.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"title", "advice"}),
        "settings": {name: [setting.value, setting.unit] for name, setting in settings.items()},
        "channels": {
            name: [one.type, one.unit, one.event, one.interval_s, one.deadband] for name, one in channels.items()
        },
    }
    return digest(json.dumps(meaning, sort_keys=True), VERSION_BYTES)


def digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def written(text: RuleText, settings: Mapping[str, Setting], kind: Kind) -> dict[str, Any]:
    """Plain data from which `rewritten` makes the same rule, when its file is long another."""
    return {
        "text": _as_toml(text.model_dump(mode="json", by_alias=True, exclude_unset=True)),
        "settings": {name: {"value": setting.value, "unit": setting.unit} for name, setting in settings.items()},
        "channels": {
            name: _as_toml(one.model_dump(mode="json", by_alias=True, exclude_unset=True))
            for name, one in kind.channels.items()
        },
        "guards_lives": kind.guards_lives,
    }


_DURATIONS = ("raise_delay", "clear_delay", "lateness", "interval")


def _as_toml(content: dict[str, Any]) -> dict[str, Any]:
    seconds = {name: content[name] for name in _DURATIONS if name in content and not isinstance(content[name], str)}
    return {**content, **{name: duration_words(one) for name, one in seconds.items()}}


def rewritten(
    kind: str, name: str, content: Mapping[str, Any], *, known: Mapping[str, Vocabulary], calendar: Calendar = CHINA
) -> Rule:
    """The rule of which this is the `written`. Raises ValueError if this software makes nothing of it."""
    try:
        text = RuleText.model_validate(content["text"])
        channels = {key: Channel.model_validate(one) for key, one in content["channels"].items()}
        settings = {key: Setting(**one) for key, one in content["settings"].items()}
        of = Kind(name=text.title, guards_lives=content.get("guards_lives", False), channels=channels)
        return made(of, kind, name, text, settings, known, calendar)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a kept rule that is damaged: {type(error).__name__}: {error}") from error
