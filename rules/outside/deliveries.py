"""The rows of webhooks: what each still has to tell, in the order of the log. Inside the caller's transaction; nothing is sent here.

The log itself is the queue: of each webhook only so much is written out as `MOST_WAITING` rows hold. A row goes when its receiver has taken
it, and until then nothing later of the same case goes out. Whoever fails for a day is disabled, and what waits stays until somebody enables it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from messages.ids import SiteId
from rules.cases.acts import RULES
from rules.drills.drill import PREFIX, is_practice
from rules.outside import bulletin, cap, payload, reading, tickets
from rules.outside.bulletin import SiteOf
from rules.outside.hook import Hook, again_ms, is_over
from rules.outside.reading import Change
from rules.store import positions, rows
from rules.store import tables as db
from rules.store.refusals import Apart

MOST_WAITING = 2_000
"""Of one webhook; the rest waits in the log."""
LINES_AT_ONCE = 200
HEADS_AT_ONCE = 50
GONE = "410"
"""By Standard Webhooks a receiver that says so wants no more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be sent now. `id`: the same however often it is sent."""

    hook: str
    seq: int
    about: str
    id: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How a webhook stands."""

    name: str
    seq: int
    sent: int
    sent_at_ms: int | None
    disabled_at_ms: int | None
    why: str
    waiting: int = 0


def behind(connection: Connection, hooks: Sequence[Hook]) -> list[Hook]:
    """Those that have news to be written out, or were never served."""
    last = connection.scalar(select(func.max(db.log.c.seq))) or 0
    known = standings(connection)
    return [
        hook
        for hook in hooks
        if (stands := known.get(hook.name)) is None
        or (stands.disabled_at_ms is None and stands.seq < last and stands.waiting < MOST_WAITING)
    ]


def fill(connection: Connection, hook: Hook, site_of: SiteOf, now_ms: int, apart: Apart | None = None) -> int:
    """Write out what is new in the log for it. How many; a webhook that is new begins with what comes next. `apart`: something of it is
    refused; it is kept for people to look at and left out, and the rest is written."""
    its = db.hooks.c.name == hook.name
    row = connection.execute(select(db.hooks).where(its)).one_or_none()
    if row is None:
        last = connection.scalar(select(func.max(db.log.c.seq))) or 0
        connection.execute(insert(db.hooks).values(name=hook.name, seq=last, sent=0, why=""))
        return 0
    changes, seq = reading.changes(connection, hook.sites, row.seq, LINES_AT_ONCE)
    wanted = [change for change in changes if hook.wants(change)]
    if apart is None:
        written = _write(connection, hook, wanted, site_of, now_ms)
    else:
        written = 0
        for change in wanted:
            name = f"{hook.name}: line {change.line.seq}, {change.line.event}"
            write = partial(_write, connection, hook, [change], site_of, now_ms)
            written += apart.done(SiteId(change.site), "delivery", name, write) or 0
    connection.execute(update(db.hooks).where(its).values(seq=seq))
    return written


def due(connection: Connection, hooks: Sequence[Hook], now_ms: int) -> list[Delivery]:
    """The first of each case that waits, where its time has come."""
    known = standings(connection)
    served = [hook.name for hook in hooks if (one := known.get(hook.name)) and one.disabled_at_ms is None]
    table = db.deliveries.c
    heads = select(table.hook, table.about, func.min(table.seq).label("seq")).group_by(table.hook, table.about)
    first = heads.where(table.hook.in_(served)).subquery()
    joined = db.deliveries.join(first, and_(table.hook == first.c.hook, table.seq == first.c.seq))
    query = select(db.deliveries).select_from(joined).where(table.due_at_ms <= now_ms)
    return [
        Delivery(
            row.hook, row.seq, row.about, str(positions.at(connection, row.seq)), row.content_type, row.body.encode()
        )
        for row in connection.execute(query.order_by(table.seq, table.hook).limit(HEADS_AT_ONCE)).all()
    ]


def taken(connection: Connection, one: Delivery, now_ms: int) -> None:
    """The receiver has it."""
    gone = connection.execute(delete(db.deliveries).where(*_its(one))).rowcount
    values = {"sent": db.hooks.c.sent + gone, "sent_at_ms": now_ms, "why": ""}
    connection.execute(update(db.hooks).where(db.hooks.c.name == one.hook).values(values))


