"""The collector's loop: messages in, then store, then receipt, then PUBACK, in this order (guarantee 2).

Messages are judged on the event loop, a batch at a time, and each batch is settled by a task of its own, as many at once
as the store takes writers: while one is written the next is judged. A batch is whatever came while the writers were busy, or,
when little comes, in LINGER_S. While a store is away all tasks try again for ever: nothing is taken from the inbox then,
so that the bus stops reading, the broker keeps the rest, and memory stays what it is.

A batch with an announcement in it waits for those before it, and those after it for it: what lay in quarantine for want of
that announcement must be there before it is looked for.

Receipts go out on a connection of their own. On one that isn't read, because the inbox is full, the broker's answer to
a receipt would never be seen: the loop would wait for it, and the inbox for the loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from collector.intake.delivery import Announced, Delivery, Said, fates, receipts
from collector.intake.desk import Desk
from collector.intake.judge import Accepted, DeviceKey
from collector.intake.tally import Tally, tallied
from collector.quarantine.kept import Which
from collector.stores.base import CONDENSE_EVERY_MS, SETTLED_MS, StoreAway, StoreError, StoreLocked
from collector.watch.figures import Figures
from collector.watch.ledger import Ledger
from collector.watch.presence import Presence
from messages import receipt, topics
from messages.bus import Bus, Disconnected, Incoming, Refused, ack_all
from messages.receipt import Receipt

SUBSCRIBE = (topics.ALL_DEVICES, topics.ALL_STATUS, topics.ALL_READINGS)
WINDOW_BYTES = 4 * 1024 * 1024
BATCH_MESSAGES, BATCH_BYTES = 2000, 512 * 1024
"""Some nine thousand readings: what a database likes to be sent at once, and four of them are in memory together at most."""
LINGER_S, FEW_MESSAGES = 0.02, 100
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 10.0
LOCKED_S = 30.0
"""Between two tries while the store doesn't let us in: a server may lock out for good who knocks too often."""
SAID_LIMIT = 1000
"""Senders and faults that are remembered as said; past it everything is said once more."""

log = structlog.get_logger("collector")
R = TypeVar("R")


