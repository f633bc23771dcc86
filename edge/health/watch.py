"""Looks at the edge itself every few seconds, and says what it sees as readings."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from edge.health import figures, host
from edge.health.figures import Expected
from edge.health.lines import Lines
from edge.keeping.disk import Disk
from edge.vitals import Vitals
from messages.ids import DeviceId, EdgeId
from messages.language import Phrase
from messages.reading import Reading

EVERY_S = 10.0
TURN_MS = 1000
"""A clock that comes so far from the steady one between two looks was put right."""

log = structlog.get_logger("health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is looked at."""

    edge: EdgeId
    folder: Path
    outbox_limit_bytes: int
    lines: Sequence[Vitals]
    expected: Mapping[DeviceId, Expected]


class HealthWatch:
    """`run` is one task."""

    def __init__(
        self,
        watched: Watched,
        disk: Disk,
        deliver: Callable[[list[Reading]], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
        clock_trusted: Callable[[], bool],
        refused: Callable[[], Phrase | None],
    ) -> None:
        self._watched = watched
        self._disk = disk
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._clock_trusted = clock_trusted
        self._refused = refused
        self._lines = Lines(watched.edge, watched.lines, watched.expected)

    async def run(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        started_s, started_at_ms = loop.time(), self._clock_ms()
        offset_ms = started_at_ms - 1000 * started_s
        looked_s = started_s
        while True:
            await asyncio.sleep(EVERY_S)
            seen = await asyncio.to_thread(host.figures, self._watched.folder)
            refuses = self._disk.refuses
            ledger = None if refuses or self._disk.stream is None else await self._disk.ledger()
            now_ms = self._clock_ms()
            if abs(turned_ms := round(now_ms - 1000 * loop.time() - offset_ms)) > TURN_MS:
                offset_ms += turned_ms
                started_at_ms += turned_ms
                self._lines.clock_turned(turned_ms, now_ms)
            readings = list(
                figures.of_agent(
                    self._watched.edge,
                    seen,
                    ledger.figures if ledger else None,
                    self._watched.outbox_limit_bytes,
                    clock_trusted=self._clock_trusted(),
                    disk_refuses=refuses,
                    refused=str(self._refused() or ""),
                    running_s=loop.time() - started_s,
                    now_ms=now_ms,
                )
            )
            passed_ms, looked_s = round(1000 * (loop.time() - looked_s)), loop.time()
            await self._deliver(readings + self._lines.look(passed_ms, started_at_ms, now_ms))
