"""What a finding does to its alarm: raise, clear, join, or go into history. Inside the transaction of its work.

Only there, under the write lock, is it known how the alarm stands: a person may have acted a moment ago.
`rules.alarms.condition` and `rules.cases.case` decide; this carries out.
"""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from messages.alarm import Level
from messages.ids import DeviceId, SiteId
from rules.alarms import condition as alarms
from rules.alarms.condition import AlarmEvent, Condition
from rules.cases import case as cases
from rules.cases.case import Situation
from rules.engine.work import Abandoned, Found
from rules.language.evaluation import Cleared, Ended, Graver, Happened, Raised
from rules.records import AlarmState
from rules.store import rows
from rules.store import tables as db

ACTOR = "rules"


def carry_out(connection: Connection, found: Found, now_ms: int) -> list[rows.Line]:
    """What a finding does to its alarm, and the lines that tell it."""
    match found.change:
        case Raised():
            return _raise(connection, found, found.change, now_ms)
        case Graver():
            return _worsen(connection, found, found.change, now_ms)
        case Cleared():
            return _clear(connection, found, found.change, now_ms)
        case Happened():
            return _add_past(connection, found, found.change, now_ms)
        case Ended():
            return _end(connection, found, found.change)


def abandon(connection: Connection, abandoned: Abandoned, now_ms: int) -> list[rows.Line]:
    """Nothing will ever say that the alarm is over: it returns now, so that a person can check and close its case."""
    query = rows.alarms_with_cases().where(*_of(abandoned.site, abandoned.device, abandoned.rule), db.alarms.c.open)
    if (row := connection.execute(query).one_or_none()) is None:
        return []
    return _move(connection, row, AlarmEvent.RETURNED, now_ms, abandoned.why)


def _raise(connection: Connection, found: Found, change: Raised, now_ms: int) -> list[rows.Line]:
    if (row := _open_alarm(connection, found)) is not None:
        if change.late:
            return [_line("alarm.raised", row, f"late, again at {change.at_ms}")]
        return _move(connection, row, AlarmEvent.RAISED, now_ms, "again", returned_at_ms=None)
    alarm_id = _id(found, change.at_ms)
    row = _alarm(connection, alarm_id)
    if row is None:
        return _new_alarm(connection, found, change, now_ms)
    if row.late and not change.late:  # it was thought to be over, and it still stands
        return _stand(connection, alarm_id, found, row.level, now_ms)
    return []  # an episode that is known from before


def _new_alarm(connection: Connection, found: Found, change: Raised | Happened, now_ms: int) -> list[rows.Line]:
    alarm_id, device, rule = _id(found, change.at_ms), found.device, found.rule
    level = change.level or rule.level
    title, advice = rule.told(change.evidence, device.place, device.id)
    connection.execute(
        insert(db.alarms).values(
            id=alarm_id,
            site=device.site,
            edge=device.edge,
            device=device.id,
            kind=device.kind,
            rule=rule.id,
            level=level,
            latch=rule.latch,
            state=AlarmState.NORM,
            open=False,
            late=True,
            raised_at_ms=change.at_ms,
            changed_at_ms=now_ms,
            known_at_ms=now_ms,
            title=title.model_dump(),
            advice=advice.model_dump() if advice else None,
            place=device.place.model_dump(),
            evidence=dict(change.evidence),
            channels=list(rule.channels),
            limits=rule.limits(),
        )
    )
    if change.late:
        return [rows.Line("alarm.raised", alarm_id, None, ACTOR, "late")]
    return _stand(connection, alarm_id, found, level, now_ms)


def _stand(connection: Connection, alarm_id: str, found: Found, level: Level, now_ms: int) -> list[rows.Line]:
    """An alarm that concerns somebody: it is active and has a case."""
    device = found.device
    about = Situation(
        site=device.site,
        place=device.place,
        kind=device.kind,
        subject=device.id,
        title=found.rule.title,
        level=level,
        origin="alarm",
    )
    case = cases.opened(f"c-{alarm_id}", about, now_ms)
    fresh = Condition(AlarmState.NORM, found.rule.latch, now_ms)
    condition = alarms.apply(fresh, AlarmEvent.RAISED, now_ms)
    rows.insert_case(connection, case)
    rows.write_condition(connection, alarm_id, condition, case, late=False)
    return [
        rows.Line("alarm.raised", alarm_id, case.id, ACTOR),
        rows.Line("case.registered", None, case.id, ACTOR),
    ]


