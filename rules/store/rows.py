"""Rows of the rules' database as records, and back: alarms with their cases, and lines of the log."""

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, and_, bindparam, func, or_, select
from sqlalchemy.sql import ColumnElement, Select

from messages.announcement import Place
from messages.reading import Value
from messages.settings import Text
from rules.alarms.condition import Condition
from rules.alarms.standing import Standing
from rules.cases.policy import Policy, policy_from
from rules.records import OVER, Alarm, AlarmState, Case, CaseState, LogEntry, Overlays, Pause, Photo
from rules.store import database, many
from rules.store import tables as db

T = TypeVar("T")

MOST_NAMED = 500
"""Of what is asked for by name in one statement: databases bound how many values one may have."""

_CASE_COLUMNS = [column.label(f"case_{column.name}") for column in db.cases.c]


@dataclass(frozen=True, slots=True)
class Line:
    """A line for the log; its number comes with the transaction."""

    event: str
    alarm: str | None
    case: str | None
    actor: str
    detail: str = ""
    device_at_ms: int | None = None
    key: str | None = None


_ALARMS = select(db.alarms, *_CASE_COLUMNS).outerjoin(db.cases, db.cases.c.id == db.alarms.c.case)
_ALARM = _ALARMS.where(db.alarms.c.id == bindparam("id"))
_OPEN_ALARM = _ALARMS.where(
    db.alarms.c.site == bindparam("site"),
    db.alarms.c.device == bindparam("device"),
    db.alarms.c.rule == bindparam("rule"),
    db.alarms.c.open,
)
CASES = select(*_CASE_COLUMNS)
_CASE = CASES.where(db.cases.c.id == bindparam("id"))
_SOME_CASES = CASES.where(db.cases.c.id.in_(bindparam("ids", expanding=True)))
_LAST_NUMBERS = (
    select(db.log.c.case, func.max(db.log.c.number))
    .where(db.log.c.case.in_(bindparam("cases", expanding=True)))
    .group_by(db.log.c.case)
)
"""Made once: to make a statement, and to look for how it was compiled, takes longer than to execute it."""


def alarms_with_cases() -> Select[Any]:
    return _ALARMS


def alarm_row(connection: Connection, alarm_id: str) -> Row[Any] | None:
    """As `alarms_with_cases` has it."""
    return connection.execute(_ALARM, {"id": alarm_id}).one_or_none()


def open_alarm_row(connection: Connection, site: str, device: str, rule: str) -> Row[Any] | None:
    return connection.execute(_OPEN_ALARM, {"site": site, "device": device, "rule": rule}).one_or_none()


def insert_alarm(connection: Connection, values: Mapping[str, Any]) -> None:
    insert_alarms(connection, [dict(values)])


def insert_alarms(connection: Connection, some: Sequence[dict[str, Any]]) -> None:
    """They all name the same columns."""
    many.insert(connection, db.alarms, some)


def parts(named: Iterable[T], most: int = MOST_NAMED) -> Iterator[list[T]]:
    """So many at a time as a statement may name."""
    rest = iter(named)
    while some := list(islice(rest, most)):
        yield some


def alarm_of(row: Row[Any]) -> Alarm:
    columns = row._mapping
    return Alarm(
        id=columns["id"],
        site=columns["site"],
        edge=columns["edge"],
        device=columns["device"],
        kind=columns["kind"],
        rule=columns["rule"],
        level=columns["level"],
        state=AlarmState(columns["state"]),
        title=Text(**columns["title"]),
        advice=Text(**columns["advice"]) if columns["advice"] else None,
        place=Place(**columns["place"]),
        raised_at_ms=columns["raised_at_ms"],
        changed_at_ms=columns["changed_at_ms"],
        known_at_ms=columns["known_at_ms"],
        late=columns["late"],
        evidence=columns["evidence"],
        channels=tuple(columns["channels"]),
        limits=columns["limits"],
        guards=columns["guards"],
        overlays=overlays_of(columns["overlays"]),
        occurrences=columns["occurrences"],
        times=tuple(columns["times"]),
        version=columns["version"],
        thresholds=columns["thresholds"],
        before=_course(columns["before"]),
        case=_case_of(columns),
        open=columns["open"],
    )


