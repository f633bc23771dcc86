"""The open alarms as of one log number, and what makes one board from another. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rules.records import Alarm


@dataclass(frozen=True, slots=True)
class Board:
    """What the feed shows: never older than log entry `seq`, perhaps a little newer."""

    seq: int
    alarms: Mapping[str, Alarm]


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns a board into the next one. Each part says how it is now, so that taking it twice does no harm."""

    gone: tuple[str, ...]
    now: tuple[Alarm, ...]
    """New and changed alarms."""


def board(seq: int, alarms: Iterable[Alarm]) -> Board:
    return Board(seq, {alarm.id: alarm for alarm in alarms})


def difference(before: Board, after: Board) -> Difference:
    return Difference(
        gone=tuple(alarm_id for alarm_id in before.alarms if alarm_id not in after.alarms),
        now=tuple(alarm for alarm in after.alarms.values() if before.alarms.get(alarm.id) != alarm),
    )
