"""The edge's clock: the wall clock where that goes forward, the monotonic one where it does not. Pure.

A reading stamped earlier than its predecessor is history to the rules, and rings nobody. So this clock never goes
back: it follows a wall clock that jumps ahead at once, and goes on steadily past one that was set back.
"""

from collections.abc import Callable


class Clock:
    """`wall_ms` is UTC since 1970, `monotonic_ms` counts from anywhere and is never set."""

    def __init__(self, wall_ms: Callable[[], int], monotonic_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._offset_ms = wall_ms() - monotonic_ms()

    def now_ms(self) -> int:
        monotonic_ms = self._monotonic_ms()
        self._offset_ms = max(self._offset_ms, self._wall_ms() - monotonic_ms)
        return monotonic_ms + self._offset_ms

    def steady_ms(self) -> int:
        """Milliseconds from anywhere, never set: for delays."""
        return self._monotonic_ms()

    def not_before(self, at_ms: int) -> None:
        """Something of ours was stamped `at_ms` before this clock was made."""
        self._offset_ms = max(self._offset_ms, at_ms - self._monotonic_ms())

    def ahead_ms(self) -> int:
        """How far this clock is before the wall clock, which was set back."""
        return self.now_ms() - self._wall_ms()
