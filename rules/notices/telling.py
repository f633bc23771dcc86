"""Who was told of a case, by what, when, and what the provider said: a part of the desk (rules.desk)."""

from dataclasses import dataclass

from sqlalchemy import Row, select

from messages.alarm import Level
from rules.duty.household import masked_phone, role_of
from rules.escalation.clocks import FAR_MS
from rules.notices.notice import NoticeState
from rules.store import tables as db
from rules.store.database import Database

MOST = 200
"""Calls of one case that are read; the latest where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attempt to hand a call to a channel."""

    channel: str
    receiver: str
    """Of a household masked, as everywhere."""
    begun_at_ms: int
    ended_at_ms: int | None
    outcome: str
    """"sending", "taken", "failed", "throttled", "lost"."""
    answer: str
    """What the provider said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call of one person, with its tries."""

    leg: str
    person: str
    name: str
    role: str
    level: Level
    rung: int
    reason: str
    queued_at_ms: int
    state: NoticeState
    channel: str
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class NextCall:
    """When somebody will be called next, if nothing happens."""

    leg: str
    at_ms: int


class Telling:
    """Calls and their fate. Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, case_id: str) -> list[Told]:
        """Everybody who was called for a case, the latest call first."""
        calls = select(db.notices).where(db.notices.c.case == case_id)
        calls = calls.order_by(db.notices.c.queued_at_ms.desc(), db.notices.c.key).limit(MOST)
        with self._database.reading() as connection:
            found = connection.execute(calls).all()
            keys = [row.key for row in found]
            tries: dict[str, list[Try]] = {}
            query = select(db.sendings).where(db.sendings.c.notice.in_(keys)).order_by(db.sendings.c.id)
            for row in connection.execute(query):
                tries.setdefault(row.notice, []).append(_try(row))
        return [
            Told(
                leg=row.leg,
                person=row.person,
                name=str(row.detail.get("name") or row.person),
                role=row.role,
                level=row.level,
                rung=row.rung,
                reason=row.reason,
                queued_at_ms=row.queued_at_ms,
                state=NoticeState(row.state),
                channel=row.channel,
                tries=tuple(tries.get(row.key, ())),
            )
            for row in found
        ]

    def next_calls(self, case_id: str) -> list[NextCall]:
        """What the clocks of a case do next, the soonest first."""
        query = select(db.timers.c.leg, db.timers.c.due_at_ms).where(db.timers.c.case == case_id)
        with self._database.reading() as connection:
            found = connection.execute(query.where(db.timers.c.due_at_ms < FAR_MS).order_by(db.timers.c.due_at_ms))
            return [NextCall(row.leg, row.due_at_ms) for row in found]


def _try(row: Row[tuple[object, ...]]) -> Try:
    return Try(
        channel=row.channel,
        receiver=masked_phone(row.receiver) if role_of(row.person) else row.receiver,
        begun_at_ms=row.begun_at_ms,
        ended_at_ms=row.ended_at_ms,
        outcome=row.outcome,
        answer=row.answer,
    )