def _worsen(connection: Connection, found: Found, change: Graver, now_ms: int) -> list[rows.Line]:
    """It became graver: it counts as not looked at, and what was promised of its case is tightened."""
    if (row := _open_alarm(connection, found)) is None:
        row = _alarm(connection, _id(found, change.raised_at_ms))
        if row is not None:  # of the past: only its level is written down
            connection.execute(update(db.alarms).where(db.alarms.c.id == row.id).values(level=change.level))
        return []
    before = rows.condition_of(row)
    after = alarms.apply(before, AlarmEvent.WORSENED, now_ms)
    case = rows.alarm_of(row).case
    worse = None if case is None else cases.tightened(case, change.level, now_ms)
    title, advice = found.rule.told(change.evidence, found.device.place, found.device.id)
    told = {"title": title.model_dump(), "advice": advice.model_dump() if advice else None}
    rows.write_condition(connection, row.id, after, worse, level=change.level, evidence=dict(change.evidence), **told)
    if worse is not None and worse is not case:
        rows.write_case(connection, worse)
    return [_line("alarm.severity_changed", row, f"{row.level} -> {change.level}")]


def _clear(connection: Connection, found: Found, change: Cleared, now_ms: int) -> list[rows.Line]:
    if (row := _open_alarm(connection, found)) is not None:
        return _move(connection, row, AlarmEvent.RETURNED, now_ms, returned_at_ms=change.at_ms)
    return _end(connection, found, change)


def _end(connection: Connection, found: Found, change: Cleared | Ended) -> list[rows.Line]:
    """Write down how long an episode of the past lasted."""
    row = _alarm(connection, _id(found, change.raised_at_ms))
    if row is None or row.returned_at_ms is not None:
        return []
    connection.execute(update(db.alarms).where(db.alarms.c.id == row.id).values(returned_at_ms=change.at_ms))
    return [_line("alarm.cleared", row, "late")] if row.late else []


def _add_past(connection: Connection, found: Found, change: Happened, now_ms: int) -> list[rows.Line]:
    """An episode that came to light later. Known ones are left alone; life safety rings once, and stays active until
    the present shows that it is over."""
    if (row := _open_alarm(connection, found)) is not None:
        if not change.over and row.returned_at_ms is not None and change.at_ms > row.returned_at_ms:
            return _move(connection, row, AlarmEvent.RAISED, now_ms, "again", returned_at_ms=None)
        return [] if row.raised_at_ms <= change.at_ms else [_line("alarm.raised", row, f"late, also at {change.at_ms}")]
    ends = func.coalesce(db.alarms.c.returned_at_ms, db.alarms.c.raised_at_ms)
    covers = (db.alarms.c.raised_at_ms <= change.at_ms) & (ends >= change.at_ms)
    if connection.execute(select(db.alarms.c.id).where(*_same_rule(found), covers).limit(1)).one_or_none():
        return []
    lines = _new_alarm(connection, found, change, now_ms)
    if change.over and (row := _open_alarm(connection, found)) is not None:
        lines += _move(connection, row, AlarmEvent.RETURNED, now_ms)
    return lines


def _move(
    connection: Connection, row: Row[Any], event: AlarmEvent, now_ms: int, detail: str = "", **more: Any
) -> list[rows.Line]:
    before = rows.condition_of(row)
    after = alarms.apply(before, event, now_ms)
    if after is before:
        return []
    rows.write_condition(connection, row.id, after, rows.alarm_of(row).case, **more)
    name = alarms.log_event(before, after, event)
    return [_line(name, row, detail)] if name else []


def _open_alarm(connection: Connection, found: Found) -> Row[Any] | None:
    query = rows.alarms_with_cases().where(*_same_rule(found), db.alarms.c.open)
    return connection.execute(query).one_or_none()


def _alarm(connection: Connection, alarm_id: str) -> Row[Any] | None:
    return connection.execute(rows.alarms_with_cases().where(db.alarms.c.id == alarm_id)).one_or_none()


def _same_rule(found: Found) -> tuple[Any, ...]:
    return _of(found.device.site, found.device.id, found.rule.id)


def _of(site: SiteId, device: DeviceId, rule: str) -> tuple[Any, ...]:
    return (db.alarms.c.site == site, db.alarms.c.device == device, db.alarms.c.rule == rule)


def _id(found: Found, at_ms: int) -> str:
    return alarms.alarm_id(found.device.site, found.device.id, found.rule.id, at_ms)


def _line(event: str, row: Row[Any], detail: str) -> rows.Line:
    return rows.Line(event, row.id, row.case_id, ACTOR, detail)
