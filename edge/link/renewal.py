"""When a link is hung up and made anew, though nobody lost it: it has gone deaf, or its files were replaced on disk."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from edge.link.watchdog import Watchdog
from messages.broker import Broker
from messages.bus import Bus
from messages.settings import ConfigError

LOOK_EVERY_S = 1.0
FILES_EVERY_S = 10.0

log = structlog.get_logger("uplink")


async def when_deaf(bus: Bus, watchdog: Watchdog, waits: Callable[[], bool]) -> NoReturn:
    """A link that is up, and over which nothing comes. `waits`: whether packs are out that have no receipt."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if bus.connected and (why := watchdog.look(loop.time(), waits=waits())):
            bus.renew(why)


async def when_files_change(bus: Bus, broker: Broker) -> NoReturn:
    """A certificate or password that is replaced on disk is used from then on, once it is whole."""
    used, said = await asyncio.to_thread(broker.fingerprint), ""
    while True:
        await asyncio.sleep(FILES_EVERY_S)
        try:
            if (found := await asyncio.to_thread(broker.fingerprint)) == used:
                continue
            await asyncio.to_thread(broker.check)
        except ConfigError as error:
            if said != (said := str(error)):
                log.warning("new certificate or password can't be used yet", why=said)
            continue
        used, said = found, ""
        bus.renew("certificate or password was replaced")
