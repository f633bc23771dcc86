"""The process of an edge agent: what outlives a configuration, and the turn to a new one on SIGHUP.

Outbox, book and clock are opened once. Everything else is built from the configuration and can be built anew: a wrong new
configuration is refused in one line of the log, and the last good one runs on.
"""

import asyncio
import contextlib
import signal
from pathlib import Path

import structlog

from edge import agent, timepiece
from edge.acting.book import Book
from edge.clock import Clock
from edge.configuration.check import parse
from edge.configuration.config import Config
from edge.keeping.disk import Disk
from edge.systemd import ServiceManager
from messages.settings import ConfigError

log = structlog.get_logger("agent")


async def run(path: Path, clock: Clock, *, software: str, manager: ServiceManager) -> None:
    """Until cancelled. Raises ConfigError for a configuration that is wrong at the start."""
    config = parse(path)
    wanted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)
    async with (
        Disk(
            config.folder,
            config.edge,
            config.outbox_limit_bytes,
            clock.now_ms,
            true_ms=lambda: clock.offset_ms,
            boot=timepiece.boot(),
        ) as disk,
        Book(config.folder, clock.now_ms) as book,
        asyncio.TaskGroup() as tasks,
    ):
        clock.begin(disk.newest_ms, was_trusted=disk.clock_was_trusted)
        tasks.create_task(timepiece.watch(clock, disk))
        tasks.create_task(_stay_alive(manager))
        try:
            while True:
                built = agent.build(config, disk, book, clock, software=software)
                running = tasks.create_task(built.run())
                manager.ready(f"{len(config.devices)} devices")
                config = await _next(path, config, wanted, clock, manager)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                disk.limit_to(config.outbox_limit_bytes)
        finally:
            manager.stopping()


async def _next(path: Path, old: Config, wanted: asyncio.Event, clock: Clock, manager: ServiceManager) -> Config:
    """The configuration to turn to, once one is wanted and is good."""
    while True:
        await wanted.wait()
        wanted.clear()
        manager.reloading(clock.steady_ms() * 1000)
        try:
            new = await asyncio.to_thread(parse, path)
        except ConfigError as error:
            log.error("the new configuration is refused, the last good one runs on", why=str(error))
        else:
            if (fixed := (old.site, old.edge, old.folder)) == (new.site, new.edge, new.folder):
                log.info("turned to the new configuration", devices=len(new.devices))
                return new
            now = (new.site, new.edge, new.folder)
            log.error("site, edge and folder are for a restart; the last good one runs on", old=fixed, new=now)
        manager.ready(f"{len(old.devices)} devices; the last new configuration was refused")


async def _stay_alive(manager: ServiceManager) -> None:
    """Twice in the time that the service manager waits, for as long as the loop runs."""
    while manager.watchdog_s is not None:
        manager.alive()
        await asyncio.sleep(manager.watchdog_s / 2)
