"""What two or three courses of alarms have in common and what not: by rule, by grid and day, flapping, standing. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from messages.alarm import Level
from messages.ids import DeviceId, SiteId
from rules.backtest.reasons import Then, Why, counted
from rules.backtest.replay import Episode
from rules.language.calendar import Calendar

WAS, NOW, CHANGED = "was", "rules now", "changed"
"""Courses: what was, and what would have been by the rules in use, and by changed ones."""
FLAPPING, WITHIN_MS = 3, 3_600_000
"""A device that raises the same alarm so often within so long flaps [E]."""
STANDING_MS = 86_400_000
"""Section 4 of the field notes: stale after a day."""
SAME_MS = 60_000
"""Two courses mean the same episode when they raise it within so long of each other."""

RuleKey = tuple[str, str]
"""Kind and rule."""
Spot = tuple[SiteId, DeviceId, str]
"""Where an alarm may be: site, device, rule."""


@dataclass(frozen=True, slots=True)
class Course:
    """One course of alarms: those that were, or those that certain rules would have raised."""

    name: str
    episodes: Sequence[Episode]
    before: Sequence[Episode] = ()
    """What stood already when it began."""
    by_rule: Mapping[RuleKey, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_rule", Counter((one.kind, one.rule) for one in self.episodes))

    @classmethod
    def within(cls, name: str, episodes: Iterable[Episode], from_ms: int, until_ms: int) -> "Course":
        """What of these began in a span, and what stood when it began; both in order of time."""
        every = sorted(episodes, key=lambda one: one.raised_at_ms)
        began = [one for one in every if from_ms <= one.raised_at_ms < until_ms]
        return cls(name, began, [one for one in every if one.stands_at(from_ms)])

    def by_grid_and_day(self, calendar: Calendar) -> dict[tuple[SiteId, str], Counter[str]]:
        """How many began on each day (of the site's calendar, ISO), by site and grid."""
        found: dict[tuple[SiteId, str], Counter[str]] = defaultdict(Counter)
        for one in self.episodes:
            found[one.site, one.grid][day_of(calendar, one.raised_at_ms)] += 1
        return dict(found)

    def by_level(self) -> Counter[Level]:
        return Counter(one.level for one in self.episodes)

    def flapping(self) -> dict[Spot, int]:
        """The most that began within an hour, where that is too many."""
        begun: dict[Spot, list[int]] = defaultdict(list)
        for one in self.episodes:
            begun[one.site, one.device, one.rule].append(one.raised_at_ms)
        most = {spot: _most_within(sorted(times)) for spot, times in begun.items()}
        return {spot: count for spot, count in sorted(most.items(), key=lambda one: -one[1]) if count >= FLAPPING}

    def standing(self, until_ms: int) -> list[Episode]:
        """Those that stood for more than a day, longest first."""
        every = (*self.before, *self.episodes)
        lasted = [(one, (one.cleared_at_ms or until_ms) - one.raised_at_ms) for one in every]
        return [one for one, ms in sorted(lasted, key=lambda pair: -pair[1]) if ms > STANDING_MS]


def _most_within(times: Sequence[int]) -> int:
    most = first = 0
    for last, at_ms in enumerate(times):
        while at_ms - times[first] > WITHIN_MS:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True, slots=True)
class Difference:
    """What one course has and the other has not. What stood at the beginning of either is neither new nor gone."""

    gone: tuple[Episode, ...]
    new: tuple[Episode, ...]
    moved: tuple[tuple[Episode, Episode], ...]
    """In both, raised at another time: the one before, and the one after."""
    same: int


def difference(before: Course, after: Course) -> Difference:
    """Episodes of a device and a rule are the same that begin within a minute of each other, and moved if one stands while the other does."""
    left, right = _by_spot(before), _by_spot(after)
    gone, new, moved, same = list[Episode](), list[Episode](), list[tuple[Episode, Episode]](), 0
    inside = {id(one) for course in (before, after) for one in course.episodes}
    for spot in left.keys() | right.keys():
        pairs, ones, others = _paired(left.get(spot, []), right.get(spot, []), _begin_together)
        same += sum(id(one) in inside and id(other) in inside for one, other in pairs)
        pairs, ones, others = _paired(ones, others, _overlap)
        moved += [pair for pair in pairs if id(pair[0]) in inside or id(pair[1]) in inside]
        gone += [one for one in ones if id(one) in inside]
        new += [one for one in others if id(one) in inside]
    gone, new = sorted(gone, key=_begin), sorted(new, key=_begin)
    return Difference(tuple(gone), tuple(new), tuple(sorted(moved, key=lambda pair: _begin(pair[0]))), same)


