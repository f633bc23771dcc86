"""What all sources have in common: how readings leave them, what is known of them, how a device is told something."""

from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Reading, Value


class Deliver(Protocol):
    """Takes readings, and what is to be called when they are on disk. It may wait, and with it the source."""

    def __call__(self, readings: list[Reading], then: Callable[[], None] | None = None, /) -> Awaitable[None]: ...


class CannotAct(Exception):
    """The device was not told, or did not do it; the message says why, for whoever gave the command."""


class Source(Protocol):
    """One line, broker or chip, with the devices on it. `run` is one task, for ever: it is never over by itself."""

    vitals: Vitals

    async def run(self) -> NoReturn: ...

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        """Carry out one of the kind's commands on a device of this source, by its model.

        Returns when the device has confirmed it. Raises CannotAct.
        """
