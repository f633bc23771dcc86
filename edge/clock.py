"""The edge's clock: what it says, and whether that can be trusted. Pure: the machine's clocks are arguments.

A Pi without a battery clock boots in the past. Until somebody has set its clock, this one guesses: it goes on from
the newest thing on disk, steadily, and what it stamps can be moved by one number once the truth is known
(docs/decisions/0013-the-clock-of-a-pi.md). A clock is trusted that is not before this software was written and that

* a time server keeps (the kernel says so), or that was trusted before since the machine was switched on, or
* belongs to a machine that keeps the time while it is off, or
* was set while we ran.

A trusted clock follows the wall clock forward at once. When the wall clock is set back by little it goes on from where
it was, since a reading stamped earlier than its predecessor is history to the rules and rings nobody. When it is set
back by much, what this clock said was wrong, and going on would be wrong for ever: it turns back too, at once if a
time server did it, else when that has lasted a minute. Each such turn is counted, for those who compare times.
"""

from collections.abc import Callable
from dataclasses import dataclass

EARLIEST_MS = 1_767_225_600_000
"""2026-01-01, before this was written: no clock that is right says less."""
LITTLE_MS = 5_000
"""So far ahead of the wall clock this one may stay; a collector takes two minutes."""
SET_MS = 2_000
"""A wall clock that leaps so far against the monotonic one was set: no oscillator drifts that much between two looks."""
LASTING_MS = 60_000
NEAR_MS = 10_000
"""A time that differs by less from this clock's was stamped by it, or by one that is as wrong."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine can say of its own clock."""

    synchronized: bool
    """A time server keeps it, as the kernel says."""
    keeps_time: bool
    """It goes on while the machine is off: a battery, or a host's clock."""


KEEPS_TIME = Machine(synchronized=False, keeps_time=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """The clock was corrected by so much, and is trusted."""

    by_ms: int
    was_trusted: bool


class Clock:
    """`wall_ms` is UTC since 1970; `monotonic_ms` counts from when the machine was switched on, and is never set."""

    def __init__(
        self,
        wall_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
        machine: Callable[[], Machine] = lambda: KEEPS_TIME,
    ) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._machine = machine
        self._first_ms = self._offset_ms = self._wall_offset_ms()
        self._back_since_ms: int | None = None
        self.turns = 0
        """How often this clock was corrected in a way that makes earlier times incomparable."""
        self.trusted = self._is_right(was_trusted=False)

    def begin(self, newest_ms: int, *, was_trusted: bool) -> None:
        """Go on from the newest thing on disk, as far as that can be true.

        `was_trusted`: this clock was, since the machine was switched on. A kernel forgets that after some hours without
        a time server, though no clock goes far wrong in days.
        """
        self.trusted = self._is_right(was_trusted=was_trusted)
        ahead_ms = newest_ms - self._monotonic_ms() - self._offset_ms
        if not self.trusted or ahead_ms <= LITTLE_MS:
            self._offset_ms += max(ahead_ms, 0)

    def now_ms(self) -> int:
        if self.trusted:
            self._offset_ms = max(self._offset_ms, self._wall_offset_ms())
        return self._monotonic_ms() + self._offset_ms

    def steady_ms(self) -> int:
        """Milliseconds from anywhere, never set: for delays."""
        return self._monotonic_ms()

    @property
    def offset_ms(self) -> int | None:
        """What is added to the time since the boot; None while that is a guess."""
        return self._offset_ms if self.trusted else None

    def guess_ms(self, at_ms: int) -> int | None:
        """What the guess that stamped `at_ms` added to the time since the boot; None if it is no guess of this clock.

        A device that says another time has a clock of its own, which ours can't judge.
        """
        return None if self.trusted or abs(self.now_ms() - at_ms) > NEAR_MS else self._offset_ms

    def look(self) -> Turn | None:
        """Ask the machine again, every second or so; what came of it, if anything did."""
        wall_offset_ms = self._wall_offset_ms()
        was_trusted = self.trusted
        if not was_trusted:
            was_set = abs(wall_offset_ms - self._first_ms) > SET_MS
            self.trusted = (was_set and self._is_plausible()) or self._is_right(was_trusted=False)
            return self._turned(wall_offset_ms, was_trusted=False) if self.trusted else None
        if self._offset_ms - wall_offset_ms <= LITTLE_MS or not self._is_plausible():
            self._back_since_ms = None
            return None
        now_ms = self._monotonic_ms()
        self._back_since_ms = now_ms if self._back_since_ms is None else self._back_since_ms
        if self._machine().synchronized or now_ms - self._back_since_ms >= LASTING_MS:
            return self._turned(wall_offset_ms, was_trusted=True)
        return None

    def ahead_ms(self) -> int:
        """How far this clock is before the wall clock, which was set back."""
        return self.now_ms() - self._wall_ms()

    def _turned(self, to_ms: int, *, was_trusted: bool) -> Turn:
        by_ms, self._offset_ms = to_ms - self._offset_ms, to_ms
        self._back_since_ms = None
        self.turns += 1
        return Turn(by_ms, was_trusted)

    def _is_right(self, *, was_trusted: bool) -> bool:
        machine = self._machine()
        return (was_trusted or machine.synchronized or machine.keeps_time) and self._is_plausible()

    def _is_plausible(self) -> bool:
        return self._wall_ms() >= EARLIEST_MS

    def _wall_offset_ms(self) -> int:
        return self._wall_ms() - self._monotonic_ms()
