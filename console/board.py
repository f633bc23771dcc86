"""The open alarms as of one log number, what a reader may see of them, and what makes one board from another. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from console.card import NUMERALS, order
from console.rights import Scope
from messages.alarm import Level
from rules.records import Alarm, Position

Area = tuple[str, str]
"""Site and grid."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All open alarms by where they are: never older than `position` in the log, perhaps a little newer."""

    position: Position
    areas: Mapping[Area, Mapping[str, Alarm]]
    found: Mapping[str, Area]
    """Where each alarm lies."""


@dataclass(frozen=True, slots=True)
class Board:
    """What the feed shows to readers of one scope."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """In a flood: how many alarms of one kind and level are open in a grid, without the red ones."""

    kind: str
    level: Level
    site: str
    grid: str
    open: int


def whole(position: Position, alarms: Iterable[Alarm]) -> Whole:
    return advanced(Whole(position, {}, {}), position, alarms)[0]


def advanced(before: Whole, position: Position, changed: Iterable[Alarm]) -> tuple[Whole, frozenset[Area]]:
    """With alarms as they are now, open or not; and the areas in which something is different."""
    areas, found = dict(before.areas), dict(before.found)
    touched: dict[Area, dict[str, Alarm]] = {}

    def area(name: Area) -> dict[str, Alarm]:
        if name not in touched:
            touched[name] = areas[name] = dict(areas.get(name, {}))
        return touched[name]

    for alarm in changed:
        known, here = found.get(alarm.id), (str(alarm.site), alarm.place.grid)
        if known is not None and (known != here or not alarm.open):
            area(known).pop(alarm.id)
            del found[alarm.id]
        if alarm.open and (known is None or before.areas.get(here, {}).get(alarm.id) != alarm):
            area(here)[alarm.id] = alarm
            found[alarm.id] = here
    kept = {name: alarms for name, alarms in areas.items() if alarms}
    return Whole(position, kept, found), frozenset(touched)


def board(of: Whole, scope: Scope, most: int) -> Board:
    """What `scope` covers, the most urgent first and at most so many."""
    alarms = _covered(of, scope)
    shown = nsmallest(most, alarms, key=order)
    counts: Mapping[Level, int] = Counter(alarm.level for alarm in alarms)
    return Board(of.position, {alarm.id: alarm for alarm in shown}, dict(counts))


def tallies(of: Whole, scope: Scope, sites: Iterable[str]) -> Sequence[Tally]:
    """Of sites in a flood: what isn't red and may call, the gravest first and of those the most frequent."""
    flooded = set(sites)
    counted = Counter(
        (alarm.kind, alarm.level, str(alarm.site), alarm.place.grid)
        for alarm in _covered(of, scope)
        if alarm.site in flooded and alarm.level != "red" and alarm.overlays.annunciated
    )
    return [
        Tally(kind=kind, level=level, site=site, grid=grid, open=count)
        for (kind, level, site, grid), count in sorted(
            counted.items(), key=lambda one: (order_of_levels(one[0][1]), -one[1], one[0])
        )
    ]


def order_of_levels(level: Level | None) -> int:
    """Gravest first; what has none comes last."""
    return len(NUMERALS) if level is None else list(NUMERALS).index(level)


def difference(before: Board, after: Board) -> Difference:
    return Difference(
        gone=tuple(alarm_id for alarm_id in before.alarms if alarm_id not in after.alarms),
        now=tuple(alarm for alarm in after.alarms.values() if before.alarms.get(alarm.id) != alarm),
    )


def _covered(of: Whole, scope: Scope) -> list[Alarm]:
    return [alarm for (site, grid), alarms in of.areas.items() if scope.covers(site, grid) for alarm in alarms.values()]
