"""The cases in the database: what is raised or reported finds its case. Inside the caller's transaction; `rules.cases.case` decides. What
people do to it is `rules.cases.acting`.

After every change the case's timers are wound (rules.escalation.timers) in the same transaction: there is no moment in which a case waits
and nothing will ever call for it.
"""

from sqlalchemy import Connection, bindparam, select

from messages.alarm import Level
from messages.ids import SiteId
from messages.settings import Text
from rules.cases import case as cases
from rules.cases import sayings, steps
from rules.cases.acts import RULES, Reopen
from rules.cases.case import Situation
from rules.cases.now import Now
from rules.cases.practice import Practice
from rules.drills.drill import PREFIX
from rules.escalation import call, queue, timers
from rules.notices.notice import WAITING as WAITING_NOTICES
from rules.records import DONE, OVER, TAKEN, Case, CaseState
from rules.store import rows
from rules.store import tables as db

AGAIN_MS = 10_000
"""After somebody was told that it came again, the next word of it waits so long [E]; it says how often, as of then."""

_OPEN = rows.CASES.where(
    db.cases.c.site == bindparam("site"),
    db.cases.c.kind == bindparam("kind"),
    db.cases.c.opened_at_ms >= bindparam("from_ms"),
    db.cases.c.state.not_in(sorted(OVER)),
)
_REPORTED = _OPEN.where(db.cases.c.origin.in_(("report", "ticket")))
_OF_SITUATION = _OPEN.where(db.cases.c.origin == "alarm", db.cases.c.situation == bindparam("situation"))
_LAST_CASE = (
    select(db.alarms.c.case)
    .where(
        db.alarms.c.site == bindparam("site"),
        db.alarms.c.device == bindparam("device"),
        db.alarms.c.rule == bindparam("rule"),
        db.alarms.c.case.is_not(None),
    )
    .order_by(db.alarms.c.known_at_ms.desc())
    .limit(1)
)


def for_alarm(
    connection: Connection, case_id: str, about: Situation, rule: str, now_ms: int, practice: Practice
) -> tuple[Case, list[rows.Line]]:
    """The case of an alarm that is raised: the one that was closed too early, one that it is part of, or a new one called `case_id`."""
    if (before := _closed_for(connection, about.site, about.subject, rule)) and cases.comes_again(before, now_ms):
        act = Reopen(RULES, "raised again")
        again = steps.apply(before, act, Now(now_ms, active=True, practice=practice))
        lines = [rows.Line(event, None, again.id, RULES, text) for event, text in sayings.said(before, act, again)]
        again, more = _tightened(again, about.level, now_ms, practice)
        write(connection, again, practice)
        return again, lines + more
    return _joined_or_opened(connection, case_id, about, now_ms, practice, RULES)


def raised_again(
    connection: Connection, case_id: str | None, level: Level, now_ms: int, practice: Practice
) -> list[rows.Line]:
    """An alarm of `level` that the case holds comes again: what was said to be done is not."""
    if case_id is None or (case := rows.case(connection, case_id)) is None:
        return []
    again, lines = _roused(case, level, "raised again", now_ms, practice)
    if again is not case:
        write(connection, again, practice)
    return lines


def again(connection: Connection, case_id: str | None, level: Level, now_ms: int) -> list[rows.Line]:
    """Something red has come again: who has accepted the case is told at once, and how often it was. Of many in a row the last ones
    are told together, so that a button that is pressed all the time silences no other call."""
    if level != "red" or case_id is None or (case := rows.case(connection, case_id)) is None:
        return []
    if case.state not in TAKEN or case.accepted_by is None:
        return []
    known = (db.notices.c.case == case_id, db.notices.c.reason == "again", db.notices.c.queued_at_ms <= now_ms)
    query = select(db.notices.c.state, db.notices.c.queued_at_ms).where(*known)
    last = connection.execute(query.order_by(db.notices.c.queued_at_ms.desc()).limit(1)).one_or_none()
    if last is not None and last.state in WAITING_NOTICES:
        return []
    due_ms = now_ms if last is None else max(now_ms, last.queued_at_ms + AGAIN_MS)
    queue.put(connection, [(call.told(case, case.accepted_by, "again", now_ms), due_ms)], now_ms)
    return [rows.Line("notify.queued", None, case_id, RULES, f"again: {case.accepted_by}")]


def report(
    connection: Connection, case_id: str, about: Situation, actor: str, now_ms: int, practice: Practice, line: rows.Line
) -> Case:
    """What a person on the spot or another system says; `line` is its word in the log, with time and key."""
    if (known := by_key(connection, line.key)) is not None:
        return known
    case, lines = _joined_or_opened(connection, case_id, about, now_ms, practice, actor)
    told = rows.Line(line.event, None, case.id, actor, line.detail, line.device_at_ms, line.key)
    rows.append(connection, [told, *(one for one in lines if one.event != line.event)], now_ms)
    return case


