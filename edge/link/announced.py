"""Devices that the configuration has lost are withdrawn, so that nobody waits for them for ever.

Not before the outbox is empty: what it still holds of them would come to a collector that no longer knows them.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable

import structlog

from edge.acting.book import Book
from edge.keeping.disk import Disk
from messages.ids import DeviceId

LOOK_EVERY_S = 1.0

log = structlog.get_logger("uplink")


class Withdrawal:
    """`run` is one task; it ends when there is nothing to withdraw. `withdraw` returns when a broker has it."""

    def __init__(
        self,
        devices: Iterable[DeviceId],
        book: Book,
        disk: Disk,
        withdraw: Callable[[DeviceId], Awaitable[None]],
    ) -> None:
        self._devices = list(devices)
        self._book = book
        self._disk = disk
        self._withdraw = withdraw

    async def run(self) -> None:
        try:
            former = await self._book.do(Book.former, self._devices)
            if former:
                await self._until_empty()
            for device in former:
                await self._withdraw(device)
                await self._book.do(Book.forget, device)
                log.info("device is withdrawn: the configuration no longer has it", device=device)
        except (sqlite3.Error, OSError) as error:
            log.warning("devices that were removed stay announced", why=str(error))

    async def _until_empty(self) -> None:
        while True:
            if self._disk.stream is not None and (await self._disk.ledger()).figures.pending == 0:
                return
            await asyncio.sleep(LOOK_EVERY_S)
