"""The sender: takes what is due from the outbox, asks the channels on threads of their own, and writes down what they said.

What is begun is committed before it leaves. Red has threads of its own on each channel, so one that hangs, be it for ever, holds up no
other; of one that hangs no more than MOST_RED calls wait, and none of them for longer than ANSWER_S. One that is slow fails no call: what
is too much for it at a time is begun later. A person may be told twice then: the
answer that nobody waits for any more may have been a yes.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
import structlog

from messages import topics
from messages.bus import Bus, Disconnected, Refused
from messages.ids import SiteId, is_identifier
from rules.cases.practice import Practice
from rules.notices import links, outbox, sendings
from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.notices.config import Way
from rules.notices.outbox import AT_ONCE, Find
from rules.notices.plan import Habits
from rules.notices.sendings import Begun
from rules.store.clerk import Clerk
from rules.store.database import Database
from rules.store.refusals import Apart

LOOK_S = 0.3
"""How soon a call that another process has queued is seen."""
THREADS = 8
"""For all that is not red."""
RED_THREADS, MOST_RED = 16, 64
"""Of each channel, for red: threads, and calls that are begun at a time. Further ones wait as long as it answers; of one that hangs they
have failed at once."""
HANGS_S = 3.0
"""All threads of a channel wait for an answer, and for so long none has come."""
ANSWER_S = 11.0
"""After which a call goes on as if it had failed: longer than the longest time-out that a channel may have, and within F6's 15 s."""
FORGET_S = 3600.0

log = structlog.get_logger("notices")


