"""A line on which devices speak by themselves: everything that comes goes to its ear, and what the ear answers goes back."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn

import structlog

from edge.configuration.tables import LineSettings
from edge.sources.ears import Ear
from edge.sources.port import LinkError, Port, backoff_s, open_port, open_tcp
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Value

log = structlog.get_logger("line")


class StreamLine:
    """A `Source`. `deliver` may wait: then the line waits."""

    def __init__(
        self, settings: LineSettings, ear: Ear, vitals: Vitals, deliver: Deliver, *, clock_ms: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._ear = ear
        self.vitals = vitals
        self._deliver = deliver
        self._clock_ms = clock_ms

    async def run(self) -> NoReturn:
        failures = 0
        while True:
            try:
                port = await self._opened()
                try:
                    log.info("port is there", line=self._settings.name, port=self._settings.where)
                    failures = 0
                    self.vitals.is_open()
                    self._ear.begin()
                    await self._listen(port)
                finally:
                    await port.close()
            except LinkError as error:
                failures += 1
                if self.vitals.is_closed(error.why):
                    log.warning("port is away", line=self._settings.name, port=self._settings.where, why=str(error))
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _opened(self) -> Port:
        if self._settings.host is not None:
            return await open_tcp(self._settings.host, self._settings.tcp_port)
        return await open_port(self._settings)

    async def _listen(self, port: Port) -> NoReturn:
        while True:
            data = await port.read()
            now_ms = self._clock_ms()
            readings, spoke, answers = self._ear.hear(data, now_ms)
            self.vitals.strays = self._ear.damaged
            for device in spoke:
                if self.vitals.devices[device].heard(now_ms):
                    log.info("device is back", device=device)
            if readings:
                await self._deliver(readings, partial(_answer, port, answers) if answers else None)
            elif answers:
                _answer(port, answers)


def _answer(port: Port, answers: bytes) -> None:
    """That it was heard; called when it is on disk."""
    with suppress(LinkError):  # it has gone, and will say it all again
        port.write(answers)
