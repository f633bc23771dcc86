"""One Modbus line: asks what is due, one request in flight, and hands on what is answered.

A port that can't be opened or has gone is tried again for ever, with back-off; said once when it goes and once when
it is there. So is a slave. What arrives outside a request's time is stale and thrown away before the next one.
Which request is due is decided in schedule.py, whether a reply is good in protocols/modbus_rtu.py.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from edge.config import Device, LineSettings
from edge.models.modbus import ModbusModel
from edge.protocols import modbus_rtu
from edge.protocols.modbus_rtu import Judge, Refused, Request, Values, Verdict
from edge.sources import registers
from edge.sources.port import LinkError, Port, backoff_s, open_port
from edge.sources.schedule import Poll, Schedule, polls
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Reading, Value

log = structlog.get_logger("line")


class ModbusLine:
    """A `Source`. `deliver` may wait: then the line waits."""

    def __init__(
        self,
        settings: LineSettings,
        slaves: Sequence[Device[ModbusModel]],
        deliver: Deliver,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._slaves = {slave.id: slave for slave in slaves}
        self.vitals = Vitals.of(settings.name, self._slaves)
        self._refusals: dict[DeviceId, str] = {}
        self._deliver = deliver
        self._clock_ms = clock_ms

    async def run(self) -> NoReturn:
        failures = 0
        while True:
            try:
                port = await open_port(self._settings)
                try:
                    log.info("port is there", line=self._settings.name, port=self._settings.port)
                    failures = 0
                    self.vitals.is_open()
                    await self._poll(port)
                finally:
                    await port.close()
            except LinkError as error:
                failures += 1
                if self.vitals.is_closed(str(error)):
                    log.warning("port is away", line=self._settings.name, port=self._settings.port, why=str(error))
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _poll(self, port: Port) -> NoReturn:
        loop = asyncio.get_running_loop()
        schedule = Schedule(
            [poll for slave in self._slaves.values() for poll in polls(slave.id, slave.unit, slave.model)], loop.time()
        )
        while True:
            poll, due_s = schedule.next()
            await asyncio.sleep(max(due_s - loop.time(), modbus_rtu.silent_interval_s(self._settings.baudrate)))
            asked_s = loop.time()
            verdict = await self._ask(port, poll.request)
            if verdict is None:
                schedule.silent(poll, loop.time())
            else:
                schedule.answered(poll, loop.time())
            self._judge(poll.device, verdict, loop.time() - asked_s)
            if isinstance(verdict, Values):
                await self._deliver(self._readings(poll, verdict))

    async def _ask(self, port: Port, request: Request) -> Verdict | None:
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

    async def _let_the_line_fall_silent(self, port: Port) -> None:
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
        kind = self._slaves[poll.device].kind
        at_ms = self._clock_ms()
        return list(registers.readings(poll.device, kind, poll.channels, poll.request.address, values.raw, at_ms))

    def _judge(self, device: DeviceId, verdict: Verdict | None, latency_s: float) -> None:
        """Count it, and say a slave's going and returning, each once."""
        vitals = self.vitals.devices[device]
        if isinstance(verdict, Values):
            if vitals.heard(self._clock_ms(), latency_s):
                log.info("device is back", device=device, faults=dict(vitals.faults))
            self._refusals.pop(device, None)
            return
        why = "no answer" if verdict is None else str(verdict)
        if vitals.failed(why, counts=not isinstance(verdict, Refused)):
            log.warning("device is away", device=device, why=why, faults=dict(vitals.faults))
        if isinstance(verdict, Refused):
            if why != self._refusals.get(device):
                log.warning("device refuses a request", device=device, why=why)
            self._refusals[device] = why
