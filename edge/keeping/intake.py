"""From readings to the disk: urgent ones at once, periodic ones in company, at most a second later.

A commit wears the card. So a channel that chatters may not cause one at every change for long: HURRIES alarms in a row
are written at once, then HURRIES_PER_S of them a second, and others wait up to PATIENCE_S for company.

While one commit runs, what arrives waits for the next, so that a burst costs few commits. When too much waits, `put`
waits, and with it the line or the topic that the readings come from: nothing is unbounded.

While the disk refuses, nothing may wait for it, or no alarm would be read any more: alarms are cried, that is they
leave at once and unnumbered, messages count as kept, and memory is all there is. It holds MOST_WAITING readings; the
oldest periodic ones go first, and are counted as dropped when the disk is back.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from edge.keeping.disk import Disk
from edge.report import Reported, Urgency
from messages.reading import Reading

COMPANY_S = 0.75
"""How long a periodic reading may wait for others: with a commit on a slow card, a power cut costs a second of them."""
ENOUGH = 500
"""Readings that are worth a commit of their own."""
MOST_WAITING = 5000
HURRIES, HURRIES_PER_S = 60, 0.5
PATIENCE_S = 0.25
"""So there are never more than four commits a second for long."""
LAST_COMMIT_S = 5.0

log = structlog.get_logger("outbox")


class Hurries:
    """The commits that alarms may still cause at once. Pure: seconds are arguments."""

    def __init__(self) -> None:
        self._left, self._at_s = float(HURRIES), 0.0

    def wait_s(self, now_s: float) -> float:
        """How long the next one has to wait for company."""
        self._left = min(self._left + max(now_s - self._at_s, 0) * HURRIES_PER_S, HURRIES)
        self._at_s = now_s
        if self._left < 1:
            return PATIENCE_S
        self._left -= 1
        return 0.0


class Intake:
    """`put` from any number of tasks; `run` is one task. `kept` is called after every commit.

    `cry` is called with alarm-class readings that the disk refuses, perhaps more than once.
    """

    def __init__(self, disk: Disk, kept: Callable[[], None], cry: Callable[[Sequence[Reading]], None]) -> None:
        self._disk = disk
        self._kept = kept
        self._cry = cry
        self._lost = 0
        self._waiting: list[Reported] = []
        self._then: list[Callable[[], None]] = []
        self._hurries = Hurries()
        self._adding: asyncio.Task[int] | None = None
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, reported: Sequence[Reported], then: Callable[[], None] | None = None) -> None:
        """Take readings; `then` is called when they are on disk, in the order of the calls."""
        if not self._disk.refuses:
            await self._room.wait()
        self._waiting += reported
        if then:
            self._then.append(then)
        self._some.set()
        if self._disk.refuses:
            self._go_on_without_disk(reported)
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
                        if len(self._waiting) < ENOUGH:
                            await asyncio.sleep(self._hurries.wait_s(asyncio.get_running_loop().time()))
                except TimeoutError:
                    pass
                await self._commit()
        finally:
            await self._commit_at_last()

    async def _commit_at_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_COMMIT_S):
                if self._adding:
                    await asyncio.shield(self._adding)
                await self._commit()
        except TimeoutError:
            log.error("stopped while the disk refuses; the last readings are lost unless it comes back before the end")
            self._adding = asyncio.create_task(
                self._disk.add(self._waiting, self._lost)
            )  # as after a new configuration

    async def _commit(self) -> None:
        self._some.clear()
        self._hurry.clear()
        waiting, self._waiting = self._waiting, []
        then, self._then = self._then, []
        if waiting:
            lost, self._lost = self._lost, 0

            def refused() -> None:
                self._then[:0] = then
                then.clear()
                self._go_on_without_disk([*waiting, *self._waiting])

            self._adding = asyncio.create_task(self._disk.add(waiting, lost, refused))
            await asyncio.shield(self._adding)  # readings on their way to the disk outlive a cancelled `run`
        self._room.set()
        for call in then:
            call()
        if waiting:
            self._kept()

    def _go_on_without_disk(self, reported: Sequence[Reported]) -> None:
        if alarms := [each.reading for each in reported if each.urgency is Urgency.ALARM]:
            self._cry(alarms)
        then, self._then = self._then, []
        for call in then:
            call()
        if (too_many := len(self._waiting) - MOST_WAITING) > 0:
            by_age = range(len(self._waiting))
            gone = set(sorted(by_age, key=lambda index: self._waiting[index].urgency)[:too_many])
            self._waiting = [each for index, each in enumerate(self._waiting) if index not in gone]
            self._lost += too_many
        self._room.set()
