"""Sites that change hands between engines on one database (docs/decisions/0031): what is lost is forgotten, what is gained is loaded and
caught up with."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from messages.ids import SiteId
from rules.config import Configuration
from rules.engine.share import BEAT_S, LEAD
from rules.engine.work import Work
from rules.shell.history import History
from rules.shell.listener import Listener
from rules.shell.writer import Writer
from rules.store import facts
from rules.store.clerk import Clerk
from rules.tenure import Tenure

log = structlog.get_logger("rules")


class Sites:
    """One per engine. `run` once; `gained` is called when some have become ours."""

    def __init__(
        self,
        tenure: Tenure,
        config: Configuration,
        clerk: Clerk,
        writer: Writer,
        listener: Listener,
        history: History,
        gained: Callable[[], None],
    ) -> None:
        self._tenure = tenure
        self._config = config
        self._clerk = clerk
        self._writer = writer
        self._listener = listener
        self._history = history
        self._gained = gained

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._tenure.news.clear()
            turn = await self._clerk.insist(self._tenure.look)
            async with self._writer.turn:
                self._writer.lose(turn.lost)
                if turn.plan.give_up:  # nothing of them is half done: it is our turn
                    self._writer.lose(turn.plan.give_up)
                    await self._clerk.insist(partial(self._tenure.give_up, turn.plan.give_up))
                if turn.plan.take:
                    await self._gain(turn.plan.take)
            self._listener.decide()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._tenure.news.wait()
            except TimeoutError:
                pass

    async def _gain(self, sites: Sequence[SiteId]) -> None:
        """Know what is known of them, hear what was said of them of late, and ask the history for the rest."""
        known, config = self._writer.facts, self._config
        load = partial(facts.load, self._tenure.database, config.kinds, known.rules, config.calendar, sites)
        known.take_over(await self._clerk.insist(load))
        self._tenure.mine |= set(sites)
        log.info("these sites are ours now", sites=sorted(set(sites) - {LEAD}))
        words = [word for site in sites for word in self._listener.last_words(site)]

        def hear(work: Work, now_ms: int) -> None:
            work.renew(now_ms, sites)
            for word in (word for word in words if word.site in self._tenure.mine):
                self._listener.take(work, word.topic, word.payload, now_ms)
            work.settle(now_ms)

        await self._writer.work(hear)
        if gained := {key for key in known.streams if key[0] in sites}:
            self._history.ask_for(gained)
            self._listener.settle_anew()
        self._gained()
