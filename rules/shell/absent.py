"""Edges that people have declared gone (rules.gone), while the engine runs: their devices are forgotten, and what a broker still keeps of them is
not heard, nor what the collector goes on saying of its ledger. One that speaks all the same is back."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from messages import announcement, pack, status, topics
from messages.bus import Incoming
from messages.ids import COLLECTOR, ledger_of
from messages.topics import Origin
from rules import gone
from rules.engine.memory.plant import EdgeKey
from rules.engine.work import Work
from rules.shell.writer import Writer
from rules.store.clerk import Clerk
from rules.store.refusals import Apart
from rules.tenure import Tenure

LOOK_S = 2.0

log = structlog.get_logger("rules")


class Absent:
    """One per engine. `run` once, after `learn`."""

    def __init__(self, writer: Writer, tenure: Tenure, clerk: Clerk, clock_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._tenure = tenure
        self._clerk = clerk
        self._clock_ms = clock_ms
        self._gone: dict[EdgeKey, int] = {}
        """Since when."""

    async def learn(self) -> None:
        """What people have said meanwhile."""

        def known() -> dict[EdgeKey, int]:
            with self._tenure.database.reading() as connection:
                return gone.edges(connection)

        async with self._writer.turn:
            self._gone = await self._clerk.insist(known)
            for edge in self._gone:
                if edge[0] in self._tenure.mine and self._writer.facts.knows_of(edge):
                    log.info("this edge is gone: its devices are forgotten", site=edge[0], edge=edge[1])
                    await self._writer.work(partial(_forget, edge))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.learn()

    async def hears(self, messages: Sequence[Incoming]) -> Sequence[Incoming]:
        """Without what is only kept of edges that are gone. Hold the turn."""
        return [message for message in messages if await self._is_heard(message)] if self._gone else messages

    async def _is_heard(self, message: Incoming) -> bool:
        origin = topics.origin(message.topic)
        if origin is not None and origin.edge == COLLECTOR:
            return not self._is_of_a_ledger(origin, message.payload)
        if origin is None or (since_ms := self._gone.get((origin.site, origin.edge))) is None:
            return True
        if message.retain or not _speaks(origin, message.payload, since_ms):
            return False
        del self._gone[origin.site, origin.edge]
        if origin.site in self._tenure.mine:
            log.warning("an edge that was said to be gone is back", site=origin.site, edge=origin.edge)
            await self._clerk.insist(partial(self._come_back, (origin.site, origin.edge)))
        return True

    def _is_of_a_ledger(self, origin: Origin, payload: bytes) -> bool:
        """Of one that is kept of an edge that is gone, and of nothing else."""
        ledgers = {ledger_of(edge) for site, edge in self._gone if site == origin.site}
        if origin.leaf == "devices":
            return origin.device in ledgers
        if origin.leaf != "readings":
            return False
        try:
            devices = {reading.device for reading in pack.decode(payload).readings}
        except ValueError:
            return False
        return bool(devices) and devices <= ledgers

    def _come_back(self, edge: EdgeKey) -> None:
        now_ms = self._clock_ms()
        with self._tenure.database.writing() as connection:
            come_back = partial(gone.come_back, connection, edge, now_ms)
            Apart(connection, now_ms).done(edge[0], "edge", edge[1], come_back)


def _forget(edge: EdgeKey, work: Work, now_ms: int) -> None:
    work.forget(*edge, now_ms)


def _speaks(origin: Origin, payload: bytes, since_ms: int) -> bool:
    """Whether an edge itself says something new with a message: no last will, no receipt, nothing from before."""
    try:
        match origin.leaf:
            case "readings":
                return any(reading.at_ms > since_ms for reading in pack.decode(payload).readings)
            case "status":
                said = status.decode(payload)
                return said.online and (said.at_ms is None or said.at_ms > since_ms)
            case "devices":
                announcement.decode(payload)
                return True
            case _:
                return False
    except ValueError:
        return False
