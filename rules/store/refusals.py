"""What the database refused to take, in a place of its own: so that one finding, step or call that can't be written stops nothing else.

A transaction that is refused is done again part by part, each within a savepoint (`Apart`). What is refused then is kept as words, is said in the
log, and stands still for the auditor, which is an alarm of its site until a person has looked (`gridcall rules refusals`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Row, func, insert, select, update

from messages.ids import SiteId
from rules.store import database, rows
from rules.store import tables as db
from rules.store.rows import Line

ACTOR = "rules"
MOST_OF_A_SITE = 1_000
"""Kept and not looked at; more are said in the log alone."""

T = TypeVar("T")

log = structlog.get_logger("rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    id: int
    site: SiteId
    what: str
    """"finding", "call", "step" …"""
    name: str
    why: str
    at_ms: int


class Apart:
    """The parts of one transaction, each by itself."""

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms

    def done(self, site: SiteId, what: str, name: str, act: Callable[[], T], *, keeps: bool = True) -> T | None:
        """What `act` returns, or None if that was refused: of it nothing is done then. `keeps`: write down that it was."""
        try:
            with self._connection.begin_nested():
                return act()
        except Exception as error:
            if not database.refuses(self._connection, error):
                raise
            if keeps:
                keep(self._connection, site, what, name, error, self._now_ms)
            return None

    def alarm(self, row: Row[Any], act: Callable[[], list[Line]]) -> list[Line]:
        """The lines of what happens to an alarm; none if that was refused."""
        return self.done(row.site, "alarm", row.id, act) or []


def keep(connection: Connection, site: SiteId, what: str, name: str, error: Exception, now_ms: int) -> None:
    """Write down and say what was refused; once, however often it is tried again."""
    why = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
    its = (db.refusals.c.site == site, db.refusals.c.seen_at_ms.is_(None))
    same = (db.refusals.c.what == what, db.refusals.c.name == name)
    if connection.scalar(select(db.refusals.c.id).where(*its, *same).limit(1)) is not None:
        return
    log.error("the database refuses this; all else goes on", site=site, what=what, name=name, why=why[:500])
    if (connection.scalar(select(func.count()).where(*its)) or 0) < MOST_OF_A_SITE:
        number = (connection.scalar(select(func.max(db.refusals.c.id))) or 0) + 1
        values = {"site": site, "what": what, "name": name, "why": why, "at_ms": now_ms}
        connection.execute(insert(db.refusals).values(id=number, **values))


def waiting(connection: Connection, sites: Collection[SiteId] | None = None, limit: int | None = None) -> list[Refusal]:
    """What nobody has looked at, the oldest first; of some sites or of all."""
    query = select(db.refusals).where(db.refusals.c.seen_at_ms.is_(None)).order_by(db.refusals.c.id).limit(limit)
    if sites is not None:
        query = query.where(db.refusals.c.site.in_(sites))
    return [
        Refusal(id=row.id, site=row.site, what=row.what, name=row.name, why=row.why, at_ms=row.at_ms)
        for row in connection.execute(query)
    ]


def see(connection: Connection, actor: str, now_ms: int) -> int:
    """A person has looked at all of them; how many they were."""
    found = waiting(connection)
    its = db.refusals.c.seen_at_ms.is_(None)
    connection.execute(update(db.refusals).where(its).values(seen_at_ms=now_ms, seen_by=actor))
    lines = [Line("refusal.seen", None, None, actor, f"{one.site} {one.what} {one.name}") for one in found]
    rows.append(connection, lines, now_ms)
    return len(found)
