"""A drill 演练 of a site as its row, what is practice, and which cases are told by the pages alone. Inside the caller's transaction.

What is practice is known by its name for ever: the rule of its alarm and the situation of its case begin with `drill-`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from messages.ids import SiteId
from rules.records import Case
from rules.store import tables as db

PREFIX = "drill-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill of a site."""

    id: str
    site: SiteId
    why: str
    actor: str
    from_ms: int
    until_ms: int
    """It ends by itself then."""
    ended_at_ms: int | None = None
    ended_by: str | None = None


def is_practice(case: Case) -> bool:
    return case.situation.startswith(PREFIX)


def running(connection: Connection, now_ms: int) -> list[Drill]:
    """Of all sites."""
    query = select(db.drills).where(db.drills.c.ended_at_ms.is_(None), db.drills.c.until_ms > now_ms)
    return [Drill(**row._mapping) for row in connection.execute(query.order_by(db.drills.c.from_ms))]


def latest(connection: Connection, most: int = 20) -> list[Drill]:
    query = select(db.drills).order_by(db.drills.c.from_ms.desc()).limit(most)
    return [Drill(**row._mapping) for row in connection.execute(query)]


def kept_inside(connection: Connection, cases: Iterable[Case], now_ms: int) -> set[str]:
    """Cases of which nobody outside is told: practice, and what is not grave at a site in a drill."""
    known: Sequence[Case] = list(cases)
    sites = {one.site for one in running(connection, now_ms)}
    inside = {case.id for case in known if is_practice(case)}
    for case in known:
        if case.site in sites and case.level != "red" and not _guards(connection, case.id):
            inside.add(case.id)
    return inside


def _guards(connection: Connection, case_id: str) -> bool:
    its = (db.alarms.c.case == case_id, db.alarms.c.guards)
    return bool(connection.scalar(select(exists().where(*its))))
