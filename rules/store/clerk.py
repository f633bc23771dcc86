"""One thread for what blocks, and the patience to wait for a database that is away."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from rules.store.database import DatabaseAway

FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.2, 30.0

log = structlog.get_logger("rules")
R = TypeVar("R")


class Clerk:
    """Does one thing at a time, in the order asked, beside the event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread = ThreadPoolExecutor(1, name)
        self._away = False

    async def call(self, act: Callable[[], R]) -> R:
        """What `act` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    async def insist(self, act: Callable[[], R]) -> R:
        """What `act` returns, tried again for as long as the database is away; said once when it goes and returns."""
        failures = 0
        while True:
            try:
                result = await self.call(act)
            except DatabaseAway as error:
                if not self._away:
                    self._away = True
                    log.warning("database is away", clerk=self._name, why=str(error))
                await asyncio.sleep(backoff_s(failures))
                failures += 1
            else:
                if self._away:
                    self._away = False
                    log.info("database is back", clerk=self._name)
                return result

    def close(self) -> None:
        """Waits for what is being done; what was asked and not begun is dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def backoff_s(failures: int) -> float:
    return float(min(FIRST_BACKOFF_S * 2 ** min(failures, 16), MOST_BACKOFF_S))
