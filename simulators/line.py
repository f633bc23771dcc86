"""The RS-485 line: a pseudo-terminal with all Modbus devices of the block behind it.

A request is complete when its content says so, or when the line falls silent; answers take the time that they
would take at the line's speed. What a sound answer carried goes into the record. The far end is also kept open
here, so that a reader that closes it, or dies, does not take the line away.
"""

import asyncio
import contextlib
import os
import tty
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.models.modbus import ModbusModel
from messages.settings import ConfigError
from simulators.block import Device, Level, Line
from simulators.modbus_slave import Answer, answer, request_length, spoiled
from simulators.plant import Plant
from simulators.record import Record
from simulators.registers import channels_in, memory

BITS_PER_CHARACTER = 11
"""Start, 8 data, parity or second stop, stop (MODBUS over Serial Line V1.02 section 2.5.1)."""
TURNAROUND_S = 0.005
"""How long a device thinks."""
SILENCE_S = 0.02
"""What ends a frame whose content does not. Longer than 3.5 characters: a pseudo-terminal has no steady pace."""


class SerialLine:
    """Serves `devices` for as long as the context is open. `now_s`: the scenario's time."""

    def __init__(
        self,
        settings: Line,
        devices: tuple[Device, ...],
        plant: Plant,
        *,
        record: Record,
        clock_ms: Callable[[], int],
        now_s: Callable[[], float],
    ) -> None:
        self._link = settings.link
        self._character_s = BITS_PER_CHARACTER / settings.baudrate
        self._devices = {device.unit: device for device in devices}
        self._plant = plant
        self._record = record
        self._clock_ms = clock_ms
        self._now_s = now_s
        self._samples: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        self._near, self._far = os.openpty()
        try:
            tty.setraw(self._far)
            os.set_blocking(self._near, False)
            _put_link(self._link, os.ttyname(self._far))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link.is_symlink() and os.readlink(self._link) == os.ttyname(self._far):
            self._link.unlink()
        self._close()

    async def run(self) -> None:
        """Answer for ever."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as answers:
            requests = _Requests(lambda request: answers.create_task(self._answer(request)))
            loop.add_reader(self._near, lambda: requests.hear(os.read(self._near, 4096)))
            try:
                await loop.create_future()
            finally:
                loop.remove_reader(self._near)
                requests.close()

    def _close(self) -> None:
        os.close(self._near)
        os.close(self._far)

    async def _answer(self, request: bytes) -> None:
        await asyncio.sleep(len(request) * self._character_s + TURNAROUND_S)
        if (device := self._devices.get(request[0])) is None:
            return
        at_ms, at_s = self._clock_ms(), self._now_s()
        held = memory(_model(device), self._measured(device, at_s))
        if (said := answer(request, {device.unit: held})) is None:
            return
        if fault := self._plant.fault(device.id, at_s):
            if fault.fault == "silent":
                return
            if fault.fault == "late":
                await asyncio.sleep(fault.late_by_s)
                self._send(said.frame)
            else:
                self._send(spoiled(said, fault.fault))
            return
        await asyncio.sleep(len(said.frame) * self._character_s)
        if self._send(said.frame):
            self._write_down(at_ms, device, said, held.values)

    def _measured(self, device: Device, at_s: float) -> dict[str, Level | None]:
        return {
            channel: self._plant.value(device.id, channel, at_s, self._samples[device.id, channel])
            for channel in device.normal
        }

    def _send(self, frame: bytes) -> bool:
        """False when the far end is full: nobody has read it for a long time, and nobody gets this."""
        with contextlib.suppress(BlockingIOError):
            return os.write(self._near, frame) == len(frame)
        return False

    def _write_down(self, at_ms: int, device: Device, said: Answer, values: Mapping[str, Level]) -> None:
        if said.read is None:
            return
        carried = channels_in(_model(device), said.read.table, said.read.first, said.read.count)
        self._samples.update((device.id, channel) for channel in carried)
        self._record.values(at_ms, device.id, {channel: values[channel] for channel in carried if channel in values})


class _Requests:
    """Cuts what is heard into requests."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._heard = bytearray()
        self._silence: asyncio.TimerHandle | None = None

    def hear(self, data: bytes) -> None:
        self._heard += data
        while (length := request_length(bytes(self._heard))) is not None and len(self._heard) >= length:
            self._end(length)
        self.close()
        self._silence = asyncio.get_running_loop().call_later(SILENCE_S, self._fall_silent)

    def close(self) -> None:
        if self._silence:
            self._silence.cancel()

    def _fall_silent(self) -> None:
        if self._heard:
            self._end(len(self._heard))

    def _end(self, length: int) -> None:
        request = bytes(self._heard[:length])
        del self._heard[:length]
        self._take(request)


def _model(device: Device) -> ModbusModel:
    assert isinstance(device.model, ModbusModel)
    return device.model


def _put_link(link: Path, target: str) -> None:
    """Make `link` lead to `target`, in the place of a link that an earlier run has left. Raises ConfigError."""
    if link.exists() and not link.is_symlink():
        raise ConfigError(f"{link}: is in the way: the line's link is to be made there")
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    except OSError as error:
        raise ConfigError(f"{link}: the line's link can't be made: {error.strerror}") from error
