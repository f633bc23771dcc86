"""Edges that will never come back, and that nobody can withdraw any more: a person says so (`gridcall rules forget`).

What stands for such an edge is ended in the log with who and why, and its cases are struck out where nothing else is in them. The engine
forgets its devices, and doesn't learn of them again from what a broker still keeps of it; an edge that speaks all the same is back.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select

from messages.ids import COLLECTOR, EdgeId, SiteId, ledger_of
from messages.language import Unfit, phrase
from rules.alarms.condition import AlarmEvent
from rules.alarms.standing import Move
from rules.cases import acting, acts
from rules.cases.practice import PLAIN, Practice
from rules.engine import own
from rules.engine.memory.plant import EdgeKey
from rules.records import OVER, ActionRefused
from rules.store import rows
from rules.store import tables as db
from rules.store.rows import Line

OVER_BY_HAND = (AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED, AlarmEvent.RESET)
STRUCK_OUT = "nothing_there"


class NotGone(Unfit):
    """It can't be forgotten; the message says why."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of an edge came to."""

    devices: int
    alarms: int
    cases: int
    left: tuple[str, ...]
    """Cases that go on: they hold something else, or somebody works on them."""


def forget(
    connection: Connection,
    site: SiteId,
    edge: EdgeId,
    actor: str,
    reason: str,
    now_ms: int,
    practice: Practice = PLAIN,
) -> Ended:
    """End what stands for an edge, and write down that it is gone. Raises NotGone."""
    online = connection.scalar(select(db.edges.c.online).where(db.edges.c.site == site, db.edges.c.edge == edge))
    of_it = (db.devices.c.site == site, db.devices.c.edge == edge)
    devices = connection.scalars(select(db.devices.c.device).where(*of_it)).all()
    if online is None and not devices:
        raise NotGone(phrase("no edge {edge!r} is known at {site!r}", edge=edge, site=site))
    if online:
        raise NotGone(phrase("{site}/{edge} is online: what is there can't be forgotten", site=site, edge=edge))
    rows.append(connection, [Line("edge.forgotten", None, None, actor, f"{site}/{edge}: {reason}")], now_ms)
    ended, cases = _end_alarms(connection, site, edge, actor, reason, now_ms, practice)
    struck, left = _strike_out(connection, cases, actor, now_ms, practice)
    connection.execute(delete(db.gone).where(db.gone.c.site == site, db.gone.c.edge == edge))
    connection.execute(insert(db.gone).values(site=site, edge=edge, actor=actor, reason=reason, at_ms=now_ms))
    return Ended(len(devices), ended, struck, tuple(left))


def edges(connection: Connection) -> dict[EdgeKey, int]:
    """Those that are gone, and since when."""
    return {(row.site, row.edge): row.at_ms for row in connection.execute(select(db.gone))}


def come_back(connection: Connection, edge: EdgeKey, now_ms: int) -> None:
    """It has spoken."""
    its = (db.gone.c.site == edge[0], db.gone.c.edge == edge[1])
    if connection.execute(delete(db.gone).where(*its)).rowcount:
        rows.append(connection, [Line("edge.returned", None, None, "rules", "/".join(edge))], now_ms)


def _end_alarms(
    connection: Connection, site: SiteId, edge: EdgeId, actor: str, reason: str, now_ms: int, practice: Practice
) -> tuple[int, list[str]]:
    """Those of its link and its ledger, and of devices of which no other edge speaks. How many they were, and their cases."""
    other = db.devices.alias()
    mine = and_(db.devices.c.site == site, db.devices.c.edge == edge, db.devices.c.device == db.alarms.c.device)
    others = and_(other.c.site == site, other.c.edge != edge, other.c.device == db.alarms.c.device)
    link = and_(db.alarms.c.edge == own.ENGINE, db.alarms.c.device == own.link_of(edge))
    ledger = and_(db.alarms.c.edge == COLLECTOR, db.alarms.c.device == ledger_of(edge))
    its = or_(link, ledger, and_(or_(db.alarms.c.edge == edge, exists().where(mine)), ~exists().where(others)))
    query = rows.alarms_with_cases().where(db.alarms.c.open, db.alarms.c.site == site, its)
    found = connection.execute(query.order_by(db.alarms.c.known_at_ms, db.alarms.c.id)).all()
    for row in found:
        moves = [Move(event, actor, f"edge forgotten: {reason}") for event in OVER_BY_HAND]
        rows.append(connection, acting.carried(connection, row, moves, now_ms, practice), now_ms)
    return len(found), list(dict.fromkeys(row.case for row in found if row.case))


def _strike_out(
    connection: Connection, cases: list[str], actor: str, now_ms: int, practice: Practice
) -> tuple[int, list[str]]:
    struck, left = 0, []
    for case_id in cases:
        case = rows.case(connection, case_id)
        if case is None or case.state in OVER:
            continue
        try:
            if case.origin != "alarm":
                raise ActionRefused("not-done", case)
            acting.do(connection, case_id, acts.Cancel(actor, STRUCK_OUT), now_ms, practice)
            struck += 1
        except ActionRefused:
            left.append(case_id)
    return struck, left
