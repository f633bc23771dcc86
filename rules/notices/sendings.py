"""What becomes of a sending: the provider's answer, none at all, or the person's own act. Inside the caller's transaction.

`Book` is where it and the outbox (rules.notices.outbox) write down how a notice stands from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from rules.cases.acts import RULES
from rules.notices import notice as machine
from rules.notices.channels.base import Message, Outcome, Taken
from rules.notices.notice import Notice, NoticeEvent, NoticeState
from rules.notices.plan import RED_WAITS_MS
from rules.store import many, rows
from rules.store import tables as db

RED_ATTEMPTS, SOON_MS = 2, 2_000
"""What a red call may try on a channel before it takes the person's next one: so that, with the pause between the two, it is handed over
there within 15 s of its call though each answer here takes as long as it may (10 s)."""
CUT_OFF_MOST = 5
"""Sends of one call that ended with their engine: after so many it may be the send that ends it, and its deadline decides [E]."""
KEPT_MS = 400 * 86_400_000
"""How long it is kept who was told what when."""

_SENDINGS = select(db.sendings).where(db.sendings.c.id.in_(bindparam("ids", expanding=True)))
_NOTICES = select(db.notices).where(db.notices.c.key.in_(bindparam("keys", expanding=True)))
_HANGING = select(db.notices).where(
    db.notices.c.state == NoticeState.SENDING, db.notices.c.due_at_ms <= bindparam("now_ms")
)
"""Made once, as in rules.store.rows."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A message to be sent now, and where its end is to be written."""

    sending: int
    way: str
    to: str
    message: Message


def resume(connection: Connection, now_ms: int) -> None:
    """Of an engine that begins and is alone: what was under way ended with the one before. It goes again now, not after its deadline."""
    under_way = select(db.notices).where(db.notices.c.state == NoticeState.SENDING)
    for row in connection.execute(under_way).all():
        lost = (db.sendings.c.notice == row.key, db.sendings.c.outcome == "lost")
        if (connection.scalar(select(func.count()).where(*lost)) or 0) < CUT_OFF_MOST:
            _store(connection, machine.apply(notice_of(row), NoticeEvent.CUT_OFF, now_ms))
            _lose(connection, row.key, now_ms)


def lose_hanging(connection: Connection, now_ms: int) -> None:
    """Sends of which nothing was heard: another engine was killed in the midst of them, or a channel hangs."""
    for row in connection.execute(_HANGING, {"now_ms": now_ms}).all():
        lost = machine.apply(notice_of(row), NoticeEvent.LOST, now_ms)
        _store(connection, machine.apply(lost, NoticeEvent.NEXT_CHANNEL, now_ms))
        _lose(connection, row.key, now_ms)


def end(connection: Connection, ended: Sequence[tuple[Begun, Outcome]], now_ms: int) -> None:
    """What the provider said to some messages, all of it written at once."""
    sendings, notices = dict[int, Row[Any]](), dict[str, Row[Any]]()
    for numbers in rows.parts(begun.sending for begun, _ in ended):
        sendings |= {row.id: row for row in connection.execute(_SENDINGS, {"ids": numbers})}
    for keys in rows.parts({row.notice for row in sendings.values()}):
        notices |= {row.key: row for row in connection.execute(_NOTICES, {"keys": keys})}
    book, over = Book(), list[dict[str, Any]]()
    for begun, outcome in ended:
        sending = sendings[begun.sending]
        word = "taken" if isinstance(outcome, Taken) else "throttled" if outcome.throttled_s else "failed"
        answer = outcome.id if isinstance(outcome, Taken) else outcome.why
        over.append({"id": begun.sending, "ended_at_ms": now_ms, "outcome": word, "answer": answer[:200]})
        row = notices.pop(sending.notice, None)  # the first answer counts, as if each were written by itself
        if row is None or row.state != NoticeState.SENDING:
            continue  # acted upon or lost meanwhile
        further = row.level == "red" and row.address + 1 < len(row.detail.get("addresses", ()))
        took_ms = now_ms - sending.begun_at_ms
        book.note(row, *_after(notice_of(row), outcome, now_ms, took_ms, further=further), answer)
    many.change(connection, db.sendings, over)
    book.write(connection, now_ms)


