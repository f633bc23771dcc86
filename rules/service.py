"""The engine's shell: hear, step, write, and only then acknowledge and publish.

Everything that changes the facts takes its turn: messages and timers in one loop, the catch-up in another. A timer
waits until what has already arrived is heard, and after a start until the store was asked: what was said
while we were away comes before what became due.
"""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import structlog

from collector.stores.base import StoreError, StoreRefused
from messages import topics
from messages.bus import Bus, Incoming
from messages.ids import SiteId
from messages.ranges import Range
from messages.settings import ConfigError
from rules.alarms import evidence
from rules.alarms.publisher import Publisher
from rules.cases.practice import Practice
from rules.config import Configuration
from rules.duty import book
from rules.duty.last_good import LastGood
from rules.duty.roll import Roll
from rules.duty.site import Site
from rules.engine import catchup, own
from rules.engine.catchup import Gap, Portion
from rules.engine.intake import Undecodable, subscriptions, take
from rules.engine.memory import Facts, StreamKey
from rules.engine.order import Order
from rules.engine.own import ENGINE
from rules.engine.share import BEAT_S, LEAD
from rules.engine.tail import Tail
from rules.engine.work import Audited, Work
from rules.escalation import auditor
from rules.escalation.heartbeat import Heartbeat
from rules.escalation.loop import Escalation
from rules.language.evaluation import Happened, Raised
from rules.language.rule import Rules
from rules.notices.sender import Sender
from rules.outside.courier import Courier
from rules.renewal import Renewal
from rules.store import facts, versions
from rules.store.clerk import Clerk
from rules.store.database import Database, DatabaseAway, DatabaseDamaged
from rules.store.leases import Holder, LeaseLost, Superseded
from rules.store.sqlite import set_aside
from rules.tenure import Tenure

MESSAGES_AT_ONCE = 500
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
    tenure: Tenure | None = None
    try:
        holder = Holder(config.name, config.sites)
        clock_s = asyncio.get_running_loop().time
        ours, known = await clerk.insist(lambda: _opened(config, holder, clock_s, clock_ms()))
        tenure = ours
        if config.refused:
            log.error("the rule files are refused; the rules that were good last are in force", why=config.refused)
        log.info("ready", devices=len(known.devices), rules=sum(map(len, known.rules.values())))
        async with Bus(config.broker, config.client_id, subscribe=subscriptions(config.sites)) as bus:
            service = Service(bus, ours, known, config, clerk, reader, clock_ms)
            changes = Renewal(config.files, config.look, service.adopt_rules, clock_ms)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changes.asked.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(service.run(), name="engine")
                tasks.create_task(changes.run(known.rules), name="rule files")
    except* Superseded as errors:
        raise ConfigError(str(_first(errors))) from errors
    finally:
        if tenure is not None:
            with contextlib.suppress(DatabaseAway):
                await clerk.call(tenure.leave)
        reader.close()
        clerk.close()
        config.store.close()


def _tell_audited(news: Mapping[SiteId, Audited], work: Work, now_ms: int) -> None:
    for site, found in news.items():
        work.audited(site, found, now_ms)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _opened(config: Configuration, holder: Holder, clock_s: Callable[[], float], now_ms: int) -> tuple[Tenure, Facts]:
    """The sites that are ours in the database, and what it holds of them. A damaged one is set aside: no alarm must wait for
    somebody to mend it."""
    try:
        return _loaded(config, holder, clock_s, now_ms)
    except DatabaseDamaged as error:
        aside = set_aside(config.database, now_ms)
        log.error("the database is damaged: begun anew, without its open cases", why=str(error), kept=str(aside))
    return _loaded(config, holder, clock_s, now_ms)


