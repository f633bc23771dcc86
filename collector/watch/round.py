"""Every half minute: are we well, and does every edge's ledger balance? The store is asked for what this collector hasn't seen, and
what is found is said: as a figure, in the log, and on the wire, where a rule makes an alarm of it."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from collector.intake.delivery import Announced
from collector.intake.desk import Desk
from collector.service import Service
from collector.stores.base import StoreError
from collector.watch import own_device
from collector.watch.ledger import Balance, EdgeKey
from collector.watch.own_device import Message, State
from messages import announcement as announcements
from messages import topics
from messages.announcement import Place
from messages.ids import COLLECTOR, DeviceId, SiteId

EVERY_S = 30.0
SAY_AGAIN_S = 600.0

log = structlog.get_logger("ledger")


class Watch:
    """Beside a service, on its loop. `remarks`: what of the broker is too small."""

    def __init__(
        self,
        service: Service,
        desk: Desk,
        *,
        clock_ms: Callable[[], int],
        name: str = "collector",
        remarks: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._service = service
        self._desk = desk
        self._clock_ms = clock_ms
        self._name = name
        self._remarks = remarks
        self._said: dict[EdgeKey, tuple[str | None, int]] = {}
        """What was said last of each edge, and when."""
        self._said_of_us: dict[SiteId, tuple[State, int]] = {}
        """And of ourselves, in each site."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        await self._say_how_we_are()
        breaches = 0
        for edge in list(self._service.ledger.edges):
            balance = await self._balance(edge)
            breaches += balance.breach is not None
            self._service.figures.missing_packs.labels(*edge).set(balance.missing_packs)
            await self._say(edge, balance)
        self._service.figures.breaches.set(breaches)

    async def _say_how_we_are(self) -> None:
        """On the wire of every site that we know."""
        used = await self._quarantine_used()
        state = State(self._service.away, self._service.locked_out, self._remarks(), used)
        now_ms = self._clock_ms()
        for site in sorted(
            {device[0] for device in self._desk.devices.known} | {edge[0] for edge in self._service.ledger.edges}
        ):
            before, at_ms = self._said_of_us.get(site, (None, 0))
            if before and before.grave == state.grave and now_ms - at_ms < SAY_AGAIN_S * 1000:
                continue
            self._said_of_us[site] = (state, now_ms)
            announced = own_device.announced_itself(site, self._name)
            await self._announce_and_say(site, announced, own_device.said_of_itself(site, self._name, state, now_ms))

    async def _quarantine_used(self) -> float:
        """Per cent of its bound; and the figures hear of it."""
        figures = self._service.figures
        try:
            held_bytes, dropped = await self._service.on_desk(self._desk.quarantine.size)
            counts = await self._service.on_desk(self._desk.quarantine.counts)
        except StoreError as error:
            log.warning("the quarantine can't be looked into", why=str(error))
            return 0.0
        figures.quarantine_bytes.set(held_bytes)
        figures.quarantine_dropped.set(dropped)
        figures.in_quarantine(counts)
        return 100 * held_bytes / self._desk.quarantine.most_bytes

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
        if edge[1] == COLLECTOR or (first and balance.breach is None and not self._place(edge)):
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
        announced = own_device.announced(edge, place)
        await self._announce_and_say(edge[0], announced, own_device.said(edge, balance, now_ms))

    async def _announce_and_say(self, site: SiteId, announced: Message, said: Message) -> None:
        origin = topics.origin(announced[0])
        assert origin is not None
        assert origin.device is not None
        # known here at once: the broker's echo of it may come after the readings
        device = (site, COLLECTOR, origin.device)
        self._desk.devices.hear(Announced(device, announcements.decode(announced[1])))
        for topic, payload, retain in (announced, said):
            await self._service.publish(topic, payload, retain=retain)

    def _place(self, edge: EdgeKey) -> Place | None:
        """Of the edge itself, or of any of its devices."""
        known = self._desk.devices.known
        own = known.get((edge[0], edge[1], DeviceId(edge[1])))
        some = own or next((announced for key, announced in known.items() if key[:2] == edge), None)
        return some.place if some else None
