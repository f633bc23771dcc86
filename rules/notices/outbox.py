"""The outbox: which calls are due, and what of them is taken to be sent now. Inside the caller's transaction; nothing is sent here.

A call is written by escalation in the transaction of its case (rules.escalation.timers). Each send is a row of its own beside it, so that
limits count what was sent, and a person can see what was tried; what becomes of it is the affair of rules.notices.sendings.
"""

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, bindparam, func, or_, select, update
from sqlalchemy import case as ranked
from sqlalchemy.sql import ColumnElement

from messages.ids import SiteId
from rules.cases.practice import Practice
from rules.drills import drill
from rules.duty.ladder import DESK, Address
from rules.escalation import timers
from rules.escalation.program import Leg, running
from rules.language.calendar import Calendar
from rules.notices import links
from rules.notices import notice as machine
from rules.notices.config import Way
from rules.notices.limits import Limit, longest_ms
from rules.notices.notice import DEADLINE_MS, TOLD, WAITING, NoticeEvent, NoticeState
from rules.notices.plan import Due, Habits, Move, Send, Sent, plan
from rules.notices.sendings import Begun, Book, lose_hanging, notice_of
from rules.notices.words import Told, message
from rules.records import Case
from rules.store import many, rows
from rules.store import tables as db
from rules.store.refusals import Apart

AT_ONCE = 500
"""Notices that are looked at in one transaction; the gravest first."""
AHEAD_MS = 5_000
"""A send that began so long after now was written down by a clock that has been set back since: no limit waits for it."""
AGAIN_MS = 60_000
"""When a call that the database refused is tried again."""

_GRAVEST_FIRST = ranked({"red": 0, "orange": 1, "yellow": 2}, value=db.notices.c.level, else_=3)
_LAST_SENDING = select(func.max(db.sendings.c.id))
_HAPPENED = (
    select(db.alarms.c.case, func.min(db.alarms.c.raised_at_ms), func.sum(db.alarms.c.occurrences))
    .where(db.alarms.c.case.in_(bindparam("cases", expanding=True)))
    .group_by(db.alarms.c.case)
)
_NEXT = (
    select(db.notices.c.due_at_ms)
    .where(db.notices.c.state.in_(sorted((*WAITING, NoticeState.SENDING))))
    .order_by(db.notices.c.due_at_ms)
    .limit(1)
)
"""Made once, as in rules.store.rows: each call asks for most of them."""

T = TypeVar("T")
Find = Callable[[str, str], tuple[Address, ...]]
"""Addresses of a person of a site, by id or login, for calls that were made by name."""


def take(
    connection: Connection,
    ways: Mapping[str, Way],
    find: Find,
    practice: Practice,
    habits: Habits,
    address_of_pages: str,
    now_ms: int,
    room: int = AT_ONCE,
    red_room: MutableMapping[str, int] | None = None,
    apart: Apart | None = None,
    others: Collection[int] = (),
) -> list[Begun]:
    """Decide about all that is due, write it down, and hand out what is to be sent: as much as there is room for. The rest stays as it is.

    `red_room`: for red calls, by channel (None: for all of them); what is left of it then. `apart`: each call by itself; what the database
    refuses of one is tried again later, and holds up no other. `others`: the tokens of workers that live beside this one: where we know no way to
    somebody of their sites, they may.
    """
    lose_hanging(connection, now_ms)
    red_room = {} if red_room is None else red_room
    full = [way for way, left in red_room.items() if left <= 0]
    its = (
        db.notices.c.state.in_(WAITING),
        db.notices.c.due_at_ms <= now_ms,
        *([or_(db.notices.c.level != "red", db.notices.c.channel.not_in(full))] if full else ()),
    )  # what waits for a channel that is full takes no place from what goes by another
    order = (_GRAVEST_FIRST, db.notices.c.queued_at_ms, db.notices.c.key)
    query = select(db.notices).where(*its).order_by(*order).limit(AT_ONCE)
    found = {row.key: row for row in connection.execute(query)}
    if not found:
        return []
    cases = {
        case.id: case for case in rows.cases_where(connection, db.cases.c.id.in_({r.case for r in found.values()}))
    }
    inside = drill.kept_inside(connection, cases.values(), now_ms)
    book = Book()
    for row in [row for row in found.values() if row.case in inside]:
        _to_pages(book, found.pop(row.key), now_ms)
    book.write(connection, now_ms)
    due = [_due(row, cases[row.case], find) for row in found.values()]
    if others:
        theirs = set(connection.scalars(select(db.leases.c.site).where(db.leases.c.token.in_(list(others)))))
        due = [one for one in due if one.addresses or one.site not in theirs]
    sends, moves = list[Send](), list[Move]()
    for decision in plan(due, _sent(connection, due, ways, habits, now_ms), ways, practice.calendar, now_ms, habits):
        if isinstance(decision, Move):
            moves.append(decision)
            continue
        red, way = decision.due.level == "red", decision.due.addresses[decision.address].channel
        left = red_room.get(way, AT_ONCE) if red else room
        if red:
            red_room[way] = left - 1
        else:
            room -= 1
        if left > 0:
            sends.append(decision)
    move = partial(_move, connection, found, practice, now_ms)
    begin = partial(_begin, connection, found, cases, practice.calendar, address_of_pages, now_ms)
    if apart is None:
        move(moves)
        return begin(sends)
    for one in moves:
        _each(connection, one.due, partial(move, [one]), apart, now_ms)
    return [new for send in sends for new in _each(connection, send.due, partial(begin, [send]), apart, now_ms) or ()]


