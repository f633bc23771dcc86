"""Every half minute: does every edge's ledger balance? The store is asked for what this collector hasn't seen, and what it
finds is said: as a figure, in the log, and on the wire, where a rule makes an alarm of it."""

import asyncio
from collections.abc import Callable

import structlog

from collector.intake.delivery import Announced
from collector.intake.desk import Desk
from collector.service import Service
from collector.stores.base import StoreError
from collector.watch import own_device
from collector.watch.ledger import Balance, EdgeKey
from messages import announcement as announcements
from messages.announcement import Place
from messages.ids import DeviceId

EVERY_S = 30.0
SAY_AGAIN_S = 600.0

log = structlog.get_logger("ledger")


class Watch:
    """Beside a service, on its loop."""

    def __init__(self, service: Service, desk: Desk, *, clock_ms: Callable[[], int]) -> None:
        self._service = service
        self._desk = desk
        self._clock_ms = clock_ms
        self._said: dict[EdgeKey, tuple[str | None, int]] = {}
        """What was said last of each edge, and when."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        breaches = 0
        for edge in list(self._service.ledger.edges):
            balance = await self._balance(edge)
            breaches += balance.breach is not None
            self._service.figures.missing_packs.labels(*edge).set(balance.missing_packs)
            await self._say(edge, balance)
        self._service.figures.breaches.set(breaches)
        try:
            held_bytes, dropped = await self._service.on_desk(self._desk.quarantine.size)
            counts = await self._service.on_desk(self._desk.quarantine.counts)
        except StoreError as error:
            log.warning("the quarantine can't be looked into", why=str(error))
        else:
            self._service.figures.quarantine_bytes.set(held_bytes)
            self._service.figures.quarantine_dropped.set(dropped)
            self._service.figures.in_quarantine(counts)

    async def _balance(self, edge: EdgeKey) -> Balance:
        ledger = self._service.ledger
        if asked := ledger.unknown(edge, self._clock_ms()):
            stream, wanted = asked
            try:
                rows = await self._service.on_desk(lambda: self._desk.store.packs(*edge, stream, wanted))
            except StoreError as error:
                log.warning("the store can't be asked for packs", edge="/".join(edge), why=str(error))
                return Balance(missing_packs=0, breach=None)
            ledger.found(edge, stream, (row.number for row in rows))
        return ledger.balance(edge, self._clock_ms())

    async def _say(self, edge: EdgeKey, balance: Balance) -> None:
        now_ms = self._clock_ms()
        before, at_ms = self._said.get(edge, (None, 0))
        first = edge not in self._said
        if edge[1] == own_device.COLLECTOR or (first and balance.breach is None and not self._place(edge)):
            return
        if not first and before == balance.breach and now_ms - at_ms < SAY_AGAIN_S * 1000:
            return
        if before != balance.breach:
            if balance.breach:
                log.error("ledger does not balance", edge="/".join(edge), why=balance.breach)
            elif not first:
                log.info("ledger balances again", edge="/".join(edge))
        self._said[edge] = (balance.breach, now_ms)
        place = self._place(edge) or Place(grid="unknown", text=edge[1])
        topic, payload, retain = own_device.announced(edge, place)
        # known here at once: the broker's echo of it may come after the readings
        self._desk.devices.hear(
            Announced((edge[0], own_device.COLLECTOR, own_device.device_of(edge)), announcements.decode(payload))
        )
        for topic_, payload_, retain_ in ((topic, payload, retain), own_device.said(edge, balance, now_ms)):
            await self._service.publish(topic_, payload_, retain=retain_)

    def _place(self, edge: EdgeKey) -> Place | None:
        """Of the edge itself, or of any of its devices."""
        known = self._desk.devices.known
        own = known.get((edge[0], edge[1], DeviceId(edge[1])))
        some = own or next((announced for key, announced in known.items() if key[:2] == edge), None)
        return some.place if some else None
