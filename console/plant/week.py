"""One week of a roster as a table: for each post and day, who is there from when to when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from console.plant.moments import day_ms
from rules.duty.roster import Changes, edges_ms, holders
from rules.duty.site import Site

DAYS = 7


@dataclass(frozen=True, slots=True)
class Stretch:
    """The same people from then to then, "08:00" to "24:00"; nobody, if there are none."""

    begins: str
    ends: str
    people: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return (self.begins, self.ends) == ("00:00", "24:00")


@dataclass(frozen=True, slots=True)
class Row:
    post: str
    days: tuple[tuple[Stretch, ...], ...]


def week(site: Site, changes: Changes, monday: date) -> list[Row]:
    days = [monday + timedelta(days=number) for number in range(DAYS)]
    return [Row(post, tuple(_day(site, post, changes, day) for day in days)) for post in site.posts]


def _day(site: Site, post: str, changes: Changes, day: date) -> tuple[Stretch, ...]:
    calendar = site.clock()
    from_ms, until_ms = day_ms(day, calendar), day_ms(day + timedelta(days=1), calendar)
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for begins, ends in pairwise(edges_ms(site, [site.posts[post]], changes, from_ms, until_ms)):
        people = tuple(holders(site, post, changes, begins))
        if found and found[-1][2] == people:
            found[-1] = (found[-1][0], ends, people)
        else:
            found.append((begins, ends, people))

    def clock(at_ms: int) -> str:
        return "24:00" if at_ms == until_ms else f"{calendar.local(at_ms):%H:%M}"

    return tuple(Stretch(clock(begins), clock(ends), people) for begins, ends, people in found)


def on_duty(site: Site, changes: Changes, at_ms: int) -> Mapping[str, list[str]]:
    """Who is at each post at a moment."""
    return {post: holders(site, post, changes, at_ms) for post in site.posts}
