"""Dry contacts on the pins of one GPIO chip, by the kernel's character device (libgpiod 2, gpiod on PyPI).

The kernel debounces, times and queues the edges; each becomes a reading of the moment it happened. Once a second all pins
are read as well: that is how the device is known to be there, and how an edge that the kernel's queue lost is made good.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NoReturn, Protocol

import gpiod
import structlog
from gpiod.line import Bias, Direction, Edge, Value

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.gpio import GpioChannel, GpioModel
from edge.sources.port import backoff_s
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages import reading as readings
from messages.ids import DeviceId
from messages.language import why
from messages.reading import Reading

LOOK_EVERY_S = 1.0
EVENTS_KEPT = 1024
"""By the kernel, for all pins together."""
CONSUMER = "gridcall"
_BIASES = {"pull-up": Bias.PULL_UP, "pull-down": Bias.PULL_DOWN, "none": Bias.DISABLED}

log = structlog.get_logger("contacts")


class Pins(Protocol):
    """As much of gpiod.LineRequest as is used."""

    @property
    def fd(self) -> int: ...

    def wait_edge_events(self, timeout: timedelta) -> bool:
        """Whether the kernel has any queued."""

    def read_edge_events(self) -> Sequence[gpiod.EdgeEvent]:
        """What is queued; blocks if nothing is. Times are of CLOCK_MONOTONIC, as the event loop's are."""

    def get_values(self) -> Sequence[Value]:
        """In the order of the request."""

    def release(self) -> None: ...


Request = Callable[[str, Mapping[int, GpioChannel]], Pins]
"""Chip and pins -> the pins, opened. Raises OSError."""


class GpioChip:
    """A `Source`. `deliver` may wait: then the kernel keeps the edges."""

    def __init__(
        self,
        settings: LineSettings,
        contacts: Sequence[Device[GpioModel]],
        deliver: Deliver,
        *,
        clock_ms: Callable[[], int],
        request: Request,
    ) -> None:
        self._settings = settings
        self._contacts = {contact.pin: contact for contact in contacts}
        self._deliver = deliver
        self._clock_ms = clock_ms
        self._request = request
        self.vitals = Vitals.of(settings.name, [contact.id for contact in contacts])

    async def run(self) -> NoReturn:
        failures = 0
        while True:
            try:
                pins = self._request(self._settings.where, {pin: _channel(it)[1] for pin, it in self._contacts.items()})
                try:
                    log.info("chip is there", line=self._settings.name, chip=self._settings.where)
                    failures = 0
                    self.vitals.is_open()
                    await self._watch(pins)
                finally:
                    pins.release()
            except OSError as error:
                failures += 1
                if self.vitals.is_closed(said := why(error)):
                    log.warning("chip is away", line=self._settings.name, chip=self._settings.where, why=str(said))
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: readings.Value | None) -> None:
        raise CannotAct(f"{device} can't be told to {command}")

    async def _watch(self, pins: Pins) -> NoReturn:
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pins.fd, woken.set)
        try:
            while True:
                await self._hear(self._now(pins))
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await woken.wait()
                except TimeoutError:
                    continue
                woken.clear()
                if pins.wait_edge_events(timedelta()):  # the loop may wake twice for the same edges
                    await self._hear([self._happened(event) for event in pins.read_edge_events()])
        finally:
            loop.remove_reader(pins.fd)

    def _now(self, pins: Pins) -> list[Reading]:
        at_ms = self._clock_ms()
        return [
            self._said(contact, value is Value.ACTIVE, at_ms)
            for contact, value in zip(self._contacts.values(), pins.get_values(), strict=True)
        ]

    def _happened(self, event: gpiod.EdgeEvent) -> Reading:
        ago_ms = max(round(asyncio.get_running_loop().time() * 1000) - event.timestamp_ns // 1_000_000, 0)
        active = event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
        return self._said(self._contacts[event.line_offset], active, self._clock_ms() - ago_ms)

    def _said(self, contact: Device[GpioModel], active: bool, at_ms: int) -> Reading:
        self.vitals.devices[contact.id].heard(at_ms)
        return Reading(device=contact.id, channel=_channel(contact)[0], at_ms=at_ms, value=active)

    async def _hear(self, said: list[Reading]) -> None:
        if said:
            await self._deliver(said)


def request(chip: str, pins: Mapping[int, GpioChannel]) -> Pins:
    """From the kernel. Raises OSError: no such chip, no such pin, or somebody else has it."""
    settings: dict[Any, gpiod.LineSettings | None] = {
        pin: gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias=_BIASES[channel.bias],
            active_low=channel.active_low,
            debounce_period=timedelta(seconds=channel.debounce_s),
        )
        for pin, channel in pins.items()
    }
    try:
        opened: Pins = gpiod.request_lines(chip, settings, consumer=CONSUMER, event_buffer_size=EVENTS_KEPT)
    except ValueError as error:
        raise OSError(str(error)) from error
    return opened


def _channel(contact: Device[GpioModel]) -> tuple[str, GpioChannel]:
    return next(iter(contact.model.channels.items()))
