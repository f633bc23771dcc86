"""What people did in a span: cases that they took, how fast, and what came of them. Reads the rules' database."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from messages.ids import SiteId
from rules.drills.drill import PREFIX
from rules.quality.figures import Times, times
from rules.store import tables as db
from rules.store.database import Database

_READ = ("opened_at_ms", "accepted_by", "accepted_at_ms", "accept_by_ms", "on_site_by", "on_site_at_ms", "feedback_by")


@dataclass(frozen=True, slots=True)
class Doing:
    """One person: cases taken, how many of them too late, cases finished, and the time to take and to be there."""

    accepted: int
    late: int
    finished: int
    accept: Times
    arrive: Times


def doings(database: Database, site: SiteId, from_ms: int, to_ms: int) -> Mapping[str, Doing]:
    """By name, of the cases that were opened in the span. Raises DatabaseAway."""
    its = (db.cases.c.site == site, db.cases.c.opened_at_ms >= from_ms, db.cases.c.opened_at_ms < to_ms)
    real = ~db.cases.c.situation.startswith(PREFIX)
    late: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    accept: dict[str, list[int]] = defaultdict(list)
    arrive: dict[str, list[int]] = defaultdict(list)
    with database.reading() as connection:
        for row in connection.execute(select(*(db.cases.c[name] for name in _READ)).where(*its, real)):
            if row.accepted_by and row.accepted_at_ms is not None:
                accept[row.accepted_by].append(row.accepted_at_ms - row.opened_at_ms)
                late[row.accepted_by] += row.accept_by_ms is not None and row.accepted_at_ms > row.accept_by_ms
            if row.on_site_by and row.on_site_at_ms is not None:
                arrive[row.on_site_by].append(row.on_site_at_ms - row.opened_at_ms)
            if row.feedback_by:
                finished[row.feedback_by] += 1
    names = sorted({*accept, *arrive, *finished})
    return {
        name: Doing(len(accept[name]), late[name], finished[name], times(accept[name]), times(arrive[name]))
        for name in names
    }
