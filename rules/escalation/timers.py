"""The timers as rows: wound when a case changes, fired in the order in which they are due. Inside the caller's transaction.

* `wind` after every change of a case: legs that run have a timer, others have none, and what they had queued and nobody has sent is
  withdrawn.
* A case of which every open alarm is kept quiet (shelved, suppressed, out of service) calls nobody meanwhile: its steps wait, and are looked at
  again every few seconds.
* A server's clock that is set moves them all by as much (`step_clock`); `shift_ms` is by how much in all.
* `fire_due` carries out what is due, `fire_cases` what is due of some cases. Steps that were missed together and call the same rung are one call: who was away
  for three minutes is not called four times.

The work is done in memory (`rules.escalation.clocks`); here it is read and written.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, or_, select, update

from messages.ids import SiteId
from rules.cases.acts import RULES
from rules.cases.practice import Practice
from rules.duty.ladder import DEPARTMENT
from rules.escalation.clocks import CALLING, FAR_MS, Clocks
from rules.escalation.program import Leg, Step, running, top
from rules.notices.notice import WAITING
from rules.records import DONE, TAKEN, Case, CaseState
from rules.records import WAITING as UNACCEPTED
from rules.store import rows
from rules.store import tables as db

SENDING = "sending"
STEPS_AT_ONCE = 200
"""In one transaction; more wait for the next one, a moment later."""
AGAIN_MS = 60_000
"""When a step that the database refused is tried again."""

_DUE = (
    select(db.timers.c.due_at_ms, db.timers.c.case, db.timers.c.leg)
    .where(db.timers.c.due_at_ms <= bindparam("now_ms"))
    .order_by(db.timers.c.due_at_ms, db.timers.c.case)
    .limit(STEPS_AT_ONCE)
)
_NEXT = select(db.timers.c.due_at_ms).order_by(db.timers.c.due_at_ms).limit(1)
_ELSEWHERE = exists().where(
    db.cases.c.id == db.timers.c.case,
    db.leases.c.site == db.cases.c.site,
    db.leases.c.token.in_(bindparam("others", expanding=True)),
)
_DUE_HERE, _NEXT_HERE = _DUE.where(~_ELSEWHERE), _NEXT.where(~_ELSEWHERE)


def _runs_without(leg: Leg, *runs: ColumnElement[bool]) -> ColumnElement[bool]:
    timer = exists().where(db.timers.c.case == db.cases.c.id, db.timers.c.leg == leg)
    return and_(*runs, ~timer)


_C = db.cases.c
_ASKED = _C.policy["ask_s"].as_float().is_not(None)
_LACKS = or_(
    _runs_without(Leg.ASK, _C.state.in_(sorted(UNACCEPTED)), _ASKED),
    _runs_without(Leg.ACCEPT, _C.state.in_(sorted(UNACCEPTED)), ~_ASKED),
    _runs_without(
        Leg.CHECK_IN,
        _C.state.in_(sorted(UNACCEPTED)),
        _C.rung == DEPARTMENT,
        _C.checked_in_at_ms.is_(None),
        _C.escalated_at_ms.is_not(None),
    ),
    _runs_without(Leg.ARRIVE, _C.state == CaseState.ACCEPTED, _C.arrive_by_ms.is_not(None)),
    _runs_without(Leg.HANDLE, _C.state.in_(sorted(UNACCEPTED | TAKEN)), _C.handle_by_ms.is_not(None)),
    _runs_without(Leg.VERIFY, _C.state.in_(sorted(DONE)), _C.feedback_at_ms.is_not(None)),
    _runs_without(Leg.REVIEW, _C.state == CaseState.SUSPENDED, _C.suspended_until_ms.is_not(None)),
    _runs_without(Leg.ARCHIVE, _C.state == CaseState.CLOSED, _C.closed_at_ms.is_not(None)),
    _runs_without(Leg.EXTENSION, _C.extension_at_ms.is_not(None)),
)
"""What `rules.escalation.program.running` says, in the database's words: so a look at tens of thousands of cases reads none of them."""


def wind(connection: Connection, case: Case, practice: Practice) -> bool:
    """The timers of a case as its legs are now. Whether one was missing."""
    return wind_some(connection, [case], practice) > 0


def lacking(connection: Connection, *which: ColumnElement[bool]) -> list[Case]:
    """Cases of which a leg runs that has no timer."""
    return rows.cases_of(connection, list(connection.scalars(lacking_ids(*which))))


def lacking_ids(*which: ColumnElement[bool]) -> Select[tuple[str]]:
    """How to ask for them."""
    return select(db.cases.c.id).where(*which, _LACKS)


def wind_some(connection: Connection, cases: Collection[Case], practice: Practice) -> int:
    """The same for several. Of how many one was missing."""
    clocks = Clocks(connection, practice, 0)
    clocks.read_timers([case.id for case in cases])
    missing = sum([clocks.wind(case) for case in cases])
    clocks.write()
    return missing


def next_due_ms(connection: Connection, others: Collection[int] = ()) -> int | None:
    """`others`: the tokens of workers that live beside this one: what they own is left to them."""
    return connection.scalar(_NEXT_HERE, {"others": list(others)}) if others else connection.scalar(_NEXT)


def fire_due(connection: Connection, practice: Practice, now_ms: int, *, others: Collection[int] = ()) -> int:
    """Everything that is due, the longest overdue first; how many steps were done. `others` as in `next_due_ms`: who owns a site knows who is on
    duty there, and what nobody owns is anybody's."""
    its = {"now_ms": now_ms, "others": list(others)} if others else {"now_ms": now_ms}
    found = connection.execute(_DUE_HERE if others else _DUE, its)
    waiting = [(row.due_at_ms, row.case, row.leg) for row in found]
    if not waiting:
        return 0
    clocks = Clocks(connection, practice, now_ms)
    clocks.read([case_id for _, case_id, _ in waiting])
    done = clocks.fire(waiting, waiting[-1][0] if len(waiting) == STEPS_AT_ONCE else now_ms, STEPS_AT_ONCE)
    clocks.write()
    return done


def fire_cases(
    connection: Connection, practice: Practice, now_ms: int, case_ids: Iterable[str], clocks: Clocks | None = None
) -> int:
    """What is due of some cases, one after the other; how many steps were done. `clocks`: those that are known, and not written yet."""
    wanted = list(dict.fromkeys(case_ids))
    clocks = Clocks(connection, practice, now_ms) if clocks is None else clocks
    clocks.read(wanted)
    done = clocks.fire_of(wanted, STEPS_AT_ONCE)
    clocks.write()
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
    if case is None or case.rung >= top(case) or Leg.ASK in running(case):
        return
    legs = running(case)
    if (leg := next((one for one in CALLING if one in legs), None)) is None:
        return
    further = Step(now_ms, (case.rung + 1,), reason="nobody-accepts" if leg is Leg.ACCEPT else f"late-{leg}")
    clocks = Clocks(connection, practice, now_ms)
    clocks.read([case_id])
    clocks.carry_out(case, leg, legs[leg], f"above-{case.rung}", further)
    clocks.write()


def pass_over(connection: Connection, case_id: str, rung: int, now_ms: int, practice: Practice) -> None:
    """Nobody who was asked on a rung (`rules.duty.ladder.RESIDENT`, `CONTACT`) can be reached: the next one is asked, or the worker called."""
    case = rows.case(connection, case_id)
    if case is None:
        return
    clocks = Clocks(connection, practice, now_ms)
    clocks.read([case_id])
    clocks.pass_over(case, rung)
    clocks.write()
