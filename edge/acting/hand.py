"""The hand: tells a device something, through the source that reaches it. One thing at a time per device."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from edge.configuration.config import Device
from edge.models.base import Product
from edge.sources.source import CannotAct, Source
from messages.ids import DeviceId
from messages.reading import Value

LIMIT_S = 20.0
"""How long a device may take to confirm, its source's repetitions included."""

log = structlog.get_logger("acting")


class Hand:
    """`tell` from any number of tasks."""

    def __init__(self, devices: Iterable[Device[Product]], sources: Iterable[Source]) -> None:
        self.devices: Mapping[DeviceId, Device[Product]] = {device.id: device for device in devices}
        self._sources = {
            device: source for source in sources for line in source.vitals.lines() for device in line.devices
        }
        self._busy: dict[DeviceId, asyncio.Lock] = {}

    async def tell(
        self, device: DeviceId, command: str, value: Value | None, refusal: Callable[[], str | None] = lambda: None
    ) -> None:
        """Returns when the device has confirmed it. Raises CannotAct.

        `refusal` is asked when its turn has come: it may have waited behind another until it was too late.
        """
        if (source := self._sources.get(device)) is None:
            raise CannotAct(f"{device} can't be reached")
        try:
            async with asyncio.timeout(LIMIT_S), self._busy.setdefault(device, asyncio.Lock()):
                if why := refusal():
                    raise CannotAct(why)
                await source.act(device, command, value)
        except CannotAct:
            raise
        except TimeoutError as error:
            raise CannotAct(f"no confirmation in {LIMIT_S:g} s; it may have been done") from error
        except Exception as error:  # it costs this one command, and no reflex and no alarm behind it
            log.exception("a command fails by a mistake of ours", device=device, command=command)
            raise CannotAct(f"the edge itself fails: {type(error).__name__}; it may have been done") from error
