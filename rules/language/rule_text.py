"""What a file of rules says, before a rule is made of it: its fields, and which of them can't stand together."""

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from messages.alarm import Level
from messages.ids import IDENTIFIER
from messages.language import Unfit, phrase
from messages.reading import Value
from messages.settings import Seconds, Settings, Text, duration_s, shaped
from rules.language.rule import LONGEST_DELAY_S
from rules.language.sentence import Setting

LATENESS_S = duration_s("10min")


GATHERED = r"[a-z0-9_]+\.([a-z0-9_]+|\*)"

_Name = Annotated[str, StringConstraints(pattern=IDENTIFIER)]

PRACTICE, CHATTERING = "drill-", "chattering"
"""What is named so is practice for ever, and calls nobody (rules.drills); and an alarm that the engine raises by itself beside a rule's."""


def _unreserved(name: str) -> str:
    if name.startswith(PRACTICE):
        raise Unfit(
            "names that begin with `{practice}` are those of drills, and call nobody; choose another one",
            practice=PRACTICE,
        )
    if name == CHATTERING:
        raise Unfit(
            "`{name}` is the alarm of a device whose other alarms come and go too fast; choose another name",
            name=CHATTERING,
        )
    return name


def _usable(name: str) -> str:
    """In a sentence."""
    if keyword.iskeyword(name) or name in ("true", "false"):
        raise Unfit("`{name}` is a word of the rules' language; choose another name", name=name)
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise Unfit("a setting is lower-case letters, digits and underscores, not digits first; choose another name")
    return name


_RuleName = Annotated[_Name, AfterValidator(_unreserved)]
_SettingName = Annotated[_Name, AfterValidator(_usable)]


def _delay(value: object) -> float | str:
    if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", value):
        return value
    seconds = duration_s(value)
    if seconds > LONGEST_DELAY_S:
        raise Unfit("at most {days:g} days", days=LONGEST_DELAY_S / 86_400)
    return seconds


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
    gathers: list[
        Annotated[
            str, shaped(GATHERED, phrase("a kind and a rule are wanted, such as sewer_level.high or sewer_level.*"))
        ]
    ] = Field(default_factory=list)
    situation: _RuleName | None = None


class RuleFile(Settings):
    settings: dict[_SettingName, SettingText] = Field(default_factory=dict)
    rules: dict[_RuleName, RuleText] = Field(min_length=1)


def settings_of(content: RuleFile) -> dict[str, Setting]:
    return {name: Setting(setting.value, setting.unit) for name, setting in content.settings.items()}
