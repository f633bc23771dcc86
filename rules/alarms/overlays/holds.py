"""Holds (rules.alarms.overlays.hold) in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from rules.alarms.overlays.hold import Hold, What
from rules.store import tables as db


def of(row: Row[Any]) -> Hold:
    return Hold(**{**row._mapping, "what": What(row.what)})


def lay(connection: Connection, hold: Hold) -> None:
    connection.execute(insert(db.holds).values(asdict(hold)))


def lasting(connection: Connection, *which: ColumnElement[bool]) -> list[Hold]:
    """Those that nobody has ended, be they due or not."""
    query = select(db.holds).where(db.holds.c.ended_at_ms.is_(None), *which)
    return [of(row) for row in connection.execute(query.order_by(db.holds.c.from_ms, db.holds.c.id))]


def over(site: str, device: str) -> ColumnElement[bool]:
    """Those that may lie over alarms of a device."""
    return and_(db.holds.c.site == site, or_(db.holds.c.device.is_(None), db.holds.c.device == device))


def end(connection: Connection, hold_id: str, actor: str, now_ms: int) -> None:
    connection.execute(
        update(db.holds)
        .where(db.holds.c.id == hold_id, db.holds.c.ended_at_ms.is_(None))
        .values(ended_at_ms=now_ms, ended_by=actor)
    )


def end_shelf(connection: Connection, alarm: Row[Any], now_ms: int, actor: str = "rules") -> None:
    """Whatever shelf an alarm's rule of its device lies on."""
    its = (db.holds.c.site == alarm.site, db.holds.c.device == alarm.device, db.holds.c.rule == alarm.rule)
    for hold in lasting(connection, db.holds.c.what == What.SHELF, *its):
        end(connection, hold.id, actor, now_ms)
