"""Looks whether the server's clock was set, and moves everything that waits for a time by as much (rules.shell.steady).

What a person has named by the calendar (until when something is shelved or put aside) stays as it was named.
"""

import asyncio

import structlog

from rules.engine.share import LEAD
from rules.engine.work import Work
from rules.shell.steady import Steady
from rules.shell.writer import Writer
from rules.tenure import Tenure

LOOK_S = 0.2

log = structlog.get_logger("rules")


class Timekeeper:
    """One per engine. `run` once."""

    def __init__(self, steady: Steady, writer: Writer, tenure: Tenure) -> None:
        self._steady = steady
        self._writer = writer
        self._tenure = tenure

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if by_ms := self._steady.step_ms:
                await self._move(by_ms)
            await asyncio.sleep(LOOK_S)

    async def _move(self, by_ms: int) -> None:
        """Timers wait in between, in either direction: a clock goes forwards after them, and back before them."""
        log.warning("the server's clock was set: what waits for a time is moved by as much", seconds=by_ms / 1000)
        async with self._writer.turn:
            if by_ms < 0:
                self._steady.accept(by_ms)

            def step(work: Work, now_ms: int) -> None:
                work.step(by_ms, self._tenure.mine - {LEAD}, now_ms)

            await self._writer.work(step)
            if by_ms > 0:
                self._steady.accept(by_ms)