def _course(content: Mapping[str, Any] | None) -> dict[str, list[tuple[int, Value]]] | None:
    if content is None:
        return None
    return {channel: [(at_ms, value) for at_ms, value in some] for channel, some in content.items()}


def case_in(row: Row[Any]) -> Case | None:
    """The case of an alarm, as `alarms_with_cases` has it."""
    return _case_of(row._mapping)


def standing_of(row: Row[Any]) -> Standing:
    columns = row._mapping
    return Standing(
        Condition(AlarmState(columns["state"]), columns["latch"], columns["changed_at_ms"]),
        guards=columns["guards"],
        called=columns["case"] is not None,
        overlays=overlays_of(columns["overlays"]),
        returned=columns["returned"],
    )


def overlays_of(content: Mapping[str, Any]) -> Overlays:
    tuples = {name: tuple(content.get(name, ())) for name in ("suppressed", "uncertain")}
    pauses = {name: Pause(**content[name]) for name in ("shelved", "out_of_service") if content.get(name)}
    return Overlays(**{**content, **tuples, **pauses})


def write_standing(
    connection: Connection,
    alarm_id: str,
    standing: Standing,
    case: Case | None,
    *,
    was_open: bool = True,
    **more: Any,
) -> None:
    """`was_open` False: it has ended with an earlier closing of its case, and only its own condition opens it again."""
    changed = standing_values(standing, case, was_open=was_open)
    many.change(connection, db.alarms, [{"id": alarm_id} | changed | more])


def standing_values(standing: Standing, case: Case | None, *, was_open: bool = True) -> dict[str, Any]:
    """What an alarm's row says of how it stands."""
    work = was_open and case is not None and case.state not in OVER
    return {
        "state": standing.state,
        "changed_at_ms": standing.condition.changed_at_ms,
        "overlays": _overlays_content(standing.overlays),
        "annunciated": standing.overlays.annunciated,
        "returned": standing.returned,
        "open": standing.state is not AlarmState.NORM or work,
        "case": case.id if case else None,
    }


def alarms_of(connection: Connection, case_id: str) -> list[Row[Any]]:
    """Everything that a case holds, as `alarms_with_cases` has it, in the order in which it was found."""
    query = alarms_with_cases().where(db.alarms.c.case == case_id)
    return list(connection.execute(query.order_by(db.alarms.c.known_at_ms, db.alarms.c.id)))


def alarms_in(connection: Connection, lines: Collection[LogEntry]) -> list[Alarm]:
    """Those that some lines of the log are about, be it by their case."""
    named = db.alarms.c.id.in_({line.alarm for line in lines if line.alarm})
    held = db.alarms.c.case.in_({line.case for line in lines if line.case})
    query = _ALARMS.where(or_(named, held)).order_by(db.alarms.c.known_at_ms, db.alarms.c.id)
    return [alarm_of(row) for row in connection.execute(query)]


def log_after(connection: Connection, seq: int, limit: int) -> list[LogEntry]:
    query = select(db.log).where(db.log.c.seq > seq).order_by(db.log.c.seq).limit(limit)
    return [LogEntry(**row._mapping) for row in connection.execute(query)]


def case(connection: Connection, case_id: str) -> Case | None:
    row = connection.execute(_CASE, {"id": case_id}).one_or_none()
    return _case_of(row._mapping) if row else None


def cases_of(connection: Connection, ids: Collection[str]) -> list[Case]:
    """Those of some ids."""
    return [case for some in parts(ids) for case in cases_by(connection, _SOME_CASES, {"ids": some})]


