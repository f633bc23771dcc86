"""What a rule keeps of the time before, for the functions that ask about it: windows, and the usual course. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messages.kind import Channel
from messages.reading import Value
from rules.language import usual as course_of_week
from rules.language import window as windows
from rules.language.calendar import Calendar
from rules.language.usual import Hour, Usual
from rules.language.window import Cell, Window

HOLDS = 2.5
"""For how many of its intervals a channel's last value is taken to hold: then the device counts as silent."""


def patience_ms(channel: Channel) -> int:
    return round(channel.interval_s * HOLDS * 1000)


@dataclass(frozen=True, slots=True)
class WindowKeep:
    """A channel's last `length_ms`."""

    channel: str
    length_ms: int
    patience_ms: int

    @property
    def key(self) -> str:
        return f"{self.channel}@{self.length_ms}"

    def add(self, before: Window | None, at_ms: int, value: Value) -> Window:
        return windows.add(before or (), self.length_ms, at_ms, windows.number(value))


@dataclass(frozen=True, slots=True)
class UsualKeep:
    """A channel's usual course over the week."""

    channel: str
    patience_ms: int
    calendar: Calendar

    @property
    def key(self) -> str:
        return f"{self.channel}@usual"

    def add(self, before: Usual | None, at_ms: int, value: Value) -> Usual:
        slot = self.calendar.hour_of_week(at_ms)
        return course_of_week.add(before or Usual(), slot, at_ms, windows.number(value), self.patience_ms)


Keep = WindowKeep | UsualKeep


def with_reading(
    keeps: Sequence[Keep], kept: Mapping[str, Any], channel: str, at_ms: int, value: Value
) -> Mapping[str, Any]:
    """What is kept, with one more reading of `channel`."""
    return {
        keep.key: keep.add(kept.get(keep.key), at_ms, value) if keep.channel == channel else kept.get(keep.key)
        for keep in keeps
    }


def to_json(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {"usual": [[list(hour) if hour else None for hour in one.hours], *one[1:]]}
        if isinstance(one, Usual)
        else {"window": [list(cell) for cell in one]}
        for key, one in kept.items()
        if one is not None
    }


def from_json(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {key: _kept(**one) for key, one in content.items()}


def _kept(*, window: Sequence[Sequence[Any]] = (), usual: Sequence[Any] | None = None) -> Window | Usual:
    """Raises TypeError for what isn't one."""
    if usual is None:
        return tuple(Cell(*_numbers(cell)) for cell in window)
    hours, *rest = usual
    if len(hours) != course_of_week.HOURS:
        raise TypeError(f"{len(hours)} hours a week")
    return Usual(tuple(None if hour is None else Hour(*_numbers(hour)) for hour in hours), *_numbers(rest))


def _numbers(values: Sequence[Any]) -> Sequence[Any]:
    if not all(type(value) in (int, float) for value in values):
        raise TypeError("a number is wanted")
    return values
