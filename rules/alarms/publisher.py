"""Tells the world: each open alarm retained on its topic, an empty payload when it is over.

It follows the log, so it sees what the engine found and what people did alike, and goes on after a restart where it
was: the cursor moves only when the broker has answered. At every new connection all open alarms are said again,
since a broker may have forgotten them: in small portions with rests (rules.alarms.recital), behind what is new, and not before everything
that was overdue has fired. Nobody waits for the ten thousandth alarm while a call is due.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from messages import topics
from messages.alarm import encode
from messages.bus import Bus, Disconnected, Refused
from rules.alarms import recital
from rules.alarms.published import UNSAID, published
from rules.records import Alarm
from rules.store import database, rows
from rules.store.clerk import Clerk
from rules.store.database import Database

LINES_AT_ONCE = 200
LOOK_EVERY_S = 0.5
"""The engine's own lines are known at once; people act in another process."""
REST, MOST_REST_S = 9, 10.0
"""After a portion of what is open it rests nine times as long as that took, up to ten seconds."""

log = structlog.get_logger("rules")


class Publisher:
    """One per engine. `run` once; `news` is set when the log has grown."""

    def __init__(
        self, bus: Bus, database: Database, clerk: Clerk, leads: Callable[[], bool], late: Callable[[], bool]
    ) -> None:
        """`leads`: whether it is this one of several engines that tells. `late`: whether something overdue has still to fire."""
        self.news = asyncio.Event()
        self._bus = bus
        self._database = database
        self._clerk = clerk
        self._leads = leads
        self._late = late
        self._place: recital.Place | None = None
        """How far the open alarms are said again; None: all are."""
        self._rests_until_s = 0.0
        self._refused = False

    async def run(self) -> None:
        """Until cancelled."""
        told, fails = 0, False
        while True:
            try:
                session = await self._bus.up()
                if not self._leads():
                    told, self._place = 0, None
                elif session != told:
                    told, self._place = session, recital.BEGINNING
                if told:
                    await self._tell_news()
                    await self._tell_open()
                fails = False
            except Disconnected as error:
                if not fails:
                    log.warning("alarms can't be published", why=str(error))
                fails = True
                await asyncio.sleep(LOOK_EVERY_S)
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self.news.wait()
            except TimeoutError:
                pass
            self.news.clear()

    def _pause_s(self) -> float:
        """How long nothing is to be told, unless there is news."""
        if self._place is None:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.0, self._rests_until_s - asyncio.get_running_loop().time()))

    async def _tell_open(self) -> None:
        """A portion of it, when it is time for one."""
        clock_s = asyncio.get_running_loop().time
        if self._place is None or clock_s() < self._rests_until_s:
            return
        if self._late():
            self._rests_until_s = clock_s() + LOOK_EVERY_S
            return
        began_s = clock_s()
        alarms, self._place = await self._clerk.insist(partial(recital.portion, self._database, self._place))
        for alarm in alarms:
            await self._tell(alarm)
        self._rests_until_s = clock_s() + min(REST * (clock_s() - began_s), MOST_REST_S)

    async def _tell_news(self) -> None:
        while news := await self._clerk.insist(self._news):
            last_seq, alarms = news
            for alarm in alarms:
                await self._tell(alarm)
            if not self._leads():
                return
            await self._clerk.insist(partial(database.set_counter, self._database, "published", last_seq))

    def _news(self) -> tuple[int, list[Alarm]] | None:
        """How far the log has come, and the alarms that changed since; None if it has not."""
        seq = database.counter(self._database, "published")
        with self._database.reading() as connection:
            lines = rows.log_after(connection, seq, LINES_AT_ONCE)
            if not lines:
                return None
            telling = [line for line in lines if not line.event.startswith(UNSAID)]
            return lines[-1].seq, rows.alarms_in(connection, telling) if telling else []

    async def _tell(self, alarm: Alarm) -> None:
        if not self._leads():  # another one tells by now; what we know may be old
            return
        payload = encode(published(alarm)) if alarm.open else b""
        try:
            await self._bus.publish(topics.alarm(alarm.site, alarm.id), payload, retain=True)
        except Refused as error:
            if not self._refused:
                log.error("the broker takes no alarms from us; its access rules?", why=str(error))
            self._refused = True
        else:
            self._refused = False
