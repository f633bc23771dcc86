"""The timers as rows: wound when a case changes, fired in the order in which they are due. Inside the caller's transaction.

* `wind` after every change of a case: legs that run have a timer, others have none, and what they had queued and nobody has sent is
  withdrawn.
* A case of which every open alarm is kept quiet (shelved, suppressed, out of service) calls nobody meanwhile: its steps wait, and are looked at
  again every few seconds.
* A server's clock that is set moves them all by as much (`step_clock`); `shift_ms` is by how much in all.
* `fire` carries out what is due. Steps that were missed together and call the same rung are one call: who was away for three minutes
  is not called four times.
"""

import heapq
from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from messages.ids import SiteId
from rules.cases.acts import RULES
from rules.cases.practice import Practice
from rules.escalation.call import Call, fire
from rules.escalation.program import Leg, Step, due, running, step, top
from rules.notices.notice import WAITING
from rules.records import Case
from rules.store import rows
from rules.store import tables as db

QUEUED, SENDING, SUPERSEDED = "queued", "sending", "superseded"
STEPS_AT_ONCE = 200
"""In one transaction; more wait for the next one, a moment later."""
QUIET_MS = 5_000
"""How long a step of a case that is kept quiet waits until it is looked at again."""
AGAIN_MS = 60_000
"""When a step that the database refused is tried again."""
CALLING = (Leg.ACCEPT, Leg.ARRIVE, Leg.HANDLE)
FAR_MS = 2**53
"""The due time of a leg that has nothing left to do."""

_ITS_CASE = db.timers.c.case == bindparam("its_case")
_ITS_LEG = db.timers.c.leg == bindparam("its_leg")
_OF_CASE = select(db.timers).where(_ITS_CASE)
_OF_LEG = _OF_CASE.where(_ITS_LEG)
_INSERT = insert(db.timers)
_UPDATE = update(db.timers).where(_ITS_CASE, _ITS_LEG)
_DELETE = delete(db.timers).where(_ITS_CASE, _ITS_LEG)
_DUE = (
    select(db.timers.c.due_at_ms, db.timers.c.case, db.timers.c.leg)
    .where(db.timers.c.due_at_ms <= bindparam("now_ms"))
    .order_by(db.timers.c.due_at_ms, db.timers.c.case)
    .limit(STEPS_AT_ONCE)
)
_DUE_OF_CASE = _DUE.where(_ITS_CASE)
_NEXT = select(db.timers.c.due_at_ms).order_by(db.timers.c.due_at_ms).limit(1)
_ELSEWHERE = exists().where(
    db.cases.c.id == db.timers.c.case,
    db.leases.c.site == db.cases.c.site,
    db.leases.c.token.in_(bindparam("others", expanding=True)),
)
_DUE_HERE, _NEXT_HERE = _DUE.where(~_ELSEWHERE), _NEXT.where(~_ELSEWHERE)
_ANNUNCIATED = select(db.alarms.c.annunciated).where(db.alarms.c.case == bindparam("its_case"), db.alarms.c.open)
_QUEUED = select(db.notices.c.key).where(db.notices.c.key == bindparam("its_key"))
_QUEUE = insert(db.notices)
"""Made once, as in rules.store.rows: each raise asks for most of them."""


def wind(connection: Connection, case: Case, practice: Practice) -> bool:
    """The timers of a case as its legs are now. Whether one was missing."""
    known = {row.leg: row for row in connection.execute(_OF_CASE, {"its_case": case.id})}
    wanted = running(case)
    for leg, row in known.items():
        if leg not in wanted or wanted[Leg(leg)] != row.from_ms:
            connection.execute(_DELETE, {"its_case": case.id, "its_leg": leg})
        if leg not in wanted:
            withdraw(connection, case.id, leg)
    for leg, from_ms in wanted.items():
        if leg not in known or known[leg].from_ms != from_ms:
            _put(connection, case, leg, from_ms, 0, practice, new=True)
    return not wanted.keys() <= known.keys()


