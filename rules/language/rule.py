"""A rule: when a device of a kind raises an alarm, when it clears, how grave it is, what to tell people.

One TOML file per kind in `rules/library/` or in a folder of the user's; the file's stem is the kind's name, and a
user's file replaces the shipped one. Every mistake ends as ConfigError with file, line and field.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from messages.alarm import Level
from messages.ids import IDENTIFIER
from messages.kind import Kind, Kinds
from messages.reading import Value
from messages.settings import ConfigError, Seconds, Settings, Text, duration_s, line_of, read, suggest
from rules.language.calendar import CHINA, Calendar
from rules.language.keeps import Keep
from rules.language.neighbours import Question
from rules.language.seen import NEVER
from rules.language.sentence import Expression, SentenceError, Setting, Vocabulary, parse
from rules.language.terms import Compute

SHIPPED = Path(str(files("rules"))) / "library"
LATENESS_S = duration_s("10min")

LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")
"""From the gravest."""

_Name = Annotated[str, StringConstraints(pattern=IDENTIFIER)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A rule that has been read and checked. Durations are milliseconds."""

    id: str
    kind: str
    level: Level
    title: Text
    advice: Text | None
    raise_when: Expression
    clear_when: Expression
    raise_delay_ms: int
    clear_delay_ms: int
    latch: bool
    lateness_ms: int
    life_safety: bool
    reflex: bool
    """A Pi may carry it out by itself (docs/decisions/0023-reflexes-run-the-rules-own-step.md)."""
    shadow: bool
    """It is judged and written down, and calls nobody."""
    raise_samples: int
    clear_samples: int
    """How many readings must say so, whatever the delay."""
    graver_when: tuple[tuple[Level, Expression], ...]
    """When it is graver than `level`, from the gravest."""
    channels: tuple[str, ...]
    """All that its sentences look at, the leading one first."""
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
    raises: Compute
    clears: Compute
    """The sentences with the settings in them."""
    levels: tuple[tuple[Level, Compute], ...]
    answers: str | None = None
    """It raises no alarm, but answers this question about the neighbourhood (its key)."""
    silences: tuple[tuple[str, int], ...]
    """Channels whose silence it asks about, and from how many milliseconds it matters."""

    def limits(self) -> dict[str, float]:
        """The lines to draw in its channels' charts: where it raises."""
        return self.raise_when.limits(self.settings)

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
        return replace(self, settings=settings, **_bound(self.raise_when, self.clear_when, self.graver_when, settings))


def graver(one: Level, other: Level) -> bool:
    return LEVELS.index(one) < LEVELS.index(other)


def _bound(
    raise_when: Expression,
    clear_when: Expression,
    graver_when: tuple[tuple[Level, Expression], ...],
    settings: Mapping[str, Value],
) -> dict[str, Any]:
    """The fields of a rule that depend on its settings."""
    silences = [
        (channel, round(limit * 1000))
        for sentence in (raise_when, clear_when, *(when for _, when in graver_when))
        for channel, bind in sentence.silences
        if (limit := bind(settings)({}, NEVER)) is not None
    ]
    return {
        "raises": raise_when.bound(settings),
        "clears": clear_when.bound(settings),
        "levels": tuple((level, when.bound(settings)) for level, when in graver_when),
        "silences": tuple(dict.fromkeys(silences)),
    }


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
    raise_delay_s: Seconds = Field(default=0.0, alias="raise_delay")
    clear_delay_s: Seconds = Field(default=0.0, alias="clear_delay")
    raise_samples: Annotated[int, Field(ge=1, le=100)] = 1
    clear_samples: Annotated[int, Field(ge=1, le=100)] = 1
    latch: bool = False
    lateness_s: Seconds = Field(default=LATENESS_S, alias="lateness")
    life_safety: bool = False
    reflex: bool = False
    shadow: bool = False

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
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of rules")
        paths |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
    words = vocabulary(kinds, paths.values())
    return {name: load_file(path, kinds, words, calendar=calendar) for name, path in paths.items()}


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
    path: Path, kinds: Kinds, words: Mapping[str, Vocabulary] | None = None, *, calendar: Calendar = CHINA
) -> tuple[Rule, ...]:
    """The rules of one file, whose stem names the kind. `words`: those of the other kinds, if not as shipped.

    Raises ConfigError.
    """
    if (kind := kinds.get(path.stem)) is None:
        raise ConfigError(f"{path}: no kind `{path.stem}` to make rules for{suggest(path.stem, kinds)}")
    content = read(path, _RuleFile)
    for name in content.settings:
        if name in kind.channels:
            raise _mistake(path, ("settings", name), f"a {path.stem} has a channel of this name")
    settings = _settings(content)
    others = vocabulary(kinds, ()) if words is None and "count_devices" in path.read_text() else words

    def sentence(rule: str, field: str, source: str) -> Expression:
        try:
            return parse(source, kind.channels, settings, calendar=calendar, kinds=others)
        except SentenceError as error:
            raise mistake(rule, field, str(error)) from error

    def mistake(rule: str, field: str, why: str) -> ConfigError:
        return _mistake(path, ("rules", rule, field), why)

    values = {name: setting.value for name, setting in settings.items()}
    return tuple(_rule(kind, path.stem, name, text, sentence, mistake, values) for name, text in content.rules.items())


