"""What is around open alarms (rules.alarms.overlays.oversight), read from the database."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, or_, select

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from rules.alarms.condition import ACTIVE
from rules.alarms.overlays.holds import of as hold_of
from rules.alarms.overlays.oversight import Around, Parent, Watched
from rules.alarms.standing import Standing
from rules.records import OVER, WAITING, Case
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
        taken=columns["case_state"] is not None and columns["case_state"] not in WAITING,
    )


_LASTING = select(db.holds).where(db.holds.c.ended_at_ms.is_(None)).order_by(db.holds.c.from_ms, db.holds.c.id)
_LASTING_HERE = _LASTING.where(
    db.holds.c.site == bindparam("site"), or_(db.holds.c.device.is_(None), db.holds.c.device == bindparam("device"))
)
_EDGES = select(db.edges).where(~(db.edges.c.online & db.edges.c.clock_trusted))
_PARENTS = select(db.alarms.c.id, db.alarms.c.site, db.alarms.c.rule, db.alarms.c.gathers, db.alarms.c.case).where(
    db.alarms.c.open, db.alarms.c.gathers.is_not(None), db.alarms.c.state.in_(sorted(ACTIVE))
)
_SILENCES = and_(
    db.silences.c.site == db.devices.c.site,
    db.silences.c.edge == db.devices.c.edge,
    db.silences.c.device == db.devices.c.device,
)
_DEVICE = (db.devices.c.site, db.devices.c.edge, db.devices.c.device)
_TOLD = select(*_DEVICE, select(db.silences.c.from_ms).where(_SILENCES).scalar_subquery().label("from_ms"))
"""No join: a database that has not counted its rows yet reads all silences for each device."""
_TOLD_HERE = _TOLD.where(db.devices.c.site == bindparam("site"), db.devices.c.device == bindparam("device"))
_TOLD_OF = _TOLD.where(
    db.devices.c.site.in_(bindparam("sites", expanding=True)),
    db.devices.c.device.in_(bindparam("devices", expanding=True)),
)
"""More than are wanted, where two sites call devices alike: each column of the index by itself is found fastest."""
_SILENT_ALARMED = select(*_DEVICE, db.silences.c.from_ms).where(
    _SILENCES,
    db.silences.c.from_ms <= bindparam("now_ms"),
    exists().where(db.alarms.c.site == db.devices.c.site, db.alarms.c.device == db.devices.c.device, db.alarms.c.open),
)


def of_one(connection: Connection, alarm: Watched, now_ms: int) -> Around:
    here = {"site": alarm.site, "device": alarm.device}
    return _around(
        now_ms,
        holds=connection.execute(_LASTING_HERE, here),
        edges=connection.execute(_EDGES),
        told=connection.execute(_TOLD_HERE, here),
        parents=connection.execute(_PARENTS),
    )


def of_some(connection: Connection, devices: Collection[tuple[SiteId, DeviceId]], now_ms: int) -> Around:
    """Around the alarms of some devices."""
    told = list[Row[Any]]()
    for some in rows.parts(devices):
        its = {"sites": sorted({site for site, _ in some}), "devices": sorted({device for _, device in some})}
        told += connection.execute(_TOLD_OF, its)
    return _around(
        now_ms,
        holds=connection.execute(_LASTING),
        edges=connection.execute(_EDGES),
        told=told,
        parents=connection.execute(_PARENTS),
    )


def of_open(connection: Connection, now_ms: int) -> Around:
    """Around every open alarm, as much as it takes to know which of them it may concern: of the devices only those that are silent."""
    return _around(
        now_ms,
        holds=connection.execute(_LASTING),
        edges=connection.execute(_EDGES),
        told=connection.execute(_SILENT_ALARMED, {"now_ms": now_ms}),
        parents=connection.execute(_PARENTS),
    )


def _around(
    now_ms: int,
    *,
    holds: Iterable[Row[Any]],
    edges: Iterable[Row[Any]],
    told: Iterable[Row[Any]],
    parents: Iterable[Row[Any]],
) -> Around:
    away, guessing = set[tuple[SiteId, EdgeId]](), set[tuple[SiteId, EdgeId]]()
    for row in edges:
        (guessing if row.online else away).add((row.site, row.edge))
    tellers: dict[tuple[SiteId, DeviceId], list[EdgeId]] = {}
    silent: set[tuple[SiteId, EdgeId, DeviceId]] = set()
    for row in told:
        tellers.setdefault((row.site, row.device), []).append(row.edge)
        if row.from_ms is not None and row.from_ms <= now_ms:
            silent.add((row.site, row.edge, row.device))
    return Around(
        holds=[hold_of(row) for row in holds],
        away=away,
        guessing=guessing,
        tellers=tellers,
        silent=silent,
        parents=[Parent(row.id, row.site, row.rule, tuple(row.gathers), row.case) for row in parents],
    )


def parents_case(connection: Connection, standing: Standing, around: Around) -> Case | None:
    """The case of the alarm that gathers this one: both are one situation."""
    for parent in around.parents:
        if parent.cause in standing.overlays.suppressed and parent.case is not None:
            return rows.case(connection, parent.case)
    return None
