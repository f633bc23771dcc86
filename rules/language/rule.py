"""A rule: when a device of a kind raises an alarm, when it clears, how grave it is, what to tell people.

One TOML file per kind in `rules/library/` or in a folder of the user's; the file's stem is the kind's name, and a
user's file replaces the shipped one. A file in `common/` is about a channel instead, and its rules are those of every kind that has
one of its name, unless the kind's own file has a rule of the same name (docs/decisions/0029-rules-for-a-channel.md). Every mistake ends
as ConfigError with file, line and field.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import IDENTIFIER
from messages.kind import Channel, Kind, Kinds
from messages.reading import Value
from messages.settings import ConfigError, Seconds, Settings, Text, duration_s, duration_words, line_of, read, suggest
from rules.language import words
from rules.language.calendar import CHINA, Calendar
from rules.language.code import Compute
from rules.language.keeps import Keep
from rules.language.neighbours import Question
from rules.language.sentence import Expression, SentenceError, Setting, Vocabulary, parse
from rules.language.terms import fixed_value

SHIPPED = Path(str(files("rules"))) / "library"
COMMON = "common"
"""The folder of files about a channel, whichever kind has it."""

LATENESS_S = duration_s("10min")
VERSION_BYTES = 6
"""Enough to tell apart the few dozen versions that a rule ever has."""

LONGEST_DELAY_S = 366 * 86_400.0
"""Whatever a device's own settings say."""

LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")
"""From the gravest."""

GATHERED = r"^[a-z0-9_]+\.([a-z0-9_]+|\*)$"

_Name = Annotated[str, StringConstraints(pattern=IDENTIFIER)]


def _delay(value: object) -> float | str:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", value) else duration_s(value)


_Delay = Annotated[float | str, BeforeValidator(_delay)]
"""A duration in seconds, or the name of a setting that is one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """A rule that has been read and checked. Durations are milliseconds."""

    id: str
    kind: str
    version: str
    """What it means, in a few letters: two rules of one version judge alike. Their words may differ."""
    level: Level
    title: Text
    advice: Text | None
    """As the file has them, with names in braces; `told` fills them in."""
    raise_when: Expression
    clear_when: Expression
    delays: tuple[float | str, float | str]
    """Of raising and of clearing, as they are written: seconds, or a setting's name."""
    latch: bool
    lateness_ms: int
    life_safety: bool
    reflex: bool
    """A Pi may carry it out by itself (docs/decisions/0023-reflexes-run-the-rules-own-step.md)."""
    shadow: bool
    """It is judged and written down, and calls nobody."""
    guards: bool = False
    """Lives hang on it, by itself or by its kind: nothing may silence its alarms (guarantee 9)."""
    gathers: tuple[str, ...] = ()
    """Other alarms of its site, "kind.rule" or "kind.*", that belong to it while it is active: they share its case."""
    raise_samples: int
    clear_samples: int
    """How many readings must say so, whatever the delay."""
    graver_when: tuple[tuple[Level, Expression], ...]
    """When it is graver than `level`, from the gravest."""
    channels: tuple[str, ...]
    """All that its sentences look at, the leading one first."""
    known: Mapping[str, Channel]
    """All channels of its kind: those its words may name."""
    settings: Mapping[str, Value]
    """What the other names in them stand for."""
    events: frozenset[str]
    """Those of its channels whose every reading is a change."""
    keeps: tuple[Keep, ...]
    """What its sentences need of the time before."""
    questions: tuple[Question, ...]
    """What its sentences ask of the neighbourhood."""
    plain: bool
    """The last values alone decide, and one reading suffices."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Plain data from which it can be made again (`rewritten`)."""
    situation: str = ""
    """The word under which its alarms, of one device or one place and kind, are one case; empty: each is one by itself."""
    about: str | None = None
    """The channel that its file is about, if it isn't about the kind."""
    answers: str | None = None
    """It raises no alarm, but answers this question about the neighbourhood (its key)."""

    def lenient(self, by_ms: int) -> "Rule":
        """The same rule, for readings that look older than they are by so much."""
        other = copy(self)  # with all that was made of it
        object.__setattr__(other, "lateness_ms", self.lateness_ms + by_ms)
        return other

    @cached_property
    def raise_delay_ms(self) -> int:
        return _delay_ms(self.delays[0], self.settings)

    @cached_property
    def clear_delay_ms(self) -> int:
        return _delay_ms(self.delays[1], self.settings)

    @cached_property
    def raises(self) -> Compute:
        """The sentence with the settings in it, made when it is first needed."""
        return self.raise_when.bound(self.settings)

    @cached_property
    def clears(self) -> Compute:
        return self.clear_when.bound(self.settings)

    @cached_property
    def levels(self) -> tuple[tuple[Level, Compute], ...]:
        return tuple((level, when.bound(self.settings)) for level, when in self.graver_when)

    @cached_property
    def silences(self) -> tuple[tuple[str, int], ...]:
        """Channels whose silence it asks about, and from how many milliseconds it matters."""
        silences = [
            (channel, round((limit + more_s) * 1000))
            for sentence in (self.raise_when, self.clear_when, *(when for _, when in self.graver_when))
            for channel, limit_s, more_s in sentence.silences
            if (limit := fixed_value(limit_s, self.settings)) is not None and math.isfinite(limit)
        ]
        return tuple(dict.fromkeys(silences))

    def limits(self) -> dict[str, float]:
        """The lines to draw in its channels' charts: where it raises."""
        return self.raise_when.limits(self.settings)

    def told(self, values: Mapping[str, Value], place: Place, device: str) -> tuple[Text, Text | None]:
        """Title and advice for people, with these values and the place in them."""

        def filled(text: Text) -> Text:
            return words.fill(text, self.known, self.settings, values, place, device)

        return filled(self.title), filled(self.advice) if self.advice else None

    def for_device(self, announced: Mapping[str, Value]) -> Self:
        """The same rule with a device's own settings. One of another type than the default's is not believed."""
        own = {
            name: announced[name]
            for name, default in self.settings.items()
            if name in announced and same_type(announced[name], default)
        }
        if not own:
            return self
        settings = {**self.settings, **own}
        return replace(self, settings=settings)


