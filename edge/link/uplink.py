"""The edge's side of the wire: announcements, status and packs up, receipts and commands down.

At every connection it says first which devices there are, then that it is online, then it sends. It waits for no answer
in between: two hundred devices on a slow link would keep a fresh alarm for half a minute. Whatever has no receipt is
then sent again, since a broker may have forgotten it. Commands are handed on at once (edge/acting/orders.py). Which
pack travels next is decided in window.py, when the link is made anew in renewal.py. Alarms that the disk refuses are
cried: they leave past the outbox, without a number.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from edge.keeping.disk import Disk
from edge.keeping.outbox import MOST_READINGS, Row
from edge.link import renewal
from edge.link.watchdog import Watchdog
from edge.link.window import LIVE_S, Lane, Window
from messages import announcement, receipt, status, topics
from messages.announcement import Announcement
from messages.broker import Broker
from messages.bus import Bus, Disconnected, Incoming, Outgoing, Refused
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.pack import encode_unnumbered
from messages.reading import Reading
from messages.receipt import Receipt, ReceiptError
from messages.status import EdgeStatus

STATUS_EVERY_S = 30.0
GOODBYE_S = 2.0
MOST_RECEIPTS = 100
BACKLOG_AT_ONCE = 4
REPEATS_AT_ONCE = 16
MOST_UNANSWERED_BYTES = 64 * 1024
"""Backlog and repetitions wait while this much is on its way to the broker: on a thin link a fresh alarm stands in no long queue."""
MOST_CRIED = 1000
"""Alarms that wait for a broker while the disk refuses them; the oldest give way, and wait for the disk alone."""
HOLD_S = 300.0
"""How long packs with guessed times wait for a time server once there is a connection: they share its network."""

log = structlog.get_logger("uplink")


class Uplink:
    """`run` is one task; `woken` tells it that there are new packs, `cry` that alarms can't wait for the disk."""

    def __init__(
        self,
        site: SiteId,
        edge: EdgeId,
        broker: Broker,
        announcements: Mapping[DeviceId, Announcement],
        disk: Disk,
        take_order: Callable[[Incoming], None],
        *,
        clock_ms: Callable[[], int],
        clock_trusted: Callable[[], bool] = lambda: True,
        software: str,
    ) -> None:
        self._site, self._edge = site, edge
        self._broker = broker
        self._take_order = take_order
        self._topic = topics.readings(site, edge)
        self._status_topic = topics.status(site, edge)
        self._announcements = {
            topics.announcement(site, edge, device): announcement.encode(said) for device, said in announcements.items()
        }
        self._disk = disk
        self._clock_ms = clock_ms
        self._clock_trusted = clock_trusted
        self._software = software
        self._window = Window()
        self._watchdog = Watchdog()
        self._wake = asyncio.Event()
        self._cried: deque[Reading] = deque(maxlen=MOST_CRIED)
        self._some_cried = asyncio.Event()
        self._unanswered_bytes = 0
        self._refused = False
        self._rejected_for: set[str] = set()
        self._bus = Bus(
            broker,
            f"gridcall-edge-{site}-{edge}",
            subscribe=[topics.receipts(site, edge), topics.command(site, edge, "+")],
            will=Outgoing(self._status_topic, status.encode(EdgeStatus(online=False)), retain=True),
        )

    def woken(self) -> None:
        self._wake.set()

    def cry(self, alarms: Sequence[Reading]) -> None:
        self._cried += alarms
        self._some_cried.set()

    async def withdraw(self, device: DeviceId) -> None:
        """Returns when a broker no longer keeps its announcement."""
        await self.say(topics.announcement(self._site, self._edge, device), b"", retain=True)

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Returns when a broker has it, however long that takes, or will never take it."""
        session = await self._bus.up()
        while True:
            try:
                return await self._say(topic, payload, retain=retain)
            except Disconnected:
                session = await self._bus.up(session)

    async def run(self) -> None:
        """For ever. Says goodbye when it is cancelled, since a broker keeps the last will to itself then."""
        async with self._bus:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch())
                    tasks.create_task(self._send())
                    tasks.create_task(self._pass_on_cries())
                    tasks.create_task(self._receive())
                    tasks.create_task(self._beat())
                    tasks.create_task(renewal.when_deaf(self._bus, self._watchdog, lambda: bool(self._window.keys)))
                    tasks.create_task(renewal.when_files_change(self._bus, self._broker))
                    tasks.create_task(self._let_go())
            finally:
                await self._say_goodbye()

    async def _watch(self) -> None:
        session = 0
        while True:
            session = await self._bus.up(session)
            self._watchdog.connected(self._now_s)
            self._wake.set()

    async def _let_go(self) -> None:
        """Where a time server is to be had, it answers soon after the network is there."""
        await self._bus.up()
        await asyncio.sleep(HOLD_S)
        self._disk.let_go()
        self._wake.set()

    async def _pass_on_cries(self) -> None:
        while True:
            await self._some_cried.wait()
            await self._bus.up()
            alarms = [self._cried.popleft() for _ in range(min(len(self._cried), MOST_READINGS))]
            try:
                await self._say(self._topic, encode_unnumbered(alarms))
            except Disconnected:
                room = MOST_CRIED - len(self._cried)
                self._cried.extendleft(reversed(alarms[max(len(alarms) - room, 0) :]))
                await asyncio.sleep(0)  # the bus takes a turn of the loop to notice it too
            if not self._cried:
                self._some_cried.clear()

    async def _send(self) -> None:
        greeted: tuple[int, StreamId | None] | None = None
        async with asyncio.TaskGroup() as publishing:
            while True:
                now = await self._bus.up(), self._disk.stream
                self._wake.clear()
                if now != greeted:  # a new connection, or an outbox in the place of a damaged one or of none
                    self._refused = False
                    greeting = [*self._announcements.items(), (self._status_topic, await self._status())]
                    for topic, payload in greeting:
                        publishing.create_task(self._tell(topic, payload))
                    self._window.clear()
                    greeted = now
                chosen = await self._choose()
                for row in chosen:
                    publishing.create_task(self._publish(row))
                if not chosen:
                    await self._pause()

    async def _tell(self, topic: str, payload: bytes) -> None:
        """Something that a broker keeps for those who come later. It is told at every connect."""
        try:
            await self._say(topic, payload, retain=True)
        except Disconnected:
            pass

    async def _choose(self) -> list[Row]:
        """The packs to send now, marked as sent."""
        now_s = self._now_s
        chosen = [(row, self._window.lane(row.key)) for row in await self._overdue(now_s)]
        for lane in Lane:
            chosen += [(row, lane) for row in await self._next(lane)]
        for row, lane in chosen:
            self._window.sent(row.key, lane, now_s)
            self._unanswered_bytes += len(row.payload)
        return [row for row, _ in chosen]

    async def _overdue(self, now_s: float) -> list[Row]:
        keys = [] if self._is_busy else self._window.overdue(now_s)[:REPEATS_AT_ONCE]
        rows = await self._disk.named(keys) if keys else []
        self._window.forget(set(keys) - {row.key for row in rows})
        still_there = set(self._window.keys)
        return [row for row in rows if row.key in still_there]

    async def _next(self, lane: Lane) -> list[Row]:
        most = self._window.room(lane)
        if not lane.live:
            most = 0 if self._is_busy else min(most, BACKLOG_AT_ONCE)
        if most <= 0:
            return []
        live_since_s = self._now_s - LIVE_S
        return await self._disk.waiting(
            lane.urgency,
            since_s=live_since_s if lane.live else None,
            before_s=None if lane.live else live_since_s,
            but=self._window.keys,
            most=most,
        )

    async def _publish(self, row: Row) -> None:
        try:
            await self._say(self._topic, row.payload)
            self._window.answered(row.key)
        except Disconnected:
            pass  # it is sent again after the next connect
        finally:
            self._unanswered_bytes -= len(row.payload)
            self._wake.set()

    async def _say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Raises Disconnected. What a broker refuses is told once a connection; a pack is then tried again when it is overdue."""
        self._watchdog.asked(self._now_s)
        try:
            await self._bus.publish(topic, payload, retain=retain)
        except Refused as error:
            if not self._refused:
                log.warning("broker refuses a message; are its access rules right?", topic=topic, why=str(error))
            self._refused = True
        finally:
            self._watchdog.answered(self._now_s)

    @property
    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _is_busy(self) -> bool:
        return self._unanswered_bytes >= MOST_UNANSWERED_BYTES

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout_at(None if self._is_busy else self._window.next_repeat_s()):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _receive(self) -> None:
        while True:
            came = await self._bus.some(MOST_RECEIPTS)
            for message in came:
                if topics.told(message.topic):
                    self._take_order(message)
            messages = [message for message in came if not topics.told(message.topic)]
            receipts = [read for message in messages if (read := _receipt(message))]
            await self._disk.settle(receipts)
            for message in messages:
                message.ack()
            if receipts:
                self._watchdog.heard(self._now_s)
            for read in receipts:
                rejected = [(part.first, part.last) for part in read.rejected]
                self._say_rejected(read)
                self._window.settled(read.stream, [*read.stored, *rejected], self._now_s)
            self._wake.set()

    def _say_rejected(self, read: Receipt) -> None:
        """Once for each reason, until packs are taken again; how many there were is in the ledger."""
        new = {part.reason: (part.first, part.last) for part in read.rejected if part.reason not in self._rejected_for}
        for reason, first in new.items():
            log.warning("collector rejects packs", first=first, why=reason)
        self._rejected_for |= new.keys()
        if self._rejected_for and read.stored and not read.rejected:
            log.info("collector takes packs again", after=sorted(self._rejected_for))
            self._rejected_for.clear()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            await self._tell(self._status_topic, await self._status())

    async def _status(self, *, online: bool = True) -> bytes:
        said = EdgeStatus(
            online=online,
            at_ms=self._clock_ms(),
            software=self._software,
            clock_trusted=self._clock_trusted(),
            set_aside=self._disk.set_aside or None,
        )
        if self._disk.stream:
            ledger = await self._disk.ledger()
            figures = {"stream": ledger.stream, "packs": ledger.packs, "outbox": ledger.figures}
            said = said.model_copy(update=figures)
        return status.encode(said)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._tell(self._status_topic, await self._status(online=False))
        except TimeoutError:
            pass  # the broker says it for us, when it misses us


def _receipt(message: Incoming) -> Receipt | None:
    try:
        return receipt.decode(message.payload)
    except ReceiptError as error:
        log.warning("not a receipt", why=str(error))
        return None
