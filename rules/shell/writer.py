"""The one who changes the facts: a work is filled, written in one transaction, and only then known.

Everything that changes the facts takes its turn here: messages and timers, the catch-up, sites that change hands.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog

from messages.ids import SiteId
from rules.cases.practice import Practice
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.change import Happened, Raised
from rules.store import facts
from rules.store.clerk import Clerk
from rules.store.leases import LeaseLost
from rules.tenure import Tenure

Fill = Callable[[Work, int], None]

log = structlog.get_logger("rules")


class Writer:
    """One per engine. Hold `turn` while calling `work`, or anything else that changes what is known."""

    def __init__(
        self,
        tenure: Tenure,
        known: Facts,
        clerk: Clerk,
        practice: Practice,
        clock_ms: Callable[[], int],
        wrote: Callable[[], None],
    ) -> None:
        """`wrote`: called when the log has grown."""
        self.turn = asyncio.Lock()
        self.facts = known
        self._tenure = tenure
        self._clerk = clerk
        self._practice = practice
        self._clock_ms = clock_ms
        self._wrote = wrote
        self._gave_up = False

    async def work(self, fill: Fill) -> None:
        """Write what `fill` makes of the facts; if some of our sites have been taken meanwhile, of those that remain."""
        while True:
            now_ms = self._clock_ms()
            work = Work(self.facts)
            fill(work, now_ms)
            try:
                return await self._write(work, now_ms)
            except LeaseLost as lost:
                self.lose(lost.sites)

    def lose(self, sites: Collection[SiteId]) -> None:
        if sites := self._tenure.mine & set(sites):
            log.warning("other engines own these sites now", sites=sorted(sites))
            self._tenure.mine -= sites
            self.facts.leave(sites)

    async def _write(self, work: Work, now_ms: int) -> None:
        if work.empty:
            return
        holder = self._tenure.holder
        await self._clerk.insist(lambda: facts.commit(self._tenure.database, work, now_ms, holder, self._practice))
        self.facts.adopt(work)
        if work.found or work.abandoned:
            self._wrote()
        self._say(work)

    def _say(self, work: Work) -> None:
        for found in work.found:
            if isinstance(found.change, Raised | Happened) and not found.rule.shadow:
                log.info("raised", site=found.device.site, device=found.device.id, rule=found.rule.id)
        for gone in work.abandoned:
            log.warning(
                "nothing will clear this any more", site=gone.site, device=gone.device, rule=gone.rule, why=gone.why
            )
        for new, old in work.shared:
            log.warning(
                "two edges announce one device",
                site=new.site,
                device=new.id,
                edges=[old.edge, new.edge],
                agree=(new.kind, new.place) == (old.kind, old.place),
            )
        if work.given_up and not self._gave_up:
            log.warning("streams with too many holes: the oldest missing packs are given up", packs=work.given_up)
            self._gave_up = True
        if work.dropped:
            log.warning("no room for readings of devices that nobody announced", readings=work.dropped)
