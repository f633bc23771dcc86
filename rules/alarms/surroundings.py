"""What is around open alarms (rules.alarms.oversight), read from the database."""

from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.sql import ColumnElement

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from rules.alarms import holds
from rules.alarms.condition import ACTIVE
from rules.alarms.oversight import Around, Parent, Watched
from rules.alarms.standing import Standing
from rules.records import OVER, Case
from rules.store import rows
from rules.store import tables as db


def watched(row: Row[Any], standing: Standing, **more: Any) -> Watched:
    """The alarm of a row that has a `case_state`, as it stands; `more`: what is newer than the row."""
    columns = {**row._mapping, **more}
    return Watched(
        id=columns["id"],
        site=columns["site"],
        edge=columns["edge"],
        device=columns["device"],
        kind=columns["kind"],
        rule=columns["rule"],
        level=columns["level"],
        place=Place(**columns["place"]),
        standing=standing,
        since_ms=columns["since_ms"],
        flapped_at_ms=columns["flapped_at_ms"],
        case=columns["case"],
        unfinished=columns["case_state"] is not None and columns["case_state"] not in OVER,
    )


def of_one(connection: Connection, alarm: Watched, now_ms: int) -> Around:
    here = (db.devices.c.site == alarm.site) & (db.devices.c.device == alarm.device)
    return _around(
        connection,
        now_ms,
        hold=holds.over(alarm.site, alarm.device),
        device=here,
        silence=(db.silences.c.site == alarm.site) & (db.silences.c.device == alarm.device),
        edge=db.edges.c.site == alarm.site,
        alarm=db.alarms.c.site == alarm.site,
    )


def of_open(connection: Connection, now_ms: int) -> Around:
    """Around every open alarm."""
    return _around(connection, now_ms)


def _around(
    connection: Connection,
    now_ms: int,
    *,
    hold: ColumnElement[bool] | None = None,
    device: ColumnElement[bool] | None = None,
    silence: ColumnElement[bool] | None = None,
    edge: ColumnElement[bool] | None = None,
    alarm: ColumnElement[bool] | None = None,
) -> Around:
    def where(*some: ColumnElement[bool] | None) -> list[ColumnElement[bool]]:
        return [one for one in some if one is not None]

    edges = list(
        connection.execute(select(db.edges).where(*where(edge, ~(db.edges.c.online & db.edges.c.clock_trusted))))
    )
    parents = select(db.alarms).where(
        *where(alarm, db.alarms.c.open, db.alarms.c.gathers.is_not(None), db.alarms.c.state.in_(ACTIVE))
    )
    tellers: dict[tuple[SiteId, DeviceId], list[EdgeId]] = {}
    suspects = select(db.silences).where(*where(silence, db.silences.c.from_ms <= now_ms))
    silent = {(row.site, row.edge, row.device) for row in connection.execute(suspects)}
    if edges or silent:  # else nobody asks who speaks of what
        alarmed = select(db.alarms.c.device).where(db.alarms.c.open)
        told = select(db.devices.c.site, db.devices.c.edge, db.devices.c.device)
        for row in connection.execute(
            told.where(*where(device, db.devices.c.device.in_(alarmed) if device is None else None))
        ):
            tellers.setdefault((row.site, row.device), []).append(row.edge)
    return Around(
        holds=holds.lasting(connection, *where(hold)),
        away={(row.site, row.edge) for row in edges if not row.online},
        guessing={(row.site, row.edge) for row in edges if row.online},
        tellers=tellers,
        silent=silent,
        parents=[
            Parent(row.id, row.site, row.rule, tuple(row.gathers), row.case) for row in connection.execute(parents)
        ],
    )


def parents_case(connection: Connection, standing: Standing, around: Around) -> Case | None:
    """The case of the alarm that gathers this one: both are one situation."""
    for parent in around.parents:
        if parent.cause in standing.overlays.suppressed and parent.case is not None:
            return rows.case(connection, parent.case)
    return None
