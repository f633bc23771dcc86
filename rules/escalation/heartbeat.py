"""A sign of life to an address outside, every minute: when it stops, somebody outside this machine says so.

It is given only while the engine hears its broker, writes to its database, fires its timers and looks at what is to be sent. It blocks nothing of the engine: a thread of its own waits for the answer, and no longer than
TIMEOUT_S.
"""

import asyncio
from collections.abc import Callable

import structlog
import urllib3

from rules.notices.channels.exchange import POOLS, Exchange
from rules.store.clerk import Clerk

EVERY_S = 60.0
TIMEOUT_S = 10.0
ALIVE_MS = 15_000
"""Since the oldest of these was last done: else the engine is as good as dead. A clock that was set back by more says nothing."""

log = structlog.get_logger("rules")


class Heartbeat:
    """One per engine. `run` once."""

    def __init__(
        self, url: str, looked_at_ms: Callable[[], int], clock_ms: Callable[[], int], every_s: float = EVERY_S
    ) -> None:
        self._url = url
        self._looked_at_ms = looked_at_ms
        self._clock_ms = clock_ms
        self._every_s = every_s
        self._clerk = Clerk("rules-heartbeat")
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(total=TIMEOUT_S), headers={"User-Agent": "gridcall"}
        )
        self._pool.pool_classes_by_scheme = POOLS
        self._complaint = ""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                if abs(self._clock_ms() - self._looked_at_ms()) <= ALIVE_MS:
                    self._say(await self._clerk.call(self._beat))
                else:
                    self._say("withheld: the engine does not do its work")
                await asyncio.sleep(self._every_s)
        finally:
            self._clerk.close()
            self._pool.clear()

    def _beat(self) -> str:
        """Why it failed; empty if it did not."""
        try:
            with Exchange(TIMEOUT_S):
                answer = self._pool.request("GET", self._url, preload_content=False, redirect=False)
                status = answer.status
                answer.release_conn()
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__  # its text may hold the address, which is as good as a password
        return "" if status < 400 else f"HTTP {status}"

    def _say(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.warning("the heartbeat is not heard", why=complaint)
        elif self._complaint and not complaint:
            log.info("the heartbeat is heard again")
        self._complaint = complaint