class Sender:
    """One per engine. `run` once. Several engines on one database may all send: what one has taken no other takes."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        ways: Mapping[str, Way],
        find: Find,
        practice: Practice,
        clock_ms: Callable[[], int],
        *,
        address_of_pages: str = "",
        habits: Habits = Habits(),  # noqa: B008 frozen
        others: Callable[[], Collection[int]] = lambda: (),
    ) -> None:
        """`others`: the tokens of workers that live beside this one."""
        self._others = others
        self._bus = bus
        self._database = database
        self._clerk = Clerk("rules-notices")
        self._ways = ways
        self._find = find
        self._practice = practice
        self._clock_ms = clock_ms
        self._address_of_pages = address_of_pages
        self._habits = habits
        self.looked_at_ms = 0
        """When it last looked for what is due, with success."""
        self._under_way = 0
        """Sends that are not red; those wait for a thread no longer than the provider takes."""
        self._red_on = Counter[str]()
        """Red sends that wait for an answer, by channel."""
        self._moved_s = dict[str, float]()
        """When a channel last answered a red call, or had a thread to spare for one."""
        self._ended: list[tuple[Begun, Outcome]] = []
        """What became of sends, until it is written down."""
        self._news, self._freed = asyncio.Event(), asyncio.Event()
        """Something has ended; and something that was left waiting may go."""
        self._down: set[str] = set()
        """Channels that failed when they were last used."""

    async def run(self) -> None:
        """Until cancelled."""
        common = ThreadPoolExecutor(THREADS, "notices")
        red = {name: ThreadPoolExecutor(RED_THREADS, f"red-{name}") for name in self._ways}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_down(), name="scribe")
                if not self._others():
                    await self._clerk.insist(self._resume)
                forget_s = 0.0
                while True:
                    self._freed.clear()
                    room = {name: self._red_room(name) for name in self._ways}
                    for begun in await self._clerk.insist(partial(self._take, room)):
                        pool = red[begun.way] if begun.message.level == "red" else common
                        tasks.create_task(self._send(begun, pool), name="notice")
                    self.looked_at_ms = self._clock_ms()
                    if (forget_s := forget_s - LOOK_S) <= 0:
                        forget_s = FORGET_S
                        await self._clerk.insist(self._forget)
                    full = any(left <= 0 for left in room.values())
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await (self._freed.wait() if full else asyncio.sleep(LOOK_S))
        finally:
            for pool in (common, *red.values()):
                pool.shutdown(wait=False, cancel_futures=True)  # what is under way is sent again after the next start

    def _red_room(self, way: str) -> int:
        """How many red calls more may be begun on a channel. One that hangs takes any, and fails them at once: they have other ways to go."""
        return AT_ONCE if self._hangs(way) else MOST_RED - self._red_on[way]

    def _hangs(self, way: str) -> bool:
        if self._red_on[way] < RED_THREADS:
            return False
        return asyncio.get_running_loop().time() - self._moved_s.get(way, 0.0) > HANGS_S

    def _take(self, red_room: dict[str, int]) -> list[Begun]:
        now_ms = self._clock_ms()
        with self._database.reading() as connection:
            due_ms = outbox.next_due_ms(connection)
        if due_ms is None or due_ms > now_ms:
            return []
        try:
            return self._taken(dict(red_room), now_ms, apart=False)
        except Exception as error:
            if not self._database.refuses(error):
                raise
            log.error("the database refuses a call: they are gone through one by one", why=str(error)[:500])
            return self._taken(red_room, now_ms, apart=True)

    def _taken(self, red_room: dict[str, int], now_ms: int, *, apart: bool) -> list[Begun]:
        with self._database.writing() as connection:
            return outbox.take(
                connection,
                self._ways,
                self._find,
                self._practice,
                self._habits,
                self._address_of_pages,
                now_ms,
                THREADS - self._under_way,
                red_room,
                Apart(connection, now_ms) if apart else None,
                self._others(),
            )

    def _resume(self) -> None:
        with self._database.writing() as connection:
            sendings.resume(connection, self._clock_ms())

    def _forget(self) -> None:
        with self._database.writing() as connection:
            sendings.forget(connection, self._clock_ms())
            links.forget(connection, self._clock_ms())

    async def _send(self, begun: Begun, pool: ThreadPoolExecutor) -> None:
        way, quiet, loop = begun.way, begun.message.level != "red", asyncio.get_running_loop()
        channel, hangs = self._ways[way].channel, self._hangs(way)
        if not quiet and self._red_on[way] < RED_THREADS:
            self._moved_s[way] = loop.time()
        self._under_way += quiet
        self._red_on[way] += not quiet
        try:
            if channel is None:
                outcome: Outcome = await self._publish(begun.message, begun.to)
            elif hangs and not quiet:
                outcome = Failed("its earlier calls are still waiting for an answer")
            else:
                asked = partial(_asked, channel.send, begun.message, begun.to)
                async with asyncio.timeout(ANSWER_S):
                    outcome = await loop.run_in_executor(pool, asked)
                if not quiet:
                    self._moved_s[way] = loop.time()
        except TimeoutError:
            outcome = Failed(f"no answer within {ANSWER_S:g} s")
        finally:
            self._under_way -= quiet
            self._red_on[way] -= not quiet
        self._say(way, outcome)
        self._ended.append((begun, outcome))
        self._news.set()
        self._freed.set()

    async def _write_down(self) -> None:
        """What has ended, all of it in one transaction: each would wait for the disk by itself."""
        while True:
            await self._news.wait()
            self._news.clear()
            ended, self._ended = self._ended, []
            await self._clerk.insist(partial(self._end, ended))

    def _end(self, ended: Sequence[tuple[Begun, Outcome]]) -> None:
        """What the database refuses of an answer is as no answer: the call goes on after its deadline."""
        now_ms = self._clock_ms()
        try:
            with self._database.writing() as connection:
                sendings.end(connection, ended, now_ms)
            return
        except Exception as error:
            if not self._database.refuses(error):
                raise
            log.error("the database refuses an answer: they are gone through one by one", why=str(error)[:500])
        with self._database.writing() as connection:
            apart = Apart(connection, now_ms)
            for begun, outcome in ended:
                end = partial(sendings.end, connection, [(begun, outcome)], now_ms)
                apart.done(SiteId(begun.message.site), "answer", begun.message.key, end)

    async def _publish(self, message: Message, to: str) -> Outcome:
        if not is_identifier(to):
            return Failed(f"no name for a topic: {to[:40]!r}", for_good=True)
        words = ("key", "level", "language", "title", "place", "left", "text", "link", "case", "person")
        payload = orjson.dumps({"at_ms": message.at_ms, **{name: getattr(message, name) for name in words}})
        try:
            async with asyncio.timeout(ANSWER_S):
                heard = await self._bus.publish(topics.notice(SiteId(message.site), to), payload)
        except (Refused, Disconnected) as error:
            return Failed(str(error))
        return Taken() if heard else Failed("nobody listens to it")

    def _say(self, way: str, outcome: Outcome) -> None:
        """Changes, not states."""
        if isinstance(outcome, Failed) and way not in self._down:
            self._down.add(way)
            log.warning("a channel fails", channel=way, why=outcome.why)
        elif isinstance(outcome, Taken) and way in self._down:
            self._down.discard(way)
            log.info("a channel works again", channel=way)


def _asked(send: Callable[[Message, str], Outcome], message: Message, to: str) -> Outcome:
    """What a channel said. A defect in one must cost no more than this attempt."""
    try:
        return send(message, to)
    except Exception as error:
        log.exception("a channel that fails in a way it should not")
        return Failed(f"{type(error).__name__}: {error}"[:200])
