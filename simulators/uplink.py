"""The uplink: a TCP relay between the edge and its server that can be cut and restored.

A cut resets every connection and refuses new ones, as a lost route looks from above TCP at its worst: no goodbye.
"""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

from messages.settings import ConfigError
from simulators.block import Uplink

CHUNK_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: close() sends RST and forgets what was not sent."""


class Relay:
    """Relays for as long as the context is open, and is not cut."""

    def __init__(self, settings: Uplink) -> None:
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        try:
            await self.restore()
        except OSError as error:
            raise ConfigError(f"uplink.listen_port {self._settings.listen_port}: {error.strerror}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def cut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for writer in self._writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def restore(self) -> None:
        """Raises OSError if the port has been taken."""
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1", self._settings.listen_port)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted in the very moment of the cut
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.add(writer)
        try:
            await self._relay_to_target(reader, writer)
        except asyncio.CancelledError:
            return  # the cut; this coroutine is the whole task
        finally:
            writer.close()
            self._writers.discard(writer)
            self._connections.discard(task)

    async def _relay_to_target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(
                self._settings.target_host, self._settings.target_port
            )
        except OSError:
            return  # the server is away: whoever called sees the connection close, and tries again
        self._writers.add(far_writer)
        directions = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            far_writer.close()
            self._writers.discard(far_writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either end is gone."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