def withdraw(connection: Connection, case_id: str, leg: str) -> None:
    """Calls that are not under way have become pointless."""
    its = (db.notices.c.case == case_id, db.notices.c.leg == leg, db.notices.c.state.in_(WAITING))
    connection.execute(update(db.notices).where(*its).values(state=SUPERSEDED))


def next_due_ms(connection: Connection, others: Collection[int] = ()) -> int | None:
    """`others`: the tokens of workers that live beside this one: what they own is left to them."""
    return connection.scalar(_NEXT_HERE, {"others": list(others)}) if others else connection.scalar(_NEXT)


def fire_due(
    connection: Connection, practice: Practice, now_ms: int, *, only: str | None = None, others: Collection[int] = ()
) -> int:
    """Everything that is due, the longest overdue first, of all cases or of one; how many steps were done. `others` as in `next_due_ms`: who owns
    a site knows who is on duty there, and what nobody owns is anybody's."""
    if only is not None:
        found = connection.execute(_DUE_OF_CASE, {"now_ms": now_ms, "its_case": only})
    elif others:
        found = connection.execute(_DUE_HERE, {"now_ms": now_ms, "others": list(others)})
    else:
        found = connection.execute(_DUE, {"now_ms": now_ms})
    waiting = [(row.due_at_ms, row.case, row.leg) for row in found]
    horizon_ms = waiting[-1][0] if len(waiting) == STEPS_AT_ONCE else now_ms
    done = 0
    while waiting and done < STEPS_AT_ONCE:
        _, case_id, leg = heapq.heappop(waiting)
        due_ms = _fire(connection, case_id, Leg(leg), practice, now_ms)
        done += 1
        if due_ms is not None and due_ms <= horizon_ms:
            heapq.heappush(waiting, (due_ms, case_id, leg))
    return done


def due_cases(connection: Connection, now_ms: int, others: Collection[int] = ()) -> list[tuple[str, SiteId]]:
    """The cases of which something is due, the longest overdue first, and their sites; of very many the first ones. `others` as above."""
    query = select(db.timers.c.case, db.cases.c.site).join(db.cases, db.cases.c.id == db.timers.c.case)
    if others:
        elsewhere = exists().where(db.leases.c.site == db.cases.c.site, db.leases.c.token.in_(list(others)))
        query = query.where(~elsewhere)
    order = (db.timers.c.due_at_ms, db.timers.c.case)
    found = connection.execute(query.where(db.timers.c.due_at_ms <= now_ms).order_by(*order).limit(STEPS_AT_ONCE))
    return list({row.case: SiteId(row.site) for row in found}.items())


def postpone(connection: Connection, case_id: str, now_ms: int) -> None:
    """What is due of a case can't be done now: it is tried again later."""
    its = (db.timers.c.case == case_id, db.timers.c.due_at_ms <= now_ms)
    connection.execute(update(db.timers).where(*its).values(due_at_ms=now_ms + AGAIN_MS))


def step_clock(connection: Connection, by_ms: int, sites: Collection[SiteId], now_ms: int) -> None:
    """The server's clock was set by `by_ms`: the timers and the calls of these sites wait as long as they would have. What was put aside
    until a day is looked at on that day."""
    ours = select(db.cases.c.id).where(db.cases.c.site.in_(sorted(sites)))
    t, n = db.timers.c, db.notices.c
    moved = {"due_at_ms": t.due_at_ms + by_ms, "shift_ms": t.shift_ms + by_ms}
    its = (t.case.in_(ours), t.leg != Leg.REVIEW, t.due_at_ms < FAR_MS)
    connection.execute(update(db.timers).where(*its).values(moved))
    waiting = (n.case.in_(ours), n.state.in_((*WAITING, SENDING)))
    later = {"due_at_ms": n.due_at_ms + by_ms, "queued_at_ms": n.queued_at_ms + by_ms}
    connection.execute(update(db.notices).where(*waiting).values(later))
    rows.append(connection, [rows.Line("clock.stepped", None, None, RULES, f"{by_ms / 1000:+g} s")], now_ms)


