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
from messages.language import Phrase, phrase
from messages.settings import ConfigError, mistake, text_of

START_SAID_EVERY_S = 30.0

log = structlog.get_logger("agent")


async def run(path: Path, clock: Clock, *, software: str, manager: ServiceManager) -> None:
    """Until cancelled. Raises ConfigError for a configuration that is wrong at the start."""
    config = parse(path)
    starting = asyncio.create_task(_still_starting(manager))
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
        starting.cancel()
        clock.begin(disk.newest_ms, was_trusted=disk.clock_was_trusted)
        tasks.create_task(timepiece.watch(clock, disk))
        tasks.create_task(_stay_alive(manager))
        try:
            files = _Files(path, config)
            while True:
                config = files.good
                built = agent.build(config, disk, book, clock, software=software, refused=lambda: files.refused)
                running = tasks.create_task(built.run())
                manager.ready(f"{len(config.devices)} devices")
                await files.turn(wanted, clock, manager)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                disk.limit_to(files.good.outbox_limit_bytes)
        finally:
            manager.stopping()


class _Files:
    """The configuration that is run by, and what is wrong with the one that lies on disk."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self.good = config
        self.refused: Phrase | None = None

    async def turn(self, wanted: asyncio.Event, clock: Clock, manager: ServiceManager) -> None:
        """Until a new configuration is `wanted` and good."""
        while True:
            await wanted.wait()
            wanted.clear()
            manager.reloading(clock.steady_ms() * 1000)
            try:
                new = await asyncio.to_thread(parse, self._path)
                for_a_restart(self._path, self.good, new)
            except ConfigError as error:
                self._refuse(error.phrase)
            except Exception as error:
                log.exception("a configuration is refused by a mistake of ours")
                self._refuse(phrase("{path}: a mistake of ours: {error!r}", path=self._path, error=repr(error)))
            else:
                self.good, self.refused = new, None
                log.info("turned to the new configuration", devices=len(new.devices))
                return
            manager.ready(f"{len(self.good.devices)} devices; the new configuration is refused: {self.refused}")

    def _refuse(self, what: Phrase) -> None:
        self.refused = what
        log.error("the new configuration is refused, the last good one runs on", why=str(what))


def for_a_restart(path: Path, old: Config, new: Config) -> None:
    """Raises ConfigError for what can't change while the agent runs: the outbox bears these names."""
    for field in ("site", "edge", "folder"):
        was, wanted = getattr(old, field), getattr(new, field)
        if was != wanted:
            what = phrase("from {was} to {wanted} by a restart only", was=was, wanted=wanted)
            raise mistake(path, text_of(path), (field,), what)


async def _still_starting(manager: ServiceManager) -> None:
    """A large outbox on a slow card is looked through for minutes before it is used. Killed in the midst, it would be so for ever."""
    while True:
        manager.starting(2 * START_SAID_EVERY_S)
        await asyncio.sleep(START_SAID_EVERY_S)


async def _stay_alive(manager: ServiceManager) -> None:
    """Twice in the time that the service manager waits, for as long as the loop runs."""
    while manager.watchdog_s is not None:
        manager.alive()
        await asyncio.sleep(manager.watchdog_s / 2)
