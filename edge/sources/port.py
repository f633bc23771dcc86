"""An open line: bytes as they come, from a serial port or a TCP connection, and what has gone said as LinkError.

Knows no protocol.
"""

import asyncio
import os
import re
import socket
import termios
from functools import partial

import serial
import serial.rs485
import serial_asyncio_fast

from edge.configuration.tables import LineSettings, Rs485Settings
from messages.language import Phrase, phrase, why

FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 30.0
CONNECT_LIMIT_S = 10.0
CLOSED = phrase("the other end has closed the connection")
GONE = phrase("it has gone, or another program reads it too")
"""What pyserial says in a paragraph when there is something to read and nothing comes."""
LIMIT_BYTES = 64 * 1024
"""What may lie unread: somebody who babbles between two questions gets no more memory than this."""


_NUMBER = re.compile(r"\[Errno (\d+)\]")
"""Where an error only quotes those of the kernel: pyserial's reads, a name that has several addresses."""


class LinkError(Exception):
    """The port is away; retry later, with back-off."""

    def __init__(self, said: Phrase) -> None:
        self.why = said
        super().__init__(str(said))


class Port(asyncio.Protocol):
    """Bytes of an open port as they come."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._why = CLOSED
        self._serial: serial.Serial | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._serial = getattr(transport, "serial", None)

    def data_received(self, data: bytes) -> None:
        if len(self._received) + len(data) > LIMIT_BYTES:
            self._received.clear()
        self._received += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._why = plain_words(exc) if exc else CLOSED
        self._gone.set_result(None)
        self._arrived.set()

    def discard(self) -> bool:
        """Forget what came unasked, also what the kernel still holds; whether there was any. Raises LinkError."""
        self.check()
        any_came = bool(self._received)
        self._received.clear()
        if self._serial is not None:
            try:
                any_came = any_came or self._serial.in_waiting > 0
                self._serial.reset_input_buffer()
            except (OSError, termios.error) as error:
                raise LinkError(plain_words(error)) from error
        return any_came

    def drive_rs485(self, settings: Rs485Settings) -> None:
        """Let the driver switch the transmitter. Raises LinkError if it can't: it was asked for, and without it nothing is heard."""
        assert self._serial is not None
        try:
            self._serial.rs485_mode = serial.rs485.RS485Settings(
                rts_level_for_tx=settings.rts_on_send,
                rts_level_for_rx=not settings.rts_on_send,
                delay_before_tx=settings.delay_before_s,
                delay_before_rx=settings.delay_after_s,
            )
        except (OSError, ValueError) as error:
            no_mode = phrase(
                "this port's driver knows no RS-485 mode: {why}; leave `rs485` out", why=plain_words(error)
            )
            raise LinkError(no_mode) from error

    def write(self, frame: bytes) -> None:
        self.transport.write(frame)

    def take(self, most: int) -> bytes:
        """What has arrived, at most `most` bytes, maybe none."""
        data = bytes(self._received[:most])
        del self._received[:most]
        return data

    async def read(self) -> bytes:
        """What has arrived, at least one byte. Raises LinkError."""
        while not self._received:
            self.check()
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._received)
        self._received.clear()
        return data

    async def close(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()  # close() would wait until the far end has read everything
        await self._gone

    def check(self) -> None:
        """Raises LinkError if it has gone."""
        if self._gone.done():
            raise LinkError(self._why)


async def open_port(settings: LineSettings) -> Port:
    """The serial port of a line. Raises LinkError."""
    assert settings.port is not None, "a line with a host has none"
    how = {
        "baudrate": settings.baudrate,
        "bytesize": settings.data_bits,
        "parity": settings.parity,
        "stopbits": settings.stop_bits,
        "exclusive": True,
    }
    loop = asyncio.get_running_loop()
    try:
        if settings.port.startswith("socket://"):
            transport, port = await serial_asyncio_fast.create_serial_connection(loop, Port, settings.port, **how)
        else:
            opened = await loop.run_in_executor(None, partial(serial.serial_for_url, settings.port, **how))
            try:
                transport, port = await serial_asyncio_fast.connection_for_serial(loop, Port, opened)
            except BaseException:
                opened.close()  # its lock would keep us out the next time, and hide what was wrong
                raise
    except (OSError, termios.error, ValueError) as error:
        raise LinkError(plain_words(error)) from error
    assert isinstance(port, Port)
    port.connection_made(transport)  # the loop would do it in its next turn
    if settings.rs485 is not None:
        try:
            port.drive_rs485(settings.rs485)
        except LinkError:
            await port.close()
            raise
    return port


async def open_tcp(host: str, tcp_port: int) -> Port:
    """A connection to a gateway or a device. Raises LinkError."""
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            _, port = await asyncio.get_running_loop().create_connection(Port, host, tcp_port)
    except TimeoutError as error:
        raise LinkError(phrase("no connection in {limit:g} s", limit=CONNECT_LIMIT_S)) from error
    except OSError as error:
        raise LinkError(plain_words(error)) from error
    return port


def plain_words(error: Exception) -> Phrase:
    """Why a port failed, for people."""
    if isinstance(error, serial.SerialException) and "returned no data" in str(error):
        return GONE
    if isinstance(error, socket.gaierror):  # its numbers are not the kernel's
        return why(error)
    number = getattr(error, "errno", None)  # pyserial's own words repeat the path twice
    if isinstance(error, termios.error) and isinstance(error.args[0], int):
        number = error.args[0]
    if not number and (quoted := _NUMBER.search(str(error))):
        number = int(quoted[1])
    return Phrase(os.strerror(number) if number and number > 0 else str(error))


def backoff_s(failures: int) -> float:
    """Seconds until the port is tried again after `failures` failures in a row, before jitter."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(failures, 16), MOST_BACKOFF_S)
