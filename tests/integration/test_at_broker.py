"""Devices and phones of the simulators at a broker that takes connections and says nothing: they end, and so do their connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from simulators.at_broker import at_broker

PATIENCE_S = 0.5


class Mute:
    """A broker that hears and says nothing. `gone`: so many connections have ended."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            self.heard.set()
        self.gone.set()
        writer.close()


@asynccontextmanager
async def mute() -> AsyncIterator[tuple[Mute, int]]:
    broker = Mute()
    server = await asyncio.start_server(broker.take, "127.0.0.1", 0)
    async with server:
        yield broker, server.sockets[0].getsockname()[1]


async def stay(port: int) -> None:
    async with at_broker(aiomqtt.Client("127.0.0.1", port, timeout=PATIENCE_S)):
        pytest.fail("nobody has let it in")


async def test_whoever_is_cancelled_while_it_connects_leaves_no_connection_behind() -> None:
    async with mute() as (broker, port):
        staying = asyncio.create_task(stay(port))
        await broker.heard.wait()
        staying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await staying
        await asyncio.wait_for(broker.gone.wait(), 5)


async def test_a_broker_that_lets_nobody_in_is_left() -> None:
    async with mute() as (broker, port):
        with pytest.raises(aiomqtt.MqttError, match="timed out"):
            await stay(port)
        await asyncio.wait_for(broker.gone.wait(), 5)
