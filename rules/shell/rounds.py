"""What the engine does every now and then, beside hearing: its pulse, its look at open alarms, the auditor, the evidence, the roll."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from collector.stores.base import Store, StoreError, StoreRefused
from messages.bus import Bus
from messages.ids import SiteId
from rules.alarms import evidence
from rules.cases.practice import Practice
from rules.duty import book
from rules.duty.last_good import LastGood
from rules.duty.roll import Roll
from rules.engine import own
from rules.engine.found import Audited
from rules.engine.own import ENGINE
from rules.engine.share import BEAT_S, LEAD
from rules.engine.work import Work
from rules.escalation import auditor
from rules.shell.history import History
from rules.shell.writer import Writer
from rules.store import facts
from rules.store.clerk import Clerk
from rules.store.leases import LeaseLost
from rules.tenure import Tenure

EVIDENCE_EVERY_S, EVIDENCE_LATER_S = 1.0, 30.0
REST, MOST_REST_S = 9, 10.0
"""A look at tens of thousands of open alarms takes a while, and nobody else writes meanwhile: it rests nine times as long, up to ten seconds."""

log = structlog.get_logger("rules")


class Rounds:
    """One per engine. Each of `beat`, `audit` and `keep_evidence` runs once, until cancelled."""

    def __init__(
        self,
        bus: Bus,
        tenure: Tenure,
        writer: Writer,
        history: History,
        roll: Roll,
        last_good: LastGood,
        practice: Practice,
        clerk: Clerk,
        clock_ms: Callable[[], int],
        *,
        operators: Mapping[SiteId, int],
        late: Callable[[], bool],
        wrote: Callable[[], None],
    ) -> None:
        """`late`: whether something overdue has still to fire. `wrote`: called when the log has grown."""
        self._bus = bus
        self._tenure = tenure
        self._writer = writer
        self._history = history
        self._roll = roll
        self._last_good = last_good
        self._practice = practice
        self._clerk = clerk
        self._clock_ms = clock_ms
        self._operators = operators
        self._late = late
        self._wrote = wrote
        self._audited: dict[SiteId, Audited] = {}
        """How it stood with the calls of each site when we last looked."""
        self.heard_at_ms = 0
        """When we last wrote down that we live, with the broker at hand."""

    async def beat(self) -> None:
        clock_s = asyncio.get_running_loop().time
        look_at_s = clock_s()
        while True:
            began_s = clock_s()
            looks = began_s >= look_at_s and not self._late()
            if await self._clerk.insist(partial(self._beat_once, looks)):
                self._wrote()
            if looks:
                look_at_s = clock_s() + min(REST * (clock_s() - began_s), MOST_REST_S)
            if self._bus.connected:
                self.heard_at_ms = self._clock_ms()
            await asyncio.sleep(BEAT_S)

    def _beat_once(self, looks: bool) -> bool:
        """Devices that only seem silent because we were down, are heard first."""
        looks = self._history.caught_up.is_set() and self._tenure.leads and looks
        try:
            return facts.beat(
                self._tenure.database,
                self._clock_ms(),
                self._practice,
                hears=self._bus.connected,
                looks=looks,
                operators=self._operators,
                holder=self._tenure.holder,
            )
        except LeaseLost:
            return False  # the next look at the tenure says so

    async def audit(self) -> None:
        """What stands still is an alarm of its site, until it moves."""
        while True:
            await asyncio.sleep(auditor.LOOK_S)
            await self._clerk.insist(self.look_at_roll)
            mine = self._tenure.mine - {LEAD}
            look = partial(auditor.look, self._tenure.database, mine, self._practice, self._clock_ms())
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
            async with self._writer.turn:
                await self._writer.work(partial(_tell_audited, news))

    def _audit_of(self, site: SiteId, stuck: Mapping[SiteId, int]) -> Audited:
        fault = self._last_good.faults.get(site)
        old, unstaffed = (fault is not None and not fault.unstaffed), (fault is not None and fault.unstaffed)
        disputed = len(self._writer.facts.disputed(site))
        return Audited(stuck=stuck.get(site, 0), roster_old=old, unstaffed=unstaffed, disputed=disputed)

    def _known_of(self, site: SiteId) -> Audited | None:
        """None: something may have been said before our time."""
        told = (site, ENGINE, own.site_device(site)) in self._writer.facts.devices
        return self._audited.get(site, None if told else Audited())

    def look_at_roll(self) -> None:
        """Who is called follows the sites' files, and the book of who is away. Raises DatabaseAway."""
        if self._last_good.look(self._clock_ms()):
            for site, fault in self._last_good.faults.items():
                if fault.unstaffed:
                    log.error("nobody is known to be on duty: every call goes to the desk", site=site, why=fault.why)
                else:
                    log.error("the site's file is refused; the last good one is in force", site=site, why=fault.why)
            if not self._last_good.faults:
                log.info("who is called", sites=len(self._roll.folder.sites))
        with self._tenure.database.reading() as connection:
            self._roll.changes = book.changes(connection, self._clock_ms())

    async def keep_evidence(self, store: Store, reader: Clerk) -> None:
        """What was said before an alarm is kept with it; a history that is away is asked again later."""
        await self._history.caught_up.wait()
        database = self._tenure.database
        wait_s = EVIDENCE_EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = EVIDENCE_EVERY_S
            if not self._tenure.leads:
                continue
            found = list[tuple[evidence.Wanting, evidence.Course]]()
            for alarm in await self._clerk.insist(lambda: evidence.wanting(database, self._clock_ms())):
                try:
                    found.append((alarm, await reader.call(partial(evidence.course, store, alarm))))
                except StoreRefused:
                    found.append((alarm, {}))
                except StoreError:  # the catch-up says so
                    wait_s = EVIDENCE_LATER_S
                    break
            await self._clerk.insist(partial(evidence.keep, database, found, self._clock_ms()))


def _tell_audited(news: Mapping[SiteId, Audited], work: Work, now_ms: int) -> None:
    for site, found in news.items():
        work.audited(site, found, now_ms)
