"""The reflexes of this edge: feels every reading before anything else does, acts at once, says afterwards what it did.

A deed that isn't confirmed is told again while its cause lasts, and its failure is a reading of alarm class, at the first failure.
A newer turn of the same reflex takes the place of an older one that still tries. How each reflex stands is kept on disk;
where the disk refuses, it acts from memory.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import NoReturn

import structlog

from edge.acting import reflex as reflexes
from edge.acting.book import Book
from edge.acting.hand import Hand
from edge.acting.reflex import Act, Deed, Reflex, Stand
from edge.sources.source import CannotAct
from messages.ids import DeviceId
from messages.reading import Reading, Value

AGAIN_S = (1.0, 2.0, 5.0, 10.0)
"""Seconds until a deed that failed is told again; the last for ever."""
MOST_WORDS = 500
MOST_SAID = 1000
"""Readings of its own that wait while the disk takes none; the oldest go first."""

log = structlog.get_logger("reflex")


class Reflexes:
    """`feel` from wherever readings come; `run` is one task. `deliver` takes readings of what was done."""

    def __init__(
        self,
        all_reflexes: Iterable[Reflex],
        hand: Hand,
        book: Book,
        deliver: Callable[[list[Reading]], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
        steady_ms: Callable[[], int],
    ) -> None:
        self._reflexes = {one.id: one for one in all_reflexes}
        self._watching: dict[DeviceId, list[Reflex]] = {}
        for one in self._reflexes.values():
            for device in one.rules:
                self._watching.setdefault(device, []).append(one)
        self._stands: dict[DeviceId, Stand] = dict.fromkeys(self._reflexes, Stand())
        self._hand = hand
        self._book = book
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._steady_ms = steady_ms
        self._acts: list[Act] = []
        self._some = asyncio.Event()
        self._trying: dict[DeviceId, asyncio.Task[None]] = {}
        self._disk_refuses = False
        self._said: deque[Reading] = deque(maxlen=MOST_SAID)
        self._some_said = asyncio.Event()

    def feel(self, readings: Iterable[Reading]) -> None:
        """Never waits."""
        for reading in readings:
            for one in self._watching.get(reading.device, ()):
                now_ms = self._steady_ms()
                age_ms = max(self._clock_ms() - reading.at_ms, 0)
                felt = reading._replace(at_ms=now_ms - age_ms)
                self._turn(one, *reflexes.feel(one, self._stands[one.id], felt, now_ms))

    async def remember(self) -> None:
        """How the reflexes stood when the edge stopped. Call once, before the first reading."""
        try:
            kept = await self._book.do(Book.reflexes)
        except (sqlite3.Error, OSError) as error:
            self._say_disk(error)
            return
        for one in self._reflexes.values():
            if text := kept.get(one.id):
                try:
                    stand = reflexes.load(text, one, self._steady_ms())
                except ValueError as error:
                    log.warning("a reflex begins anew", reflex=one.id, why=str(error))
                    continue
                self._stands[one.id] = stand
                if stand.raised or not stand.settled:
                    self._turn(one, *reflexes.turned(one, stand, "the edge was restarted"))

    async def run(self) -> NoReturn:
        """For ever."""
        for one, stand in self._stands.items():
            self._say(one, "raised", bool(stand.raised))
            self._say(one, "failed", False)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_on())
            while True:
                await self._next()
                for reflex in self._reflexes.values():
                    self._turn(reflex, *reflexes.wake(reflex, self._stands[reflex.id], self._steady_ms()))
                acts, self._acts = self._acts, []
                for act in acts:
                    if older := self._trying.get(act.reflex):
                        older.cancel()
                    self._trying[act.reflex] = tasks.create_task(self._do(act))
        raise AssertionError("the loop above never ends")

    async def _next(self) -> None:
        """Until there is something to do, or a delay is over."""
        wakes = [at_ms for stand in self._stands.values() if (at_ms := stand.next_wake_ms) is not None]
        rest_s = max((min(wakes) - self._steady_ms()) / 1000, 0) if wakes else None
        try:
            async with asyncio.timeout(rest_s):
                await self._some.wait()
        except TimeoutError:
            pass
        self._some.clear()

    def _turn(self, one: Reflex, stand: Stand, acts: list[Act]) -> None:
        before = self._stands[one.id]
        if stand is before:
            return
        self._stands[one.id] = stand
        self._acts += acts
        if acts or stand.next_wake_ms != before.next_wake_ms:
            self._some.set()

    async def _do(self, act: Act) -> None:
        # The deeds go first, and all at once: neither the disk nor a device that is away may hold up a valve.
        async with asyncio.TaskGroup() as deeds:
            for deed in act.deeds:
                deeds.create_task(self._tell(act, deed))
            log.warning("reflex acts" if act.raised else "reflex ends", reflex=act.reflex, why=act.why)
            self._say(act.reflex, "raised", act.raised)
            await asyncio.sleep(0)
            await self._keep(act.reflex)
        self._say(act.reflex, "failed", False)
        self._stands[act.reflex] = replace(self._stands[act.reflex], settled=True)
        await self._keep(act.reflex)

    async def _tell(self, act: Act, deed: Deed) -> None:
        """Until it is done, or a newer turn cancels it."""
        tries = 0
        while True:
            try:
                await self._hand.tell(deed.device, deed.command, deed.value)
            except CannotAct as error:
                log.error("reflex failed", reflex=act.reflex, deed=str(deed), why=str(error), tries=tries + 1)
                self._say(act.reflex, "deed", f"{deed}: failed: {error}; {act.why}")
                self._say(act.reflex, "failed", True)
                await asyncio.sleep(AGAIN_S[min(tries, len(AGAIN_S) - 1)])
                tries += 1
            else:
                log.warning("reflex done", reflex=act.reflex, deed=str(deed))
                return self._say(act.reflex, "deed", f"{deed}: done; {act.why}")

    async def _keep(self, one: DeviceId) -> None:
        try:
            await self._book.do(Book.keep, one, reflexes.dump(self._stands[one]))
            self._disk_refuses = False
        except (sqlite3.Error, OSError) as error:
            self._say_disk(error)

    def _say_disk(self, error: Exception) -> None:
        if not self._disk_refuses:
            log.error("reflexes can't be kept on disk; they act from memory", why=str(error))
        self._disk_refuses = True

    def _say(self, reflex: DeviceId, channel: str, value: Value) -> None:
        value = value[:MOST_WORDS] if isinstance(value, str) else value
        self._said.append(Reading(device=reflex, channel=channel, at_ms=self._clock_ms(), value=value))
        self._some_said.set()

    async def _pass_on(self) -> None:
        """What was said goes the way of all readings; whoever acts doesn't wait for it."""
        while True:
            await self._some_said.wait()
            self._some_said.clear()
            said, self._said = list(self._said), deque(maxlen=MOST_SAID)
            await self._deliver(said)
