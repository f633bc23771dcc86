"""The log of everything, to be searched: by actor, event, time, case, alarm, and where it happened. And lines of what is no case's.

Nothing here changes or takes away a line; there is no way to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from rules.records import LogEntry
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

AT_ONCE = 1_000
ACTORLESS = ("rules",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for; empty: anything. `sites` and `grids` confine it, as an account is confined."""

    actor: tuple[str, ...] = ()
    """Any of them."""
    event: str = ""
    """An event's name, or the beginning of several: "case."."""
    case: str = ""
    """Of a case or an alarm."""
    words: tuple[str, ...] = ()
    """Any of them: one text in several spellings."""
    from_ms: int | None = None
    until_ms: int | None = None
    people_only: bool = False
    """Not what happened by itself."""
    sites: Sequence[str] = ()
    grids: Sequence[str] = ()
    """Grid ids, or "site/grid"."""


def found(database: Database, search: Search, *, before: int | None = None, most: int = 100) -> list[LogEntry]:
    """The latest lines first, below number `before`. Raises DatabaseAway."""
    query = select(db.log).where(*_its(search)).order_by(db.log.c.seq.desc()).limit(most)
    if before is not None:
        query = query.where(db.log.c.seq < before)
    with database.reading() as connection:
        return [LogEntry(**row._mapping) for row in connection.execute(query)]


def every(database: Database, search: Search) -> Iterator[LogEntry]:
    """All of them, the latest first, a part at a time."""
    before: int | None = None
    while some := found(database, search, before=before, most=AT_ONCE):
        yield from some
        before = some[-1].seq


def began_ms(database: Database) -> int | None:
    """When the log begins; before that nobody wrote down anything. Raises DatabaseAway."""
    with database.reading() as connection:
        found: int | None = connection.scalar(select(func.min(db.log.c.at_ms)))
    return found


def events(database: Database) -> list[str]:
    """The names that occur."""
    with database.reading() as connection:
        return sorted(connection.scalars(select(db.log.c.event).distinct()))


def write(database: Database, event: str, actor: str, detail: str, now_ms: int) -> None:
    """A line about something that no case holds. Its first word should be the site. Raises DatabaseAway."""
    with database.writing() as connection:
        rows.append(connection, [rows.Line(event, None, None, actor, detail[:2000])], now_ms)


def _its(search: Search) -> Iterator[ColumnElement[bool]]:
    log = db.log.c
    if search.actor:
        yield log.actor.in_(search.actor)
    if search.people_only:
        yield log.actor.not_in(ACTORLESS)
    if search.event:
        yield (
            log.event.startswith(search.event, autoescape=True)
            if search.event.endswith(".")
            else (log.event == search.event)
        )
    if search.case:
        held = select(db.alarms.c.id).where(db.alarms.c.case == search.case)
        yield or_(log.case == search.case, log.alarm == search.case, log.alarm.in_(held))
    if search.words:
        yield or_(*(func.lower(log.detail).contains(one.lower(), autoescape=True) for one in search.words))
    if search.from_ms is not None:
        yield log.at_ms >= search.from_ms
    if search.until_ms is not None:
        yield log.at_ms < search.until_ms
    if search.sites or search.grids:
        yield _within(search)


def _within(search: Search) -> ColumnElement[bool]:
    """Of an alarm or case there, or of neither, and its words begin with the site."""
    alarms = select(db.alarms.c.id).where(*_where(db.alarms.c, search))
    cases = select(db.cases.c.id).where(*_where(db.cases.c, search))
    of_site = [log_words for site in search.sites for log_words in _of_site(site)]
    neither = and_(db.log.c.alarm.is_(None), db.log.c.case.is_(None), or_(*of_site)) if of_site else None
    of_it = [db.log.c.alarm.in_(alarms), db.log.c.case.in_(cases)]
    return or_(*of_it, *([neither] if neither is not None else []))


def _of_site(site: str) -> Iterator[ColumnElement[bool]]:
    for after in (" ", ":", "/"):
        yield db.log.c.detail.startswith(f"{site}{after}", autoescape=True)


def _where(columns: Any, search: Search) -> Iterator[ColumnElement[bool]]:
    if search.sites:
        yield columns.site.in_(list(search.sites))
    if search.grids:
        grid = columns.place["grid"].as_string()
        yield or_(grid.in_(list(search.grids)), (columns.site + "/" + grid).in_(list(search.grids)))
