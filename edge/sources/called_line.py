"""A TCP port of the Pi on which stations call, as HJ 212 monitors do: one connection each, nothing asked.

Whoever reaches the port can say anything; so connections are few, silent ones are closed, and a station that the
configuration doesn't know makes no reading.
"""

import asyncio
import random
from collections.abc import Callable
from typing import NoReturn

import structlog

from edge.configuration.tables import LineSettings
from edge.sources.ears import Ear
from edge.sources.port import backoff_s, plain_words
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Value

MOST_CALLERS = 64
AT_ONCE_BYTES = 4096
SILENT_S = 3600.0
"""Stations send real-time data at least every few minutes (HJ 212-2017 section 6.5); one that is silent for an hour has gone."""

log = structlog.get_logger("line")


class CalledLine:
    """A `Source`. `deliver` may wait: then the callers wait."""

    def __init__(
        self,
        settings: LineSettings,
        ear: Callable[[], Ear],
        vitals: Vitals,
        deliver: Deliver,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._new_ear = ear
        self.vitals = vitals
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._callers = 0

    async def run(self) -> NoReturn:
        failures = 0
        assert self._settings.listen is not None
        while True:
            try:
                server = await asyncio.start_server(self._answer, self._settings.address, self._settings.listen)
            except OSError as error:
                failures += 1
                why = plain_words(error)
                if self.vitals.is_closed(why):
                    log.warning("port is away", line=self._settings.name, port=self._settings.where, why=why)
            else:
                failures = 0
                self.vitals.is_open()
                async with server:
                    await server.serve_forever()
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers > MOST_CALLERS:
                log.warning("too many callers", line=self._settings.name, most=MOST_CALLERS)
            else:
                await self._listen(reader, writer)
        except (OSError, TimeoutError):
            pass  # it calls again; that it is silent meanwhile is seen by its vitals
        finally:
            self._callers -= 1
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ear = self._new_ear()
        while True:
            async with asyncio.timeout(SILENT_S):
                data = await reader.read(AT_ONCE_BYTES)
            if not data:
                return
            now_ms, damaged = self._clock_ms(), ear.damaged
            readings, spoke, answers = ear.hear(data, now_ms)
            self.vitals.strays += ear.damaged - damaged
            for device in spoke:
                if self.vitals.devices[device].heard(now_ms):
                    log.info("device is back", device=device)
            if readings:
                await self._deliver(readings)
            if answers:
                writer.write(answers)
                await writer.drain()