def acted(connection: Connection, case_id: str, person: str, now_ms: int) -> None:
    """The person has done something about the case: all that he was to be told of it has its end."""
    _told_by_himself(connection, case_id, person, NoticeEvent.ACTED, now_ms)


def _told_by_himself(connection: Connection, case_id: str, person: str, event: NoticeEvent, now_ms: int) -> None:
    its = (db.notices.c.case == case_id, db.notices.c.person == person)
    for row in connection.execute(select(db.notices).where(*its)).all():
        after = machine.apply(notice_of(row), event, now_ms)
        if after.state != row.state:
            _store(connection, after)
            if event is NoticeEvent.OPENED:
                rows.append(connection, [rows.Line("notify.read", None, case_id, person)], now_ms)


def read(connection: Connection, case_id: str, person: str, now_ms: int) -> None:
    """The person has opened the case by its link."""
    _told_by_himself(connection, case_id, person, NoticeEvent.OPENED, now_ms)


def forget(connection: Connection, now_ms: int) -> None:
    """Sends of long ago."""
    connection.execute(delete(db.sendings).where(db.sendings.c.begun_at_ms < now_ms - KEPT_MS))


class Book:
    """How notices stand by now, and the lines that tell it; until they are written."""

    def __init__(self) -> None:
        self._stored: list[dict[str, Any]] = []
        self._lines: list[rows.Line] = []

    def note(self, row: Row[Any], after: Notice, event: str | None, detail: str = "", *, channel: str = "") -> None:
        """`event`: the log's word for it. `channel`: on which it is tried now."""
        self._stored.append({"key": after.key, **_stand(after), "channel": channel or row.channel})
        if event:
            words = " ".join(part for part in (row.person, row.channel, detail) if part)
            self._lines.append(rows.Line(event, None, row.case, RULES, words[:300]))

    def write(self, connection: Connection, now_ms: int) -> None:
        many.change(connection, db.notices, self._stored)
        rows.append(connection, self._lines, now_ms)
        self._stored, self._lines = [], []


def notice_of(row: Row[Any]) -> Notice:
    return Notice(
        key=row.key,
        state=NoticeState(row.state),
        channel=row.address,
        attempts=row.attempts,
        due_at_ms=row.due_at_ms,
    )


def _after(notice: Notice, outcome: Outcome, now_ms: int, took_ms: int, *, further: bool) -> tuple[Notice, str | None]:
    """How the notice stands after an answer that took so long, and the log's word for it. `further`: it is red, and the person has another
    address; then there is time for one more attempt here if the answer came soon, and for none if it did not (F6)."""
    if isinstance(outcome, Taken):
        return machine.apply(notice, NoticeEvent.TAKEN, now_ms), "notify.handed_over"
    if outcome.throttled_s is not None:
        again_ms = now_ms + round(outcome.throttled_s * 1000)
        held = machine.apply(notice, NoticeEvent.HELD_BACK, now_ms, again_at_ms=again_ms)
        if further and again_ms > now_ms + RED_WAITS_MS:
            held = machine.apply(held, NoticeEvent.NEXT_CHANNEL, now_ms)
        return held, "notify.throttled"
    no_time = further and (took_ms > SOON_MS or notice.attempts >= RED_ATTEMPTS)
    event = NoticeEvent.REFUSED if outcome.for_good or no_time else NoticeEvent.FAILED
    failed = machine.apply(notice, event, now_ms)
    if failed.state is NoticeState.FAILED_PERM:
        failed = machine.apply(failed, NoticeEvent.NEXT_CHANNEL, now_ms)
    return failed, "notify.failed"


def _lose(connection: Connection, key: str, now_ms: int) -> None:
    sendings = (db.sendings.c.notice == key, db.sendings.c.outcome == "sending")
    connection.execute(update(db.sendings).where(*sendings).values(outcome="lost", ended_at_ms=now_ms))


def _store(connection: Connection, notice: Notice) -> None:
    many.change(connection, db.notices, [{"key": notice.key, **_stand(notice)}])


def _stand(notice: Notice) -> dict[str, Any]:
    return {
        "state": notice.state,
        "address": notice.channel,
        "attempts": notice.attempts,
        "due_at_ms": notice.due_at_ms,
    }
