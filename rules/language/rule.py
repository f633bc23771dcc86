"""A rule: when a device of a kind raises an alarm, when it clears, how grave it is, what to tell people.

One TOML file per kind in `rules/library/` or in a folder of the user's; the file's stem is the kind's name, and a
user's file replaces the shipped one. Every mistake ends as ConfigError with file, line and field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from messages.alarm import Level
from messages.ids import IDENTIFIER
from messages.kind import Kind, Kinds
from messages.reading import Value
from messages.settings import ConfigError, Seconds, Settings, Text, duration_s, line_of, read, suggest
from rules.language.sentence import Expression, SentenceError, Setting, parse

SHIPPED = Path(str(files("rules"))) / "library"
LATENESS_S = duration_s("10min")

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
    channels: tuple[str, ...]
    """All that its sentences look at, the leading one first."""
    settings: Mapping[str, Value]
    """What the other names in them stand for."""
    times: tuple[str, ...] = ()
    """The channels of which they ask when they last changed."""
    events: frozenset[str] = frozenset()
    """Those of its channels whose every reading is a change."""

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
        return replace(self, settings={**self.settings, **own}) if own else self


Rules = Mapping[str, tuple[Rule, ...]]
"""By the kind's name."""


class _SettingText(Settings):
    value: Value
    unit: str | None = None


class _RuleText(Settings):
    level: Level
    title: Text
    advice: Text | None = None
    raise_: str = Field(alias="raise")
    clear: str
    raise_delay_s: Seconds = Field(default=0.0, alias="raise_delay")
    clear_delay_s: Seconds = Field(default=0.0, alias="clear_delay")
    latch: bool = False
    lateness_s: Seconds = Field(default=LATENESS_S, alias="lateness")
    life_safety: bool = False
    reflex: bool = False

    @model_validator(mode="after")
    def _grave_enough(self) -> Self:
        if self.life_safety and not (self.level == "red" and self.latch):
            raise ValueError('life_safety needs level = "red" and latch = true')
        return self


class _RuleFile(Settings):
    settings: dict[_Name, _SettingText] = Field(default_factory=dict)
    rules: dict[_Name, _RuleText] = Field(min_length=1)


def load_rules(kinds: Kinds, *folders: Path) -> dict[str, tuple[Rule, ...]]:
    """All rules in the shipped folder and then in `folders`. Raises ConfigError."""
    paths: dict[str, Path] = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of rules")
        paths |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {name: load_file(path, kinds) for name, path in paths.items()}


def load_file(path: Path, kinds: Kinds) -> tuple[Rule, ...]:
    """The rules of one file, whose stem names the kind. Raises ConfigError."""
    if (kind := kinds.get(path.stem)) is None:
        raise ConfigError(f"{path}: no kind `{path.stem}` to make rules for{suggest(path.stem, kinds)}")
    content = read(path, _RuleFile)
    for name in content.settings:
        if name in kind.channels:
            raise _mistake(path, ("settings", name), f"a {path.stem} has a channel of this name")
    settings = {name: Setting(setting.value, setting.unit) for name, setting in content.settings.items()}
    return tuple(_checked(path, name, text, kind, settings) for name, text in content.rules.items())


def _checked(path: Path, name: str, text: _RuleText, kind: Kind, settings: Mapping[str, Setting]) -> Rule:
    def sentence(field: str, source: str) -> Expression:
        try:
            return parse(source, kind.channels, settings)
        except SentenceError as error:
            raise _mistake(path, ("rules", name, field), str(error)) from error

    raise_when, clear_when = sentence("raise", text.raise_), sentence("clear", text.clear)
    channels = tuple(dict.fromkeys(raise_when.channels + clear_when.channels))
    return Rule(
        id=name,
        kind=path.stem,
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
        channels=channels,
        settings={name: setting.value for name, setting in settings.items()},
        times=tuple(dict.fromkeys(raise_when.times + clear_when.times)),
        events=frozenset(name for name in channels if kind.channels[name].event),
    )


def _mistake(path: Path, where: tuple[str, ...], why: str) -> ConfigError:
    line = line_of(path.read_text(encoding="utf-8"), where)
    return ConfigError(f"{path}:{line}: {'.'.join(where)}: {why}")


def same_type(value: Value, default: Value) -> bool:
    """Numbers are one type, whole or not; True is none of them."""
    return isinstance(value, bool) == isinstance(default, bool) and isinstance(value, str) == isinstance(default, str)
