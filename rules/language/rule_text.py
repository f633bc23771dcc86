"""What a file of rules says, before a rule is made of it: its fields, and which of them can't stand together."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from messages.alarm import Level
from messages.ids import IDENTIFIER
from messages.reading import Value
from messages.settings import Seconds, Settings, Text, duration_s
from rules.language.rule import graver
from rules.language.sentence import Setting

LATENESS_S = duration_s("10min")


GATHERED = r"^[a-z0-9_]+\.([a-z0-9_]+|\*)$"

_Name = Annotated[str, StringConstraints(pattern=IDENTIFIER)]

PRACTICE, CHATTERING = "drill-", "chattering"
"""What is named so is practice for ever, and calls nobody (rules.drills); and an alarm that the engine raises by itself beside a rule's."""


def _unreserved(name: str) -> str:
    if name.startswith(PRACTICE):
        raise ValueError(f"names that begin with `{PRACTICE}` are those of drills, and call nobody; choose another one")
    if name == CHATTERING:
        raise ValueError(
            f"`{CHATTERING}` is the alarm of a device whose other alarms come and go too fast; choose another name"
        )
    return name


_RuleName = Annotated[_Name, AfterValidator(_unreserved)]


def _delay(value: object) -> float | str:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", value) else duration_s(value)


_Delay = Annotated[float | str, BeforeValidator(_delay)]
"""A duration in seconds, or the name of a setting that is one."""


class SettingText(Settings):
    value: Value
    unit: str | None = None


class LevelText(Settings):
    level: Level
    when: str


class RuleText(Settings):
    level: Level
    levels: list[LevelText] = Field(default_factory=list)
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
    situation: _RuleName | None = None

    @model_validator(mode="after")
    def _grave_enough(self) -> Self:
        if self.life_safety and not (self.level == "red" and self.latch):
            raise ValueError('life_safety needs level = "red" and latch = true')
        for more in self.levels:
            if not graver(more.level, self.level):
                raise ValueError(f"levels: {more.level} is not graver than the rule's own, {self.level}")
        return self


class RuleFile(Settings):
    settings: dict[_Name, SettingText] = Field(default_factory=dict)
    rules: dict[_RuleName, RuleText] = Field(min_length=1)


def settings_of(content: RuleFile) -> dict[str, Setting]:
    return {name: Setting(setting.value, setting.unit) for name, setting in content.settings.items()}
