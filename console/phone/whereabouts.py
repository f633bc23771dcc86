"""Where a case is, for an app that leads the way, and who can be called about it. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from messages.settings import Text
from rules.duty import household
from rules.duty.roster import Changes, holders
from rules.duty.site import Person, Site
from rules.language.neighbours import EARTH_M
from rules.records import Case

NEARBY = ("building_lead", "property", "fire_station", "health_station", "community")
"""Whom a worker asks for a key, a hand or help; in this order."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody with a telephone. `role`: a word of the texts' `duty`; of an owner its name stands in `owner`."""

    role: str
    name: str
    phone: str
    owner: Text | None = None

    @property
    def address(self) -> str:
        """RFC 3966."""
        return "tel:" + "".join(sign for sign in self.phone if sign in "+0123456789")


def contacts(site: Site | None, case: Case, changes: Changes, at_ms: int) -> list[Contact]:
    """Who is on duty near it and has a number, and who answers for the asset. Nobody twice."""
    found: dict[str, Contact] = {}
    for role, name, person, owner in _people(site, case, changes, at_ms) if site else ():
        if person.phone:
            found.setdefault(name, Contact(role, person.name, person.phone, owner))
    return list(found.values())


def _people(site: Site, case: Case, changes: Changes, at_ms: int) -> Iterator[tuple[str, str, Person, Text | None]]:
    for role in NEARBY[:2]:
        yield from _on_duty(site, role, None, case, changes, at_ms)
    if (owner := site.owners.get(case.owner)) is not None:
        for name in owner.people:
            yield "owner", name, site.people[name], owner.name
        if owner.department:
            yield from _on_duty(site, "department", owner.department, case, changes, at_ms)
    for role in NEARBY[2:]:
        yield from _on_duty(site, role, None, case, changes, at_ms)


def _on_duty(
    site: Site, role: str, department: str | None, case: Case, changes: Changes, at_ms: int
) -> Iterator[tuple[str, str, Person, Text | None]]:
    for name, post in site.posts.items():
        if post.role == role and post.department == department and site.covers(post, case.place):
            for person in holders(site, name, changes, at_ms):
                if person in site.people:
                    yield role, person, site.people[person], None


def spot(case: Case, site: Site | None) -> tuple[float, float] | None:
    """Latitude and longitude of the asset, or of the middle of its building on the site's plan."""
    if case.lat is not None and case.lon is not None:
        return case.lat, case.lon
    building = site.buildings.get(case.place.building) if site else None
    origin = site.plan.origin if site and site.plan else None
    if building is None or origin is None or not building.outline:
        return None
    east_m = sum(point[0] for point in building.outline) / len(building.outline)
    north_m = sum(point[1] for point in building.outline) / len(building.outline)
    lat = origin.lat + math.degrees(north_m / EARTH_M)
    return lat, origin.lon + math.degrees(east_m / EARTH_M / math.cos(math.radians(origin.lat)))


def geo_uri(where: tuple[float, float], label: str) -> str:
    """RFC 5870, with the query that maps of Android show as a pin."""
    lat, lon = (f"{degrees:.6f}" for degrees in where)
    return f"geo:{lat},{lon}?q={lat},{lon}({quote(label)})"


def name_of(site: Site | None, who: str | None) -> str:
    """A person as people call him: by his id or his login."""
    if site is None or who is None:
        return who or ""
    listed = site.people.get(who) or next((one for one in site.people.values() if one.login == who), None)
    return listed.name if listed else household.name_of(site, who) or who
