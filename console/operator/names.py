"""The sites that an account may see, and what their people are called."""

from collections.abc import Mapping

from console.visit import Visit
from rules.duty.household import names
from rules.duty.site import Site


def sites_of(visit: Visit) -> Mapping[str, Site]:
    """The sites' files, as far as the account may see."""
    visit.parts.sites.look()
    return {
        str(name): site for name, site in sorted(visit.parts.sites.sites.items()) if visit.user.scope.covers(str(name))
    }


def names_at(visit: Visit, site: str) -> dict[str, str]:
    """What people are called, by id and by login; those of a household, who may have been asked how all is, masked."""
    listed = sites_of(visit).get(site)
    if listed is None:
        return {}
    known = {key: one.name for name, one in listed.people.items() for key in (name, one.login) if key}
    asked = (names(name, one) for name, one in listed.households.items())
    return {key: name for some in asked for key, name in some.items()} | known
