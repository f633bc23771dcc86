"""A window into a running agent: a socket beside its outbox that says once a second what the agent sees.

For whoever may read the agent's folder, and nobody else. It takes no orders: what is sent to it is not read.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog

from edge.installer.snapshot import Snapshot, dump, load
from messages.settings import ConfigError

FILE = "tap.sock"
EVERY_S = 1.0
MOST_READERS = 8
LIMIT_BYTES = 16 * 1024 * 1024
"""Of one snapshot: some 50,000 channels."""

log = structlog.get_logger("tap")


class Tap:
    """`run` is one task. `look` gives the present snapshot."""

    def __init__(self, folder: Path, look: Callable[[], Snapshot]) -> None:
        self._path = folder / FILE
        self._look = look
        self._readers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever, or until it turns out that there can be no socket here: the agent does without."""
        try:
            self._path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                server = await asyncio.start_unix_server(self._tell, self._path)
            finally:
                os.umask(before)
        except OSError as error:
            log.warning("`gridcall edge monitor` can't look into this agent", why=str(error))
            return
        try:
            async with server:
                await server.serve_forever()
        finally:
            for reader in self._readers:  # who looks on shall not go on looking at an agent that is over
                reader.cancel()

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._readers) >= MOST_READERS:
            writer.close()
            return
        self._readers.add(task)
        try:
            while True:
                writer.write(dump(self._look()) + b"\n")
                await writer.drain()
                await asyncio.sleep(EVERY_S)
        except (ConnectionError, BrokenPipeError, asyncio.CancelledError):
            pass
        finally:
            self._readers.discard(task)
            writer.close()


async def snapshots(folder: Path) -> AsyncIterator[Snapshot]:
    """What the agent in `folder` sees, once a second. Raises OSError if there is none, or when it ends;
    ConfigError if it is of another version."""
    reader, writer = await asyncio.open_unix_connection(folder / FILE, limit=LIMIT_BYTES)
    try:
        while line := await reader.readline():
            try:
                seen = load(line)
            except ValueError as error:
                raise ConfigError(
                    "{file}: the agent here is of another version: restart it", file=folder / FILE
                ) from error
            yield seen
        raise ConnectionResetError("the agent has ended")
    finally:
        writer.close()
