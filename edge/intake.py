"""From readings to the disk: urgent ones at once, periodic ones in company, at most a second later.

While one commit runs, what arrives waits for the next, so that a burst costs few commits. When too much waits, or
the disk refuses, `put` waits, and with it the line or the topic that the readings come from: nothing is unbounded.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from edge.disk import Disk
from edge.report import Reported, Urgency

COMPANY_S = 1.0
"""How long a periodic reading may wait for others."""
ENOUGH = 500
"""Readings that are worth a commit of their own."""
MOST_WAITING = 5000
LAST_COMMIT_S = 5.0

log = structlog.get_logger("outbox")


class Intake:
    """`put` from any number of tasks; `run` is one task. `kept` is called after every commit."""

    def __init__(self, disk: Disk, kept: Callable[[], None]) -> None:
        self._disk = disk
        self._kept = kept
        self._waiting: list[Reported] = []
        self._then: list[Callable[[], None]] = []
        self._adding: asyncio.Task[int] | None = None
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, reported: Sequence[Reported], then: Callable[[], None] | None = None) -> None:
        """Take readings; `then` is called when they are on disk, in the order of the calls."""
        await self._room.wait()
        self._waiting += reported
        if then:
            self._then.append(then)
        self._some.set()
        if len(self._waiting) >= ENOUGH or any(each.urgency is Urgency.ALARM for each in reported):
            self._hurry.set()
        if max(len(self._waiting), len(self._then)) >= MOST_WAITING:
            self._room.clear()

    async def run(self) -> None:
        """For ever. What waits when it is cancelled is still written."""
        try:
            while True:
                await self._some.wait()
                try:
                    async with asyncio.timeout(COMPANY_S):
                        await self._hurry.wait()
                except TimeoutError:
                    pass
                await self._commit()
        finally:
            await self._commit_at_last()

    async def _commit_at_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_COMMIT_S):
                if self._adding:
                    await self._adding
                await self._commit()
        except TimeoutError:
            log.error("stopped while the disk refused; the last readings are lost")

    async def _commit(self) -> None:
        self._some.clear()
        self._hurry.clear()
        waiting, self._waiting = self._waiting, []
        then, self._then = self._then, []
        if waiting:
            self._adding = asyncio.create_task(self._disk.add(waiting))
            await asyncio.shield(self._adding)  # readings on their way to the disk outlive a cancelled `run`
        self._room.set()
        for call in then:
            call()
        if waiting:
            self._kept()
