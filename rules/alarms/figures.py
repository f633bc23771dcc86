"""Figures that an engine's file may set, `[alarms]` in rules.toml: when an alarm rings again, what chatters, and what a flood is.

Section 4 of the field notes, EEMUA 191 and ISA-18.2; [E] marks an engineering default.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from messages.alarm import Level
from messages.language import Unfit
from messages.settings import Seconds, Settings

_Span = Annotated[Seconds, Field(ge=1, le=30 * 86_400)]
_Count = Annotated[int, Field(ge=1, le=10_000)]


class Realarm(Settings):
    """ReAlarmTime: an active alarm whose case is unfinished rings again after so long."""

    red: _Span = 1800.0  # [E]
    orange: _Span = 7200.0  # [E]
    yellow: _Span = 86_400.0  # section 4: to be dealt with in 24 h
    blue: _Span = 3 * 86_400.0  # section 4: three working days

    def after_ms(self, level: Level) -> int:
        seconds: float = getattr(self, level)
        return round(seconds * 1000)


class Chatter(Settings):
    """So many raises within so long; so much quiet ends it."""

    times: Annotated[int, Field(ge=2, le=20)] = 3
    within: _Span = 60.0
    quiet: _Span = 1800.0


class Flood(Settings):
    """New alarms for each operator within the window: above the one it begins, below the other it ends."""

    window: _Span = 600.0
    begins_above: _Count = 10
    ends_below: _Count = 5

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.ends_below > self.begins_above:
            raise Unfit("`ends_below`: a flood would end before it begins; it is at most `begins_above`")
        return self


class Figures(Settings):
    """All of them; what is left out is as shipped."""

    realarm: Realarm = Realarm()
    chatter: Chatter = Chatter()
    flood: Flood = Flood()


SHIPPED = Figures()