def hasten(connection: Connection, case_id: str, now_ms: int, practice: Practice) -> None:
    """The rung above is called now: whoever was called could not be reached, or nothing happens. It comes beside the program, which leaves
    out no call for it; above the last rung there is nobody else, and the program goes on."""
    case = rows.case(connection, case_id)
    if case is None or case.rung >= top(case):
        return
    legs = running(case)
    if (leg := next((one for one in CALLING if one in legs), None)) is None:
        return
    further = Step(now_ms, (case.rung + 1,), reason="nobody-accepts" if leg is Leg.ACCEPT else f"late-{leg}")
    _carry_out(connection, case, leg, legs[leg], f"above-{case.rung}", further, practice, now_ms)


def queue(connection: Connection, call: Call, now_ms: int, due_ms: int | None = None) -> None:
    """Put a call into the outbox, once. `due_ms`: not to be sent before."""
    if connection.execute(_QUEUED, {"its_key": call.key}).one_or_none():
        return
    connection.execute(
        _QUEUE,
        dict(  # noqa: C408
            key=call.key,
            case=call.case,
            leg=call.leg,
            person=call.person.id,
            role=call.person.role,
            level=call.level,
            rung=call.rung,
            reason=call.reason,
            queued_at_ms=now_ms,
            state=QUEUED,
            channel=call.channel,
            address=0,
            attempts=0,
            due_at_ms=now_ms if due_ms is None else due_ms,
            detail={"turn": call.turn, **asdict(call.person)},
        ),
    )


def _fire(connection: Connection, case_id: str, leg: Leg, practice: Practice, now_ms: int) -> int | None:
    """Do the step that is due; when the one after it is."""
    its = {"its_case": case_id, "its_leg": leg}
    row = connection.execute(_OF_LEG, its).one_or_none()
    case = rows.case(connection, case_id)
    if row is None or case is None:  # an earlier step has moved the case on
        return None
    number, next_step = due(case, leg, row.from_ms, row.number, now_ms - row.shift_ms, practice.calendar)
    if next_step is not None and leg in CALLING and _is_quiet(connection, case_id):
        connection.execute(_UPDATE, {**its, "due_at_ms": now_ms + QUIET_MS})
        return now_ms + QUIET_MS
    if next_step is not None and row.due_at_ms <= now_ms:
        case = _carry_out(connection, case, leg, row.from_ms, str(number), next_step, practice, now_ms)
        number += 1
    if leg not in running(case):
        return None
    return _put(connection, case, leg, row.from_ms, number, practice, row.shift_ms)


def _carry_out(
    connection: Connection, case: Case, leg: Leg, from_ms: int, name: str, one: Step, practice: Practice, now_ms: int
) -> Case:
    """Do a step: the case after it."""
    ladder = practice.ladder(case.site, case.kind, case.level, case.place, case.owner, now_ms)
    fired = fire(case, leg, from_ms, name, one, ladder, now_ms)
    for call in fired.calls:
        queue(connection, call, now_ms)
    rows.append(connection, [rows.Line(event, None, case.id, RULES, text) for event, text in fired.lines], now_ms)
    if fired.case != case:
        rows.write_case(connection, fired.case)
        wind(connection, fired.case, practice)
    return fired.case


def _is_quiet(connection: Connection, case_id: str) -> bool:
    """It holds open alarms, and none of them may call anybody."""
    return set(connection.scalars(_ANNUNCIATED, {"its_case": case_id})) == {False}


def _put(
    connection: Connection,
    case: Case,
    leg: Leg,
    from_ms: int,
    number: int,
    practice: Practice,
    shift_ms: int = 0,
    *,
    new: bool = False,
) -> int | None:
    """Set a leg's timer to a step; when that is due. Without such a step the leg is at its end, and its timer never fires. `new`: it has
    no row."""
    coming = step(case, leg, from_ms, number, practice.calendar)
    due_ms = coming.due_ms + shift_ms if coming else FAR_MS
    values = {"from_ms": from_ms, "number": number, "due_at_ms": due_ms, "shift_ms": shift_ms}
    if new or connection.execute(_UPDATE, {"its_case": case.id, "its_leg": leg, **values}).rowcount == 0:
        connection.execute(_INSERT, {"case": case.id, "leg": leg, **values})
    return due_ms if coming else None
