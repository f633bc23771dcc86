"""What two or three courses of alarms have in common and what not: by rule, by grid and day, flapping, standing. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from messages.alarm import Level
from messages.ids import DeviceId, SiteId
from rules.backtest.replay import Episode
from rules.language.calendar import Calendar

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
    by_rule: Mapping[RuleKey, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_rule", Counter((one.kind, one.rule) for one in self.episodes))

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
        lasted = [(one, (one.cleared_at_ms or until_ms) - one.raised_at_ms) for one in self.episodes]
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
    """What one course has and the other has not."""

    gone: tuple[Episode, ...]
    new: tuple[Episode, ...]
    same: int


def difference(before: Iterable[Episode], after: Iterable[Episode]) -> Difference:
    """Episodes are the same that begin within a minute at the same device by the same rule."""
    left: dict[Spot, list[Episode]] = defaultdict(list)
    for one in sorted(before, key=lambda one: one.raised_at_ms):
        left[one.site, one.device, one.rule].append(one)
    new, same = [], 0
    for one in sorted(after, key=lambda one: one.raised_at_ms):
        candidates = left.get((one.site, one.device, one.rule), [])
        near = next((other for other in candidates if abs(other.raised_at_ms - one.raised_at_ms) <= SAME_MS), None)
        if near is None:
            new.append(one)
        else:
            candidates.remove(near)
            same += 1
    gone = sorted((one for some in left.values() for one in some), key=lambda one: one.raised_at_ms)
    return Difference(tuple(gone), tuple(new), same)


def day_of(calendar: Calendar, at_ms: int) -> str:
    return calendar.local(at_ms).date().isoformat()


def days(calendar: Calendar, from_ms: int, until_ms: int) -> list[str]:
    """Every day of a span, also those on which nothing was."""
    found = dict.fromkeys(day_of(calendar, at_ms) for at_ms in range(from_ms, until_ms, 3_600_000))
    return list(found)


def as_json(courses: Sequence[Course], calendar: Calendar, from_ms: int, until_ms: int) -> dict[str, Any]:
    """All of it for other programs."""
    return {
        "from_ms": from_ms,
        "until_ms": until_ms,
        "courses": [
            {
                "name": course.name,
                "alarms": len(course.episodes),
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
    }
