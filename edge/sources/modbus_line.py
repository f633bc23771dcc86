"""One Modbus line: asks what is due, one question in flight, writes between reads, and hands on what is answered.

A line that can't be opened or has gone is tried again for ever, with back-off; said once when it goes and once when
it is there. So is a slave. Which question is due is decided in schedule.py, what an answer is worth in
protocols/modbus.py, how a question travels in carrier.py.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.modbus import ModbusModel
from edge.protocols.modbus import Garbled, Refused, Values, Verdict, Write, Written
from edge.sources import carrier, registers
from edge.sources.carrier import Carrier
from edge.sources.port import LinkError, backoff_s
from edge.sources.schedule import Poll, Schedule, polls, probe_s
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Value

MOST_WRITES = 100
TRIES = 2
"""Of a write that nobody answered or that was garbled: what is written twice is written once."""

log = structlog.get_logger("line")


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """A write that waits for its turn."""

    device: DeviceId
    write: Write
    done: asyncio.Future[None]


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
        self._orders: deque[_Order] = deque()
        self._ordered = asyncio.Event()
        self._asked: dict[int, int] = {}
        self._deliver = deliver
        self._clock_ms = clock_ms

    async def run(self) -> NoReturn:
        failures = 0
        while True:
            try:
                opened = await carrier.opened(self._settings)
                try:
                    log.info("port is there", line=self._settings.name, port=self._settings.where)
                    failures = 0
                    self.vitals.is_open()
                    await self._poll(opened)
                finally:
                    await opened.close()
            except LinkError as error:
                failures += 1
                if self.vitals.is_closed(error.why):
                    log.warning("port is away", line=self._settings.name, port=self._settings.where, why=str(error))
                self._give_up(f"the line is away: {error}")
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        slave = self._slaves[device]
        how = slave.model.commands[command]
        try:
            words = registers.encoded(how, value)
        except ValueError as error:
            raise CannotAct(str(error)) from error
        if not self.vitals.open:
            raise CannotAct(f"the line is away: {self.vitals.why}")
        if len(self._orders) >= MOST_WRITES:
            raise CannotAct(f"{MOST_WRITES} commands wait for this line already")
        write = Write(slave.unit, how.table, how.address, words, many=how.many)
        order = _Order(device, write, asyncio.get_running_loop().create_future())
        self._orders.append(order)
        self._ordered.set()
        try:
            await order.done
        finally:
            if order in self._orders:  # nobody waits for it any more, and it has not been written
                self._orders.remove(order)

    async def _poll(self, opened: Carrier) -> NoReturn:
        loop = asyncio.get_running_loop()
        schedule = Schedule(
            [poll for slave in self._slaves.values() for poll in polls(slave.id, slave.unit, slave.model)], loop.time()
        )
        free_s, before = loop.time() + opened.gap_s, self.vitals.strays
        while True:
            poll, due_s = schedule.next(loop.time())
            await self._wait(max(due_s, free_s), free_s)
            if self._orders:
                await self._write(opened, self._orders.popleft())
            else:
                await self._read(opened, schedule, poll)
            self.vitals.strays = before + opened.strays
            free_s = loop.time() + opened.gap_s

    async def _wait(self, until_s: float, free_s: float) -> None:
        """Until a poll is due, or, once the line is free, a write is wanted."""
        loop = asyncio.get_running_loop()
        if not self._orders and until_s > free_s:
            self._ordered.clear()
            try:
                async with asyncio.timeout_at(until_s):
                    await self._ordered.wait()
            except TimeoutError:
                return
        if (rest_s := free_s - loop.time()) > 0:
            await asyncio.sleep(rest_s)

    async def _read(self, opened: Carrier, schedule: Schedule, poll: Poll) -> None:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        verdict = await opened.ask(poll.request, self._timeout_s(schedule, poll))
        now_s = loop.time()
        if _is_silence(verdict):
            schedule.silent(poll, now_s, now_s - asked_s)
        else:
            schedule.answered(poll, now_s, now_s - asked_s)
        self._judge(poll.device, verdict, now_s - asked_s)
        if isinstance(verdict, Values):
            kind, at_ms = self._slaves[poll.device].kind, self._clock_ms()
            found = registers.readings(poll.device, kind, poll.channels, poll.request.address, verdict.raw, at_ms)
            await self._deliver(list(found))

    def _timeout_s(self, schedule: Schedule, poll: Poll) -> float:
        """A unit that is silent is tried for no longer than it ever took to answer, most of the time.

        Not behind a host: a gateway goes on waiting for the silent one, and whoever is asked meanwhile waits behind it.
        """
        unit, full_s = poll.request.unit, self._settings.timeout_s
        if self._settings.host is not None or not schedule.is_probe(unit):
            self._asked.pop(unit, None)
            return full_s
        self._asked[unit] = self._asked.get(unit, 0) + 1
        usual_s = [vitals.latency_s for vitals in self.vitals.devices.values() if vitals.latency_s is not None]
        return probe_s(self._asked[unit], max(usual_s, default=full_s), full_s)

    async def _write(self, opened: Carrier, order: _Order) -> None:
        """Raises LinkError, after telling whoever waits for it."""
        if order.done.cancelled():
            return
        try:
            why = await self._written(opened, order)
        except LinkError as error:
            why = f"the line went away meanwhile: {error}; it may have been done"
            raise
        finally:
            if not order.done.done():
                if why:
                    order.done.set_exception(CannotAct(why))
                else:
                    order.done.set_result(None)

    async def _written(self, opened: Carrier, order: _Order) -> str:
        """Why it could not be done; "" if it was."""
        timeout_s = self._settings.timeout_s
        if not opened.may_write:
            slave = self._slaves[order.device]
            first = polls(slave.id, slave.unit, slave.model)[0]
            self._judge(order.device, await opened.ask(first.request, timeout_s), timeout_s)
            if not opened.may_write:
                return "nothing on this line has answered yet"
            await asyncio.sleep(opened.gap_s)
        verdict: Verdict | None = None
        for again in range(TRIES):
            if again:
                await asyncio.sleep(opened.gap_s)
            verdict = await opened.ask(order.write, timeout_s)
            match verdict:
                case Written():
                    return ""
                case Refused():
                    return str(verdict)
        return f"{verdict or 'no answer'}, {TRIES} times; it may have been done"

    def _give_up(self, why: str) -> None:
        """Whoever waits for a write learns that the line is away."""
        while self._orders:
            order = self._orders.popleft()
            if not order.done.done():
                order.done.set_exception(CannotAct(why))

    def _judge(self, device: DeviceId, verdict: Verdict | None, latency_s: float) -> None:
        """Count it, and say a slave's going and returning, each once."""
        vitals = self.vitals.devices[device]
        if isinstance(verdict, Values):
            if vitals.heard(self._clock_ms(), latency_s):
                log.info("device is back", device=device, faults=dict(vitals.faults))
            self._refusals.pop(device, None)
            return
        why = "no answer" if verdict is None else str(verdict)
        if vitals.failed(why, counts=isinstance(verdict, Garbled) or _is_silence(verdict)):
            log.warning("device is away", device=device, why=why, faults=dict(vitals.faults))
        if isinstance(verdict, Refused) and not verdict.is_silence:
            if why != self._refusals.get(device):
                log.warning("device refuses a request", device=device, why=why)
            self._refusals[device] = why


def _is_silence(verdict: Verdict | None) -> bool:
    return verdict is None or (isinstance(verdict, Refused) and verdict.is_silence)
