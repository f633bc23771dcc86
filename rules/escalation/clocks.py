"""The clocks of some cases within one transaction: read at once, changed here as one thing leads to another, and written at once.

So two hundred steps that come due together take as many statements as one. Of a case that this transaction has opened nothing is asked: nobody else knows of
it. What steps there are is `rules.escalation.program`, what one does `rules.escalation.call`.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from messages.ids import DeviceId
from rules.cases.acts import RULES
from rules.cases.practice import Practice
from rules.duty.ladder import RESIDENT
from rules.escalation import queue
from rules.escalation.call import Call, Fired, ask, fire
from rules.escalation.program import Leg, Step, due, running, step
from rules.notices.notice import WAITING
from rules.records import Case
from rules.store import many, rows
from rules.store import tables as db

SUPERSEDED = "superseded"
QUIET_MS = 5_000
"""How long a step of a case that is kept quiet waits until it is looked at again."""
CALLING = (Leg.ACCEPT, Leg.ARRIVE, Leg.HANDLE)
QUIETED = (Leg.ASK, *CALLING)
FAR_MS = 2**53
"""The due time of a leg that has nothing left to do."""

Waiting = tuple[int, str, str]
"""When a step is due, of which case and leg: in this order they are done."""

_OF_CASES = select(db.timers).where(db.timers.c.case.in_(bindparam("cases", expanding=True)))
_ANNUNCIATED = select(db.alarms.c.case, db.alarms.c.annunciated).where(
    db.alarms.c.case.in_(bindparam("cases", expanding=True)), db.alarms.c.open
)
_WITHDRAW = (
    update(db.notices)
    .where(
        db.notices.c.case == bindparam("its_case"),
        db.notices.c.leg == bindparam("its_leg"),
        or_(*(db.notices.c.state == state for state in sorted(WAITING))),  # an IN can't be executed for many
    )
    .values(state=SUPERSEDED)
)
"""Made once, as in rules.store.rows."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A leg that runs."""

    from_ms: int
    number: int
    """Of the step that comes next."""
    due_at_ms: int
    shift_ms: int = 0
    """By how much the server's clock was set since it began; and by how much sooner an asking goes on that found nobody."""