def failed(connection: Connection, one: Delivery, why: str, now_ms: int, asked_s: float | None = None) -> bool:
    """It was not taken. Whether the webhook is disabled by that."""
    row = connection.execute(select(db.deliveries).where(*_its(one))).one_or_none()
    if row is None:
        return False
    attempts = row.attempts + 1
    again = {"attempts": attempts, "due_at_ms": again_ms(attempts, now_ms, asked_s)}
    connection.execute(update(db.deliveries).where(*_its(one)).values(again))
    over = why.startswith(GONE) or is_over(row.queued_at_ms, now_ms)
    values: dict[str, Any] = {"why": why[:200]} | ({"disabled_at_ms": now_ms} if over else {})
    connection.execute(update(db.hooks).where(db.hooks.c.name == one.hook).values(values))
    if over:
        rows.append(connection, [rows.Line("webhook.disabled", None, None, RULES, f"{one.hook}: {why}"[:500])], now_ms)
    return over


def enable(connection: Connection, name: str, actor: str, now_ms: int) -> bool:
    """Serve it again; what waits is tried at once, for another day. False if there is none."""
    values = {"disabled_at_ms": None, "why": ""}
    if not connection.execute(update(db.hooks).where(db.hooks.c.name == name).values(values)).rowcount:
        return False
    anew = {"attempts": 0, "due_at_ms": now_ms, "queued_at_ms": now_ms}
    connection.execute(update(db.deliveries).where(db.deliveries.c.hook == name).values(anew))
    rows.append(connection, [rows.Line("webhook.enabled", None, None, actor, name)], now_ms)
    return True


def replay(connection: Connection, name: str, since_ms: int, actor: str, now_ms: int) -> int | None:
    """Tell again all that happened since a time, under the names that it had. How many lines that goes back; None if there is no such webhook."""
    row = connection.execute(select(db.hooks).where(db.hooks.c.name == name)).one_or_none()
    if row is None:
        return None
    first = connection.scalar(select(func.min(db.log.c.seq)).where(db.log.c.at_ms >= since_ms))
    seq = row.seq if first is None else min(row.seq, first - 1)
    later = (db.deliveries.c.hook == name, db.deliveries.c.seq > seq)
    connection.execute(delete(db.deliveries).where(*later))
    connection.execute(update(db.hooks).where(db.hooks.c.name == name).values(seq=seq))
    rows.append(connection, [rows.Line("webhook.replayed", None, None, actor, f"{name}: from {seq + 1}")], now_ms)
    return int(row.seq - seq)


def standings(connection: Connection) -> Mapping[str, Standing]:
    """Every webhook that was ever served."""
    count = select(db.deliveries.c.hook, func.count().label("waiting")).group_by(db.deliveries.c.hook)
    waiting = {row.hook: row.waiting for row in connection.execute(count)}
    return {
        row.name: Standing(**row._mapping, waiting=waiting.get(row.name, 0))
        for row in connection.execute(select(db.hooks).order_by(db.hooks.c.name))
    }


def _write(connection: Connection, hook: Hook, changes: Sequence[Change], site_of: SiteOf, now_ms: int) -> int:
    written = [one for change in changes for one in _row(connection, hook, change, site_of, now_ms)]
    if written:
        connection.execute(insert(db.deliveries), written)
    return len(written)


def _row(connection: Connection, hook: Hook, change: Change, site_of: SiteOf, now_ms: int) -> list[dict[str, Any]]:
    """None of those that say nothing in the form of this webhook."""
    line = change.line
    alarm = rows.alarm_row(connection, line.alarm) if line.alarm else None
    case = rows.case(connection, line.case) if line.case else rows.case_in(alarm) if alarm else None
    body: bytes | None
    if hook.format == "cap":  # which says that practice is one
        body, content_type = bulletin.of_line(connection, line, site_of, hook.name), cap.CONTENT_TYPE
    elif (case and is_practice(case)) or (alarm and alarm.rule.startswith(PREFIX)):
        return []  # a drill calls nobody outside
    else:
        upstream = tickets.upstream(connection, case.id) if case else None
        body = payload.news(change, case, rows.alarm_of(alarm) if alarm else None, upstream)
        content_type = payload.CONTENT_TYPE
    if body is None:
        return []
    return [
        {
            "hook": hook.name,
            "seq": line.seq,
            "about": case.id if case else line.alarm or "",
            "content_type": content_type,
            "body": body.decode(),
            "queued_at_ms": now_ms,
            "attempts": 0,
            "due_at_ms": now_ms,
        }
    ]


def _its(one: Delivery) -> tuple[Any, Any]:
    return db.deliveries.c.hook == one.hook, db.deliveries.c.seq == one.seq