class Service:
    """One collector. `run` once."""

    def __init__(
        self, inbox: Bus, outbox: Bus, desk: Desk, *, clock_ms: Callable[[], int], figures: Figures | None = None
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._desk = desk
        self._clock_ms = clock_ms
        self.figures = figures or Figures()
        self.ledger, self.presence = Ledger(), Presence()
        writers = desk.store.writers
        self._writers = ThreadPoolExecutor(writers, "writer")
        # a store for one thread at a time has one thread, which is the desk's too
        self._desk_thread = self._writers if writers == 1 else ThreadPoolExecutor(1, "desk")
        self._turns = asyncio.Semaphore(writers)
        self._in_flight_bytes = 0
        self.away = ""
        """Why the store takes nothing; empty while it does."""
        self.locked_out = False
        """It takes nothing because it doesn't let us in."""
        self._said: set[tuple[str, str, str | None]] = set()

    @property
    def troubles(self) -> list[str]:
        """Why it can't do its work now."""
        found = []
        if self.away:
            what = "the store does not let us in" if self.locked_out else "the store is away"
            found.append(f"{what}: {self.away}")
        return found + [f"no broker for {name}" for name, bus in self._buses() if not bus.connected]

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._done(self._desk_thread, self._desk.open)
            # it may have been killed with an announcement on disk, and what had waited for that still in quarantine
            await self._done(
                self._desk_thread, partial(self._desk.take_again, list(self._desk.devices.known), self._clock_ms())
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tend(), name="tend")
                while True:
                    await self._turns.acquire()
                    messages = await self._next()
                    now_ms = self._clock_ms()
                    deliveries = [self._desk.judge(message.topic, message.payload, now_ms) for message in messages]
                    announced = [one.verdict.device for one in deliveries if isinstance(one.verdict, Announced)]
                    if announced:
                        await self._alone()
                        await self._settle(messages, deliveries)
                        await self._take_again(announced)
                        self._together()
                    else:
                        tasks.create_task(self._settle_in_turn(messages, deliveries))
        finally:
            self._writers.shutdown(wait=True, cancel_futures=True)
            self._desk_thread.shutdown(wait=True, cancel_futures=True)
            self._desk.close()

    def look(self) -> None:
        """Bring the figures up to date that nobody brings by himself."""
        now_ms = self._clock_ms()
        self.figures.inbox_bytes.set(self._inbox.inbox_bytes)
        self.figures.in_flight_bytes.set(self._in_flight_bytes)
        self.figures.store_away.set(bool(self.away))
        self.figures.locked_out.set(self.locked_out)
        states = [self.presence.edge_state(edge, now_ms) for edge in self.presence.edges]
        for state in ("online", "silent", "offline"):
            self.figures.edges.labels(state).set(states.count(state))

    async def on_desk(self, work: Callable[[], R]) -> R:
        """On the thread that may ask the store and the quarantine. Raises StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._desk_thread, work)

    async def take_all_again(self, which: Which) -> int:
        """Messages of the quarantine, by the kinds, the devices and the time of now; how many left it. Raises StoreError."""
        await self._turns.acquire()
        try:
            before = await self.on_desk(partial(self._desk.quarantine.count, which))
            found = await self.on_desk(partial(self._desk.take_all_again, self._clock_ms(), which))
            after = await self.on_desk(partial(self._desk.quarantine.count, which))
        finally:
            self._turns.release()
        self.figures.taken_again(sum(fate.rejected is None for fate in found))
        for topic, one in receipts(found):
            await self._receipt(topic, one, retried=True)
        return before - after

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Something of our own, until the broker has it, or won't."""
        session = await self._outbox.up()
        while True:
            try:
                await self._outbox.publish(topic, payload, retain=retain)
            except Disconnected:
                session = await self._outbox.up(session)
            except Refused as error:
                return self._say(topic, "not published", f"{error}; may the collector write there?")
            else:
                return None

    def _buses(self) -> list[tuple[str, Bus]]:
        return [("readings", self._inbox), ("receipts", self._outbox)]

    async def _next(self) -> list[Incoming]:
        messages = await self._inbox.some(BATCH_MESSAGES, most_bytes=BATCH_BYTES)
        if len(messages) < FEW_MESSAGES and not self._inbox.inbox_bytes:
            await asyncio.sleep(LINGER_S)
            if self._inbox.inbox_bytes:
                messages += await self._inbox.some(BATCH_MESSAGES, most_bytes=BATCH_BYTES)
        return messages

    async def _alone(self) -> None:
        """Until all batches before this one are settled. It has one turn already."""
        for _ in range(self._desk.store.writers - 1):
            await self._turns.acquire()

    def _together(self) -> None:
        for _ in range(self._desk.store.writers):
            self._turns.release()

    async def _settle_in_turn(self, messages: Sequence[Incoming], deliveries: Sequence[Delivery]) -> None:
        try:
            await self._settle(messages, deliveries)
        finally:
            self._turns.release()

    async def _settle(self, messages: Sequence[Incoming], deliveries: Sequence[Delivery]) -> None:
        began_s = asyncio.get_running_loop().time()
        payload_bytes = sum([len(message.payload) for message in messages])
        self._in_flight_bytes += payload_bytes
        settled = await self._put_away(deliveries)
        tally = tallied(settled)
        self._account(settled, tally)
        for topic, one in receipts(fates(settled)):
            await self._receipt(topic, one)
        ack_all(messages)
        self._in_flight_bytes -= payload_bytes
        self.figures.settled(tally, asyncio.get_running_loop().time() - began_s)

    async def _put_away(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        settled = deliveries
        if any(isinstance(delivery.verdict, Announced) for delivery in deliveries):
            await self._done(self._desk_thread, partial(self._desk.remember, deliveries))
        if any(isinstance(delivery.verdict, Accepted) for delivery in deliveries):
            began_s = asyncio.get_running_loop().time()
            settled = await self._done(self._writers, partial(self._desk.store_all, deliveries))
            self.figures.wrote(asyncio.get_running_loop().time() - began_s)
        bad = [delivery for delivery in settled if delivery.reasons]
        if bad:
            await self._done(self._desk_thread, partial(self._desk.keep, bad))
        for delivery in bad:
            for reason in delivery.reasons:
                self._say(delivery.topic, f"in quarantine: {reason.fault}", reason.detail, reason.device)
        return settled

    async def _take_again(self, announced: Sequence[DeviceKey]) -> None:
        """What had waited in quarantine for these devices."""
        found = await self._done(self._desk_thread, partial(self._desk.take_again, announced, self._clock_ms()))
        self.figures.taken_again(sum(fate.rejected is None for fate in found))
        for topic, one in receipts(found):
            await self._receipt(topic, one, retried=True)

    def _account(self, settled: Sequence[Delivery], tally: Tally) -> None:
        """Ledger and presence hear of it."""
        now_ms = self._clock_ms()
        for edge, one in tally.edges.items():
            self.ledger.readings(edge, stored=one.stored, quarantined=one.quarantined, late=one.late)
            self.presence.took(edge, one)
        if not tally.fates.keys() & {"announcement", "status"}:
            return
        for delivery in settled:
            match delivery.verdict:
                case Said(status=status) if origin := delivery.origin:
                    edge = (origin.site, origin.edge)
                    self.ledger.said(edge, status, now_ms)
                    trusted, written_at_ms = status.clock_trusted is not False, status.at_ms
                    self.presence.said(edge, status.online, trusted, now_ms, written_at_ms=written_at_ms)
                case Announced(device=device, announcement=None):
                    self.presence.forget(device)

    async def _receipt(self, topic: str, one: Receipt, *, retried: bool = False) -> None:
        """Until the broker has it, or won't. `retried`: the packs did not come again, we looked at them again.

        What the broker refuses, it refuses every time: that edge repeats its packs for as long as it lasts, and the
        others must not wait for it.
        """
        origin = topics.origin(topic)
        assert origin is not None
        doubled = self.ledger.settled((origin.site, origin.edge), one, retried=retried)
        self.figures.doubled(doubled)
        session = await self._outbox.up()
        while True:
            try:
                await self._outbox.publish(topic, receipt.encode(one))
            except Disconnected:
                session = await self._outbox.up(session)
            except Refused as error:
                self.figures.receipt("refused")
                return self._say(topic, "receipt refused", f"{error}; may the collector write there?")
            else:
                return self.figures.receipt("taken")

    async def _done(self, threads: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        """The result of `work`, on one of `threads`, once the store is there."""
        failures = 0
        while True:
            try:
                result = await asyncio.get_running_loop().run_in_executor(threads, work)
            except StoreAway as error:
                failures += 1
                self.figures.store_failed()
                locked = isinstance(error, StoreLocked)
                if locked and not self.locked_out:
                    log.error("store does not let us in: nothing is taken until somebody mends it", why=str(error))
                elif not locked and not self.away:
                    log.warning("store is away", why=str(error))
                self.away, self.locked_out = str(error), locked
                await asyncio.sleep(max(LOCKED_S if locked else backoff_s(failures), error.retry_after_s))
            else:
                if failures and self.away:
                    self.away, self.locked_out = "", False
                    log.info("store is back", tries=failures)
                return result

    async def _tend(self) -> None:
        """Coarse ranges and retention, once an hour. A store that is away now is asked again an hour later."""
        store, kept_ms = self._desk.store, self._desk.retention_ms
        while True:
            now_ms = self._clock_ms()
            chores = {"coarse ranges wait": partial(store.condense, now_ms - SETTLED_MS)}
            if kept_ms is not None:
                chores["what is older than the retention stays for now"] = partial(
                    store.delete_before, now_ms - kept_ms
                )
            for otherwise, chore in chores.items():
                try:
                    await self.on_desk(chore)
                except StoreError as error:
                    log.warning(otherwise, why=str(error))
            await asyncio.sleep(CONDENSE_EVERY_MS / 1000)

    def _say(self, topic: str, fault: str, why: str, device: str | None = None) -> None:
        """Each fault of each sender once: the quarantine has them all, and a loose wire would fill the log."""
        if len(self._said) >= SAID_LIMIT:
            self._said.clear()
        if (topic, fault, device) not in self._said:
            self._said.add((topic, fault, device))
            log.warning(fault, topic=topic, why=why)


def backoff_s(failures: int) -> float:
    """Seconds to wait after `failures` failures in a row, at least one."""
    return float(min(FIRST_BACKOFF_S * 2 ** min(failures - 1, 16), MOST_BACKOFF_S))