def _loaded(config: Configuration, holder: Holder, clock_s: Callable[[], float], now_ms: int) -> tuple[Tenure, Facts]:
    database = Database(config.database)
    try:
        rules: Rules = config.rules
        if config.refused:
            rules = config.files.answering(versions.last_good(database, config.kinds, config.calendar))
            if not rules:
                raise ConfigError(config.refused)
        tenure = Tenure(database, holder, clock_s)
        tenure.mine |= tenure.enter()
        known = facts.load(database, config.kinds, rules, config.calendar, tenure.mine)
        versions.keep(database, rules, now_ms)
        return tenure, known
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
        tenure: Tenure,
        known: Facts,
        config: Configuration,
        clerk: Clerk,
        reader: Clerk,
        clock_ms: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._database = tenure.database
        self._tenure = tenure
        self._config = config
        self._facts = known
        self._store = config.store
        self._clerk = clerk
        self._reader = reader
        self._clock_ms = clock_ms
        self._roll = Roll(config.site_files, desk=config.desk)
        self._last_good = LastGood(tenure.database, config.site_files)
        self._practice = Practice(config.policies, self._roll.ladder, config.calendar)
        self._publisher = Publisher(bus, tenure.database, clerk, lambda: tenure.leads)
        news = self._publisher.news
        self._sender = Sender(
            bus, tenure.database, config.ways, self._roll.find, self._practice, clock_ms, address_of_pages=config.pages
        )
        self._escalation = Escalation(tenure.database, self._practice, clock_ms, news.set)
        self._audited: dict[SiteId, Audited] = {}
        """How it stood with the calls of each site when we last looked."""
        self._turn = asyncio.Lock()
        self._tail = Tail()
        self._order = Order[Incoming]()
        self._undecided: list[tuple[SiteId, Incoming]] = []
        """Messages of sites that nobody is known to own: the broker keeps them until somebody does."""
        self._unsettled: set[StreamKey] = set(known.streams)
        self._caught_up = asyncio.Event()
        self._history_away = False
        self._gave_up = False
        self._complaints: dict[str, str] = {}
        self._timers_from_ms = clock_ms() + SETTLE_MS
        self._heard_at_ms = 0
        """When we last wrote down that we live, with the broker at hand."""

    async def run(self) -> None:
        """Until cancelled."""
        await self._clerk.insist(self._look_at_roll)  # before the first call
        await self._renew()
        if self._config.site_files.folder is None:
            log.warning("no site_files: nobody is known to be on duty, and every call goes to the desk")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name="pulse")
            tasks.create_task(self._keep_tenure(), name="tenure")
            tasks.create_task(self._publisher.run(), name="publisher")
            tasks.create_task(self._catch_up(), name="catch-up")
            tasks.create_task(self._keep_evidence(), name="evidence")
            tasks.create_task(self._listen(), name="listener")
            tasks.create_task(self._escalation.run(), name="escalation")
            tasks.create_task(self._sender.run(), name="sender")
            tasks.create_task(self._audit(), name="auditor")
            courier = Courier(
                self._database, self._config.hooks, self._site_of, self._clock_ms, lambda: self._tenure.leads
            )
            tasks.create_task(courier.run(), name="webhooks")
            if self._config.heartbeat:
                beat = Heartbeat(self._config.heartbeat, self._alive_at_ms, self._clock_ms)
                tasks.create_task(beat.run(), name="heartbeat")

    async def _renew(self) -> None:
        """The rules may have changed while we were down."""
        async with self._turn:
            await self._work(lambda work, now_ms: work.renew(now_ms))

    async def _keep_tenure(self) -> None:
        while True:
            self._tenure.news.clear()
            turn = await self._clerk.insist(self._tenure.look)
            async with self._turn:
                self._lose(turn.lost)
                if turn.plan.give_up:  # nothing of them is half done: it is our turn
                    self._lose(turn.plan.give_up)
                    await self._clerk.insist(partial(self._tenure.give_up, turn.plan.give_up))
                if turn.plan.take:
                    await self._gain(turn.plan.take)
            undecided, self._undecided = self._undecided, []
            for site, message in undecided:
                self._pass_over(site, message)
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._tenure.news.wait()
            except TimeoutError:
                pass

    def _lose(self, sites: Collection[SiteId]) -> None:
        if sites := self._tenure.mine & set(sites):
            log.warning("other engines own these sites now", sites=sorted(sites))
            self._tenure.mine -= sites
            self._facts.leave(sites)

    async def _gain(self, sites: Sequence[SiteId]) -> None:
        """Know what is known of them, hear what was said of them of late, and ask the history for the rest."""
        rules, config = self._facts.rules, self._config
        load = partial(facts.load, self._database, config.kinds, rules, config.calendar, sites)
        self._facts.take_over(await self._clerk.insist(load))
        self._tenure.mine |= set(sites)
        log.info("these sites are ours now", sites=sorted(set(sites) - {LEAD}))
        words = [word for site in sites for word in self._tail.of(site)]

        def hear(work: Work, now_ms: int) -> None:
            work.renew(now_ms, sites)
            for word in (word for word in words if word.site in self._tenure.mine):
                self._take(work, word.topic, word.payload, now_ms)
            work.settle(now_ms)

        await self._work(hear)
        gained = {key for key in self._facts.streams if key[0] in sites}
        if gained:
            self._unsettled |= gained
            self._timers_from_ms = self._clock_ms() + SETTLE_MS
        self._publisher.news.set()

    def _pass_over(self, site: SiteId, message: Incoming) -> None:
        """A message of a site that is not ours, or was not when it came."""
        if site in self._tenure.mine or self._tenure.hear_of(site):
            message.ack()
        else:
            self._undecided.append((site, message))

    async def adopt_rules(self, rules: Rules, said: str) -> None:
        """Go by other rules from the next message on. What runs goes on by the rule that raised it."""
        async with self._turn:
            now_ms = self._clock_ms()
            await self._clerk.insist(lambda: versions.keep(self._database, rules, now_ms, said))
            self._facts.replace_rules(rules)
            await self._work(lambda work, now_ms: work.renew(now_ms))
            running = sum(map(len, self._facts.bygone.values()))
        log.info("the rules have changed", what=said, running_by_earlier_ones=running)

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_MS / 1000):
                await self._caught_up.wait()
        except TimeoutError:
            log.info("the history takes its time; live readings go first")
        while True:
            messages = self._order.sort(await self._arrived(), self._clock_ms())
            if messages or not self._order.waiting:
                await self._listen_to(messages)
            if past := self._order.portion():
                await self._listen_to(past)

    async def _listen_to(self, messages: Sequence[Incoming]) -> None:
        async with self._turn:
            await self._work(partial(self._hear, messages))
            for message in messages:
                site = self._site(message)
                if site is None or site in self._tenure.mine:
                    message.ack()
                else:
                    self._tail.keep(site, message.topic, message.payload, self._clock_ms())
                    self._pass_over(site, message)

    def _hear(self, messages: Sequence[Incoming], work: Work, now_ms: int) -> None:
        for message in messages:
            site = self._site(message)
            if site is None or site in self._tenure.mine:
                self._take(work, message.topic, message.payload, now_ms)
        work.settle(now_ms)
        if self._timers_may_fire(now_ms, idle=not messages and not self._order.waiting):
            work.wake(now_ms)

    @staticmethod
    def _site(message: Incoming) -> SiteId | None:
        """None: of no site, and for the log to complain about."""
        origin = topics.origin(message.topic)
        return origin.site if origin else None

    def _take(self, work: Work, topic: str, payload: bytes, now_ms: int) -> None:
        try:
            self._complain(topic, take(work, topic, payload, now_ms))
        except Undecodable:
            log.exception("a message that our decoder fails at; it is left out", topic=topic)

    async def _work(self, fill: Callable[[Work, int], None]) -> None:
        """Write what `fill` makes of our facts; if some of our sites have been taken meanwhile, of those that remain."""
        while True:
            now_ms = self._clock_ms()
            work = Work(self._facts)
            fill(work, now_ms)
            try:
                return await self._write(work, now_ms)
            except LeaseLost as lost:
                self._lose(lost.sites)

    async def _arrived(self) -> Sequence[Incoming]:
        """What has come, or nothing when a timer is due first, or the past waits."""
        if self._order.full:
            return ()
        due_ms = self._facts.next_wake_ms()
        wait_s = LOOK_S
        if due_ms is not None:
            wait_s = min(LOOK_S, max(0, max(due_ms, self._timers_from_ms) - self._clock_ms()) / 1000)
        if self._order.waiting:
            wait_s = 0
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
        await self._clerk.insist(
            lambda: facts.commit(self._database, work, now_ms, self._tenure.holder, self._practice)
        )
        self._facts.adopt(work)
        if work.found or work.abandoned:
            self._publisher.news.set()
        for found in work.found:
            if isinstance(found.change, Raised | Happened) and not found.rule.shadow:
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
            if self._bus.connected:
                self._heard_at_ms = self._clock_ms()
            await asyncio.sleep(BEAT_S)

    def _beat_once(self) -> bool:
        """Devices that only seem silent because we were down, are heard first."""
        hears, looks = self._bus.connected, self._caught_up.is_set() and self._tenure.leads
        holder, operators = self._tenure.holder, self._config.operators
        try:
            return facts.beat(
                self._database,
                self._clock_ms(),
                self._practice,
                hears=hears,
                looks=looks,
                operators=operators,
                holder=holder,
            )
        except LeaseLost:
            return False  # the next look at the tenure says so

    def _alive_at_ms(self) -> int:
        """When all that calling people needs was last done."""
        return min(self._heard_at_ms, self._escalation.looked_at_ms, self._sender.looked_at_ms)

    async def _audit(self) -> None:
        """What stands still is an alarm of its site, until it moves."""
        while True:
            await asyncio.sleep(auditor.LOOK_S)
            await self._clerk.insist(self._look_at_roll)
            mine = self._tenure.mine - {LEAD}
            look = partial(auditor.look, self._database, mine, self._practice, self._clock_ms())
            found = await self._clerk.insist(look) if mine else []
            for one in found:
                log.error("this should have moved", site=one.site, what=one.what, name=one.name)
            await self._tell_of(mine, Counter(one.site for one in found))

    async def _tell_of(self, mine: Collection[SiteId], stuck: Mapping[SiteId, int]) -> None:
        """What has changed for the calls of a site is an alarm of it, or the end of one."""
        audited = {site: self._audit_of(site, stuck) for site in mine}
        news = {site: found for site, found in audited.items() if found != self._known_of(site)}
        self._audited = audited
        if news:
            async with self._turn:
                await self._work(partial(_tell_audited, news))

    def _audit_of(self, site: SiteId, stuck: Mapping[SiteId, int]) -> Audited:
        fault = self._last_good.faults.get(site)
        old, unstaffed = (fault is not None and not fault.unstaffed), (fault is not None and fault.unstaffed)
        return Audited(stuck=stuck.get(site, 0), roster_old=old, unstaffed=unstaffed)

    def _known_of(self, site: SiteId) -> Audited | None:
        """None: something may have been said before our time."""
        told = (site, ENGINE, own.site_device(site)) in self._facts.devices
        return self._audited.get(site, None if told else Audited())

    def _site_of(self, site: str) -> Site | None:
        return self._roll.folder.sites.get(SiteId(site))

    def _look_at_roll(self) -> None:
        """Who is called follows the sites' files, and the book of who is away."""
        if self._last_good.look(self._clock_ms()):
            for site, fault in self._last_good.faults.items():
                if fault.unstaffed:
                    log.error("nobody is known to be on duty: every call goes to the desk", site=site, why=fault.why)
                else:
                    log.error("the site's file is refused; the last good one is in force", site=site, why=fault.why)
            if not self._last_good.faults:
                log.info("who is called", sites=len(self._roll.folder.sites))
        with self._database.reading() as connection:
            self._roll.changes = book.changes(connection, self._clock_ms())

    async def _keep_evidence(self) -> None:
        """What was said before an alarm is kept with it; a history that is away is asked again later."""
        await self._caught_up.wait()
        wait_s = EVIDENCE_EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = EVIDENCE_EVERY_S
            if not self._tenure.leads:
                continue
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
        gaps: dict[StreamKey, Gap] = {}
        ask_at_ms = 0
        while True:
            if self._unsettled and self._clock_ms() >= ask_at_ms:
                for key in list(self._unsettled):
                    if await self._settle(key):
                        self._unsettled.discard(key)
                ask_at_ms = self._clock_ms() + catchup.GRACE_MS
            self._caught_up.set()
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
        unheard: list[int] = []

        def hear(work: Work, now_ms: int) -> None:
            unheard[:] = [number for number in portion.packs if not work.is_heard(key, number)]
            if site in self._tenure.mine and unheard:
                work.hear(site, edge, portion.readings, now_ms)
                for number in unheard if portion.last else ():
                    work.heard(key, number, now_ms)

        async with self._turn:
            await self._work(hear)
        if not unheard or not portion.last or site not in self._tenure.mine:
            return 0
        log.info("missed packs, read from the history", site=site, edge=edge, packs=len(unheard))
        return len(unheard)
