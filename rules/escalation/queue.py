"""Puts calls into the outbox, each once: the same call has one key, whoever computes it. Inside the caller's transaction.

A call that the database refuses holds up no other, nor the step it is of: it is kept beside the outbox, people are told
(`rules.store.refusals`), and `put_again` tries it until it is taken or its case is over. Whether it still is to be sent then, the outbox asks
as of any other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select

from messages.ids import SiteId
from rules.cases.acts import RULES
from rules.duty.ladder import Person
from rules.escalation.call import Call
from rules.records import OVER
from rules.store import database, many, refusals, rows
from rules.store import tables as db

QUEUED = "queued"
AGAIN_MS = 60_000
"""When a call that the database refused is tried again."""

_KNOWN = select(db.notices.c.key).where(db.notices.c.key.in_(bindparam("calls", expanding=True)))
_HELD = db.held_calls
"""Made once, as in rules.store.rows."""


def put(connection: Connection, calls: Iterable[tuple[Call, int]], now_ms: int, *, new: Iterable[str] = ()) -> None:
    """Calls, and when they are due. `new`: cases that this transaction has opened, of which nobody has called yet."""
    asked, fresh = {call.key: _row(call, due_ms, now_ms) for call, due_ms in calls}, set(new)
    known = _known(connection, [key for key, row in asked.items() if row["case"] not in fresh])
    _write(connection, [row for key, row in asked.items() if key not in known], now_ms)


def put_again(connection: Connection, now_ms: int) -> int:
    """Calls that were refused, if it is time. How many the outbox has now."""
    due = connection.execute(select(_HELD).where(_due(now_ms)).limit(rows.MOST_NAMED)).all()
    keys, cases = [row.key for row in due], {row.call["case"] for row in due}
    known = _known(connection, keys)
    over = set(connection.scalars(select(db.cases.c.id).where(db.cases.c.id.in_(cases), db.cases.c.state.in_(OVER))))
    connection.execute(delete(_HELD).where(_HELD.c.key.in_(keys)))
    wanted = [row.call for row in due if row.key not in known and row.call["case"] not in over]
    held = [call | {"queued_at_ms": now_ms, "due_at_ms": now_ms} for call in wanted]
    return len(held) - _write(connection, held, now_ms)


def is_due(connection: Connection, now_ms: int) -> bool:
    """Whether a call that was refused is to be tried again."""
    return connection.execute(select(_HELD.c.key).where(_due(now_ms)).limit(1)).first() is not None


def _due(now_ms: int) -> ColumnElement[bool]:
    """What waits for longer than anything does was written by a clock that has been set back since."""
    return or_(_HELD.c.again_at_ms <= now_ms, _HELD.c.again_at_ms > now_ms + AGAIN_MS)


def _known(connection: Connection, keys: Iterable[str]) -> set[str]:
    return {key for some in rows.parts(keys) for key in connection.scalars(_KNOWN, {"calls": some})}


def _write(connection: Connection, calls: list[dict[str, Any]], now_ms: int) -> int:
    """All at once, or by halves where that is refused, so that all are written but those that are refused. How many these were."""
    if not calls:
        return 0
    try:
        with connection.begin_nested():
            many.insert(connection, db.notices, calls)
    except Exception as error:
        if not database.refuses(connection, error):
            raise
        if len(calls) == 1:
            _hold(connection, calls[0], error, now_ms)
            return 1
        half = len(calls) // 2
        return _write(connection, calls[:half], now_ms) + _write(connection, calls[half:], now_ms)
    return 0


def _hold(connection: Connection, call: Mapping[str, Any], error: Exception, now_ms: int) -> None:
    site = SiteId(connection.scalar(select(db.cases.c.site).where(db.cases.c.id == call["case"])) or "")
    refusals.keep(connection, site, "new call", call["key"], error, now_ms)

    def hold() -> None:
        held = {"key": call["key"], "again_at_ms": now_ms + AGAIN_MS, "call": dict(call)}
        connection.execute(insert(_HELD), held)
        rows.append(connection, [rows.Line("notify.refused", None, call["case"], RULES, call["person"])], now_ms)

    refusals.Apart(connection, now_ms).done(site, "held call", call["key"], hold)


def _row(call: Call, due_ms: int, now_ms: int) -> dict[str, Any]:
    """A call as a row of the outbox."""
    return {
        "key": call.key,
        "case": call.case,
        "leg": call.leg,
        "person": call.person.id,
        "role": call.person.role,
        "level": call.level,
        "rung": call.rung,
        "reason": call.reason,
        "queued_at_ms": now_ms,
        "state": QUEUED,
        "channel": call.channel,
        "address": 0,
        "attempts": 0,
        "due_at_ms": due_ms,
        "detail": {"turn": call.turn, **_content(call.person)},
    }


@lru_cache(maxsize=256)
def _content(person: Person) -> dict[str, Any]:
    """Whoever is on duty is called for many cases. Not to be changed."""
    return asdict(person)
