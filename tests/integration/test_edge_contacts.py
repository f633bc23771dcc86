"""Contacts on the pins of a chip. No kernel of a test machine has one, so the pins here are a pipe and a list of values; how
gpiod itself is asked is left to a machine that has (docs/decisions/0018-contacts-on-pins.md)."""

import asyncio
import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Value

from edge.agent import sources
from edge.configuration.check import parse
from edge.models.gpio import GpioChannel
from edge.sources import gpio_chip
from messages.reading import Reading
from messages.settings import ConfigError

NOW_MS = 1_763_700_000_000
LIMIT_S = 20.0
FILE = """
site = "junmen"
edge = "pi-1"
folder = "state"
[uplink]
[[lines]]
name = "pins"
chip = "/dev/gpiochip0"
[[devices]]
id = "door-1"
model = "gpio-contact-door-magnet"
line = "pins"
pin = 17
place = { grid = "grid-1", text = "2单元门口" }
[[devices]]
id = "sewer-1"
model = "gpio-contact-float"
line = "pins"
pin = 27
place = { grid = "grid-1", text = "雨水井" }
"""


def configured(folder: Path, *changes: tuple[str, str]) -> Path:
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


class Pins:
    """Two pins, as gpiod.LineRequest shows them."""

    def __init__(self) -> None:
        self.fd, self._other_end = os.pipe()
        self.values = [Value.INACTIVE, Value.INACTIVE]
        self.asked: Mapping[int, GpioChannel] = {}
        self.released = 0
        self._events: list[gpiod.EdgeEvent] = []

    def turn(self, place: int, pin: int, active: bool, ago_ms: int = 0) -> None:
        self.values[place] = Value.ACTIVE if active else Value.INACTIVE
        kind = gpiod.EdgeEvent.Type.RISING_EDGE if active else gpiod.EdgeEvent.Type.FALLING_EDGE
        self._events.append(gpiod.EdgeEvent(kind.value, time.monotonic_ns() - ago_ms * 1_000_000, pin, 1, 1))
        os.write(self._other_end, b".")

    def wait_edge_events(self, timeout: timedelta) -> bool:
        return bool(select.select([self.fd], [], [], timeout.total_seconds())[0])

    def read_edge_events(self) -> Sequence[gpiod.EdgeEvent]:
        os.read(self.fd, 100)
        events, self._events = self._events, []
        return events

    def get_values(self) -> Sequence[Value]:
        return self.values

    def release(self) -> None:
        self.released += 1


async def test_a_contact_is_heard_when_it_closes_at_the_time_it_did_and_after_the_chip_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sources.port.FIRST_BACKOFF_S", 0.02)
    pins = Pins()
    refusals = [PermissionError(13, "Permission denied"), OSError(16, "Device or resource busy")]

    def request(chip: str, wanted: Mapping[int, GpioChannel]) -> Pins:
        assert chip == "/dev/gpiochip0"
        if refusals:
            raise refusals.pop(0)
        pins.asked = wanted
        return pins

    monkeypatch.setattr(gpio_chip, "request", request)
    readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for reading in some:
            readings.put_nowait(reading)

    (source,) = sources(parse(configured(tmp_path)), deliver, clock_ms=lambda: NOW_MS)
    task = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            first = [await readings.get(), await readings.get()]
            assert [(one.device, one.channel, one.value) for one in first] == [
                ("door-1", "door_open", False),
                ("sewer-1", "float_switch", False),
            ]
            assert {pin: channel.active_low for pin, channel in pins.asked.items()} == {17: False, 27: True}
            pins.turn(0, 17, True, ago_ms=500)
            pins.turn(0, 17, False)
            opened, shut = await readings.get(), await readings.get()
            assert (opened.device, opened.value, shut.value) == ("door-1", True, False)
            assert NOW_MS - 600 <= opened.at_ms <= NOW_MS - 500
            assert shut.at_ms > opened.at_ms
            # an edge that nobody was told of is seen at the next look
            pins.values[1] = Value.ACTIVE
            while (await readings.get()).value is not True:
                pass
            assert source.vitals.devices[first[1].device].heard_at_ms == NOW_MS
            assert source.vitals.opened == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert pins.released == 1


async def test_a_chip_that_is_not_there_is_said_and_stops_nothing(tmp_path: Path) -> None:
    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        raise AssertionError("nothing can be read")

    (source,) = sources(parse(configured(tmp_path, ("gpiochip0", "gpiochip-none"))), deliver, clock_ms=lambda: NOW_MS)
    task = asyncio.create_task(source.run())
    async with asyncio.timeout(LIMIT_S):
        while not source.vitals.why:
            await asyncio.sleep(0.01)
    assert str(source.vitals.why) == "No such file or directory"
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pin = 27", "pin = 17", "pin 17 of line pins is taken by device `door-1`"),
        ("pin = 17\n", "", "devices.0.pin: is missing: a gpio-contact-door-magnet is a pin of a chip, which is a line"),
        ("pin = 17\n", "pin = 17\nunit = 3\n", "a gpio-contact-door-magnet has no unit"),
        (
            'chip = "/dev/gpiochip0"',
            'port = "/dev/null"\nbaudrate = 9600',
            "wants a line with a chip; `pins` has a port",
        ),
        ('chip = "/dev/gpiochip0"', 'chip = "/dev/gpiochip0"\nparity = "E"', "`parity` is for a line with a port"),
        (
            'chip = "/dev/gpiochip0"',
            'chip = "/dev/gpiochip0"\nlisten = 9000',
            "exactly one of port, host, listen, chip",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(configured(tmp_path, (old, new)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