def worsened(
    connection: Connection, case_id: str | None, level: Level, now_ms: int, practice: Practice
) -> list[rows.Line]:
    """Something in the case has become graver."""
    if case_id is None or (case := rows.case(connection, case_id)) is None:
        return []
    return graver(connection, case, level, now_ms, practice)[1]


def graver(
    connection: Connection, case: Case, level: Level, now_ms: int, practice: Practice, title: Text | None = None
) -> tuple[Case, list[rows.Line]]:
    """A case in which something of `level` rings beside what is known: its promises are tightened, nobody rests on what was said before, and
    who works on it is told of red."""
    tighter, lines = _tightened(case, level, now_ms, practice, title)
    again, more = _roused(tighter, level, "more of it", now_ms, practice)
    if again is not case:
        write(connection, again, practice)
    if level == "red" and again.state in TAKEN and again.accepted_by:
        queue.put(connection, [(call.told(again, again.accepted_by, "graver", now_ms), now_ms)], now_ms)
    return again, lines + more


def _roused(case: Case, level: Level, why: str, now_ms: int, practice: Practice) -> tuple[Case, list[rows.Line]]:
    """What was said to be done is not, and of red nothing is put aside: it is called for anew."""
    if case.state not in DONE and not (case.state is CaseState.SUSPENDED and level == "red"):
        return case, []
    act = Reopen(RULES, why)
    again = steps.apply(case, act, Now(now_ms, active=True, practice=practice))
    return again, [rows.Line(event, None, case.id, RULES, text) for event, text in sayings.said(case, act, again)]


def _joined_or_opened(
    connection: Connection, case_id: str, about: Situation, now_ms: int, practice: Practice, actor: str
) -> tuple[Case, list[rows.Line]]:
    for known in _open_cases(connection, about, now_ms):
        if cases.is_one(known, about, now_ms) and not _drilled(known, about):
            if about.origin == "alarm":
                joined, more = graver(connection, known, about.level, now_ms, practice, about.title)
            else:
                joined, more = _tightened(known, about.level, now_ms, practice, about.title)
                write(connection, joined, practice)
            words = f"{about.origin}: {about.title.zh}"
            return joined, [rows.Line("case.joined", None, joined.id, actor, words), *more]
    new = cases.opened(case_id, about, now_ms, practice)
    rows.insert_case(connection, new)
    timers.wind(connection, new, practice)
    return new, [rows.Line(f"case.{new.state}", None, new.id, actor)]


def _drilled(known: Case, about: Situation) -> bool:
    """One of the two is practice (`rules.drills.drill`) and the other is not of the same drill: they never become one."""
    words = (known.situation, about.situation)
    return words[0] != words[1] and any(word.startswith(PREFIX) for word in words)


def _tightened(
    case: Case, level: Level, now_ms: int, practice: Practice, title: Text | None = None
) -> tuple[Case, list[rows.Line]]:
    tighter = cases.tightened(case, level, now_ms, practice, title)
    if tighter is case:
        return case, []
    return tighter, [rows.Line("case.tightened", None, case.id, RULES, f"{case.level} -> {tighter.level}")]


def write(connection: Connection, case: Case, practice: Practice) -> None:
    """A changed case, and its timers."""
    rows.write_case(connection, case)
    timers.wind(connection, case, practice)


def _open_cases(connection: Connection, about: Situation, now_ms: int) -> list[Case]:
    """Those that may be one with what happens (`rules.cases.case.is_one`), the oldest first: in a flood they are few among thousands."""
    here = {"site": about.site, "kind": about.kind, "from_ms": now_ms - cases.REPORT_WITHIN_MS}
    found = rows.cases_by(connection, _REPORTED if about.origin == "alarm" else _OPEN, here)
    if about.origin == "alarm" and about.situation:
        lately = {"from_ms": now_ms - cases.SITUATION_MS, "situation": about.situation}
        found += rows.cases_by(connection, _OF_SITUATION, here | lately)
    return sorted(found, key=lambda case: (case.opened_at_ms, case.id))


def _closed_for(connection: Connection, site: SiteId, device: str, rule: str) -> Case | None:
    """The case that the rule's last alarm of the device was in, if that is closed."""
    found = connection.scalar(_LAST_CASE, {"site": site, "device": device, "rule": rule})
    return rows.case(connection, found) if found else None


def by_key(connection: Connection, key: str | None) -> Case | None:
    """The case that an act of this key has moved."""
    if key is None:
        return None
    found = connection.scalar(select(db.log.c.case).where(db.log.c.key == key))
    return rows.case(connection, found) if found else None
