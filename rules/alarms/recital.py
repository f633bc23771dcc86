"""Every open alarm once more, in portions, the gravest first: for a broker that may have forgotten them (rules.alarms.publisher).

However many there are, a portion costs the same: the next one begins behind the key of the last alarm. What is raised or ends meanwhile is in the
log, and told from there.
"""

from typing import NamedTuple

from sqlalchemy import tuple_

from rules.language.rule import LEVELS
from rules.records import Alarm
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

PORTION = 50

_A = db.alarms.c
_KEY = (_A.site, _A.device, _A.rule)
"""An alarm's, as long as it is open; there is an index of just these."""


class Place(NamedTuple):
    """How far it has come: in which of the levels, and behind which alarm."""

    level: int = 0
    site: str = ""
    device: str = ""
    rule: str = ""


BEGINNING = Place()


def portion(database: Database, place: Place) -> tuple[list[Alarm], Place | None]:
    """The open alarms that come next, and where to go on; None: that was all. Raises DatabaseAway."""
    level, *behind = place
    query = rows.alarms_with_cases().where(_A.open, _A.level == LEVELS[level], tuple_(*_KEY) > tuple_(*behind))
    with database.reading() as connection:
        found = [rows.alarm_of(row) for row in connection.execute(query.order_by(*_KEY).limit(PORTION))]
    if len(found) == PORTION:
        last = found[-1]
        return found, Place(level, last.site, last.device, last.rule)
    return found, Place(level + 1) if level + 1 < len(LEVELS) else None
