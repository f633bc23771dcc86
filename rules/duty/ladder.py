"""Who is called, rung by rung: grid, street, department (网格呼叫、街道处置、部门报到). What escalation asks of the roster, and no more.

A ladder is asked for at the moment of a call, so it names who is on duty then.
"""

from collections.abc import Callable
from dataclasses import dataclass

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.language import Language

GRID, STREET, DEPARTMENT = 1, 2, 3
RUNGS = (GRID, STREET, DEPARTMENT)
RESIDENT, CONTACT = -2, -1
"""Before the first rung: who lives there, and whom she named for that, are asked how she is."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel finds a person: ("wecom", "LinXiaoMei"), ("sms", "+8613…")."""

    channel: str
    to: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on a rung. `addresses`: in the order in which they are tried; none where only the pages reach them."""

    id: str
    name: str
    role: str
    language: Language = "zh"
    addresses: tuple[Address, ...] = ()


DESK = Person("desk", "值班台", "desk")
"""Who sits before the pages: the last resort, and never asleep."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Who is on duty on each of RUNGS; a rung with nobody is empty."""

    rungs: tuple[tuple[Person, ...], tuple[Person, ...], tuple[Person, ...]]

    def on(self, rung: int) -> tuple[Person, ...]:
        return self.rungs[rung - 1]


LadderOf = Callable[[SiteId, str, Level, Place, str, int], Ladder]
"""ladder(site, kind, level, place, owner, at_ms): who is called for what; `owner` is empty where nobody knows whose it is."""


@dataclass(frozen=True, slots=True)
class Home:
    """Who can be asked about somebody who is looked after: as far as they can be reached."""

    resident: tuple[Person, ...] = ()
    contacts: tuple[Person, ...] = ()

    def on(self, rung: int) -> tuple[Person, ...]:
        return self.resident if rung == RESIDENT else self.contacts


HomeOf = Callable[[SiteId, str], Home]
"""home(site, device): at whose place it hangs."""


def nobody_home(_site: SiteId, _device: str) -> Home:
    """Where no sites are configured: nobody is known to be asked."""
    return Home()


OwnerOf = Callable[[SiteId, str, str], str]
"""owner(site, device, announced): whose device it is, given whom the device itself names; empty where nobody knows."""


def as_announced(_site: SiteId, _device: str, announced: str) -> str:
    """Where no sites are configured: whom the device names."""
    return announced


def desk_alone(_site: SiteId, _kind: str, _level: Level, _place: Place, _owner: str, _at_ms: int) -> Ladder:
    """Where no sites are configured: every call goes to the desk."""
    return Ladder(((DESK,), (DESK,), (DESK,)))
