"""The server's clock, which may be set back or forwards in one step, and a clock that runs evenly beside it.

A step is held back: `__call__` goes on as if there had been none, until what waits for a time was moved by as much and `accept` is called.
So a delay of thirty seconds takes thirty seconds, whatever the clock on the wall does meanwhile.
"""

from collections.abc import Callable

STEP_MS = 1_000
"""A clock that is merely slewed never differs by so much between two looks."""


class Steady:
    """Milliseconds since 1970, without steps. May be asked by any thread."""

    def __init__(self, wall_ms: Callable[[], int], running_ms: Callable[[], int]) -> None:
        """`running_ms`: from any beginning; it never jumps, and runs on while the machine sleeps."""
        self._wall_ms = wall_ms
        self._running_ms = running_ms
        self._offset_ms = wall_ms() - running_ms()

    def __call__(self) -> int:
        running_ms = self._running_ms()
        offset_ms = self._wall_ms() - running_ms
        if abs(offset_ms - self._offset_ms) < STEP_MS:
            self._offset_ms = offset_ms
        return running_ms + self._offset_ms

    @property
    def step_ms(self) -> int:
        """By how much the wall's clock was set; 0: it was not."""
        by_ms = self._wall_ms() - self._running_ms() - self._offset_ms
        return by_ms if abs(by_ms) >= STEP_MS else 0

    def accept(self, by_ms: int) -> None:
        """Everything that waits has been moved: go by the wall again."""
        self._offset_ms += by_ms
