"""An elderly household as the pages show it: masked, until somebody who may asks for it and says why. Pure but for the sites' files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rules.duty.folder import SiteFolder
from rules.duty.household import masked_name, masked_phone
from rules.duty.site import Household
from rules.records import Alarm

Why = Literal["call", "visit", "check", "other"]
REASONS: tuple[Why, ...] = ("call", "visit", "check", "other")
"""Why somebody looks: to call, to go there, to check what is reported, for something else that is told in words."""


@dataclass(frozen=True, slots=True)
class MaskedContact:
    """Somebody who may be asked. `key`: a spare key lies there."""

    name: str
    phone: str
    key: bool


@dataclass(frozen=True, slots=True)
class Masked:
    """What everybody may see who sees the alarm."""

    id: str
    """Its name in the site's file."""
    resident: str
    phone: str
    others: int
    """How many live there besides."""
    contacts: tuple[MaskedContact, ...]
    to_mind: bool
    """Whether there is something to know before one goes there."""


def household_of(sites: SiteFolder, alarm: Alarm) -> tuple[str, Household] | None:
    """At whose place an alarm's device hangs: its name in the site's file, and what that tells."""
    sites.look()
    site = sites.sites.get(alarm.site)
    return site.household_of(alarm.device) if site else None


def masking(sites: SiteFolder) -> Callable[[Alarm], Masked | None]:
    """For the templates."""

    def masked(alarm: Alarm) -> Masked | None:
        found = household_of(sites, alarm)
        if found is None:
            return None
        name, one = found
        return Masked(
            id=name,
            resident=masked_name(one.resident),
            phone=masked_phone(one.phone) if one.phone else "",
            others=len(one.others),
            contacts=tuple(
                MaskedContact(masked_name(contact.name), masked_phone(contact.phone), contact.key)
                for contact in one.contacts
            ),
            to_mind=bool(one.mobility or one.notes),
        )

    return masked
