"""What is promised of a case by its level and kind, and when whom is called: settled once, at the opening. Pure after loading.

`policies.toml` holds what is shipped; a file of the same form says what is different at a place.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from messages.alarm import Level
from messages.language import Unfit
from messages.settings import Seconds, Settings, duration_s, read
from rules.language.calendar import Calendar

UNSEEN = "unseen"
"""The situation of somebody who isn't seen: asked first is how she is."""

SHIPPED = Path(str(files("rules"))) / "cases" / "policies.toml"

Verifier = Literal["other", "sensor"]
WATCHED: tuple[Level, ...] = ("red", "orange")
"""Checked by somebody else than who mended it, whatever a file says."""
ASKED: tuple[Level, ...] = ("orange", "yellow")
"""So grave that somebody goes there, and not so grave that he goes at once: whoever lives there may be asked first."""

_WORKING_DAYS = re.compile(r"(\d{1,3}) working days?")


def _span(text: str) -> str:
    if not _WORKING_DAYS.fullmatch(text):
        duration_s(text)
    return text


Span = Annotated[str, AfterValidator(_span)]
"""A duration, or "3 working days"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Seconds after which calls are made, and spans of promises as they are written; None: not promised."""

    accept: str | None = None
    arrive: str | None = None
    handle: str | None = None
    verify: str = "24h"
    check_in: str = "24h"
    call_s: tuple[float, ...] = (0.0,)
    street_s: float | None = None
    department_s: float | None = None
    again_s: float = 86_400.0
    remind_s: float = 86_400.0
    everyone: bool = True
    verifier: Verifier = "other"
    reopen_s: float = 86_400.0
    """For how long after its closing what comes again is the same case, 返工; then it goes to the archive."""
    ask_s: float | None = None
    """So long whoever lives there has to say how she is, and then her contacts; the worker is called after that, and his time begins. None: nobody is
    asked, or no longer."""


@dataclass(frozen=True, slots=True)
class Policies:
    """By level, with what is different for a kind."""

    levels: Mapping[Level, Policy]
    kinds: Mapping[str, Mapping[str, Any]]
    asks_s: Mapping[str, float] = field(default_factory=dict)
    """By the word for a situation."""

    def of(self, level: Level, kind: str, situation: str = "") -> Policy:
        """A preset of a kind takes the place of what its level promises, unless the level is stricter. `situation`: of a case that begins."""
        policy = self.levels[level]
        own = {
            name: value
            for name, value in self.kinds.get(kind, {}).items()
            if not _stricter(name, getattr(policy, name), value)
        }
        if level in WATCHED:
            own["verifier"] = "other"
        if level in ASKED:
            own["ask_s"] = self.asks_s.get(situation) or None
        return replace(policy, **own) if own else policy


def end_ms(from_ms: int, span: str, calendar: Calendar) -> int:
    """When `span` after `from_ms` is over. Of working days, the same time of day on the last of them."""
    if (days := _WORKING_DAYS.fullmatch(span)) is None:
        return from_ms + round(duration_s(span) * 1000)
    at_ms, left = from_ms, int(days[1])
    while left > 0:
        at_ms += round(timedelta(days=1).total_seconds() * 1000)
        left -= not calendar.is_holiday(at_ms)
    return at_ms


def policy_from(values: Mapping[str, Any]) -> Policy:
    """What `asdict` made, after a journey through JSON."""
    return Policy(**{**values, "call_s": tuple(values["call_s"])})


def _stricter(name: str, of_level: Any, of_kind: Any) -> bool:
    """Whether a level's span of red or orange would be loosened by a kind's."""
    if name not in ("accept", "arrive", "handle") or of_level is None:
        return False
    spans = [None if _WORKING_DAYS.fullmatch(text) else duration_s(text) for text in (of_level, of_kind)]
    return spans[0] is not None and (spans[1] is None or spans[1] > spans[0])


class _Text(Settings):
    """A level's or a kind's table; what isn't written is as it was."""

    accept: Span | None = None
    arrive: Span | None = None
    handle: Span | None = None
    verify: Span | None = None
    check_in: Span | None = None
    call: Annotated[list[Seconds], Field(min_length=1, max_length=20)] | None = None
    street: Seconds | None = None
    department: Seconds | None = None
    again: Annotated[Seconds, Field(ge=10)] | None = None
    remind: Annotated[Seconds, Field(ge=10)] | None = None
    reopen: Seconds | None = None
    everyone: bool | None = None
    verifier: Verifier | None = None

    @model_validator(mode="after")
    def _rising(self) -> "_Text":
        if self.call is not None and sorted(self.call) != self.call:
            raise Unfit("`call`: one call after the other, the first first")
        if self.street is not None and self.department is not None and self.department < self.street:
            raise Unfit("`department` is called after the `street`, not before")
        return self

    def fields(self) -> dict[str, Any]:
        """Of a Policy, as far as they are written."""
        written = {name: getattr(self, name) for name in self.model_fields_set}
        seconds = {"call", "street", "department", "again", "remind", "reopen"}
        named = {f"{name}_s" if name in seconds else name: value for name, value in written.items()}
        return named | ({"call_s": tuple(self.call)} if self.call is not None else {})


class _Asked(Settings):
    ask: Annotated[Seconds, Field(ge=0, le=3600)]


class _File(Settings):
    levels: dict[Level, _Text] = Field(default_factory=dict)
    kinds: dict[str, _Text] = Field(default_factory=dict)
    situations: dict[str, _Asked] = Field(default_factory=dict)

    def asks_s(self) -> dict[str, float]:
        return {word: text.ask for word, text in self.situations.items()}


def load_policies(own: Path | None = None) -> Policies:
    """The shipped ones, and over them what a file of one's own says. Raises ConfigError with file, line and field."""
    shipped = _shipped()
    if own is None:
        return shipped
    more = read(own, _File)
    levels = {
        level: Policy(**asdict(policy) | (more.levels[level].fields() if level in more.levels else {}))
        for level, policy in shipped.levels.items()
    }
    kinds = {name: {**shipped.kinds.get(name, {}), **text.fields()} for name, text in more.kinds.items()}
    return Policies(levels, {**shipped.kinds, **kinds}, {**shipped.asks_s, **more.asks_s()})


@cache
def _shipped() -> Policies:
    found = read(SHIPPED, _File)
    levels = {level: Policy(**text.fields()) for level, text in found.levels.items()}
    return Policies(levels, {name: text.fields() for name, text in found.kinds.items()}, found.asks_s())
