"""An RS-485 line as wire: several slaves on one pseudo-terminal, each with its speed and the time that it thinks.

Who is spoken to at another speed hears nothing. Characters take their time; where two slaves drive the line at once, what is heard is
neither's (their bits are ANDed). A pseudo-terminal shows its speed to the other end; parity it has none.
"""

import contextlib
import os
import random
import select
import termios
import threading
import time
import tty
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from edge.installer.scanning.scan import COMMON_BAUDRATES
from simulators.modbus_slave import framed

QUESTION_BYTES = 8
_BITS, PAUSE_S = 10, 0.01


@dataclass(frozen=True)
class Slave:
    """One device. It answers a read of holding register 0 with `value`, or with exception 2 where that is None."""

    unit: int
    value: int | None = 0
    thinks_s: float = 0.005
    baudrate: int = 9600
    loses: float = 0.0
    """The share of its answers in which a bit is disturbed on the way."""

    def answer(self, dice: random.Random) -> bytes:
        body = bytes([self.unit, 0x83, 2]) if self.value is None else bytes([self.unit, 3, 2]) + self.value.to_bytes(2)
        frame = bytearray(framed(body))
        if dice.random() < self.loses:
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        return bytes(frame)


@dataclass
class Wire:
    """All slaves of a line."""

    slaves: list[Slave]
    port: str = ""
    _due: list[tuple[float, int, int]] = field(default_factory=list)
    """Characters under way: when each has passed, whose it is, and what."""
    _dice: random.Random = field(default_factory=lambda: random.Random(1))

    def serve(self, near: int, ended: threading.Event) -> None:
        heard = b""
        while not ended.is_set():
            wait_s = max(self._burst()[-1][0] - time.monotonic(), 0) if self._due else 0.05
            if select.select([near], [], [], wait_s)[0]:
                heard += os.read(near, 512)
                if len(heard) >= QUESTION_BYTES:
                    self._hear(heard[-QUESTION_BYTES:], near)
                    heard = b""
            if self._due and self._burst()[-1][0] <= time.monotonic():
                os.write(near, self._characters())

    def _burst(self) -> list[tuple[float, int, int]]:
        """What comes without a pause, given at its end: a busy machine makes no pauses of its own."""
        count = next(
            (at for at, (one, later) in enumerate(pairwise(self._due), 1) if later[0] - one[0] > PAUSE_S),
            len(self._due),
        )
        return self._due[:count]

    def _characters(self) -> bytes:
        """The next burst; characters of two slaves in the same time are one, and neither's."""
        burst = self._burst()
        del self._due[: len(burst)]
        heard = bytearray()
        while burst:
            at_s, whose, character = burst.pop(0)
            if burst and burst[0][1] != whose and burst[0][0] < at_s + 0.9 * _BITS / self.slaves[whose].baudrate:
                character &= burst.pop(0)[2]
            heard.append(character)
        return bytes(heard)

    def _hear(self, question: bytes, near: int) -> None:
        settings = termios.tcgetattr(near)
        baudrate = next(rate for rate in COMMON_BAUDRATES if getattr(termios, f"B{rate}") == settings[4])
        now_s, character_s = time.monotonic() + QUESTION_BYTES * _BITS / baudrate, _BITS / baudrate
        for whose, slave in enumerate(self.slaves):
            if (slave.unit, slave.baudrate) == (question[0], baudrate):
                for place, character in enumerate(slave.answer(self._dice), 1):
                    at_s = now_s + slave.thinks_s + place * character_s
                    insort(self._due, (at_s, whose, character))


@contextlib.contextmanager
def wire(*slaves: Slave) -> Iterator[str]:
    """The port's path."""
    near, far = os.openpty()
    tty.setraw(far)
    ended = threading.Event()
    serving = threading.Thread(target=Wire(list(slaves)).serve, args=(near, ended))
    serving.start()
    try:
        yield os.ttyname(far)
    finally:
        ended.set()
        serving.join()
        os.close(near)
        os.close(far)
