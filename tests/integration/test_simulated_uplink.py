import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from messages.settings import ConfigError
from simulators.block import Uplink
from simulators.uplink import Relay
from tests.services import free_port
from tests.simulators import stage


@contextlib.asynccontextmanager
async def echo(port: int) -> AsyncIterator[asyncio.Queue[str]]:
    """A server that says back what it hears, and how its connections ended."""
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            ends.put_nowait("closed")
        except ConnectionResetError:
            ends.put_nowait("reset")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield ends
    finally:
        server.close()


async def said_back(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(words)
        return await asyncio.wait_for(reader.readexactly(len(words)), 10)
    finally:
        writer.close()


async def test_what_goes_in_comes_out_in_both_directions() -> None:
    uplink = Uplink(listen_port=free_port(), target_port=free_port())
    async with echo(uplink.target_port) as ends, Relay(uplink):
        words = bytes(range(256)) * 4096
        assert await said_back(uplink.listen_port, words) == words
        assert await asyncio.wait_for(ends.get(), 10) == "closed"


async def test_a_cut_resets_both_sides_and_refuses_newcomers_until_restored() -> None:
    uplink = Uplink(listen_port=free_port(), target_port=free_port())
    async with echo(uplink.target_port) as ends, Relay(uplink) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", uplink.listen_port)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 10) == b"hello"
        await relay.cut()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert await asyncio.wait_for(ends.get(), 10) == "reset"
        with pytest.raises(ConnectionRefusedError):
            await said_back(uplink.listen_port, b"anyone?")
        await relay.cut()
        await relay.restore()
        assert await said_back(uplink.listen_port, b"again") == b"again"


async def test_while_the_server_is_away_a_connection_is_closed_and_the_next_one_tries_again() -> None:
    uplink = Uplink(listen_port=free_port(), target_port=free_port())
    async with Relay(uplink):
        reader, writer = await asyncio.open_connection("127.0.0.1", uplink.listen_port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        async with echo(uplink.target_port):
            assert await said_back(uplink.listen_port, b"there") == b"there"


async def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    port = free_port()
    async with echo(port):
        with pytest.raises(ConfigError, match=f"uplink.listen_port {port}: "):
            async with Relay(Uplink(listen_port=port)):
                pass


async def test_a_scenario_cuts_and_restores(tmp_path: Path) -> None:
    block = replace(stage.block(tmp_path, uplink_port=free_port(), target_port=free_port()), line=None, broker=None)
    assert block.uplink is not None
    scenario = stage.scenario(tmp_path, block, '[[cuts]]\nat = "600ms"\nfor = "300ms"')
    async with echo(block.uplink.target_port) as ends, stage.played(block, scenario, tmp_path) as play:
        reader, writer = await asyncio.open_connection("127.0.0.1", block.uplink.listen_port)
        writer.write(b"hello")
        await asyncio.wait_for(reader.readexactly(5), 10)
        assert await asyncio.wait_for(ends.get(), 10) == "reset"
        writer.close()
        await play.until_said("uplink: restored")
        assert await said_back(block.uplink.listen_port, b"again") == b"again"
        marks = play.marks()
    assert marks["uplink restored"] - marks["uplink cut"] == 300
