"""How many devices around one are as a question asks (rules.language.neighbours). Pure.

Who counts is kept by the rules that answer questions: a device counts while such a rule of its own is raised. So it is in the database with
all other states of rules, and survives a restart.
"""

from collections.abc import Mapping

from messages.ids import DeviceId, SiteId
from rules.language.neighbours import Whereabouts, near

QuestionKey = tuple[SiteId, str]
Counted = Mapping[DeviceId, Whereabouts]
"""The devices that count for a question, and where they are."""


def around(counted: Counted, asker: Whereabouts, within: str | float) -> int:
    """How many of them are near the asker."""
    return sum(near(within, asker, other) for other in counted.values())


def largest(counted: Counted, within: str | float) -> int:
    """How many are near to one of them, where that is most: what a site is asked."""
    places = list(counted.values())
    return max((sum(near(within, one, other) for other in places) for one in places), default=0)
