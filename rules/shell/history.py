"""What was missed, read from the history that the collector writes (guarantee 7)."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from collector.stores.base import Store, StoreError
from messages.ranges import Range
from rules.engine import catchup
from rules.engine.catchup import Gap, Portion
from rules.engine.memory.plant import StreamKey
from rules.engine.work import Work
from rules.shell.writer import Writer
from rules.store.clerk import Clerk
from rules.tenure import Tenure

LOOK_S = 0.5
"""How often gaps are looked at."""

log = structlog.get_logger("rules")


class History:
    """One per engine. `run` once."""

    def __init__(
        self, writer: Writer, tenure: Tenure, store: Store, reader: Clerk, clock_ms: Callable[[], int]
    ) -> None:
        """`reader`: who asks `store`, beside the event loop."""
        self.caught_up = asyncio.Event()
        """Every stream that was known at the start was asked for once, be it in vain."""
        self._writer = writer
        self._store = store
        self._reader = reader
        self._tenure = tenure
        self._clock_ms = clock_ms
        self._unsettled: set[StreamKey] = set(writer.facts.streams)
        self._away = False

    @property
    def settled(self) -> bool:
        """It has told all that we didn't hear."""
        return self.caught_up.is_set() and not self._unsettled

    def ask_for(self, streams: Iterable[StreamKey]) -> None:
        """Ask what these have said lately: they are new to us."""
        self._unsettled |= set(streams)

    async def run(self) -> None:
        """Until cancelled."""
        gaps: dict[StreamKey, Gap] = {}
        ask_at_ms = 0
        while True:
            if self._unsettled and self._clock_ms() >= ask_at_ms:
                for key in list(self._unsettled):
                    if await self._settle(key):
                        self._unsettled.discard(key)
                ask_at_ms = self._clock_ms() + catchup.GRACE_MS
            self.caught_up.set()
            await asyncio.sleep(LOOK_S)
            known = self._writer.facts
            gaps = catchup.gaps(known.streams, gaps, self._clock_ms(), known.beyond)
            for key, gap in gaps.items():
                if gap.ask_at_ms <= self._clock_ms():
                    await self._ask(key, gap.lacking)
                    gaps[key] = catchup.asked(gap, self._clock_ms())

    async def _settle(self, key: StreamKey) -> bool:
        """Read all that a stream said after we stopped listening. Whether the store has answered."""
        while (stream := self._writer.facts.streams.get(key)) is not None:  # it may be forgotten meanwhile
            found = await self._ask(key, catchup.at_start(stream))
            if not found:
                return found is not None
        return True

    async def _ask(self, key: StreamKey, wanted: Sequence[Range]) -> int | None:
        """Feed the `wanted` packs that are stored; how many were new. None: the store has no answer now."""
        found = 0
        try:
            portions = catchup.portions(self._store, key, wanted)
            while portion := await self._reader.call(partial(next, portions, None)):
                found += await self._feed(key, portion)
        except StoreError as error:
            if not self._away:
                log.warning("the history has no answer", why=str(error))
            self._away = True
            return None
        if self._away:
            log.info("the history answers again")
        self._away = False
        return found

    async def _feed(self, key: StreamKey, portion: Portion) -> int:
        site, edge, _ = key
        unheard: list[int] = []

        def hear(work: Work, now_ms: int) -> None:
            unheard[:] = [number for number in portion.packs if not work.is_heard(key, number)]
            if site in self._tenure.mine and unheard:
                work.catch_up(key, unheard, portion.readings, now_ms, last=portion.last)

        async with self._writer.turn:
            await self._writer.work(hear)
        if not unheard or not portion.last or site not in self._tenure.mine:
            return 0
        log.info("missed packs, read from the history", site=site, edge=edge, packs=len(unheard))
        return len(unheard)
