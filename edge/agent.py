"""The edge agent: where its parts meet.

sources -> reporter -> intake -> outbox on disk -> uplink -> receipt -> row deleted
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import structlog

from edge.clock import Clock
from edge.config import Config, of
from edge.disk import Disk
from edge.intake import Intake
from edge.models.message import JsonModel
from edge.models.modbus import ModbusModel
from edge.report import Reporter
from edge.sources.listener import Listener
from edge.sources.modbus_line import ModbusLine
from edge.sources.source import Deliver, Source
from edge.uplink import Uplink
from messages.reading import Reading

CLOCK_EVERY_S = 10.0
MOST_AHEAD_MS = 5_000

log = structlog.get_logger("clock")


def build(
    config: Config, disk: Disk, *, clock_ms: Callable[[], int], software: str
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """The agent's tasks, in the order in which they should start."""
    uplink = Uplink(
        config.site,
        config.edge,
        config.uplink,
        {device.id: device.announcement for device in config.devices},
        disk,
        clock_ms=clock_ms,
        software=software,
    )
    intake = Intake(disk, uplink.woken, uplink.cry)
    reporter = Reporter({device.id: device.kind for device in config.devices})

    async def deliver(readings: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        await intake.put(reporter.select(readings), then)

    return [intake.run, uplink.run, *(source.run for source in sources(config, deliver, clock_ms=clock_ms))]


def sources(config: Config, deliver: Deliver, *, clock_ms: Callable[[], int]) -> list[Source]:
    """Whatever readings come from: one task each, and none waits for another."""
    found: list[Source] = []
    for name, line in config.lines.items():
        on_line = config.on_line(name)
        if slaves := of(ModbusModel, on_line):
            found.append(ModbusLine(line, slaves, deliver, clock_ms=clock_ms))
    if config.local and (publishers := of(JsonModel, config.on_broker())):
        found.append(Listener(config.site, config.edge, config.local, publishers, deliver, clock_ms=clock_ms))
    return found


async def run(config: Config, clock: Clock, *, software: str) -> None:
    """Until cancelled. Raises ConfigError if the outbox can't be kept where the configuration says."""
    async with Disk(config.folder, config.edge, config.outbox_limit_bytes, clock.now_ms) as disk:
        clock.not_before(disk.newest_ms)
        async with asyncio.TaskGroup() as tasks:
            for task in build(config, disk, clock_ms=clock.now_ms, software=software):
                tasks.create_task(task())
            tasks.create_task(watch(clock))


async def watch(clock: Clock) -> NoReturn:
    """Say it once when the wall clock was set back, and when it has caught up."""
    was_ahead = False
    while True:
        ahead_ms = clock.ahead_ms()
        if ahead_ms > MOST_AHEAD_MS and not was_ahead:
            log.warning("the clock was set back; readings go on from where it was", ahead_s=ahead_ms // 1000)
        elif was_ahead and ahead_ms <= MOST_AHEAD_MS:
            log.info("the clock has caught up with the readings")
        was_ahead = ahead_ms > MOST_AHEAD_MS
        await asyncio.sleep(CLOCK_EVERY_S)