def _by_spot(course: Course) -> dict[Spot, list[Episode]]:
    found: dict[Spot, list[Episode]] = defaultdict(list)
    for one in sorted((*course.before, *course.episodes), key=_begin):
        found[one.site, one.device, one.rule].append(one)
    return found


def _paired(
    ones: Sequence[Episode], others: Sequence[Episode], alike: Callable[[Episode, Episode], bool]
) -> tuple[list[tuple[Episode, Episode]], list[Episode], list[Episode]]:
    """Pairs that are alike, each in the order of time, and what is left of both."""
    pairs, left, right = list[tuple[Episode, Episode]](), list[Episode](), list[Episode]()
    at = to = 0
    while at < len(ones) and to < len(others):
        one, other = ones[at], others[to]
        if alike(one, other):
            pairs.append((one, other))
            at, to = at + 1, to + 1
        elif one.raised_at_ms < other.raised_at_ms:
            left.append(one)
            at += 1
        else:
            right.append(other)
            to += 1
    return pairs, [*left, *ones[at:]], [*right, *others[to:]]


def _begin(one: Episode) -> int:
    return one.raised_at_ms


def _begin_together(one: Episode, other: Episode) -> bool:
    return abs(one.raised_at_ms - other.raised_at_ms) <= SAME_MS


def _overlap(one: Episode, other: Episode) -> bool:
    first, second = (one, other) if one.raised_at_ms <= other.raised_at_ms else (other, one)
    return first.cleared_at_ms is None or second.raised_at_ms <= first.cleared_at_ms


def day_of(calendar: Calendar, at_ms: int) -> str:
    return calendar.local(at_ms).date().isoformat()


def days(calendar: Calendar, from_ms: int, until_ms: int) -> list[str]:
    """Every day of a span, also those on which nothing was."""
    found = dict.fromkeys(day_of(calendar, at_ms) for at_ms in range(from_ms, until_ms, 3_600_000))
    return list(found)


def has_reasons(before: Course, after: Course) -> bool:
    """Whether something may be known of why two courses differ: two of the same readings differ by their rules."""
    return (before.name, after.name) == (WAS, NOW)


def as_json(
    courses: Sequence[Course],
    calendar: Calendar,
    from_ms: int,
    until_ms: int,
    most: int | None = None,
    then: Then | None = None,
) -> dict[str, Any]:
    """All of it for other programs. `most`: how many episodes of each sort to list; None: all. `then`: what is known of the time."""
    return {
        "from_ms": from_ms,
        "until_ms": until_ms,
        "courses": [
            {
                "name": course.name,
                "alarms": len(course.episodes),
                "stood_before": len(course.before),
                "by_level": dict(course.by_level()),
                "by_rule": {f"{kind}.{rule}": count for (kind, rule), count in sorted(course.by_rule.items())},
                "by_grid_and_day": {
                    f"{site}/{grid}": dict(sorted(counts.items()))
                    for (site, grid), counts in sorted(course.by_grid_and_day(calendar).items())
                },
                "flapping": {"/".join(spot): count for spot, count in course.flapping().items()},
                "standing": ["/".join((one.site, one.device, one.rule)) for one in course.standing(until_ms)],
            }
            for course in courses
        ],
        "differences": [_difference(before, after, most, then) for before, after in pairwise(courses)],
    }


def _difference(before: Course, after: Course, most: int | None, then: Then | None) -> dict[str, Any]:
    found = difference(before, after)
    known = then if has_reasons(before, after) else None
    moved = [{**row(one), "moved_to_ms": other.raised_at_ms} for one, other in found.moved[:most]]
    return {
        "before": before.name,
        "after": after.name,
        "same": found.same,
        "gone": len(found.gone),
        "new": len(found.new),
        "moved": len(found.moved),
        **_listed("gone", found.gone, known.gone if known else None, most),
        **_listed("new", found.new, known.new if known else None, most),
        "moved_listed": moved,
    }


def _listed(
    name: str, some: Sequence[Episode], why: Callable[[Episode], Why] | None, most: int | None
) -> dict[str, Any]:
    """The first of them, each with its reason where reasons are asked for; and how often each reason is that of one."""
    if why is None:
        return {f"{name}_listed": [row(one) for one in some[:most]]}
    return {
        f"{name}_listed": [{**row(one), "why": why(one)} for one in some[:most]],
        f"{name}_why": counted(map(why, some)),
    }


def row(one: Episode) -> dict[str, Any]:
    names = ("site", "device", "kind", "rule", "level", "grid", "raised_at_ms", "cleared_at_ms")
    return {name: getattr(one, name) for name in names}
