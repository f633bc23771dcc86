"""The open alarms as of one log number, and what makes one board from another. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from messages.alarm import Level
from rules.records import Alarm, Position


@dataclass(frozen=True, slots=True)
class Board:
    """What the feed shows: never older than `position` in the log, perhaps a little newer."""

    position: Position
    alarms: Mapping[str, Alarm]
    counts: Mapping[Level, int]
    """How many are open, by level: also of those for which there was no room."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns a board into the next one. Each part says how it is now, so that taking it twice does no harm."""

    gone: tuple[str, ...]
    now: tuple[Alarm, ...]
    """New and changed alarms."""


def board(position: Position, alarms: Iterable[Alarm], counts: Mapping[Level, int]) -> Board:
    return Board(position, {alarm.id: alarm for alarm in alarms}, counts)


def difference(before: Board, after: Board) -> Difference:
    return Difference(
        gone=tuple(alarm_id for alarm_id in before.alarms if alarm_id not in after.alarms),
        now=tuple(alarm for alarm in after.alarms.values() if before.alarms.get(alarm.id) != alarm),
    )