def _settings(content: _RuleFile) -> dict[str, Setting]:
    return {name: Setting(setting.value, setting.unit) for name, setting in content.settings.items()}


def with_answers(rules: Rules, kinds: Kinds) -> dict[str, tuple[Rule, ...]]:
    """The rules, and beside them what watches for the questions that some of them ask about the neighbourhood.

    A device counts while its condition holds and for the window after it: that is a rule with an off-delay.
    """
    every = dict(rules)
    asked = {question.key: question for some in rules.values() for rule in some for question in rule.questions}
    words = vocabulary(kinds, ()) if asked else {}
    for question in asked.values():
        for name in question.kinds:
            settings = {key: setting.value for key, setting in words[name].settings.items()}
            settings |= {key: value for rule in rules.get(name, ()) for key, value in rule.settings.items()}
            every[name] = (*every.get(name, ()), _answer(question, name, kinds[name], settings))
    return every


def _answer(question: Question, kind_name: str, kind: Kind, values: Mapping[str, Value]) -> Rule:
    settings = {name: Setting(value) for name, value in values.items()}
    holds = parse(question.condition, kind.channels, settings)
    ends = parse(f"not ({question.condition})", kind.channels, settings)
    return Rule(
        id=f"?{hashlib.blake2b(question.key.encode(), digest_size=8).hexdigest()}",
        kind=kind_name,
        level="blue",
        title=Text(zh=question.condition, en=question.condition),
        advice=None,
        raise_when=holds,
        clear_when=ends,
        raise_delay_ms=0,
        clear_delay_ms=question.window_ms,
        latch=False,
        lateness_ms=0,
        life_safety=False,
        reflex=False,
        shadow=False,
        raise_samples=1,
        clear_samples=1,
        graver_when=(),
        channels=holds.channels,
        settings=values,
        events=frozenset(channel for channel in holds.channels if kind.channels[channel].event),
        keeps=(),
        questions=(),
        plain=True,
        answers=question.key,
        **_bound(holds, ends, (), values),
    )


def _rule(
    kind: Kind,
    kind_name: str,
    name: str,
    text: _RuleText,
    sentence: Callable[[str, str, str], Expression],
    mistake: Callable[[str, str, str], ConfigError],
    settings: Mapping[str, Value],
) -> Rule:
    raise_when, clear_when = sentence(name, "raise", text.raise_), sentence(name, "clear", text.clear)
    graver_when = tuple(
        (more.level, sentence(name, "levels", more.when))
        for more in sorted(text.levels, key=lambda more: LEVELS.index(more.level))
    )
    sentences = (raise_when, clear_when, *(when for _, when in graver_when))
    channels = tuple(dict.fromkeys(channel for one in sentences for channel in one.channels))
    keeps = {keep.key: keep for one in sentences for keep in one.keeps}
    questions = {asked.key: asked for one in sentences for asked in one.questions}
    if questions and text.reflex:
        raise mistake(name, "reflex", "a Pi sees only its own devices: no `count_devices` in a reflex")
    return Rule(
        id=name,
        kind=kind_name,
        level=text.level,
        title=text.title,
        advice=text.advice,
        raise_when=raise_when,
        clear_when=clear_when,
        raise_delay_ms=round(text.raise_delay_s * 1000),
        clear_delay_ms=round(text.clear_delay_s * 1000),
        latch=text.latch,
        lateness_ms=round(text.lateness_s * 1000),
        life_safety=text.life_safety,
        reflex=text.reflex,
        shadow=text.shadow,
        raise_samples=text.raise_samples,
        clear_samples=text.clear_samples,
        graver_when=graver_when,
        channels=channels,
        settings=settings,
        events=frozenset(channel for channel in channels if kind.channels[channel].event),
        keeps=tuple(keeps.values()),
        questions=tuple(questions.values()),
        plain=not any(one.timed for one in sentences) and text.raise_samples == text.clear_samples == 1,
        **_bound(raise_when, clear_when, graver_when, settings),
    )


def _mistake(path: Path, where: tuple[str, ...], why: str) -> ConfigError:
    line = line_of(path.read_text(encoding="utf-8"), where)
    return ConfigError(f"{path}:{line}: {'.'.join(where)}: {why}")


def same_type(value: Value, default: Value) -> bool:
    """Numbers are one type, whole or not; True is none of them."""
    return isinstance(value, bool) == isinstance(default, bool) and isinstance(value, str) == isinstance(default, str)
