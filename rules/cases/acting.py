"""Acts on cases, and all that follows from them: the alarms that a case holds, its timers, its lines. Inside the caller's transaction;
`rules.cases.steps` decides.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from messages.alarm import Level
from messages.ids import DeviceId, SiteId
from rules.alarms.condition import ACTIVE, AlarmEvent
from rules.alarms.moves import carry
from rules.alarms.standing import Event, Move
from rules.cases import acts, docket, sayings, steps
from rules.cases import case as cases
from rules.cases.acts import RULES, Act, Merge, Reopen
from rules.cases.now import Now
from rules.cases.practice import Practice
from rules.duty import book
from rules.engine import own
from rules.escalation import call, queue, timers
from rules.notices import sendings
from rules.records import OVER, TAKEN, WAITING, ActionRefused, Case, CaseState
from rules.store import rows
from rules.store import tables as db

_SEEN = (acts.Accept, acts.CheckIn, acts.Arrive, acts.Handle, acts.Finish, acts.Safe)
"""Who does this has seen what the case holds."""


def do(
    connection: Connection,
    case_id: str,
    act: Act,
    now_ms: int,
    practice: Practice,
    *,
    device_at_ms: int | None = None,
    key: str | None = None,
) -> Case:
    """An act on a case. The same `key` twice is once. Raises ActionRefused."""
    if (case := rows.case(connection, case_id)) is None:
        raise ActionRefused("unknown", None)
    if (known := docket.by_key(connection, key)) is not None:
        if known.id != case_id:
            raise ActionRefused("key-used", case)
        return known
    if isinstance(act, acts.Accept) and not act.whose and book.is_away(connection, case.site, act.actor, now_ms):
        raise ActionRefused("on-leave", case)  # by an old link, say: those who are there go on being called
    held = rows.alarms_of(connection, case_id)
    active = any(rows.standing_of(row).active for row in held)
    done = steps.apply(case, act, Now(now_ms, active=active, practice=practice))
    if done is case:
        return case
    doer = act.by if isinstance(act, acts.Accept | acts.Safe | acts.Help) else act.actor
    sendings.acted(connection, case_id, doer, now_ms)  # before the timers take back what is no longer needed
    (event, text), *more = sayings.said(case, act, done)
    lines = [rows.Line(event, None, case_id, act.actor, text, device_at_ms, key)]
    lines += [rows.Line(other, None, case_id, act.actor, words) for other, words in more]
    ended = steps.settled(done, active=active, sensed=bool(held), now_ms=now_ms)
    docket.write(connection, ended, practice)
    if isinstance(act, Merge):
        lines += _hand_over(connection, held, act.into, now_ms, practice)
    if isinstance(act, Reopen | acts.Help):
        _revive(connection, held)
    if isinstance(act, _SEEN):
        lines += _follow(connection, case_id, [AlarmEvent.ACKNOWLEDGED], act.actor, now_ms)
    if ended is not done:
        lines += _settled_lines(ended)
    if ended.state in OVER:
        lines += _follow(connection, case_id, [AlarmEvent.ACKNOWLEDGED, AlarmEvent.RESET], act.actor, now_ms)
    rows.append(connection, lines, now_ms)
    _tell(connection, act, done, now_ms)
    return ended


def _tell(connection: Connection, act: Act, done: Case, now_ms: int) -> None:
    """Who is sent by name, and who works on a case for which help is asked, hears of it at once."""
    if done.state is CaseState.DISPATCHED and done.dispatched_to:
        queue.put(connection, [(call.directly(done, done.dispatched_to, now_ms), now_ms)], now_ms)
    if isinstance(act, acts.Help) and done.state in TAKEN and done.accepted_by:
        queue.put(connection, [(call.told(done, done.accepted_by, "graver", now_ms), now_ms)], now_ms)


def carried(
    connection: Connection,
    row: Row[Any],
    events: Sequence[Event],
    now_ms: int,
    practice: Practice,
    *,
    look: bool = False,
    **more: Any,
) -> list[rows.Line]:
    """What happens to an alarm (`rules.alarms.moves.carry`), and what that means for its case: what was said to be done comes again, a
    sensor shows that all is well, or nobody does what was promised."""
    was = rows.standing_of(row)
    lines = carry(connection, row, events, now_ms, practice, look=look, **more)
    if row.case_id is None:
        return lines
    query = rows.alarms_with_cases().where(db.alarms.c.id == row.id)
    now = rows.standing_of(connection.execute(query).one())
    if now.active and not was.active:
        lines += docket.raised_again(connection, row.case_id, more.get("level", row.level), now_ms, practice)
    if was.active and not now.active:
        lines += settle(connection, row.case_id, now_ms, practice)
    if any(isinstance(event, Move) and event.event is AlarmEvent.REALARMED for event in events):
        timers.hasten(connection, row.case_id, now_ms, practice)
    return lines


def settle(connection: Connection, case_id: str | None, now_ms: int, practice: Practice) -> list[rows.Line]:
    """An alarm of the case has returned to normal: perhaps that is all that was waited for."""
    if case_id is None or (case := rows.case(connection, case_id)) is None:
        return []
    held = rows.alarms_of(connection, case_id)
    active = any(rows.standing_of(row).active for row in held)
    ended = steps.settled(case, active=active, sensed=bool(held), now_ms=now_ms)
    if ended is case:
        return []
    docket.write(connection, ended, practice)
    follow = _follow(connection, case_id, [AlarmEvent.ACKNOWLEDGED, AlarmEvent.RESET], RULES, now_ms)
    return [*_settled_lines(ended), *follow]


def gather(connection: Connection, now_ms: int, practice: Practice) -> int:
    """Children of a storm or of a dead edge that were raised before it: as long as nobody has taken their case up, the parent's goes on
    with it. Nothing red, and nothing on which lives hang, is ever a child. How many were."""
    gathering = (db.alarms.c.open, db.alarms.c.gathers.is_not(None), db.alarms.c.state.in_(ACTIVE))
    parents = connection.execute(select(db.alarms).where(*gathering)).all()
    its = [db.alarms.c.open, ~db.alarms.c.guards, db.alarms.c.level != "red", db.cases.c.state.in_(WAITING)]
    if not parents:
        its.append(~db.alarms.c.annunciated)
    query = select(db.alarms).join(db.cases, db.cases.c.id == db.alarms.c.case).where(*its)
    merged = 0
    for row in connection.execute(query).all():
        case, into = rows.case(connection, row.case), _parents_case(connection, row, parents)
        if case is None or case.state not in WAITING or case.level == "red" or into in (None, case.id):
            continue
        parent = rows.case(connection, str(into))
        if parent is not None and parent.state not in OVER:
            do(connection, case.id, Merge(RULES, parent.id), now_ms, practice)
            merged += 1
    return merged


def _parents_case(connection: Connection, row: Row[Any], parents: Sequence[Row[Any]]) -> str | None:
    """The case of the alarm that gathers this one, or whose edge is away."""
    names = {f"{row.kind}.{row.rule}", f"{row.kind}.*"}
    for parent in parents:
        if parent.site == row.site and parent.id != row.id and not names.isdisjoint(parent.gathers) and parent.case:
            return str(parent.case)
    for cause in row.overlays.get("suppressed", ()):
        word, _, name = cause.partition(" ")
        if word == "edge":
            of_link = (db.alarms.c.site == row.site, db.alarms.c.device == own.link_of(name), db.alarms.c.open)
            found = select(db.alarms.c.case).where(*of_link, db.alarms.c.case.is_not(None)).limit(1)
            if (into := connection.scalar(found)) is not None:
                return str(into)
    return None


def _follow(
    connection: Connection, case_id: str, events: Sequence[AlarmEvent], actor: str, now_ms: int
) -> list[rows.Line]:
    """Who works on a case has seen its alarms, and with its end they are checked and over."""
    lines = []
    for row in rows.alarms_of(connection, case_id):
        lines += carry(connection, row, [Move(event, actor) for event in events], now_ms)
    return lines


def _revive(connection: Connection, held: Sequence[Row[Any]]) -> None:
    """Of what a reopened case holds, the last alarm of each rule is open again, where no other one is."""
    last: dict[tuple[SiteId, DeviceId, str], str] = {(row.site, row.device, row.rule): row.id for row in held}
    for (site, device, rule), alarm_id in last.items():
        its = (db.alarms.c.site == site, db.alarms.c.device == device, db.alarms.c.rule == rule, db.alarms.c.open)
        if not connection.scalar(select(exists().where(*its))):
            connection.execute(update(db.alarms).where(db.alarms.c.id == alarm_id).values(open=True))


def _hand_over(
    connection: Connection, held: Sequence[Row[Any]], into: str, now_ms: int, practice: Practice
) -> list[rows.Line]:
    """What a merged case held is in the other one now, which becomes as grave as the gravest of it."""
    if (other := rows.case(connection, into)) is None or other.state in OVER:
        raise ActionRefused("unknown" if other is None else "closed", other)
    lines: list[rows.Line] = []
    rings: list[Level] = []
    for row in held:
        connection.execute(update(db.alarms).where(db.alarms.c.id == row.id).values(case=into))
        lines.append(rows.Line("case.joined", row.id, into, RULES, row.case_id))
        level = min((row.level, other.level), key=cases.LEVELS.index)
        other = cases.tightened(other, level, now_ms, practice)
        if rows.standing_of(row).active:
            rings.append(row.level)
    docket.write(connection, other, practice)
    if rings:
        lines += docket.graver(connection, other, min(rings, key=cases.LEVELS.index), now_ms, practice)[1]
    return lines


def _settled_lines(case: Case) -> list[rows.Line]:
    words = (("case.verified", "sensor"), ("case.closed", case.outcome or ""))
    return [rows.Line(event, None, case.id, RULES, text) for event, text in words]