def _each(connection: Connection, due: Due, act: Callable[[], T], apart: Apart, now_ms: int) -> T | None:
    done = apart.done(SiteId(due.site), "call", due.notice.key, lambda: (act(),))
    if done is None:
        its = db.notices.c.key == due.notice.key
        connection.execute(update(db.notices).where(its).values(due_at_ms=now_ms + AGAIN_MS))
        return None
    return done[0]


def next_due_ms(connection: Connection) -> int | None:
    """When a notice that waits, or the deadline of one that is being sent, is due next."""
    return connection.scalar(_NEXT)


def _due(row: Row[Any], case: Case, find: Find) -> Due:
    listed = [Address(one["channel"], one["to"]) for one in row.detail.get("addresses", ())]
    turn = row.detail.get("turn", 0) % len(listed) if listed else 0
    addresses = (*listed[turn:], *listed[:turn]) or find(case.site, row.person)
    return Due(
        notice=notice_of(row),
        case=row.case,
        site=case.site,
        person=row.person,
        level=row.level,
        addresses=tuple(addresses),
        queued_at_ms=row.queued_at_ms,
        outdated=row.leg not in running(case),
        asks=row.leg == Leg.ASK,
    )


def _sent(
    connection: Connection, due: Sequence[Due], ways: Mapping[str, Way], habits: Habits, now_ms: int
) -> list[Sent]:
    """All that a limit may still count for what is due."""
    sendings = db.sendings.c
    asked: list[tuple[Sequence[Limit], ColumnElement[bool]]] = []
    for way in ways.values():
        receivers = {one.to for each in due for one in each.addresses if one.channel == way.name}
        if receivers:
            asked.append((way.limits, sendings.channel == way.name))
            asked.append((way.receiver_limits, (sendings.channel == way.name) & sendings.receiver.in_(receivers)))
    people = {one.person for one in due if one.level != "red"}
    asked.append(([*habits.budget, *habits.quiet_budget], (sendings.level != "red") & sendings.person.in_(people)))
    found: dict[int, Row[Any]] = {}
    for limits, its in asked:
        if limits:
            since_ms = now_ms - longest_ms(limits) - DEADLINE_MS
            within = sendings.begun_at_ms.between(since_ms + 1, now_ms + AHEAD_MS)
            query = select(db.sendings).where(its, within, sendings.outcome != "throttled")
            found |= {row.id: row for row in connection.execute(query)}
    sent = [Sent(row.channel, row.receiver, row.person, row.level, _came_ms(row, now_ms)) for row in found.values()]
    return sorted(sent, key=lambda one: one.at_ms)


def _came_ms(row: Row[Any], now_ms: int) -> int:
    """When the provider had it, at the latest: its own limit counts from then on."""
    if row.outcome == "sending":
        return max(int(row.begun_at_ms), now_ms)
    return max(int(row.begun_at_ms), int(row.ended_at_ms or 0))


def _move(
    connection: Connection, found: Mapping[str, Row[Any]], practice: Practice, now_ms: int, moves: Sequence[Move]
) -> None:
    """Write down how those stand that aren't sent now, all of it at once. What a step up leads to is asked when all before it is written."""
    book = Book()
    for one in moves:
        row = found[one.due.notice.key]
        if one.event is NoticeEvent.NO_CHANNEL and row.person == DESK.id:
            _to_pages(book, row, now_ms)
            continue
        after = machine.apply(one.due.notice, one.event, now_ms, again_at_ms=one.again_at_ms)
        event = {NoticeEvent.NO_CHANNEL: "notify.exhausted", NoticeEvent.HELD_BACK: "notify.throttled"}.get(one.event)
        again = one.event is NoticeEvent.HELD_BACK and row.state == NoticeState.THROTTLED
        book.note(row, after, None if again else event)
        if after.state is NoticeState.EXHAUSTED:
            book.write(connection, now_ms)
            _step_up(connection, row, practice, now_ms)
    book.write(connection, now_ms)