def graver(one: Level, other: Level) -> bool:
    return LEVELS.index(one) < LEVELS.index(other)


def _delay_ms(delay: float | str, settings: Mapping[str, Value]) -> int:
    seconds = float(settings[delay] if isinstance(delay, str) else delay)
    return round(min(max(seconds, 0.0), LONGEST_DELAY_S) * 1000)


Rules = Mapping[str, tuple[Rule, ...]]
"""By the kind's name."""


class _SettingText(Settings):
    value: Value
    unit: str | None = None


class _LevelText(Settings):
    level: Level
    when: str


class _RuleText(Settings):
    level: Level
    levels: list[_LevelText] = Field(default_factory=list)
    title: Text
    advice: Text | None = None
    raise_: str = Field(alias="raise")
    clear: str
    raise_delay: _Delay = 0.0
    clear_delay: _Delay = 0.0
    raise_samples: Annotated[int, Field(ge=1, le=100)] = 1
    clear_samples: Annotated[int, Field(ge=1, le=100)] = 1
    latch: bool = False
    lateness_s: Seconds = Field(default=LATENESS_S, alias="lateness")
    life_safety: bool = False
    reflex: bool = False
    shadow: bool = False
    gathers: list[Annotated[str, StringConstraints(pattern=GATHERED)]] = Field(default_factory=list)
    situation: _Name | None = None

    @model_validator(mode="after")
    def _grave_enough(self) -> Self:
        if self.life_safety and not (self.level == "red" and self.latch):
            raise ValueError('life_safety needs level = "red" and latch = true')
        for more in self.levels:
            if not graver(more.level, self.level):
                raise ValueError(f"levels: {more.level} is not graver than the rule's own, {self.level}")
        return self


class _RuleFile(Settings):
    settings: dict[_Name, _SettingText] = Field(default_factory=dict)
    rules: dict[_Name, _RuleText] = Field(min_length=1)


def load_rules(kinds: Kinds, *folders: Path, calendar: Calendar = CHINA) -> dict[str, tuple[Rule, ...]]:
    """All rules in the shipped folder and then in `folders`. Raises ConfigError."""
    paths: dict[str, Path] = {}
    common: dict[str, Path] = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of rules")
        paths |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
        common |= {path.stem: path for path in sorted((folder / COMMON).glob("*.toml"))}
    known = vocabulary(kinds, paths.values())
    rules = {name: load_file(path, kinds, known, calendar=calendar) for name, path in paths.items()}
    for path in common.values():
        for name, more in load_common(path, kinds, calendar=calendar).items():
            rules[name] = beside(rules.get(name, ()), more)
    return rules


def beside(own: tuple[Rule, ...], common: Iterable[Rule]) -> tuple[Rule, ...]:
    """A kind's own rules, and those about its channels; where both have a name, the own one holds."""
    names = {rule.id for rule in own}
    return (*own, *(rule for rule in common if rule.id not in names))


def rule_files(folder: Path) -> list[Path]:
    """Those in a folder of rules: about a kind, and then about a channel."""
    return [*sorted(folder.glob("*.toml")), *sorted((folder / COMMON).glob("*.toml"))]


