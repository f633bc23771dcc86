"""What people, grids and sites are called, by the sites' files as they were last read. Whatever no file knows keeps its id."""

from dataclasses import dataclass

from console.words import Words
from messages.ids import SiteId
from rules.duty.folder import SiteFolder
from rules.duty.household import name_of, role_of


@dataclass(frozen=True, slots=True)
class Called:
    """For the templates, of the feed's rows too: names of staff and places are nobody's secret here."""

    sites: SiteFolder

    def person(self, site: str, who: str) -> str:
        """By his id or his login; somebody who was asked how she is, masked."""
        found = self.sites.sites.get(SiteId(site))
        people = found.people if found else {}
        listed = people.get(who) or next((one for one in people.values() if one.login == who), None)
        if listed is None and role_of(who) and found is not None:
            return name_of(found, who) or who
        return listed.name if listed else who

    def grid(self, site: str, grid: str, words: Words) -> str:
        found = self.sites.sites.get(SiteId(site))
        listed = found.grids.get(grid) if found else None
        return words.of(listed.name) if listed else grid

    def site(self, site: str, words: Words) -> str:
        found = self.sites.sites.get(SiteId(site))
        return words.of(found.name) if found else site
