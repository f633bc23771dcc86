"""What was heard beyond a gap in the numbers of a stream, and is still to be judged by rules that have the time for it. In memory alone: until it is
judged its packs don't count as heard, so whoever starts anew hears them again."""

from dataclasses import dataclass, field, replace
from typing import Self

from messages.ranges import Range
from messages.reading import Reading
from rules.engine.timers import StateKey

Waiting = tuple[tuple[Reading, int], ...]
"""Readings, each with when it was heard, in the order in which they were."""


@dataclass(slots=True)
class Beyond:
    """Of one stream."""

    after: int
    """The last pack before the gap."""
    until_ms: int
    """When what is missing is waited for no more, by the server's clock."""
    packs: list[Range] = field(default_factory=list)
    """Heard since: beyond the gap, and of what was missing."""
    waiting: dict[StateKey, Waiting | None] = field(default_factory=dict)
    """None: it could wait no longer, and judges what comes as it comes."""
    held: int = 0
    """How many readings wait, each once for each rule."""

    def copy(self) -> Self:
        return replace(self, packs=[*self.packs], waiting={**self.waiting})

    @property
    def whole(self) -> bool:
        """Nothing is missing any more."""
        return len(self.packs) == 1 and self.packs[0][0] == self.after + 1

    def moved(self, by_ms: int) -> Self:
        """The same after the server's clock was set."""
        waiting = {
            key: None if held is None else tuple((reading, heard_ms + by_ms) for reading, heard_ms in held)
            for key, held in self.waiting.items()
        }
        return replace(self, until_ms=self.until_ms + by_ms, waiting=waiting)
