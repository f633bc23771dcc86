"""A port whose driver switches the transmitter: what is asked of the kernel, and what is said where it can't."""

import errno
import fcntl
import os
import struct
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import serial.serialposix

from edge.configuration.tables import LineSettings, Rs485Settings
from edge.sources.port import GONE, LinkError, open_port

ENABLED, ON_SEND, AFTER_SEND = 1, 2, 4
"""Flags of struct serial_rs485 (linux/serial.h); two delays in ms follow them."""


@contextmanager
def a_port() -> Iterator[str]:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def line(port: str, **rs485: object) -> LineSettings:
    how = Rs485Settings.model_validate(rs485)
    return LineSettings(name="rs485-1", port=port, baudrate=9600, rs485=how)


async def test_a_driver_without_rs485_is_said_with_what_mends_it() -> None:
    with (
        a_port() as port,
        pytest.raises(LinkError, match=r"this port's driver knows no RS-485 mode: .*; leave `rs485` out"),
    ):
        await open_port(line(port))


async def test_what_a_port_cannot_do_is_said_each_time_and_keeps_nobody_out_of_it() -> None:
    """A pseudo-terminal knows no parity, as some adapters don't."""
    with a_port() as path:
        await (await open_port(LineSettings(name="rs485-1", port=path, baudrate=9600))).close()
        for _ in range(3):
            with pytest.raises(LinkError) as caught:
                await open_port(LineSettings(name="rs485-1", port=path, baudrate=9600, parity="O"))
            assert str(caught.value) == os.strerror(errno.EINVAL)
        opened = await open_port(LineSettings(name="rs485-1", port=path, baudrate=9600))
        await opened.close()


async def test_a_port_that_is_pulled_out_is_said_in_few_words() -> None:
    with a_port() as path:
        opened = await open_port(LineSettings(name="rs485-1", port=path, baudrate=9600))
    with pytest.raises(LinkError) as caught:
        await opened.read()
    assert str(caught.value) in (str(GONE), os.strerror(errno.EIO))
    await opened.close()


@pytest.mark.parametrize(
    ("settings", "flags", "delays"),
    [
        ({}, ENABLED | ON_SEND, (0, 0)),
        ({"rts_on_send": False, "delay_before": "5ms", "delay_after": "20ms"}, ENABLED | AFTER_SEND, (5, 20)),
    ],
)
async def test_the_driver_is_told_when_to_send_and_how_long_to_wait(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], flags: int, delays: tuple[int, int]
) -> None:
    told: list[tuple[int, ...]] = []
    ioctl = fcntl.ioctl

    def driver(descriptor: int, request: int, *more: object) -> object:
        """A pseudo-terminal has none of its own; all else is the kernel's."""
        if request in (serial.serialposix.TIOCGRS485, serial.serialposix.TIOCSRS485):
            if request == serial.serialposix.TIOCSRS485:
                told.append(struct.unpack_from("III", bytes(more[0])))  # type: ignore[call-overload]
            return 0
        return ioctl(descriptor, request, *more)  # type: ignore[call-overload]

    with a_port() as port:
        monkeypatch.setattr("serial.serialposix.fcntl.ioctl", driver)
        opened = await open_port(line(port, **settings))
        await opened.close()
    assert told == [(flags, *delays)]
