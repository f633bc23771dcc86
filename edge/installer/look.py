"""Where snapshots come from: the running agent if there is one, else the devices themselves, read here and kept nowhere."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edge.agent import sources
from edge.configuration.config import Config
from edge.installer import tap
from edge.installer.access import SERVICE
from edge.installer.snapshot import Latest, Snapshot, aged, taken
from edge.sources.port import LinkError
from messages.language import phrase
from messages.owner import other_owner
from messages.reading import Reading
from messages.settings import ConfigError

EVERY_S, PATIENCE_S = 1.0, 10.0
AWAY = phrase("the agent is away")
"""Why no line is open."""


@asynccontextmanager
async def looking(config: Config, clock_ms: Callable[[], int]) -> AsyncIterator[tuple[bool, AsyncIterator[Snapshot]]]:
    """Whether an agent is running, and a snapshot every second. Raises ConfigError if there may be one, and this user may not look."""
    from_agent = tap.snapshots(config.folder)
    try:
        first = await anext(from_agent)
    except PermissionError as error:
        raise ConfigError(
            "{file}: this user may not look into the agent: sudo -u {user} gridcall edge …",
            file=config.folder / tap.FILE,
            user=other_owner(config.folder) or SERVICE,
        ) from error
    except OSError:
        pass
    else:
        yield True, _lasting(first, from_agent, config.folder)
        return
    latest: Latest = {}

    async def deliver(readings: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        """Messages are left unacknowledged: they are the agent's."""
        for reading in readings:
            latest[reading.device, reading.channel] = reading

    found = sources(config, deliver, clock_ms=clock_ms)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(source.run()) for source in found]
        try:
            lines = [line for source in found for line in source.vitals.lines()]
            yield False, _every_second(lambda: taken(clock_ms(), lines, latest))
        finally:
            for task in running:
                task.cancel()


async def _lasting(first: Snapshot, rest: AsyncIterator[Snapshot], folder: Path) -> AsyncIterator[Snapshot]:
    """Also past a reload of the agent, or a restart that is over soon. Raises LinkError when it is not.

    Meanwhile what was seen last grows old, and no line is open: nobody shall take it for the present.
    """
    yield first
    last, failures = first, 0
    while failures * EVERY_S < PATIENCE_S:
        try:
            async for snapshot in rest:
                failures = 0
                last = snapshot
                yield snapshot
        except OSError:
            failures += 1
            if failures > 1:  # a reload takes less
                last = aged(last, round(1000 * EVERY_S), AWAY)
                yield last
            await asyncio.sleep(EVERY_S)
            rest = tap.snapshots(folder)
    raise LinkError(phrase("the agent has ended"))


async def _every_second(look: Callable[[], Snapshot]) -> AsyncIterator[Snapshot]:
    while True:
        await asyncio.sleep(EVERY_S)
        yield look()
