"""The collector's loop: messages in, then store, then receipt, then PUBACK, in this order (guarantee 2).

All that blocks (store, quarantine, the devices' file) runs on one thread of its own, one call at a time. While a
store is away the same deliveries are tried again for ever: nothing is taken from the inbox meanwhile, so that the bus
stops reading, the broker keeps the rest, and memory stays what it is.

Receipts go out on a connection of their own. On one that isn't read, because the inbox is full, the broker's answer to
a receipt would never be seen: the loop would wait for it, and the inbox for the loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from collector.delivery import Announced, fates, receipts
from collector.desk import Desk
from collector.stores.base import StoreAway, StoreError
from messages import receipt, topics
from messages.bus import Bus, Disconnected, Incoming, Refused
from messages.receipt import Receipt

SUBSCRIBE = (topics.ALL_DEVICES, topics.ALL_READINGS)
WINDOW_BYTES = 4 * 1024 * 1024
MESSAGES_AT_ONCE = 200
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 10.0
RETENTION_EVERY_S = 3600.0
SAID_LIMIT = 1000
"""Senders and faults that are remembered as said; past it everything is said once more."""

log = structlog.get_logger("collector")
R = TypeVar("R")


class Service:
    """One collector. `run` once."""

    def __init__(self, inbox: Bus, outbox: Bus, desk: Desk, *, clock_ms: Callable[[], int]) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._desk = desk
        self._clock_ms = clock_ms
        self._thread = ThreadPoolExecutor(1, "desk")
        self._said: set[tuple[str, str, str | None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._done(self._desk.open)
            # it may have been killed with an announcement on disk, and what had waited for that still in quarantine
            await self._done(partial(self._desk.take_again, list(self._desk.devices.known)))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._forget_old(), name="retention")
                while True:
                    await self._take_in(await self._inbox.some(MESSAGES_AT_ONCE))
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._desk.close()

    async def _take_in(self, messages: Sequence[Incoming]) -> None:
        now_ms = self._clock_ms()
        deliveries = [self._desk.judge(message.topic, message.payload, now_ms) for message in messages]
        settled = await self._done(partial(self._desk.put_away, deliveries))
        for delivery in settled:
            for reason in delivery.reasons:
                self._say(delivery.topic, f"in quarantine: {reason.fault}", reason.detail, reason.device)
        words = fates(settled)
        if announced := [one.verdict.device for one in deliveries if isinstance(one.verdict, Announced)]:
            words += await self._done(partial(self._desk.take_again, announced))
        await asyncio.gather(*(self._receipt(topic, one) for topic, one in receipts(words)))
        for message in messages:
            message.ack()

    async def _receipt(self, topic: str, one: Receipt) -> None:
        """Until the broker has it, or won't.

        What the broker refuses, it refuses every time: that edge repeats its packs for as long as it lasts, and the
        others must not wait for it.
        """
        session = await self._outbox.up()
        while True:
            try:
                return await self._outbox.publish(topic, receipt.encode(one))
            except Disconnected:
                session = await self._outbox.up(session)
            except Refused as error:
                return self._say(topic, "receipt refused", f"{error}; may the collector write there?")

    async def _done(self, work: Callable[[], R]) -> R:
        """The result of `work`, on the desk's thread, once the store is there."""
        failures = 0
        while True:
            try:
                result = await self._on_thread(work)
            except StoreAway as error:
                failures += 1
                if failures == 1:
                    log.warning("store is away", why=str(error))
                await asyncio.sleep(backoff_s(failures))
            else:
                if failures:
                    log.info("store is back", tries=failures)
                return result

    async def _forget_old(self) -> None:
        """Retention, once an hour. A store that is away now is asked again an hour later."""
        while self._desk.retention_ms is not None:
            before_ms = self._clock_ms() - self._desk.retention_ms
            try:
                await self._on_thread(partial(self._desk.store.delete_before, before_ms))
            except StoreError as error:
                log.warning("what is older than the retention stays for now", why=str(error))
            await asyncio.sleep(RETENTION_EVERY_S)

    async def _on_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

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
