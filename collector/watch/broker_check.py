"""Beside a service: after every connect, what of the broker is too small for us. Said in the log when it changes, and on /readyz."""

import asyncio
from pathlib import Path

import structlog

from collector.watch import queue_probe
from collector.watch.broker_limits import too_small
from messages.broker import Broker
from messages.bus import Bus

log = structlog.get_logger("collector")


class BrokerCheck:
    def __init__(self, inbox: Bus, outbox: Bus, broker: Broker, name: str, folder: Path, *, shares: bool) -> None:
        self._inbox, self._outbox = inbox, outbox
        self._broker, self._name, self._folder = broker, name, folder
        self._shares = shares
        self._told: list[str] = []
        self._queue: str | None = None

    @property
    def remarks(self) -> list[str]:
        """What is too small. None of it stops the collector."""
        return self._told + ([self._queue] if self._queue else [])

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._try_queue())
            session = 0
            while True:
                session = await self._inbox.up(session)
                welcome = self._inbox.welcome
                if welcome is None:
                    continue
                if session > 1 and not welcome.session_present:
                    log.warning("the broker has forgotten us; the edges will send again what it kept for us")
                found = too_small(welcome, shares=self._shares)
                for remark in found:
                    if remark not in self._told:
                        log.warning("the broker is too small", why=remark)
                if self._told and not found:
                    log.info("the broker is large enough now")
                self._told = found

    async def _try_queue(self) -> None:
        await self._inbox.up()
        await self._outbox.up()
        kept = await queue_probe.kept_for_the_absent(self._broker, self._name, self._folder)
        self._queue = queue_probe.too_little(kept) if kept is not None else None
        if self._queue:
            log.warning("the broker is too small", why=self._queue)