def cases_by(connection: Connection, query: Select[Any], its: Mapping[str, Any]) -> list[Case]:
    """Those of a query that began as CASES."""
    found = (_case_of(row._mapping) for row in connection.execute(query, its))
    return [case for case in found if case is not None]


def cases_where(connection: Connection, *its: Any, first: Any = None, limit: int | None = None) -> list[Case]:
    """By `first`, then the oldest first."""
    order = (*(() if first is None else (first,)), db.cases.c.opened_at_ms, db.cases.c.id)
    query = select(*_CASE_COLUMNS).where(*its).order_by(*order).limit(limit)
    found = (_case_of(row._mapping) for row in connection.execute(query))
    return [case for case in found if case is not None]


def within(table: Table, sites: Collection[str], grids: Collection[str]) -> list[ColumnElement[bool]]:
    """What lies in some sites and grids, as where clauses; none named: everywhere. A grid may be "site/grid"."""
    its: list[ColumnElement[bool]] = [table.c.site.in_(sites)] if sites else []
    if grids:
        grid = table.c.place["grid"].as_string()
        pairs = (one.partition("/") for one in grids if "/" in one)
        named = [and_(table.c.site == site, grid == name) for site, _, name in pairs]
        its.append(or_(grid.in_([one for one in grids if "/" not in one]), *named))
    return its


def insert_case(connection: Connection, new: Case) -> None:
    insert_cases(connection, [new])


def insert_cases(connection: Connection, some: Iterable[Case]) -> None:
    many.insert(connection, db.cases, [_case_values(new) for new in some])


def write_case(connection: Connection, changed: Case) -> None:
    write_cases(connection, [changed])


def write_cases(connection: Connection, some: Iterable[Case]) -> None:
    many.change(connection, db.cases, [_case_values(changed) for changed in some])


def append(connection: Connection, lines: Sequence[Line], at_ms: int, *, new: Collection[str] = ()) -> None:
    """Write `lines` at the end of the log, those of a case with its next numbers. `new`: cases that have none yet."""
    if not lines:
        return
    counts = Counter[str]()
    for named in parts({line.case for line in lines if line.case}.difference(new)):
        counts.update({row[0]: row[1] or 0 for row in connection.execute(_LAST_NUMBERS, {"cases": named})})
    written, mark = [], secrets.randbits(62)
    for seq, line in zip(database.next_seqs(connection, len(lines)), lines, strict=True):
        if line.case:
            counts[line.case] += 1
        values = {name: getattr(line, name) for name in Line.__dataclass_fields__}
        number = counts[line.case] if line.case else None
        written.append({"seq": seq, "at_ms": at_ms, "number": number, "mark": mark, **values})
    many.insert(connection, db.log, written)


def _case_values(one: Case) -> dict[str, Any]:
    plain = {name: getattr(one, name) for name in Case.__dataclass_fields__}
    return plain | {
        "place": one.place.model_dump(),
        "title": one.title.model_dump(),
        "policy": _policy_content(one.policy),
        "photo": asdict(one.photo) if one.photo else None,
    }


@lru_cache(maxsize=64)
def _overlays_content(overlays: Overlays) -> dict[str, Any]:
    """Over most alarms lies nothing. Not to be changed."""
    return asdict(overlays)


@lru_cache(maxsize=64)
def _policy_content(policy: Policy) -> dict[str, Any]:
    """Cases of a level and a kind have the same one. Not to be changed."""
    return asdict(policy)


def _case_of(columns: Mapping[Any, Any]) -> Case | None:
    if columns["case_id"] is None:
        return None
    values = {name: columns[f"case_{name}"] for name in Case.__dataclass_fields__}
    return Case(
        **values
        | {
            "state": CaseState(values["state"]),
            "place": Place(**values["place"]),
            "title": Text(**values["title"]),
            "policy": policy_from(values["policy"]),
            "photo": Photo(**values["photo"]) if values["photo"] else None,
        }
    )
