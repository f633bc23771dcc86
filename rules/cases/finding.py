"""Cases as an operator looks for them: a part of the desk (rules.desk)."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import case as ranked
from sqlalchemy import or_, select

from messages.alarm import Level
from messages.ids import SiteId
from rules.records import OVER, Case, CaseState
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

_GRAVEST = ranked({"red": 0, "orange": 1, "yellow": 2}, value=db.cases.c.level, else_=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for; empty: any. `person`: who was sent, has accepted, was there, has checked."""

    sites: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    kind: str = ""
    level: Level | None = None
    state: CaseState | None = None
    open_only: bool = False
    person: str = ""
    since_ms: int | None = None


class Finding:
    """Searches. Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_cases(self, search: Search, *, within: Search | None = None, limit: int = 500) -> list[Case]:
        """The latest first; of open ones the gravest first and of those the oldest, so that none is cut off by a limit that others fill. `within`: where whoever asks may look at all."""
        cases = db.cases.c
        its = rows.within(db.cases, search.sites, search.grids)
        its += rows.within(db.cases, within.sites, within.grids) if within else []
        its += [cases.kind == search.kind] if search.kind else []
        its += [cases.level == search.level] if search.level else []
        its += [cases.state == search.state] if search.state else []
        its += [cases.state.not_in(OVER)] if search.open_only else []
        its += [cases.opened_at_ms >= search.since_ms] if search.since_ms is not None else []
        if search.person:
            names = (cases.dispatched_to, cases.accepted_by, cases.on_site_by, cases.feedback_by, cases.verified_by)
            its.append(or_(*(name == search.person for name in names)))
        with self._database.reading() as connection:
            first = _GRAVEST if search.open_only else cases.opened_at_ms.desc()
            return rows.cases_where(connection, *its, first=first, limit=limit)

    def case_kinds(self, sites: Collection[SiteId] = ()) -> list[str]:
        """The kinds that cases were ever about."""
        query = select(db.cases.c.kind).distinct().order_by(db.cases.c.kind)
        with self._database.reading() as connection:
            return list(connection.scalars(query.where(db.cases.c.site.in_(sites)) if sites else query))
