"""What other systems read of the rules' database, page by page, and never of a site that is not theirs. Inside the caller's transaction.

`sites` None: every site. A page goes on behind the last row of the one before it, so that rows that come meanwhile shift nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select
from sqlalchemy.sql import Select

from rules.records import OVER, Alarm, Case, LogEntry, Position
from rules.store import positions, rows
from rules.store import tables as db

Sites = Collection[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases or alarms; what is empty or None does not matter."""

    sites: Sites = None
    states: Collection[str] = ()
    levels: Collection[str] = ()
    kinds: Collection[str] = ()
    open: bool | None = None
    since_ms: int | None = None
    """Opened, or raised, at that time or later."""
    until_ms: int | None = None
    """Before that time."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the log, where it belongs, and how far it leads."""

    line: LogEntry
    site: str
    position: Position


def cases(
    connection: Connection, wanted: Wanted, after: tuple[int, str] | None, limit: int, case_id: str | None = None
) -> list[Case]:
    """The oldest first, behind (opened_at_ms, id)."""
    table = db.cases.c
    its = [*_fits(db.cases, wanted), *_behind(table.opened_at_ms, table.id, after)]
    if wanted.open is not None:
        its.append(table.state.not_in(OVER) if wanted.open else table.state.in_(OVER))
    if case_id is not None:
        its.append(table.id == case_id)
    its += _between(table.opened_at_ms, wanted)
    return rows.cases_where(connection, *its, limit=limit)


def alarms(
    connection: Connection, wanted: Wanted, after: tuple[int, str] | None, limit: int, alarm_id: str | None = None
) -> list[Alarm]:
    """The oldest first, behind (raised_at_ms, id)."""
    return [rows.alarm_of(row) for row in alarm_rows(connection, wanted, after, limit, alarm_id)]


def alarm_rows(
    connection: Connection, wanted: Wanted, after: tuple[int, str] | None, limit: int, alarm_id: str | None = None
) -> Sequence[Row[Any]]:
    table = db.alarms.c
    its = [*_fits(db.alarms, wanted), *_behind(table.raised_at_ms, table.id, after)]
    if wanted.open is not None:
        its.append(table.open.is_(wanted.open))
    if alarm_id is not None:
        its.append(table.id == alarm_id)
    its += _between(table.raised_at_ms, wanted)
    query = rows.alarms_with_cases().where(*its).order_by(table.raised_at_ms, table.id).limit(limit)
    return connection.execute(query).all()


def changes(connection: Connection, sites: Sites, after_seq: int, limit: int) -> tuple[list[Change], int]:
    """What came after line `after_seq`, and up to which line was looked: lines of other sites are passed over."""
    last = connection.scalar(select(func.max(db.log.c.seq))) or 0
    site = func.coalesce(db.alarms.c.site, db.cases.c.site)
    query = _with_site(site).where(db.log.c.seq > after_seq, site.is_not(None))
    if sites is not None:
        query = query.where(site.in_(list(sites)))
    life = positions.life(connection)
    found = [_change(row, life) for row in connection.execute(query.order_by(db.log.c.seq).limit(limit))]
    return found, (found[-1].line.seq if len(found) == limit else last)


def lines_of(connection: Connection, *, case: str | None = None, alarm: str | None = None) -> list[LogEntry]:
    """All that happened to a case and what it holds, or to an alarm alone."""
    if case is not None:
        held = select(db.alarms.c.id).where(db.alarms.c.case == case)
        its = or_(db.log.c.case == case, db.log.c.alarm.in_(held))
    else:
        its = db.log.c.alarm == alarm
    query = select(db.log).where(its).order_by(db.log.c.seq)
    return [LogEntry(**row._mapping) for row in connection.execute(query)]


def _with_site(site: Any) -> Select[Any]:
    joined = db.log.outerjoin(db.alarms, db.alarms.c.id == db.log.c.alarm).outerjoin(
        db.cases, db.cases.c.id == db.log.c.case
    )
    return select(*db.log.c, site.label("site")).select_from(joined)


def _change(row: Row[Any], life: str) -> Change:
    columns = dict(row._mapping)
    site = columns.pop("site")
    line = LogEntry(**columns)
    return Change(line, site, Position.of(line, life))


def _fits(table: Any, wanted: Wanted) -> list[Any]:
    its = [] if wanted.sites is None else [table.c.site.in_(list(wanted.sites))]
    for column, some in (("state", wanted.states), ("level", wanted.levels), ("kind", wanted.kinds)):
        its += [table.c[column].in_(list(some))] if some else []
    return its


def _between(column: Any, wanted: Wanted) -> list[Any]:
    its = [] if wanted.since_ms is None else [column >= wanted.since_ms]
    return its if wanted.until_ms is None else [*its, column < wanted.until_ms]


def _behind(at_ms: Any, name: Any, after: tuple[int, str] | None) -> list[Any]:
    if after is None:
        return []
    return [or_(at_ms > after[0], and_(at_ms == after[0], name > after[1]))]
