"""A rule is made of what a file says of it, or made again from what was kept of it. Its version is of what it means alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messages.kind import Channel, Kind
from messages.language import NOTHING, Phrase, phrase
from messages.settings import duration_words
from messages.suggestion import suggest
from rules.language import words
from rules.language.calendar import CHINA, Calendar
from rules.language.rule import LEVELS, Rule, graver
from rules.language.rule_text import RuleText
from rules.language.sentence import Expression, SentenceError, Setting, Vocabulary, parse

_UNREAD = parse("false", {}, {})
"""Stands for a sentence with a mistake, until all are found."""
VERSION_BYTES = 6
"""Enough to tell apart the few dozen versions that a rule ever has."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """In which field of a rule, why, and where in the text that stands there (from 1; 0: no place in one)."""

    field: tuple[str | int, ...]
    why: Phrase
    text: str = ""
    line: int = 0
    column: int = 0


class Mistaken(ValueError):
    """A rule can't be made; says all that is wrong with it."""

    def __init__(self, found: Sequence[Wrong]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, one.field))}: {one.why}" for one in found))
        self.found = tuple(found)


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
    wrong = [*_wrong_levels(text)]

    def sentence(source: str, *field: str | int) -> Expression:
        try:
            return parse(source, kind.channels, settings, calendar=calendar, kinds=others)
        except SentenceError as error:
            wrong.append(Wrong(field, error.why, source, error.line, error.column))
            return _UNREAD

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
        wrong.append(Wrong(("reflex",), phrase("a Pi sees only its own devices: no `count_devices` in a reflex")))
    for which, delay in (("raise_delay", text.raise_delay), ("clear_delay", text.clear_delay)):
        if isinstance(delay, str) and (why := _no_delay(delay, settings)):
            wrong.append(Wrong((which,), why))
    values = {name: setting.value for name, setting in settings.items()}
    for which, told in (("title", text.title), ("advice", text.advice)):
        for tongue, template in (("zh", told.zh), ("en", told.en)) if told else ():
            found = words.check(template, kind.channels, values)
            wrong += [Wrong((which, tongue), why, template, 1, at + 1) for at, why in found]
    if wrong:
        raise Mistaken(wrong)
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


def _wrong_levels(text: RuleText) -> Iterator[Wrong]:
    if text.life_safety and not (text.level == "red" and text.latch):
        yield Wrong(("life_safety",), phrase('life_safety needs level = "red" and latch = true'))
    for index, more in enumerate(text.levels):
        if not graver(more.level, text.level):
            words = phrase("{level} is not graver than the rule's own, {own}", level=more.level, own=text.level)
            yield Wrong(("levels", index, "level"), words)


def _no_delay(name: str, settings: Mapping[str, Setting]) -> Phrase:
    """Why the setting `name` can be no delay; nothing if it can."""
    if (setting := settings.get(name)) is None:
        return phrase(
            'a duration such as "10min" or a setting is wanted, not {name!r}{near}',
            name=name,
            near=suggest(name, settings),
        )
    if isinstance(setting.value, bool | str) or setting.unit != "s":
        return phrase('the setting `{name}` should be a number with unit = "s"', name=name)
    return NOTHING


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
