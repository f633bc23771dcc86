"""The sites that an account may see, and what their people are called."""

from collections.abc import Mapping

from console.visit import Visit
from rules.duty.site import Site


def sites_of(visit: Visit) -> Mapping[str, Site]:
    """The sites' files, as far as the account may see."""
    visit.parts.sites.look()
    return {
        str(name): site for name, site in sorted(visit.parts.sites.sites.items()) if visit.user.scope.covers(str(name))
    }


def names_at(visit: Visit, site: str) -> dict[str, str]:
    """What people are called, by id and by login."""
    listed = sites_of(visit).get(site)
    people = listed.people.items() if listed else ()
    return {key: one.name for name, one in people for key in (name, one.login) if key}
