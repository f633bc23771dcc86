"""Looks at the edge itself every few seconds, and says what it sees as readings."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from edge.health import figures, host
from edge.health.figures import Counted, Expected
from edge.keeping.disk import Disk
from edge.vitals import Vitals
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading

EVERY_S = 10.0
RATES_EVERY = 30
"""Looks between two error rates: a rate over a few questions says nothing. Counts are said with them."""
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
        refused: Callable[[], str],
    ) -> None:
        self._watched = watched
        self._disk = disk
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._clock_trusted = clock_trusted
        self._refused = refused
        self._before: dict[DeviceId, Counted] = {}
        self._looks = 0

    async def run(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        started_s, started_at_ms = loop.time(), self._clock_ms()
        offset_ms = started_at_ms - 1000 * started_s
        while True:
            await asyncio.sleep(EVERY_S)
            seen = await asyncio.to_thread(host.figures, self._watched.folder)
            refuses = self._disk.refuses
            ledger = None if refuses or self._disk.stream is None else await self._disk.ledger()
            now_ms = self._clock_ms()
            if abs(turned_ms := round(now_ms - 1000 * loop.time() - offset_ms)) > TURN_MS:
                offset_ms += turned_ms
                started_at_ms += turned_ms
                for line in self._watched.lines:
                    for vitals in line.devices.values():
                        vitals.clock_turned(turned_ms, now_ms)
            readings = list(
                figures.of_agent(
                    self._watched.edge,
                    seen,
                    ledger.figures if ledger else None,
                    self._watched.outbox_limit_bytes,
                    clock_trusted=self._clock_trusted(),
                    disk_refuses=refuses,
                    refused=self._refused(),
                    running_s=loop.time() - started_s,
                    now_ms=now_ms,
                )
            )
            await self._deliver(readings + self._of_lines(started_at_ms, now_ms))

    def _of_lines(self, started_at_ms: int, now_ms: int) -> list[Reading]:
        rates = self._looks % RATES_EVERY == 0
        self._looks += 1
        readings: list[Reading] = []
        for line in self._watched.lines:
            silent = {
                device
                for device, vitals in line.devices.items()
                if figures.is_silent(vitals, self._watched.expected[device], started_at_ms, now_ms)
            }
            for device, vitals in line.devices.items():
                expected, before = self._watched.expected[device], self._before.get(device, Counted())
                readings += figures.of_link(
                    device, vitals, line, expected, before, silent=device in silent, now_ms=now_ms
                )
            readings += figures.of_line(self._watched.edge, line, self._before, silent, now_ms)
        if not rates:
            return [reading for reading in readings if reading.channel not in figures.COUNTS]
        for line in self._watched.lines:
            self._before |= {device: Counted.of(vitals) for device, vitals in line.devices.items()}
        return readings