def vocabulary(kinds: Kinds, paths: Iterable[Path]) -> dict[str, Vocabulary]:
    """What sentences about each kind may speak of, by the rule files in `paths`. Raises ConfigError.

    The settings of a shipped file that one of the user's replaces are known all the same: shipped rules about the
    neighbourhood speak of them.
    """
    settings: dict[str, dict[str, Setting]] = {}
    for path in (*SHIPPED.glob("*.toml"), *paths):
        settings.setdefault(path.stem, {}).update(_settings(read(path, _RuleFile)))
    return {name: Vocabulary(kind.channels, settings.get(name, {})) for name, kind in kinds.items()}


def load_file(
    path: Path, kinds: Kinds, known: Mapping[str, Vocabulary] | None = None, *, calendar: Calendar = CHINA
) -> tuple[Rule, ...]:
    """The rules of one file, whose stem names the kind. `known`: the words of the other kinds, if not as shipped.

    Raises ConfigError for the first mistake.
    """
    rules, mistakes = read_file(path, kinds, known, calendar=calendar)
    if mistakes:
        raise mistakes[0]
    return tuple(rules)


def load_common(path: Path, kinds: Kinds, *, calendar: Calendar = CHINA) -> dict[str, tuple[Rule, ...]]:
    """The rules of a file about a channel, for each kind that has it. Raises ConfigError for the first mistake."""
    rules, mistakes = read_common(path, kinds, calendar=calendar)
    if mistakes:
        raise mistakes[0]
    return {name: tuple(some) for name, some in rules.items()}


def read_common(
    path: Path, kinds: Kinds, *, calendar: Calendar = CHINA
) -> tuple[dict[str, list[Rule]], list[ConfigError]]:
    """As `load_common`. The sentences know the kind's channels, the file's settings, and `guards_lives`, as the kind says it."""
    having = {name: kind for name, kind in kinds.items() if path.stem in kind.channels}
    if not having:
        every = {channel for kind in kinds.values() for channel in kind.channels}
        return {}, [ConfigError(f"{path}: no kind has a channel `{path.stem}`{suggest(path.stem, every)}")]
    try:
        content = read(path, _RuleFile)
    except ConfigError as error:
        return {}, [error]
    rules, mistakes = dict[str, list[Rule]](), list[ConfigError]()
    for name, kind in having.items():
        of_kind = {} if "guards_lives" in kind.channels else {"guards_lives": Setting(kind.guards_lives)}
        rules[name], found = _of_kind(path, content, name, kind, of_kind, {}, calendar)
        mistakes += found
    return rules, mistakes


def read_file(
    path: Path, kinds: Kinds, known: Mapping[str, Vocabulary] | None = None, *, calendar: Calendar = CHINA
) -> tuple[list[Rule], list[ConfigError]]:
    """As `load_file`: the rules that can be read, and what is wrong with the others."""
    if (kind := kinds.get(path.stem)) is None:
        return [], [ConfigError(f"{path}: no kind `{path.stem}` to make rules for{suggest(path.stem, kinds)}")]
    try:
        content = read(path, _RuleFile)
        others = vocabulary(kinds, ()) if known is None and "count_devices" in path.read_text("utf-8-sig") else known
    except ConfigError as error:
        return [], [error]
    return _of_kind(path, content, path.stem, kind, {}, others or {}, calendar)


def _of_kind(
    path: Path,
    content: _RuleFile,
    kind_name: str,
    kind: Kind,
    more: Mapping[str, Setting],
    others: Mapping[str, Vocabulary],
    calendar: Calendar,
) -> tuple[list[Rule], list[ConfigError]]:
    """`more`: settings that are not the file's."""
    settings = {**_settings(content), **more}
    about = path.stem if path.parent.name == COMMON else None
    whose = f"for a {kind_name}: " if about else ""
    mistakes = [
        mistake_at(path, ("settings", name), f"a {kind_name} has a channel of this name")
        for name in content.settings
        if name in kind.channels
    ]
    rules = []
    for name, text in content.rules.items() if not mistakes else ():
        try:
            rule = _made(kind, kind_name, name, text, settings, others, calendar)
            rules.append(replace(rule, about=about))
        except Mistaken as mistake:
            where = ("rules", name, *mistake.field)
            why = f"{whose}{mistake.why}"
            mistakes.append(mistake_at(path, where, why, mistake.sentence, mistake.line, mistake.column))
    return rules, mistakes


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


def _settings(content: _RuleFile) -> dict[str, Setting]:
    return {name: Setting(setting.value, setting.unit) for name, setting in content.settings.items()}


