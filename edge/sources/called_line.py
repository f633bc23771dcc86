"""A TCP port of the Pi on which stations call, as HJ 212 monitors do: one connection each, nothing asked.

Whoever reaches the port can say anything; so connections are few, a caller has a minute to say who it is, and a station that the
configuration doesn't know makes no reading. A message is answered when it is on disk.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import structlog

from edge.configuration.tables import LineSettings
from edge.sources.ears import Ear
from edge.sources.port import backoff_s, plain_words
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Value

MOST_CALLERS, MOST_STRANGERS = 64, 16
"""Connections in all, and of those the ones on which no station of ours has spoken yet: one more puts out the oldest."""
MOST_DAMAGED = 100
"""Pieces that are no packets, before a caller is put out: looking for the next packet in them costs time."""
AT_ONCE_BYTES = 4096
STRANGE_S, SILENT_S = 60.0, 3600.0
"""How long a caller may take to say who it is, and a station of ours may be silent: they send real-time data every few
minutes at least (HJ 212-2017 section 6.5)."""

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
        self._strangers: list[asyncio.Task[None]] = []
        self._callers: set[asyncio.Task[None]] = set()

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
                    log.warning("port is away", line=self._settings.name, port=self._settings.where, why=str(why))
            else:
                failures = 0
                self.vitals.is_open()
                try:
                    async with server:
                        await server.serve_forever()
                finally:
                    for caller in self._callers:  # nobody takes their readings any more
                        caller.cancel()
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        self._strangers.append(task)
        try:
            if len(self._strangers) > MOST_STRANGERS:
                self._strangers[0].cancel()
            if len(self._callers) > MOST_CALLERS:
                log.warning("too many callers", line=self._settings.name, most=MOST_CALLERS)
            else:
                await self._listen(task, reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # it calls again; that it is silent meanwhile is seen by its vitals
        finally:
            self._known(task)
            self._callers.discard(task)
            writer.close()

    def _known(self, task: asyncio.Task[None]) -> None:
        if task in self._strangers:
            self._strangers.remove(task)

    async def _listen(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ear, loop = self._new_ear(), asyncio.get_running_loop()
        until_s = loop.time() + STRANGE_S
        while ear.damaged < MOST_DAMAGED:
            async with asyncio.timeout_at(until_s):
                data = await reader.read(AT_ONCE_BYTES)
            if not data:
                return
            now_ms, damaged = self._clock_ms(), ear.damaged
            readings, spoke, answers = ear.hear(data, now_ms)
            self.vitals.strays += ear.damaged - damaged
            for device in spoke:
                if self.vitals.devices[device].heard(now_ms):
                    log.info("device is back", device=device)
            if spoke:
                self._known(task)
                until_s = loop.time() + SILENT_S
            if readings:
                await self._deliver(readings, partial(_answered, writer, answers) if answers else None)
            elif answers:
                _answered(writer, answers)
            await writer.drain()
        log.warning("a caller that speaks no HJ 212 is put out", line=self._settings.name)


def _answered(writer: asyncio.StreamWriter, answers: bytes) -> None:
    """That it was heard; called when it is on disk."""
    if not writer.is_closing():
        writer.write(answers)
