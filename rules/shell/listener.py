"""Hears the broker, and wakes what is due: messages and timers in one loop, each batch one work.

A message is acknowledged when what it means is written. A timer waits until what had arrived when it was due is heard (rules.shell.mark), of an
edge that tells of the past a moment for that too, and after a start until what was missed is heard (rules.shell.settling).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from messages import topics
from messages.bus import Bus, Incoming
from messages.ids import SiteId
from rules.engine.arrears import Arrears
from rules.engine.intake import Undecodable, take
from rules.engine.memory.plant import EdgeKey
from rules.engine.order import Order, begun_ms, edge_of
from rules.engine.overdue import FOUND_AT_ONCE, MOST_AT_ONCE
from rules.engine.tail import Tail, Word
from rules.engine.work import Work
from rules.shell.absent import Absent
from rules.shell.history import History
from rules.shell.mark import Mark
from rules.shell.settling import QUIET_MS, SETTLE_MS, Settling
from rules.shell.writer import Writer
from rules.tenure import Tenure

MESSAGES_AT_ONCE, FEWEST_AT_ONCE = 500, 20
LONG_S = 0.5
"""What is written at once should take no longer: a call goes out when it is written. When each message raises something, that is a few dozen."""
LOOK_MS = 500
"""The longest sleep: another loop may have set a timer."""

COMPLAINTS = 1_000
"""Topics whose fault is remembered, so that it is said once."""

log = structlog.get_logger("rules")


class Listener:
    """One per engine. `run` once."""

    def __init__(
        self,
        bus: Bus,
        writer: Writer,
        tenure: Tenure,
        history: History,
        absent: Absent,
        clock_ms: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._writer = writer
        self._tenure = tenure
        self._history = history
        self._absent = absent
        self._clock_ms = clock_ms
        self._tail = Tail()
        self._order = Order[Incoming]()
        self._undecided: list[tuple[SiteId, Incoming]] = []
        """Messages of sites that nobody is known to own: the broker keeps them until somebody does."""
        self._at_once = MESSAGES_AT_ONCE
        self._enough, self._full = FOUND_AT_ONCE, False
        """How much overdue timers may find in one work, and whether they found so much in the last one."""
        self._complaints: dict[str, str] = {}
        self._settling = Settling.begun(clock_ms())
        self._arrears = Arrears.begun(writer.facts, clock_ms())
        self._present: dict[EdgeKey, int] = {}
        """Edges of this batch that speak of the present for the first time, and how old their word is, in ms."""
        self._mark = Mark()
        self._heard_from_ms: int | None = None
        """When we saw the connection for the first time, after a start or since sites became ours."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.timeout(SETTLE_MS / 1000):
                await self._history.caught_up.wait()
                await self._bus.up()  # a silence is one from then on
        except TimeoutError:
            if not self._history.caught_up.is_set():
                log.info("the history takes its time; live readings go first")
        self._look_at_age(())
        while True:
            arrived = await self._arrived()
            self._mark.take(len(arrived))
            await self._lay_mark()
            self._look_at_age(arrived)
            messages = self._order.sort(arrived, self._clock_ms())
            if messages or not self._order.waiting:
                await self._listen_to(messages)
            if past := self._order.portion():
                await self._listen_to(past)

    def settle_anew(self) -> None:
        """Sites have become ours of which we may have missed something."""
        now_ms = self._clock_ms()
        self._settling, self._heard_from_ms = Settling.begun(now_ms), None
        self._arrears = Arrears.begun(self._writer.facts, now_ms)

    @property
    def late(self) -> bool:
        """Something that became due before we could fire it has still to fire; whatever is not urgent waits for that."""
        return self._settling.owes(self._writer.facts.next_wake_ms(), self._clock_ms())

    def last_words(self, site: SiteId) -> list[Word]:
        """What was said of a site of late, while it was another's. They are no longer kept here."""
        return self._tail.of(site)

    def take(self, work: Work, topic: str, payload: bytes, now_ms: int, *, kept: bool = False) -> None:
        """Put a message into a work; say why if it can't be read."""
        try:
            self._complain(topic, take(work, topic, payload, now_ms, kept=kept))
        except Undecodable:
            log.exception("a message that our decoder fails at; it is left out", topic=topic)

    def decide(self) -> None:
        """Look again whose the messages are that nobody was known to want."""
        undecided, self._undecided = self._undecided, []
        for site, message in undecided:
            self._pass_over(site, message)

    async def _listen_to(self, messages: Sequence[Incoming]) -> None:
        began_s = asyncio.get_running_loop().time()
        await self._write(messages)
        took_s = asyncio.get_running_loop().time() - began_s
        if took_s > LONG_S:
            self._at_once = max(FEWEST_AT_ONCE, min(self._at_once, len(messages)) // 2)
        elif took_s < LONG_S / 4 and len(messages) >= self._at_once:
            self._at_once = min(MESSAGES_AT_ONCE, self._at_once * 2)
        if not self._full:
            self._enough = FOUND_AT_ONCE
        elif took_s > LONG_S / 2:
            self._enough = max(FOUND_AT_ONCE, self._enough // 2)
        elif took_s < LONG_S / 4:
            self._enough = min(MOST_AT_ONCE, self._enough * 2)

    async def _write(self, messages: Sequence[Incoming]) -> None:
        async with self._writer.turn:
            heard = await self._absent.hears(messages)
            await self._writer.work(partial(self._hear, heard))
            self._present.clear()
            for message in messages:
                site = _site(message)
                if site is None or site in self._tenure.mine:
                    message.ack()
                else:
                    self._tail.keep(site, message.topic, message.payload, self._clock_ms())
                    self._pass_over(site, message)

    def _hear(self, messages: Sequence[Incoming], work: Work, now_ms: int) -> None:
        for message in messages:
            site = _site(message)
            if site is None or site in self._tenure.mine:
                self.take(work, message.topic, message.payload, now_ms, kept=message.retain)
        work.settle(now_ms)
        for edge, lag_ms in self._present.items():
            if edge not in self._order.behind:
                self._arrears.pay(work, edge, lag_ms, now_ms)
        due_ms, heard_until_ms = self._writer.facts.next_wake_ms(), self._mark.heard_until_ms
        heard = len(work.found)
        if self._settling.may_fire(due_ms, heard_until_ms, now_ms):
            by_ms = min(now_ms, heard_until_ms)
            work.wake(now_ms, enough=self._enough, by_ms=by_ms, behind=self._order.behind)
        self._full = len(work.found) - heard >= self._enough

    def _pass_over(self, site: SiteId, message: Incoming) -> None:
        """A message of a site that is not ours, or was not when it came."""
        if site in self._tenure.mine or self._tenure.hear_of(site):
            message.ack()
        else:
            self._undecided.append((site, message))

    async def _arrived(self) -> Sequence[Incoming]:
        """What has come, or nothing when a timer is due first, or the past waits."""
        if self._order.full:
            return ()
        now_ms, connected = self._clock_ms(), self._bus.connected
        wait_ms = self._settling.wait_ms(self._writer.facts.next_wake_ms(), LOOK_MS, now_ms)
        try:
            async with asyncio.timeout(0 if self._order.waiting else wait_ms / 1000):
                return await self._bus.some(self._at_once)
        except TimeoutError:
            if connected and not self._order.waiting and wait_ms >= QUIET_MS and self._history.settled:
                self._settling.over(self._clock_ms())
            return ()

    async def _lay_mark(self) -> None:
        """What has arrived by now is heard before the timers that are due."""
        now_ms = self._clock_ms()
        if self._mark.is_wanted(self._writer.facts.next_wake_ms(), now_ms):
            self._mark.lay(await self._bus.unread(), now_ms)
        self._mark.give_up(now_ms)

    def _look_at_age(self, messages: Sequence[Incoming]) -> None:
        """A broker tells in the order in which it was told: whoever hears what was said after the connect has heard its mail."""
        if self._heard_from_ms is None:
            self._heard_from_ms = self._clock_ms() if self._bus.connected else None
            return
        now_ms = self._clock_ms()
        if not self._history.settled or not (self._settling.lasts(now_ms) or self._arrears.lasts(now_ms)):
            return
        begun = [(edge_of(message), base_ms) for message in messages if (base_ms := begun_ms(message)) is not None]
        for edge, base_ms in begun:
            if edge and self._heard_from_ms <= base_ms <= now_ms and self._arrears.is_owed(edge):
                self._present[edge] = min(now_ms - base_ms, self._present.get(edge, now_ms))
        moments = [base_ms for _, base_ms in begun]
        if (
            moments and self._heard_from_ms <= min(moments) and max(moments) <= now_ms
        ):  # a clock that is ahead proves nothing
            self._settling.over(now_ms)

    def _complain(self, topic: str, why: str | None) -> None:
        if why is None or self._complaints.get(topic) == why:
            return
        if len(self._complaints) >= COMPLAINTS:
            self._complaints.clear()
        self._complaints[topic] = why
        log.warning("a message that can't be read", topic=topic, why=why)


def _site(message: Incoming) -> SiteId | None:
    """None: of no site, and for the log to complain about."""
    origin = topics.origin(message.topic)
    return origin.site if origin else None
