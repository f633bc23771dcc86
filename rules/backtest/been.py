"""What an alarm was, as episodes: one for each time that its rule raised it. Pure.

An alarm is open until a person is done with it, and may be raised again meanwhile: it is one row, and as many episodes. A dry run knows no
people, so episodes are what it can be held against.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rules.alarms.rebuild import LATE
from rules.backtest.replay import Episode

EVENTS = ("raised", "cleared", "latched", "chattering", "settled", "uncertain", "certain")
"""Lines of an alarm's log, after "alarm.", by which its episodes are told apart."""
_BEGINS, _ENDS = ("alarm.raised",), ("alarm.cleared", "alarm.latched")
_DOUBT, _TRUST = ("alarm.chattering", "alarm.uncertain"), ("alarm.settled", "alarm.certain")


@dataclass(frozen=True, slots=True)
class Line:
    """One of them, by the server's time."""

    event: str
    at_ms: int
    detail: str


def episodes(alarm: Episode, times: Sequence[int], occurrences: int, lines: Iterable[Line]) -> list[Episode]:
    """`alarm`: from its first raise to its last return. `times`: when it was raised and raised again, by the readings' own time, as far as
    that was kept: of many the first and the latest. Of one that chattered all `occurrences` are told; where their times were not kept they lie
    evenly between those that were."""
    said = [one for one in lines if not one.detail.startswith(LATE)]
    begins = sorted({alarm.raised_at_ms, *_again(alarm, times, said)})
    chattered = [one.at_ms for one in said if one.event == "alarm.chattering"]
    if chattered and len(begins) < occurrences:
        begins = _filled(begins, times, chattered[0], occurrences)
    ends = sorted(one.at_ms for one in said if one.event in _ENDS)
    return list(_spans(alarm, begins, ends))


def _filled(begins: Sequence[int], times: Sequence[int], chattered_ms: int, occurrences: int) -> list[int]:
    until_ms = min((at_ms for at_ms in times if at_ms > chattered_ms), default=begins[-1])
    since_ms = max((at_ms for at_ms in begins if at_ms < until_ms), default=until_ms)
    missing = occurrences - len(begins)
    step_ms = (until_ms - since_ms) / (missing + 1)
    return sorted({*begins, *(round(since_ms + step_ms * number) for number in range(1, missing + 1))})


def _again(alarm: Episode, times: Sequence[int], said: Sequence[Line]) -> Iterator[int]:
    """When it was raised again. A line is of the latest of the times before it; where that was not kept, of its own."""
    left = [at_ms for at_ms in sorted(times) if at_ms > alarm.raised_at_ms]
    doubted_ms: int | None = None
    for line in said:
        earlier = [at_ms for at_ms in left if at_ms <= line.at_ms]
        if line.event in _BEGINS and line.detail:
            yield earlier[-1] if earlier else line.at_ms
        if doubted_ms is not None:  # while it is in doubt nothing is said of it, and counted all the same
            yield from (at_ms for at_ms in earlier if at_ms > doubted_ms)
        if (line.event in _BEGINS and line.detail) or doubted_ms is not None:
            left = left[len(earlier) :]
        if line.event in _DOUBT and doubted_ms is None:
            doubted_ms = line.at_ms
        if line.event in _TRUST:
            doubted_ms = None
    if doubted_ms is not None:
        yield from (at_ms for at_ms in left if at_ms > doubted_ms)


def _spans(alarm: Episode, begins: Sequence[int], ends: Sequence[int]) -> Iterator[Episode]:
    for begin_ms, next_ms in zip(begins, [*begins[1:], None], strict=True):
        if next_ms is None:
            over_ms = alarm.cleared_at_ms
        else:
            over_ms = next((at_ms for at_ms in ends if begin_ms <= at_ms <= next_ms), next_ms)
        over_ms = None if over_ms is None else max(begin_ms, over_ms)  # one is by the readings' time, one by ours
        yield replace(alarm, raised_at_ms=begin_ms, cleared_at_ms=over_ms)
