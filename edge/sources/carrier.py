"""One question at a time to a Modbus line, and the verdict on what came back: over a serial port, or over TCP.

What arrives outside a question's time is stale and thrown away before the next one.
"""

import asyncio
from typing import Protocol

from edge.configuration.tables import LineSettings
from edge.protocols import modbus_rtu, modbus_tcp
from edge.protocols.modbus import Fault, Garbled, Question, Refused, Request, Values, Verdict
from edge.protocols.modbus_rtu import Judge, Pace
from edge.protocols.modbus_tcp import TcpJudge
from edge.sources.port import LinkError, Port, open_port, open_tcp
from messages.language import phrase

QUIET_S = 0.02
"""A line is quiet when nothing came for so long, or for ten silent intervals: adapters deliver in bursts."""
_OUT_OF_STEP = {
    Fault.NO_MODBUS: phrase("what came is no Modbus: the connection is out of step"),
    Fault.CUT_SHORT: phrase("an answer was cut short: the connection is out of step"),
}
"""What can't be told apart from what follows it: the connection is begun anew."""


class Carrier(Protocol):
    """An open line."""

    strays: int
    """Pieces that answered no question, so far."""
    gap_s: float
    """The silence that is kept before a question."""

    @property
    def may_write(self) -> bool:
        """Whether the answer to a write could be told from an echo: some answer to a read must have come before."""

    async def ask(self, question: Question, timeout_s: float) -> Verdict | None:
        """What came back; None for silence. `timeout_s`: until an answer begins. Raises LinkError."""

    async def close(self) -> None: ...


async def opened(settings: LineSettings) -> Carrier:
    """Raises LinkError."""
    if settings.host is None:
        return RtuCarrier(await open_port(settings), Pace(settings.baudrate or 0, settings.bits))
    port = await open_tcp(settings.host, settings.tcp_port)
    return TcpCarrier(port) if settings.framing == "tcp" else RtuCarrier(port, Pace(GATEWAYS_BAUDRATE))


GATEWAYS_BAUDRATE = 9600
"""Behind a gateway there is a serial line of unknown speed: this is a slow one."""


class RtuCarrier:
    """Frames of the serial line. An adapter that echoes what it sends is found out, and its echo taken off."""

    def __init__(self, port: Port, pace: Pace) -> None:
        self._port = port
        self._pace = pace
        self.gap_s = pace.silent_s
        self.strays = 0
        self._echoes: bool | None = None
        """None until an answer has shown whether the adapter echoes."""

    async def ask(self, question: Question, timeout_s: float) -> Verdict | None:
        self.strays += self._port.discard()
        frame = modbus_rtu.encode(question)
        self._port.write(frame)
        on_the_wire_s = self._pace.transmission_s(len(frame) + modbus_rtu.reply_bytes(question))
        heard = _Heard(question, frame, echo=self._echoes)
        try:
            async with asyncio.timeout(on_the_wire_s + timeout_s):
                while (verdict := heard.feed(await self._port.read())) is None:
                    pass
        except TimeoutError:
            verdict = heard.time_is_over()
        if isinstance(verdict, Values | Refused) and isinstance(question, Request):
            self._echoes = heard.echo
        if isinstance(verdict, Garbled):
            await self._fall_silent(timeout_s)
        return verdict

    @property
    def may_write(self) -> bool:
        return self._echoes is not None

    async def close(self) -> None:
        await self._port.close()

    async def _fall_silent(self, limit_s: float) -> None:
        """Whoever is talking must end first, or the next question is lost too; but nobody may talk for ever."""
        quiet_s = max(10 * self._pace.silent_s, QUIET_S)
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    async with asyncio.timeout(quiet_s):
                        await self._port.read()
        except TimeoutError:
            pass


class _Heard:
    """What comes back to one question, without the adapter's echo.

    The answer to a write of one value looks like its own echo, so a write never tells whether an adapter echoes: a read must
    have told before.
    """

    def __init__(self, question: Question, sent: bytes, *, echo: bool | None) -> None:
        self._judge = Judge(question)
        self._sent = sent
        self._held = bytearray()
        """What may still be an echo."""
        self.echo = echo

    def feed(self, data: bytes) -> Verdict | None:
        if self.echo is False or not self._sent:
            return self._judge.feed(data)
        self._held += data
        if len(self._held) < len(self._sent) and self._sent.startswith(self._held):
            return None
        is_echo = self._held.startswith(self._sent)
        if self.echo and not is_echo:
            return Garbled(Fault.BAD_ECHO)
        self.echo = is_echo
        rest = bytes(self._held[len(self._sent) :] if is_echo else self._held)
        self._held.clear()
        self._sent = b""
        return self._judge.feed(rest)

    def time_is_over(self) -> Verdict | None:
        """What to say when no more will come; None for silence, also for one that follows an echo."""
        if not self._held:
            return self._judge.time_is_over()
        return self._judge.feed(bytes(self._held)) or Garbled(Fault.CUT_SHORT)


class TcpCarrier:
    """Frames with a number, which ties an answer to its question."""

    gap_s = 0.0
    may_write = True

    def __init__(self, port: Port) -> None:
        self._port = port
        self._number = 0
        self.strays = 0

    async def ask(self, question: Question, timeout_s: float) -> Verdict | None:
        self.strays += self._port.discard()
        self._number = (self._number + 1) % modbus_tcp.NUMBERS
        judge = TcpJudge(question, self._number)
        self._port.write(modbus_tcp.encode(question, self._number))
        try:
            async with asyncio.timeout(timeout_s):
                while (verdict := judge.feed(await self._port.read())) is None:
                    pass
        except TimeoutError:
            verdict = judge.time_is_over()
        self.strays += judge.strays
        if isinstance(verdict, Garbled) and (why := _OUT_OF_STEP.get(verdict.fault)):
            raise LinkError(why)
        return verdict

    async def close(self) -> None:
        await self._port.close()
