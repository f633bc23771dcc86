"""Whom a situation concerns: kind, level, place and owner to three steps of people (网格呼叫、街道处置、部门报到). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import Field

from messages.alarm import Level
from messages.announcement import Place
from messages.settings import Settings, read
from rules.duty.roster import UNCHANGED, Changes, holders, present_for
from rules.duty.site import Person, Role, Route, Site

SHIPPED = Path(str(files("rules"))) / "duty" / "routes.toml"


class _Routes(Settings):
    routes: list[Route] = Field(min_length=1)


def shipped_routes() -> tuple[Route, ...]:
    """Those that hold where a site's own say nothing; the last of them fits everything."""
    return tuple(read(SHIPPED, _Routes).routes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What somebody is to be called for."""

    kind: str
    level: Level
    place: Place
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A person on one step, and what makes him be there."""

    id: str
    person: Person
    role: Role | None
    """None: called by name, or for the owner."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the ladder: 1 grid, 2 street, 3 departments."""

    number: int
    people: tuple[Called, ...]
    wanted: tuple[str, ...]
    """The words of the route; with nobody found, what is missing."""


def route_of(site: Site, routes: tuple[Route, ...], situation: Situation) -> Route:
    """The first that fits; `routes` are the shipped ones."""
    return next(route for route in (*site.routes, *routes) if _fits(route, situation))


def steps(
    site: Site, routes: tuple[Route, ...], situation: Situation, at_ms: int, changes: Changes = UNCHANGED
) -> tuple[Step, ...]:
    """The three steps with whoever is on duty at `at_ms`. A person stands on his lowest step alone. A step that its route leaves out is
    not among them; one with nobody on duty is, empty."""
    route = route_of(site, routes, situation)
    seen = set[str]()
    found = []
    for number, words in enumerate((route.first, route.second, route.third), start=1):
        if not words:
            continue
        people = []
        for word in words:
            for called in _called(site, word, situation, at_ms, changes):
                if called.id not in seen:
                    seen.add(called.id)
                    people.append(called)
        found.append(Step(number, tuple(people), tuple(words)))
    return tuple(found)


def _fits(route: Route, situation: Situation) -> bool:
    return (
        (not route.kinds or situation.kind in route.kinds)
        and (not route.levels or situation.level in route.levels)
        and (not route.grids or situation.place.grid in route.grids)
        and (not route.owners or situation.owner in route.owners)
    )


def _called(site: Site, word: str, situation: Situation, at_ms: int, changes: Changes) -> Iterator[Called]:
    sort, _, name = word.partition(":")
    if sort == "person":
        yield from _by_name(site, name, at_ms, changes)
    elif sort == "owner":
        yield from _of_owner(site, situation, at_ms, changes)
    elif sort == "department":
        yield from _at_posts(site, "department", name, situation.place, at_ms, changes)
    else:
        yield from _at_posts(site, sort, None, situation.place, at_ms, changes)


def _of_owner(site: Site, situation: Situation, at_ms: int, changes: Changes) -> Iterator[Called]:
    owner = site.owners.get(situation.owner or "")
    if owner is None:
        return
    for name in owner.people:
        yield from _by_name(site, name, at_ms, changes)
    if owner.department:
        yield from _at_posts(site, "department", owner.department, situation.place, at_ms, changes)


def _by_name(site: Site, name: str, at_ms: int, changes: Changes) -> Iterator[Called]:
    """Somebody who is called whatever shift it is, or who stands in for him."""
    for person in present_for(name, changes.absences, at_ms):
        if person in site.people:
            yield Called(person, site.people[person], None)


def _at_posts(
    site: Site, role: str, department: str | None, place: Place, at_ms: int, changes: Changes
) -> Iterator[Called]:
    """Those on duty in this role, who is nearest in charge first."""
    for post in site.in_charge(role, department, place):
        for person in holders(site, post, changes, at_ms):
            if person in site.people:
                yield Called(person, site.people[person], site.posts[post].role)