def _step_up(connection: Connection, row: Row[Any], practice: Practice, now_ms: int) -> None:
    """Somebody can't be reached: unless others hear of the step, the next one is called."""
    if _others_hear(connection, row):
        return
    if row.leg == Leg.ASK:
        timers.pass_over(connection, row.case, row.rung, now_ms, practice)
    else:
        timers.hasten(connection, row.case, now_ms, practice)


def _others_hear(connection: Connection, row: Row[Any]) -> bool:
    """Whether anybody else is told, or may yet be, of the step that a notice is of."""
    states = (*WAITING, *TOLD, NoticeState.SENDING)
    its = (db.notices.c.case == row.case, db.notices.c.person != row.person, db.notices.c.state.in_(states))
    step = row.key.removesuffix(row.person)
    return any(key.startswith(step) for key in connection.scalars(select(db.notices.c.key).where(*its)))


def _to_pages(book: Book, row: Row[Any], now_ms: int) -> None:
    """Told by the pages alone: it counts as handed over."""
    taken = machine.apply(machine.apply(notice_of(row), NoticeEvent.BEGUN, now_ms), NoticeEvent.TAKEN, now_ms)
    book.note(row, taken, "notify.handed_over", "pages")


def _begin(
    connection: Connection,
    found: Mapping[str, Row[Any]],
    cases: Mapping[str, Case],
    calendar: Calendar,
    address_of_pages: str,
    now_ms: int,
    sends: Sequence[Send],
) -> list[Begun]:
    """Write down that these are sent now, all of it at once."""
    if not sends:
        return []
    book, begun, written = Book(), list[Begun](), list[dict[str, Any]]()
    told = [found[due.notice.key] for send in sends for due in (send.due, *send.others)]
    happened = _happened(connection, {row.case for row in told})
    asked = [(found[send.due.notice.key].case, send.due.person) for send in sends]
    made = links.make_some(connection, asked, now_ms) if address_of_pages else [""] * len(sends)
    first = (connection.scalar(_LAST_SENDING) or 0) + 1
    for number, (send, token) in enumerate(zip(sends, made, strict=True), first):
        row, address = found[send.due.notice.key], send.due.addresses[send.address]
        notice = machine.apply(send.due.notice, NoticeEvent.BEGUN, now_ms)
        attempts = notice.attempts if send.address == send.due.notice.channel else 1
        book.note(row, replace(notice, channel=send.address, attempts=attempts), None, channel=address.channel)
        others = [found[other.notice.key] for other in send.others]
        for other, its in zip(send.others, others, strict=True):
            book.note(its, machine.apply(other.notice, NoticeEvent.JOINED, now_ms), None)
        words = message(
            _told(row, cases, happened),
            [_told(other, cases, happened) for other in others],
            person=row.person,
            language="en" if row.detail.get("language") == "en" else "zh",
            link=f"{address_of_pages}/c/{token}" if token else "",
            calendar=calendar,
            now_ms=now_ms,
        )
        begun.append(Begun(number, address.channel, address.to, words))
        written.append(
            {
                "id": number,
                "notice": row.key,
                "case": row.case,
                "channel": address.channel,
                "receiver": address.to,
                "person": row.person,
                "level": row.level,
                "more": len(others),
                "begun_at_ms": now_ms,
                "ended_at_ms": None,
                "outcome": "sending",
                "answer": "",
            }
        )
    many.insert(connection, db.sendings, written)
    book.write(connection, now_ms)
    return begun


def _happened(connection: Connection, case_ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """When what cases hold was first raised, and how often it came in all; a case without an alarm is left out."""
    found = {}
    for some in rows.parts(case_ids):
        for case_id, first_ms, times in connection.execute(_HAPPENED, {"cases": some}):
            found[case_id] = first_ms, int(times)
    return found


def _told(row: Row[Any], cases: Mapping[str, Case], happened: Mapping[str, tuple[int, int]]) -> Told:
    case = cases[row.case]
    first_ms, times = happened.get(case.id, (case.opened_at_ms, 1))
    return Told(key=row.key, case=case, leg=row.leg, reason=row.reason, happened_at_ms=first_ms, times=times)
