"""One serial line: opens its port, asks what is due, one request in flight, and hands on what is answered.

A port that can't be opened or has gone is tried again for ever, with back-off; said once when it goes and once when
it is there. So is a slave. What arrives outside a request's time is stale and thrown away before the next one.
Which request is due is decided in schedule.py, whether a reply is good in protocols/modbus_rtu.py.
"""

import asyncio
import os
import random
import termios
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import serial_asyncio_fast
import structlog

from edge import registers
from edge.config import LineSettings, Slave
from edge.protocols import modbus_rtu
from edge.protocols.modbus_rtu import Judge, Refused, Request, Values, Verdict
from edge.schedule import PATIENCE, Poll, Schedule, polls
from messages.reading import Reading

FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 30.0

log = structlog.get_logger("line")


class LinkError(Exception):
    """The port is away; retry later, with back-off."""


class Line:
    """`run` is one task. `deliver` may wait: then the line waits."""

    def __init__(
        self,
        settings: LineSettings,
        slaves: Sequence[Slave],
        deliver: Callable[[list[Reading]], Awaitable[None]],
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._slaves = {slave.device.id: slave for slave in slaves}
        self._health = {slave.device.id: _Health(slave.device.id) for slave in slaves}
        self._deliver = deliver
        self._clock_ms = clock_ms

    async def run(self) -> None:
        failures, said = 0, ""
        while True:
            try:
                port = await _open(self._settings)
                try:
                    log.info("port is there", line=self._settings.name, port=self._settings.port)
                    failures, said = 0, ""
                    await self._poll(port)
                finally:
                    await port.close()
            except LinkError as error:
                failures += 1
                if str(error) != said:
                    said = str(error)
                    log.warning("port is away", line=self._settings.name, port=self._settings.port, why=said)
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def _poll(self, port: "_Port") -> None:
        loop = asyncio.get_running_loop()
        all_polls = [
            poll for slave in self._slaves.values() for poll in polls(slave.device.id, slave.unit, slave.model)
        ]
        schedule = Schedule(all_polls, loop.time())
        while True:
            poll, due_s = schedule.next()
            await asyncio.sleep(max(due_s - loop.time(), modbus_rtu.silent_interval_s(self._settings.baudrate)))
            verdict = await self._ask(port, poll.request)
            if verdict is None:
                schedule.silent(poll, loop.time())
            else:
                schedule.answered(poll, loop.time())
            self._health[poll.device].judge(verdict)
            if isinstance(verdict, Values):
                await self._deliver(self._readings(poll, verdict))

    async def _ask(self, port: "_Port", request: Request) -> Verdict | None:
        """What came back; None for silence. Raises LinkError."""
        frame, judge = modbus_rtu.encode(request), Judge(request)
        port.discard()
        port.write(frame)
        on_the_wire_s = modbus_rtu.transmission_s(len(frame) + request.reply_bytes, self._settings.baudrate)
        try:
            async with asyncio.timeout(on_the_wire_s + self._settings.timeout_s):
                while (verdict := judge.feed(await port.read())) is None:
                    pass
        except TimeoutError:
            return judge.time_is_over()
        if not isinstance(verdict, Values | Refused):
            await self._let_the_line_fall_silent(port)
        return verdict

    async def _let_the_line_fall_silent(self, port: "_Port") -> None:
        """Whoever is talking must end first, or the next request is lost too; but nobody may talk for ever."""
        quiet_s = max(10 * modbus_rtu.silent_interval_s(self._settings.baudrate), 0.02)  # adapters deliver in bursts
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                while True:
                    async with asyncio.timeout(quiet_s):
                        await port.read()
        except TimeoutError:
            pass

    def _readings(self, poll: Poll, values: Values) -> list[Reading]:
        kind = self._slaves[poll.device].device.kind
        at_ms = self._clock_ms()
        return list(registers.readings(poll.device, kind, poll.channels, poll.request.address, values.raw, at_ms))


class _Health:
    """Counts of one slave's answers, and its going and returning, each said once."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._counts: Counter[str] = Counter()
        self._failures = 0
        self._refusal = ""

    def judge(self, verdict: Verdict | None) -> None:
        if isinstance(verdict, Values):
            self._counts["good"] += 1
            if self._failures >= PATIENCE:
                log.info("device is back", device=self._device, counts=dict(self._counts))
            self._failures, self._refusal = 0, ""
            return
        why = "no answer" if verdict is None else str(verdict)
        self._counts[why] += 1
        if isinstance(verdict, Refused):
            if why != self._refusal:
                log.warning("device refuses a request", device=self._device, why=why)
            self._refusal = why
            return
        self._failures += 1
        if self._failures == PATIENCE:
            log.warning("device is away", device=self._device, why=why, counts=dict(self._counts))


class _Port(asyncio.Protocol):
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


async def _open(settings: LineSettings) -> _Port:
    try:
        transport, port = await serial_asyncio_fast.create_serial_connection(
            asyncio.get_running_loop(),
            _Port,
            settings.port,
            baudrate=settings.baudrate,
            parity=settings.parity,
            stopbits=settings.stop_bits,
            exclusive=True,
        )
    except (OSError, termios.error, ValueError) as error:
        number = getattr(error, "errno", None)  # pyserial's own words repeat the path twice
        raise LinkError(os.strerror(number) if number else str(error)) from error
    assert isinstance(port, _Port)
    port.transport = transport
    return port


def backoff_s(failures: int) -> float:
    """Seconds until the port is tried again after `failures` failures in a row, before jitter."""
    return min(FIRST_BACKOFF_S * 2.0 ** min(failures, 16), MOST_BACKOFF_S)
