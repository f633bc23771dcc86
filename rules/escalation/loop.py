"""Fires the timers of cases, all the time, beside everything else the engine does.

Due steps are rows, so a restart loses none: what became due meanwhile fires at the first look, in order. Several engines on one database
may all look: each leaves to the others what is theirs by the leases as they are in that very transaction, and the number of the next step is
written in it, so that a site which changes hands in between loses no step and doubles none. What nobody owns who lives is done by whoever comes first.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial

import structlog

from messages.ids import SiteId
from rules.cases.practice import Practice
from rules.escalation import queue, timers
from rules.records import CaseState
from rules.store import tables as db
from rules.store.clerk import Clerk
from rules.store.database import Database
from rules.store.refusals import Apart

LOOK_S = 0.2
"""How late a call may be, beside what writing it takes: people act in other processes, so we look, and are not told."""

_OVER_FOR_GOOD = (CaseState.ARCHIVED, CaseState.CANCELLED, CaseState.MERGED)

log = structlog.get_logger("rules")


class Escalation:
    """One per engine. `run` once; `fired` is called when something was."""

    def __init__(
        self,
        database: Database,
        practice: Practice,
        clock_ms: Callable[[], int],
        fired: Callable[[], None],
        others: Callable[[], Collection[int]] = lambda: (),
    ) -> None:
        """`others`: the tokens of workers that live beside this one."""
        self._others = others
        self._database = database
        self._practice = practice
        self._clock_ms = clock_ms
        self._fired = fired
        self._clerk = Clerk("rules-escalation")
        self.looked_at_ms = 0
        """When it last looked, with success: that it lives."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            if wound := await self._clerk.insist(lambda: wind_all(self._database, self._practice, self._clock_ms())):
                log.warning("cases without the timers that they should have: set now", cases=wound)
            while True:
                done = await self._clerk.insist(self._look)
                self.looked_at_ms = self._clock_ms()
                if done:
                    self._fired()
                await asyncio.sleep(0 if done == timers.STEPS_AT_ONCE else LOOK_S)
        finally:
            self._clerk.close()

    def _look(self) -> int:
        now_ms = self._clock_ms()
        with self._database.reading() as connection:
            due_ms, held = timers.next_due_ms(connection, self._others()), queue.is_due(connection, now_ms)
        if held:
            with self._database.writing() as connection:
                queue.put_again(connection, now_ms)
        if due_ms is None or due_ms > now_ms:
            return 0
        try:
            with self._database.writing() as connection:
                return timers.fire_due(connection, self._practice, now_ms, others=self._others())
        except Exception as error:
            if not self._database.refuses(error):
                raise
            log.error("the database refuses a step: the cases are gone through one by one", why=str(error)[:500])
            return fire_apart(self._database, self._practice, now_ms, self._others())


def fire_apart(database: Database, practice: Practice, now_ms: int, others: Collection[int] = ()) -> int:
    """What is due, case by case: one whose step the database refuses is kept for people to look at, tried again a minute later, and holds up
    no other. How many steps were done."""
    done = 0
    with database.writing() as connection:
        apart = Apart(connection, now_ms)
        for case_id, site in timers.due_cases(connection, now_ms, others):
            fire = partial(timers.fire_cases, connection, practice, now_ms, [case_id])
            fired = apart.done(site, "step", case_id, fire)
            if fired is None:
                timers.postpone(connection, case_id, now_ms)
            done += fired or 0
    return done


def wind_all(database: Database, practice: Practice, now_ms: int) -> int:
    """Set the timers of all cases that lack one: those of an older database, or that somebody has deleted. How many cases that were. What is
    refused of one holds up no other. As long as none lacks any, nobody who writes waits for this."""
    runs = db.cases.c.state.not_in(_OVER_FOR_GOOD)
    with database.reading() as connection:
        if connection.execute(timers.lacking_ids(runs).limit(1)).first() is None:
            return 0
    with database.writing() as connection:
        apart = Apart(connection, now_ms)
        cases = timers.lacking(connection, runs)
        together = apart.done(
            SiteId(""), "case", "all", partial(timers.wind_some, connection, cases, practice), keeps=False
        )
        if together is not None:
            return together
        wound = [
            apart.done(case.site, "case", case.id, partial(timers.wind, connection, case, practice)) for case in cases
        ]
        return sum(one or False for one in wound)
