"""The engine: hear, step, write, and only then acknowledge and publish. Its parts meet here (rules.shell, rules.alarms.publisher,
rules.escalation, rules.notices, rules.outside)."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

import structlog

from messages.bus import Bus
from messages.ids import SiteId
from messages.language import Phrase
from messages.settings import ConfigError
from rules.alarms.publisher import Publisher
from rules.cases.practice import Practice
from rules.config import Configuration
from rules.duty.last_good import LastGood
from rules.duty.roll import Roll
from rules.duty.site import Site
from rules.engine.intake import subscriptions
from rules.engine.memory.facts import Facts
from rules.escalation.loop import Escalation
from rules.language.rule import Rules
from rules.notices.sender import Sender
from rules.renewal import Renewal
from rules.shell.absent import Absent
from rules.shell.history import History
from rules.shell.listener import Listener
from rules.shell.opening import opened
from rules.shell.rounds import Rounds
from rules.shell.sites import Sites
from rules.shell.steady import Steady
from rules.shell.timekeeper import Timekeeper
from rules.shell.writer import Writer
from rules.store import versions
from rules.store.clerk import Clerk
from rules.store.database import DatabaseAway
from rules.store.leases import Holder, Superseded
from rules.tenure import Tenure

log = structlog.get_logger("rules")


async def run(config: Configuration, *, clock_ms: Callable[[], int], running_ms: Callable[[], int]) -> None:
    """Run the engine until cancelled. `running_ms`: as `rules.shell.steady` asks for."""
    steady = Steady(clock_ms, running_ms)
    clerk, reader = Clerk("rules-database"), Clerk("rules-history")
    tenure: Tenure | None = None
    try:
        holder = Holder(config.name, config.sites)
        clock_s = asyncio.get_running_loop().time
        ours, known = await clerk.insist(lambda: opened(config, holder, clock_s, steady()))
        tenure = ours
        if config.refused:
            log.error("the rule files are refused; the rules that were good last are in force", why=config.refused)
        log.info("ready", devices=len(known.devices), rules=sum(map(len, known.rules.values())))
        async with Bus(config.broker, config.client_id, subscribe=subscriptions(config.sites)) as bus:
            service = Service(bus, ours, known, config, clerk, reader, steady)
            changes = Renewal(config.files, config.look, service.adopt_rules, steady)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changes.asked.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(service.run(), name="engine")
                tasks.create_task(changes.run(known.rules), name="rule files")
                tasks.create_task(changes.remark(), name="remarks")
    except* Superseded as errors:
        raise ConfigError(Phrase(str(_first(errors)))) from errors
    finally:
        if tenure is not None:
            with contextlib.suppress(DatabaseAway):
                await clerk.call(tenure.leave)
        reader.close()
        clerk.close()
        config.store.close()


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


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
        clock_ms: Steady,
    ) -> None:
        self._tenure = tenure
        self._config = config
        self._clerk = clerk
        self._reader = reader
        self._clock_ms = clock_ms
        database = tenure.database
        self._roll = Roll(config.site_files, desk=config.desk)
        practice = Practice(
            config.policies, self._roll.ladder, config.calendar, config.figures, self._roll.owner, self._roll.home
        )
        self._publisher = Publisher(bus, database, clerk, lambda: tenure.leads, lambda: self._listener.late)
        news = self._publisher.news.set
        self._writer = Writer(tenure, known, clerk, practice, clock_ms, news)
        self._history = History(self._writer, tenure, config.store, reader, clock_ms)
        self._absent = Absent(self._writer, tenure, clerk, clock_ms)
        self._listener = Listener(bus, self._writer, tenure, self._history, self._absent, clock_ms)
        self._sites = Sites(tenure, config, clerk, self._writer, self._listener, self._history, news)
        self._rounds = Rounds(
            bus,
            tenure,
            self._writer,
            self._history,
            self._roll,
            LastGood(database, config.site_files),
            practice,
            clerk,
            clock_ms,
            operators=config.operators,
            late=lambda: self._listener.late,
            wrote=news,
        )
        self._timekeeper = Timekeeper(clock_ms, self._writer, tenure)
        self._sender = Sender(
            bus,
            database,
            config.ways,
            self._roll.find,
            practice,
            clock_ms,
            address_of_pages=config.pages,
            others=lambda: tenure.others,
        )
        self._escalation = Escalation(database, practice, clock_ms, news, lambda: tenure.others)

    async def run(self) -> None:
        """Until cancelled."""
        await self._clerk.insist(self._rounds.look_at_roll)  # before the first call
        async with self._writer.turn:  # the rules may have changed while we were down
            await self._writer.work(lambda work, now_ms: work.renew(now_ms))
        await self._absent.learn()
        if self._config.site_files.folder is None:
            log.warning("no site_files: nobody is known to be on duty, and every call goes to the desk")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._escalation.run(), name="escalation")
            tasks.create_task(self._timekeeper.run(), name="timekeeper")
            tasks.create_task(self._rounds.beat(), name="pulse")
            tasks.create_task(self._sites.run(), name="tenure")
            tasks.create_task(self._publisher.run(), name="publisher")
            tasks.create_task(self._history.run(), name="catch-up")
            tasks.create_task(self._listener.run(), name="listener")
            tasks.create_task(self._sender.run(), name="sender")
            tasks.create_task(self._absent.run(), name="edges that are gone")
            tasks.create_task(self._rounds.keep_evidence(self._config.store, self._reader), name="evidence")
            tasks.create_task(self._rounds.audit(), name="auditor")
            if self._config.hooks:  # what is set up is loaded now; what isn't, never
                from rules.outside.courier import Courier

                courier = Courier(
                    self._tenure.database, self._config.hooks, self._site_of, self._clock_ms, lambda: self._tenure.leads
                )
                tasks.create_task(courier.run(), name="webhooks")
            if self._config.heartbeat:
                from rules.escalation.heartbeat import Heartbeat

                beat = Heartbeat(self._config.heartbeat, self._alive_at_ms, self._clock_ms)
                tasks.create_task(beat.run(), name="heartbeat")

    async def adopt_rules(self, rules: Rules, said: str) -> None:
        """Go by other rules from the next message on. What runs goes on by the rule that raised it."""
        known = self._writer.facts
        async with self._writer.turn:
            now_ms = self._clock_ms()
            await self._clerk.insist(lambda: versions.keep(self._tenure.database, rules, now_ms, said))
            known.replace_rules(rules)
            await self._writer.work(lambda work, now_ms: work.renew(now_ms))
            running = sum(map(len, known.bygone.values()))
        log.info("the rules have changed", what=said, running_by_earlier_ones=running)

    def _alive_at_ms(self) -> int:
        """When all that calling people needs was last done."""
        return min(self._rounds.heard_at_ms, self._escalation.looked_at_ms, self._sender.looked_at_ms)

    def _site_of(self, site: str) -> Site | None:
        return self._roll.folder.sites.get(SiteId(site))
