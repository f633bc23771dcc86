"""Who is called now: the sites' files, and the changes of the book, as escalation asks for them. Kept in memory, looked after by the shell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from rules.duty.folder import SiteFolder
from rules.duty.household import CONTACT, RESIDENT, contact_id, masked_name, resident_id
from rules.duty.ladder import DESK, Address, Home, Ladder, Person, desk_alone
from rules.duty.roster import UNCHANGED, Changes
from rules.duty.routing import Situation, steps
from rules.duty.site import Household, Site
from rules.duty.site import Person as Listed

PHONE = ("sms", "voice", "phone")
"""Channels for which an address that is left out is the telephone number."""


@dataclass(slots=True)
class Roll:
    """The people of all sites."""

    folder: SiteFolder
    changes: Mapping[SiteId, Changes] = field(default_factory=dict)
    desk: tuple[Address, ...] = ()
    """How whoever sits at the desk is told, beside the pages."""

    def ladder(self, site_id: SiteId, kind: str, level: Level, place: Place, owner: str, at_ms: int) -> Ladder:
        """A `rules.duty.ladder.LadderOf`. Of a site without a file everything concerns the desk."""
        if (site := self.folder.sites.get(site_id)) is None:
            return desk_alone(site_id, kind, level, place, owner, at_ms)
        situation = Situation(kind=kind, level=level, place=place, owner=owner or None)
        rungs: list[tuple[Person, ...]] = [(), (), ()]
        for step in steps(site, self.folder.routes, situation, at_ms, self.changes.get(site_id, UNCHANGED)):
            rungs[step.number - 1] = tuple(_person(one.id, one.person, one.role or "") for one in step.people)
        return Ladder((rungs[0], rungs[1], rungs[2]))

    def owner(self, site_id: SiteId, device: str, announced: str) -> str:
        """A `rules.duty.ladder.OwnerOf`."""
        site = self.folder.sites.get(site_id)
        return site.owner_of(device, announced) if site else announced

    def home(self, site_id: SiteId, device: str) -> Home:
        """A `rules.duty.ladder.HomeOf`."""
        site = self.folder.sites.get(site_id)
        found = site.household_of(device) if site else None
        return home(*found) if found else Home()

    def find(self, site_id: str, name: str) -> tuple[Address, ...]:
        """How to reach somebody who was called by name: by id, or by login; and the desk."""
        if name == DESK.id:
            return self.desk
        site = self.folder.sites.get(SiteId(site_id))
        listed = _named(site, name) if site else None
        return addresses(listed) if listed else ()


def home(name: str, household: Household) -> Home:
    """Who can be asked there; whoever has neither an address nor a number is left out. Names are masked: calls are logged."""
    lives = Person(
        resident_id(name),
        masked_name(household.resident),
        RESIDENT,
        addresses=written(household.reach, household.phone),
    )
    others = [
        Person(contact_id(name, number), masked_name(one.name), CONTACT, addresses=written(one.reach, one.phone))
        for number, one in enumerate(household.contacts, start=1)
    ]
    return Home((lives,) if lives.addresses else (), tuple(one for one in others if one.addresses))


def _named(site: Site, name: str) -> Listed | None:
    if (found := site.people.get(name)) is not None:
        return found
    return next((one for one in site.people.values() if one.login == name), None)


def _person(person_id: str, listed: Listed, role: str) -> Person:
    return Person(person_id, listed.name, role, listed.language, addresses(listed))


def addresses(listed: Listed) -> tuple[Address, ...]:
    """In the order in which they are tried; what has neither an address nor a number is left out."""
    return written(listed.reach, listed.phone)


def written(reach: Iterable[str], phone: str | None = None) -> tuple[Address, ...]:
    """The addresses that words such as "wecom:LinXiaoMei" or "sms" stand for."""
    found = []
    for word in reach:
        channel, _, to = word.partition(":")
        if not to and any(channel == name or channel.startswith(f"{name}-") for name in PHONE):
            to = "".join(phone.split()) if phone else ""
        if to:
            found.append(Address(channel, to))
    return tuple(found)
