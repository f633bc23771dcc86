"""A household that is looked after, as others hear of it: under which names people of it are called. Pure.

Neither a log nor a list of calls holds a name or a number in full: they are masked, as on the pages (decision 42).
"""

from rules.duty.site import Household, Site

RESIDENT, CONTACT = "resident", "contact"
"""Roles of who is asked how she is."""


def resident_id(household: str) -> str:
    return f"{RESIDENT}:{household}"


def contact_id(household: str, number: int) -> str:
    """`number`: 1 is the first of her contacts."""
    return f"{CONTACT}-{number}:{household}"


def role_of(person: str) -> str | None:
    """What somebody is who was asked, by his id; None for everybody else: no id of the roster has a colon."""
    word, colon, _ = person.partition(":")
    if not colon:
        return None
    return word if word == RESIDENT else CONTACT if word.startswith(f"{CONTACT}-") else None


def name_of(site: Site, person: str) -> str | None:
    """What somebody is called who was asked, masked; None if it is somebody else, or is known no longer."""
    household = site.households.get(person.partition(":")[2])
    return names(person.partition(":")[2], household).get(person) if household else None


def names(household_id: str, household: Household) -> dict[str, str]:
    """What everybody of a household is called, masked, by the ids under which they are asked."""
    contacts = enumerate(household.contacts, start=1)
    return {resident_id(household_id): masked_name(household.resident)} | {
        contact_id(household_id, number): masked_name(one.name) for number, one in contacts
    }


def masked_name(name: str) -> str:
    """林小梅: 林**. Of a name in several words each keeps its first letter."""
    return " ".join(word[:1] + "*" * min(max(len(word) - 1, 1), 3) for word in name.split())


def masked_phone(phone: str) -> str:
    """138****0001: the first three and the last four digits; of a short number the last two."""
    digits = "".join(sign for sign in phone if sign.isdigit())
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 10 else f"****{digits[-2:]}"
