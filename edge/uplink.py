"""The edge's side of the wire: announcements, status and packs up, receipts down.

At every connection it says first which devices there are, then that it is online, then it sends. Whatever has no
receipt is then sent again, since a broker may have forgotten it. A row leaves the outbox before the receipt is
acknowledged to the broker. Which pack travels next is decided in window.py.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from edge.disk import Disk
from edge.outbox import Row
from edge.window import LIVE_MS, Lane, Window
from messages import announcement, receipt, status, topics
from messages.announcement import Announcement
from messages.bus import Broker, Bus, Disconnected, Incoming, Outgoing, Refused
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.receipt import Receipt, ReceiptError
from messages.status import EdgeStatus

STATUS_EVERY_S = 30.0
GOODBYE_S = 2.0
MOST_RECEIPTS = 100
BACKLOG_AT_ONCE = 4
MOST_UNANSWERED_BYTES = 64 * 1024
"""Backlog waits while this much is on its way to the broker: on a thin link a fresh alarm stands in no long queue."""
FOREVER_MS = 1 << 62

log = structlog.get_logger("uplink")


class Uplink:
    """`run` is one task; `woken` tells it that there are new packs."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        announcements: Mapping[DeviceId, Announcement],
        disk: Disk,
        *,
        clock_ms: Callable[[], int],
        software: str,
    ) -> None:
        self._topic = topics.readings(site, edge)
        self._status_topic = topics.status(site, edge)
        self._announcements = {
            topics.announcement(site, edge, device): announcement.encode(said) for device, said in announcements.items()
        }
        self._disk = disk
        self._clock_ms = clock_ms
        self._software = software
        self._window = Window()
        self._wake = asyncio.Event()
        self._unanswered_bytes = 0
        self._refused = False
        self._bus = Bus(
            broker,
            f"gridcall-edge-{site}-{edge}",
            subscribe=[topics.receipts(site, edge)],
            will=Outgoing(self._status_topic, status.encode(EdgeStatus(online=False)), retain=True),
        )

    def woken(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """For ever. Says goodbye when it is cancelled, since a broker keeps the last will to itself then."""
        async with self._bus:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch())
                    tasks.create_task(self._send())
                    tasks.create_task(self._receive())
                    tasks.create_task(self._beat())
            finally:
                await self._say_goodbye()

    async def _watch(self) -> None:
        session = 0
        while True:
            session = await self._bus.up(session)
            self._wake.set()

    async def _send(self) -> None:
        greeted: tuple[int, StreamId] | None = None
        async with asyncio.TaskGroup() as publishing:
            while True:
                now = await self._bus.up(), self._disk.stream
                self._wake.clear()
                if now != greeted:  # a new connection, or a new outbox in the place of a damaged one
                    try:
                        await self._greet()
                    except Disconnected:
                        await asyncio.sleep(0)  # the bus takes a turn of the loop to notice it too
                        continue
                    self._window.clear()
                    greeted = now
                chosen = await self._choose()
                for row in chosen:
                    publishing.create_task(self._publish(row))
                if not chosen:
                    await self._pause()

    async def _greet(self) -> None:
        self._refused = False
        for topic, payload in self._announcements.items():
            await self._say(topic, payload, retain=True)
        await self._say_status()

    async def _choose(self) -> list[Row]:
        """The packs to send now, marked as sent."""
        now_s = asyncio.get_running_loop().time()
        chosen = [(row, self._window.lane(row.number)) for row in await self._overdue(now_s)]
        for lane in Lane:
            chosen += [(row, lane) for row in await self._next(lane)]
        for row, lane in chosen:
            self._window.sent(row.number, lane, now_s)
            self._unanswered_bytes += len(row.payload)
        return [row for row, _ in chosen]

    async def _overdue(self, now_s: float) -> list[Row]:
        numbers = self._window.overdue(now_s)
        rows = await self._disk.numbered(numbers) if numbers else []
        self._window.forget(set(numbers) - {row.number for row in rows})
        return [row for row in rows if row.number in self._window.numbers]

    async def _next(self, lane: Lane) -> list[Row]:
        most = self._window.room(lane)
        if not lane.live:
            most = min(most, BACKLOG_AT_ONCE) if self._unanswered_bytes < MOST_UNANSWERED_BYTES else 0
        if not most:
            return []
        live_since_ms = self._clock_ms() - LIVE_MS
        return await self._disk.waiting(
            lane.urgency,
            since_ms=live_since_ms if lane.live else 0,
            before_ms=FOREVER_MS if lane.live else live_since_ms,
            but=self._window.numbers,
            most=most,
        )

    async def _publish(self, row: Row) -> None:
        try:
            await self._say(self._topic, row.payload)
        except Disconnected:
            pass  # it is sent again after the next connect
        finally:
            self._unanswered_bytes -= len(row.payload)
            self._wake.set()

    async def _say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Raises Disconnected. What a broker refuses is told once a connection; a pack is then tried again when it is overdue."""
        try:
            await self._bus.publish(topic, payload, retain=retain)
        except Refused as error:
            if not self._refused:
                log.warning("broker refuses a message; are its access rules right?", topic=topic, why=str(error))
            self._refused = True

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout_at(self._window.next_repeat_s()):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _receive(self) -> None:
        while True:
            messages = await self._bus.some(MOST_RECEIPTS)
            receipts = [read for message in messages if (read := _receipt(message))]
            await self._disk.settle(receipts)
            for message in messages:
                message.ack()
            for read in receipts:
                rejected = [(part.first, part.last) for part in read.rejected]
                if read.rejected:
                    log.warning("collector rejects packs", packs=rejected, why=read.rejected[0].reason)
                if read.stream == self._disk.stream:
                    self._window.settled([*read.stored, *rejected], asyncio.get_running_loop().time())
            self._wake.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            try:
                await self._say_status()
            except Disconnected:
                pass  # it is said at the next connect

    async def _say_status(self, *, online: bool = True) -> None:
        ledger = await self._disk.ledger()
        said = EdgeStatus(
            online=online,
            at_ms=self._clock_ms(),
            software=self._software,
            stream=ledger.stream,
            packs=ledger.packs,
            outbox=ledger.figures,
        )
        await self._say(self._status_topic, status.encode(said), retain=True)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._say_status(online=False)
        except (Disconnected, TimeoutError):
            pass  # the broker says it for us, when it misses us


def _receipt(message: Incoming) -> Receipt | None:
    try:
        return receipt.decode(message.payload)
    except ReceiptError as error:
        log.warning("not a receipt", why=str(error))
        return None