class Clocks:
    """Of the cases that are `read`, or that `begin`. Nothing is written before `write`."""

    def __init__(self, connection: Connection, practice: Practice, now_ms: int) -> None:
        self._connection = connection
        self._practice = practice
        self._now_ms = now_ms
        self._cases: dict[str, Case] = {}
        self._timers: dict[str, dict[Leg, Timer]] = {}
        self._written: dict[str, Mapping[Leg, Timer]] = {}
        """As they are in the database."""
        self._new: set[str] = set()
        self._untold: set[str] = set()
        """Those of them that have no line in the log yet."""
        self._quiet: set[str] | None = None
        self._changed: dict[str, Case] = {}
        self._withdrawn: list[tuple[str, Leg]] = []
        self._calls: dict[str, tuple[Call, int]] = {}
        """By key, and when they are due."""
        self._lines: list[rows.Line] = []

    def read(self, case_ids: Collection[str]) -> None:
        """Cases with their timers, as far as they are not here yet."""
        unknown = [one for one in dict.fromkeys(case_ids) if one not in self._timers]
        self._cases |= {case.id: case for case in rows.cases_of(self._connection, unknown)}
        self.read_timers(unknown)

    def read_timers(self, case_ids: Collection[str]) -> None:
        found: dict[str, dict[Leg, Timer]] = {one: {} for one in case_ids}
        for some in rows.parts(case_ids):
            for row in self._connection.execute(_OF_CASES, {"cases": some}):
                found[row.case][Leg(row.leg)] = Timer(row.from_ms, row.number, row.due_at_ms, row.shift_ms)
        self._timers |= found
        self._written |= {one: dict(timers) for one, timers in found.items()}

    def begin(self, case: Case) -> None:
        """A case that this transaction opens."""
        self._new.add(case.id)
        self._timers[case.id], self._written[case.id] = {}, {}
        self.wind(case)

    def say(self, lines: Iterable[rows.Line], *, first: bool) -> None:
        """Lines that come before those of the steps. `first`: nobody has written any of the cases that begin."""
        self._lines += lines
        if first:
            self._untold |= self._new

    def wind(self, case: Case) -> bool:
        """Legs that run have a timer, others have none, and what they had queued and nobody has sent is withdrawn. Whether one was missing."""
        self._cases[case.id] = case
        timers, wanted = self._timers[case.id], running(case)
        missing = not wanted.keys() <= timers.keys()
        for leg, timer in list(timers.items()):
            if wanted.get(leg) != timer.from_ms:
                del timers[leg]
            if leg not in wanted:
                self._withdrawn.append((case.id, leg))
        for leg, from_ms in wanted.items():
            if leg not in timers:
                self._put(case, leg, from_ms, 0)
        return missing

    def fire_of(self, case_ids: Iterable[str], most: int) -> int:
        """What is due of some cases, case by case; of each `most` steps. How many steps were done."""
        done = 0
        for case_id in case_ids:
            timers = self._timers.get(case_id, {})
            done += self.fire([(timer.due_at_ms, case_id, leg) for leg, timer in timers.items()], self._now_ms, most)
        return done

    def fire(self, waiting: Iterable[Waiting], horizon_ms: int, most: int) -> int:
        """The steps of cases that were read, and what is due until `horizon_ms` after them, in the order of their time. How many were done."""
        left, done = [one for one in waiting if one[0] <= self._now_ms], 0
        heapq.heapify(left)
        while left and done < most:
            _, case_id, leg = heapq.heappop(left)
            due_ms = self._fire(case_id, Leg(leg))
            done += 1
            if leg == Leg.ASK and (then := self._timers[case_id].get(Leg.ACCEPT)) is not None:
                due_ms, leg = then.due_at_ms, Leg.ACCEPT
            if due_ms is not None and due_ms <= horizon_ms:
                heapq.heappush(left, (due_ms, case_id, leg))
        return done

    def carry_out(self, case: Case, leg: Leg, from_ms: int, name: str, one: Step) -> Fired:
        """Do a step: what came of it."""
        if leg is Leg.ASK:
            home = self._practice.home(case.site, DeviceId(case.subject))
            fired = ask(case, from_ms, name, one, home, self._practice.calendar, self._now_ms)
        else:
            ladder = self._practice.ladder(case.site, case.kind, case.level, case.place, case.owner, self._now_ms)
            fired = fire(case, leg, from_ms, name, one, ladder, self._now_ms)
        for call in fired.calls:
            self._calls.setdefault(call.key, (call, self._now_ms))
        self._lines += [rows.Line(event, None, case.id, RULES, text) for event, text in fired.lines]
        if fired.case != case:
            self._changed[case.id] = fired.case
            self.wind(fired.case)
        return fired

    def pass_over(self, case: Case, rung: int) -> None:
        """Who was asked on a rung can't be reached: the next step of the asking is due now, unless it was done."""
        timer = self._timers[case.id].get(Leg.ASK)
        if timer is not None and timer.number == rung - RESIDENT + 1:
            self._timers[case.id][Leg.ASK] = self._at_once(case, timer)

    def write(self) -> None:
        """All of it."""
        rows.write_cases(self._connection, self._changed.values())
        self._write_timers()
        queue.put(self._connection, self._calls.values(), self._now_ms, new=self._new)
        if self._withdrawn:
            some = [{"its_case": case_id, "its_leg": leg} for case_id, leg in self._withdrawn]
            self._connection.execute(_WITHDRAW, some)
        rows.append(self._connection, self._lines, self._now_ms, new=self._untold)
        self._untold.clear()
        self._written = {case_id: dict(timers) for case_id, timers in self._timers.items()}
        self._changed, self._withdrawn, self._calls, self._lines = {}, [], {}, []

    def _fire(self, case_id: str, leg: Leg) -> int | None:
        """Do the step that is due; when the one after it is."""
        timer, case = self._timers[case_id].get(leg), self._cases.get(case_id)
        if timer is None or case is None:  # an earlier step has moved the case on
            return None
        its_ms = self._now_ms - timer.shift_ms
        number, next_step = due(case, leg, timer.from_ms, timer.number, its_ms, self._practice.calendar)
        if next_step is not None and leg in QUIETED and case_id in self._kept_quiet():
            self._timers[case_id][leg] = replace(timer, due_at_ms=self._now_ms + QUIET_MS)
            return self._now_ms + QUIET_MS
        if next_step is not None and timer.due_at_ms <= self._now_ms:
            fired = self.carry_out(case, leg, timer.from_ms, str(number), next_step)
            case, number = fired.case, number + 1
            if fired.nobody:
                self._timers[case_id][leg] = now = self._at_once(case, replace(timer, number=number))
                return now.due_at_ms
        if leg not in running(case):
            return None
        return self._put(case, leg, timer.from_ms, number, timer.shift_ms)

    def _put(self, case: Case, leg: Leg, from_ms: int, number: int, shift_ms: int = 0) -> int | None:
        """Set a leg's timer to a step; when that is due. Without such a step the leg is at its end, and its timer never fires."""
        coming = step(case, leg, from_ms, number, self._practice.calendar)
        due_ms = coming.due_ms + shift_ms if coming else FAR_MS
        self._timers[case.id][leg] = Timer(from_ms, number, due_ms, shift_ms)
        return due_ms if coming else None

    def _at_once(self, case: Case, timer: Timer) -> Timer:
        """The asking goes on now, and what is after its next step comes so much sooner, too."""
        coming = step(case, Leg.ASK, timer.from_ms, timer.number, self._practice.calendar)
        sooner_ms = self._now_ms - coming.due_ms if coming else timer.shift_ms
        return replace(timer, due_at_ms=self._now_ms, shift_ms=sooner_ms)

    def _kept_quiet(self) -> set[str]:
        """Cases that hold open alarms of which none may call anybody. What has just been opened calls."""
        if self._quiet is None:
            said: dict[str, set[bool]] = {}
            for some in rows.parts(self._timers.keys() - self._new):
                for case_id, annunciated in self._connection.execute(_ANNUNCIATED, {"cases": some}):
                    said.setdefault(case_id, set()).add(annunciated)
            self._quiet = {case_id for case_id, words in said.items() if words == {False}}
        return self._quiet

    def _write_timers(self) -> None:
        gone, fresh, moved = list[tuple[str, Leg]](), list[dict[str, Any]](), list[dict[str, Any]]()
        for case_id, timers in self._timers.items():
            written = self._written[case_id]
            gone += [(case_id, leg) for leg in written if leg not in timers]
            for leg, timer in timers.items():
                if written.get(leg) == timer:
                    continue
                row = {
                    "case": case_id,
                    "leg": leg,
                    "from_ms": timer.from_ms,
                    "number": timer.number,
                    "due_at_ms": timer.due_at_ms,
                    "shift_ms": timer.shift_ms,
                }
                (moved if leg in written else fresh).append(row)
        many.remove(self._connection, db.timers, gone)
        many.change(self._connection, db.timers, moved)
        many.insert(self._connection, db.timers, fresh)