def with_answers(rules: Rules, kinds: Kinds, more: Iterable[Rule] = ()) -> dict[str, tuple[Rule, ...]]:
    """The rules, and beside them what watches for the questions that some of them ask about the neighbourhood.

    A device counts while its condition holds and for the window after it: that is a rule with an off-delay. `more`: rules
    beside these that ask too.
    """
    every = dict(rules)
    asking = (*(rule for some in rules.values() for rule in some), *more)
    asked = {question.key: question for rule in asking for question in rule.questions}
    known = vocabulary(kinds, ()) if asked else {}
    for question in asked.values():
        for name in question.kinds:
            settings = {key: setting.value for key, setting in known[name].settings.items()}
            settings |= {key: value for rule in rules.get(name, ()) for key, value in rule.settings.items()}
            if all(rule.answers != question.key for rule in every.get(name, ())):
                every[name] = (*every.get(name, ()), _answer(question, name, kinds[name], settings))
    return every


def _answer(question: Question, kind_name: str, kind: Kind, values: Mapping[str, Value]) -> Rule:
    settings = {name: Setting(value) for name, value in values.items()}
    holds = parse(question.condition, kind.channels, settings)
    ends = parse(f"not ({question.condition})", kind.channels, settings)
    name = _digest(question.key, 8)
    used = {name: values[name] for name in holds.settings}
    return Rule(
        id=f"?{name}",
        kind=kind_name,
        version=_digest(json.dumps([question.key, kind_name, used], sort_keys=True), VERSION_BYTES),
        level="blue",
        title=Text(zh=question.condition, en=question.condition),
        advice=None,
        raise_when=holds,
        clear_when=ends,
        delays=(0.0, question.window_ms / 1000),
        latch=False,
        lateness_ms=0,
        life_safety=False,
        reflex=False,
        shadow=False,
        raise_samples=1,
        clear_samples=1,
        graver_when=(),
        channels=holds.channels,
        known=kind.channels,
        settings=values,
        events=frozenset(channel for channel in holds.channels if kind.channels[channel].event),
        keeps=(),
        questions=(),
        plain=True,
        answers=question.key,
    )


def _made(
    kind: Kind,
    kind_name: str,
    name: str,
    text: _RuleText,
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
        plain=not any(one.timed for one in sentences) and text.raise_samples == text.clear_samples == 1,
        written=_written(text, settings, kind),
    )


def _no_delay(name: str, settings: Mapping[str, Setting]) -> str | None:
    """Why the setting `name` can be no delay."""
    if (setting := settings.get(name)) is None:
        return f'a duration such as "10min" or a setting is wanted, not {name!r}{suggest(name, settings)}'
    if isinstance(setting.value, bool | str) or setting.unit != "s":
        return f'the setting `{name}` should be a number with unit = "s"'
    return None


def _version(
    kind: str, name: str, text: _RuleText, settings: Mapping[str, Setting], channels: Mapping[str, Channel]
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
    return _digest(json.dumps(meaning, sort_keys=True), VERSION_BYTES)


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _written(text: _RuleText, settings: Mapping[str, Setting], kind: Kind) -> dict[str, Any]:
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
        text = _RuleText.model_validate(content["text"])
        channels = {key: Channel.model_validate(one) for key, one in content["channels"].items()}
        settings = {key: Setting(**one) for key, one in content["settings"].items()}
        of = Kind(name=text.title, guards_lives=content.get("guards_lives", False), channels=channels)
        return _made(of, kind, name, text, settings, known, calendar)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a kept rule that is damaged: {type(error).__name__}: {error}") from error


def mistake_at(
    path: Path, where: tuple[str | int, ...], why: str, sentence: str = "", line: int = 0, column: int = 0
) -> ConfigError:
    """`line` and `column` count in the sentence that stands at `where`; what is said counts in the file."""
    source = path.read_text(encoding="utf-8-sig")
    field = ".".join(map(str, where))
    first = line_of(source, where)
    if not line:
        return ConfigError(f"{path}:{first}: {field}: {why}")
    begin = sum(len(one) for one in source.splitlines(keepends=True)[: first - 1])
    if (at := source.find(sentence, begin)) < 0:  # it is written with escapes
        return ConfigError(f"{path}:{first}: {field}: column {column}: {why}")
    at += sum(len(one) for one in sentence.splitlines(keepends=True)[: line - 1]) + column - 1
    return ConfigError(f"{path}:{source.count(chr(10), 0, at) + 1}:{at - source.rfind(chr(10), 0, at)}: {field}: {why}")


def same_type(value: Value, default: Value) -> bool:
    """Numbers are one type, whole or not; True is none of them."""
    return isinstance(value, bool) == isinstance(default, bool) and isinstance(value, str) == isinstance(default, str)
