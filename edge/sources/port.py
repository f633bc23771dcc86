"""A serial port, open: bytes as they come, and what has gone said as LinkError. Knows no protocol."""

import asyncio
import os
import termios

import serial_asyncio_fast

from edge.config import LineSettings

FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 30.0


class LinkError(Exception):
    """The port is away; retry later, with back-off."""


class Port(asyncio.Protocol):
    """Bytes of an open port as they come."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._why = "closed"
        self.transport: serial_asyncio_fast.SerialTransport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._why = str(exc or "closed")
        self._gone.set_result(None)
        self._arrived.set()

    def discard(self) -> None:
        """Forget what came unasked. Raises LinkError."""
        self._check()
        port = self.transport.serial
        assert port is not None, "the transport keeps it until it says that it is lost"
        try:
            port.reset_input_buffer()
        except (OSError, termios.error) as error:
            raise LinkError(str(error)) from error
        self._received.clear()

    def write(self, frame: bytes) -> None:
        self.transport.write(frame)

    async def read(self) -> bytes:
        """What has arrived, at least one byte. Raises LinkError."""
        while not self._received:
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._received)
        self._received.clear()
        return data

    async def close(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()  # close() would wait until the far end has read everything
        await self._gone

    def _check(self) -> None:
        if self._gone.done():
            raise LinkError(self._why)


async def open_port(settings: LineSettings) -> Port:
    """Raises LinkError."""
    try:
        transport, port = await serial_asyncio_fast.create_serial_connection(
            asyncio.get_running_loop(),
            Port,
            settings.port,
            baudrate=settings.baudrate,
            parity=settings.parity,
            stopbits=settings.stop_bits,
            exclusive=True,
        )
    except (OSError, termios.error, ValueError) as error:
        number = getattr(error, "errno", None)  # pyserial's own words repeat the path twice
        raise LinkError(os.strerror(number) if number else str(error)) from error
    assert isinstance(port, Port)
    port.transport = transport
    return port


def backoff_s(failures: int) -> float:
    """Seconds until the port is tried again after `failures` failures in a row, before jitter."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(failures, 16), MOST_BACKOFF_S)
