"""The engine's shell: hear, step, write, and only then acknowledge and publish.

Everything that changes the facts takes its turn: messages and timers in one loop, the catch-up in another. A timer
waits until what has already arrived is heard, and after a start until the store was asked: what was said
while we were away comes before what became due.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from collector.stores.base import Store, StoreError, StoreRefused
from messages.bus import Bus, Incoming
from messages.ids import SiteId
from messages.ranges import Range
from messages.settings import ConfigError
from rules.alarms import evidence
from rules.alarms.publisher import Publisher
from rules.config import Configuration
from rules.engine import catchup
from rules.engine.catchup import Gap, Portion
from rules.engine.intake import SUBSCRIPTIONS, Undecodable, take
from rules.engine.memory import Facts, StreamKey
from rules.engine.work import Work
from rules.language.evaluation import Happened, Raised
from rules.language.rule import Rules
from rules.renewal import Renewal
from rules.store import facts, versions
from rules.store.clerk import Clerk
from rules.store.database import Database, DatabaseDamaged
from rules.store.sqlite import set_aside

MESSAGES_AT_ONCE = 500
BEAT_S = 1.0
LOOK_S = 0.5
"""The longest sleep of the main loop, and how often gaps are looked at: another loop may have set a timer."""

SETTLE_MS = 1_500
"""After a start: how long the store may take to tell what was missed before live messages and timers go first."""

PATIENCE_MS = 1_000
"""A timer waits for unread messages, but no longer than this."""

EVIDENCE_EVERY_S, EVIDENCE_LATER_S = 1.0, 30.0

COMPLAINTS = 1_000
"""Topics whose fault is remembered, so that it is said once."""

log = structlog.get_logger("rules")


async def run(config: Configuration, *, clock_ms: Callable[[], int]) -> None:
    """Run the engine until cancelled."""
    clerk, reader = Clerk("rules-database"), Clerk("rules-history")
    try:
        database, known = await clerk.insist(lambda: _opened(config, clock_ms()))
        if config.refused:
            log.error("the rule files are refused; the rules that were good last are in force", why=config.refused)
        log.info("ready", devices=len(known.devices), rules=sum(map(len, known.rules.values())))
        async with Bus(config.broker, config.client_id, subscribe=SUBSCRIPTIONS) as bus:
            service = Service(bus, database, known, config.store, clerk, reader, clock_ms, operators=config.operators)
            changes = Renewal(config.files, config.look, service.adopt_rules)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changes.asked.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(service.run(), name="engine")
                tasks.create_task(changes.run(known.rules), name="rule files")
    finally:
        reader.close()
        clerk.close()
        config.store.close()


def _opened(config: Configuration, now_ms: int) -> tuple[Database, Facts]:
    """The database and what it holds. A damaged one is set aside: no alarm must wait for somebody to mend it."""
    try:
        return _loaded(config)
    except DatabaseDamaged as error:
        aside = set_aside(config.database, now_ms)
        log.error("the database is damaged: begun anew, without its open cases", why=str(error), kept=str(aside))
    return _loaded(config)


def _loaded(config: Configuration) -> tuple[Database, Facts]:
    database = Database(config.database)
    try:
        rules: Rules = config.rules
        if config.refused:
            rules = config.files.answering(versions.last_good(database, config.kinds, config.calendar))
            if not rules:
                raise ConfigError(config.refused)
        known = facts.load(database, config.kinds, rules, config.calendar)
        versions.keep(database, rules)
        return database, known
    except ValueError as error:
        raise ConfigError(f"database: {error}") from error
    except DatabaseDamaged:
        database.close()
        raise


class Service:
    """One engine. `run` once."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        known: Facts,
        store: Store,
        clerk: Clerk,
        reader: Clerk,
        clock_ms: Callable[[], int],
        *,
        operators: Mapping[SiteId, int],
    ) -> None:
        self._bus = bus
        self._operators = operators
        self._database = database
        self._facts = known
        self._store = store
        self._clerk = clerk
        self._reader = reader
        self._clock_ms = clock_ms
        self._publisher = Publisher(bus, database, clerk)
        self._turn = asyncio.Lock()
        self._caught_up = asyncio.Event()
        self._history_away = False
        self._gave_up = False
        self._complaints: dict[str, str] = {}
        self._timers_from_ms = clock_ms() + SETTLE_MS

    async def run(self) -> None:
        """Until cancelled."""
        await self._renew()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name="pulse")
            tasks.create_task(self._publisher.run(), name="publisher")
            tasks.create_task(self._catch_up(), name="catch-up")
            tasks.create_task(self._keep_evidence(), name="evidence")
            tasks.create_task(self._listen(), name="listener")

    async def _renew(self) -> None:
        """The rules may have changed while we were down."""
        async with self._turn:
            now_ms = self._clock_ms()
            work = Work(self._facts)
            work.renew(now_ms)
            await self._write(work, now_ms)

    async def adopt_rules(self, rules: Rules, said: str) -> None:
        """Go by other rules from the next message on. What runs goes on by the rule that raised it."""
        async with self._turn:
            now_ms = self._clock_ms()
            await self._clerk.insist(lambda: versions.keep(self._database, rules, said, now_ms))
            self._facts.replace_rules(rules)
            work = Work(self._facts)
            work.renew(now_ms)
            await self._write(work, now_ms)
            running = sum(map(len, self._facts.bygone.values()))
        log.info("the rules have changed", what=said, running_by_earlier_ones=running)

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_MS / 1000):
                await self._caught_up.wait()
        except TimeoutError:
            log.info("the history takes its time; live readings go first")
        while True:
            messages = await self._arrived()
            async with self._turn:
                now_ms = self._clock_ms()
                work = Work(self._facts)
                for message in messages:
                    self._take(work, message, now_ms)
                work.settle(now_ms)
                if self._timers_may_fire(now_ms, idle=not messages):
                    work.wake(now_ms)
                await self._write(work, now_ms)
            for message in messages:
                message.ack()

    def _take(self, work: Work, message: Incoming, now_ms: int) -> None:
        try:
            self._complain(message.topic, take(work, message.topic, message.payload, now_ms))
        except Undecodable:
            log.exception("a message that our decoder fails at; it is left out", topic=message.topic)

    async def _arrived(self) -> Sequence[Incoming]:
        """What has come, or nothing when a timer is due first."""
        due_ms = self._facts.next_wake_ms()
        wait_s = LOOK_S
        if due_ms is not None:
            wait_s = min(LOOK_S, max(0, max(due_ms, self._timers_from_ms) - self._clock_ms()) / 1000)
        try:
            async with asyncio.timeout(wait_s):
                return await self._bus.some(MESSAGES_AT_ONCE)
        except TimeoutError:
            return ()

    def _timers_may_fire(self, now_ms: int, *, idle: bool) -> bool:
        due_ms = self._facts.next_wake_ms()
        if due_ms is None or now_ms < max(due_ms, self._timers_from_ms):
            return False
        return idle or now_ms - max(due_ms, self._timers_from_ms) > PATIENCE_MS

    async def _write(self, work: Work, now_ms: int) -> None:
        if work.empty:
            return
        await self._clerk.insist(lambda: facts.commit(self._database, work, now_ms))
        self._facts.adopt(work)
        if work.found or work.abandoned:
            self._publisher.news.set()
        for found in work.found:
            if isinstance(found.change, Raised | Happened):
                log.info("raised", site=found.device.site, device=found.device.id, rule=found.rule.id)
        for gone in work.abandoned:
            log.warning(
                "nothing will clear this any more", site=gone.site, device=gone.device, rule=gone.rule, why=gone.why
            )
        for new, old in work.shared:
            log.warning("two edges announce one device", site=new.site, device=new.id, edges=[old.edge, new.edge])
        if work.given_up and not self._gave_up:
            log.warning("streams with too many holes: the oldest missing packs are given up", packs=work.given_up)
            self._gave_up = True
        if work.dropped:
            log.warning("no room for readings of devices that nobody announced", readings=work.dropped)

    def _complain(self, topic: str, why: str | None) -> None:
        if why is None or self._complaints.get(topic) == why:
            return
        if len(self._complaints) >= COMPLAINTS:
            self._complaints.clear()
        self._complaints[topic] = why
        log.warning("a message that can't be read", topic=topic, why=why)

    async def _beat(self) -> None:
        while True:
            if await self._clerk.insist(self._beat_once):
                self._publisher.news.set()
            await asyncio.sleep(BEAT_S)

    def _beat_once(self) -> bool:
        """Devices that only seem silent because we were down, are heard first."""
        hears, caught_up = self._bus.connected, self._caught_up.is_set()
        at_ms, operators = self._clock_ms(), self._operators
        return facts.beat(self._database, at_ms, hears=hears, looks=caught_up, operators=operators)

    async def _keep_evidence(self) -> None:
        """What was said before an alarm is kept with it; a history that is away is asked again later."""
        await self._caught_up.wait()
        wait_s = EVIDENCE_EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = EVIDENCE_EVERY_S
            for alarm in await self._clerk.insist(lambda: evidence.wanting(self._database, self._clock_ms())):
                try:
                    found = await self._reader.call(partial(evidence.course, self._store, alarm))
                except StoreRefused:
                    found = {}
                except StoreError:  # the catch-up says so
                    wait_s = EVIDENCE_LATER_S
                    break
                await self._clerk.insist(partial(evidence.keep, self._database, alarm.id, found))

    async def _catch_up(self) -> None:
        unsettled = set(self._facts.streams)
        while unsettled:
            for key in list(unsettled):
                if await self._settle(key):
                    unsettled.discard(key)
            self._caught_up.set()
            if unsettled:
                await asyncio.sleep(catchup.GRACE_MS / 1000)
        self._caught_up.set()
        gaps: dict[StreamKey, Gap] = {}
        while True:
            await asyncio.sleep(LOOK_S)
            gaps = catchup.gaps(self._facts.streams, gaps, self._clock_ms())
            for key, gap in gaps.items():
                if gap.ask_at_ms <= self._clock_ms():
                    await self._ask(key, gap.lacking)
                    gaps[key] = catchup.asked(gap, self._clock_ms())

    async def _settle(self, key: StreamKey) -> bool:
        """Read all that a stream said after we stopped listening. Whether the store has answered."""
        while (stream := self._facts.streams.get(key)) is not None:  # it may be forgotten meanwhile
            found = await self._ask(key, catchup.at_start(stream))
            if not found:
                return found is not None
        return True

    async def _ask(self, key: StreamKey, wanted: Sequence[Range]) -> int | None:
        """Feed the `wanted` packs that are stored; how many were new. None: the store has no answer now."""
        found = 0
        try:
            portions = catchup.portions(self._store, key, wanted)
            while portion := await self._reader.call(partial(next, portions, None)):
                found += await self._feed(key, portion)
        except StoreError as error:
            if not self._history_away:
                log.warning("the history has no answer", why=str(error))
            self._history_away = True
            return None
        if self._history_away:
            log.info("the history answers again")
        self._history_away = False
        return found

    async def _feed(self, key: StreamKey, portion: Portion) -> int:
        site, edge, _ = key
        async with self._turn:
            now_ms = self._clock_ms()
            work = Work(self._facts)
            unheard = [number for number in portion.packs if not work.is_heard(key, number)]
            if unheard:
                work.hear(site, edge, portion.readings, now_ms)
                for number in unheard if portion.last else ():
                    work.heard(key, number, now_ms)
                await self._write(work, now_ms)
        if not unheard or not portion.last:
            return 0
        log.info("missed packs, read from the history", site=site, edge=edge, packs=len(unheard))
        return len(unheard)
