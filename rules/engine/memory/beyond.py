"""What was heard beyond a gap in the numbers of a stream: what is still to be judged by rules that have the time for it, and what the others were before
it. Until the gap is closed, or given up, its packs don't count as heard, so whoever starts anew hears them again. What waits is in memory alone; of what was judged at
once it is written down from where (rules.engine.memory.bookmark)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from messages.ids import DeviceId
from messages.ranges import Range
from messages.reading import Reading
from rules.engine.memory.watch import Watch
from rules.engine.timers import StateKey
from rules.language.change import Change

Waiting = tuple[tuple[Reading, int], ...]
"""Readings, each with when it was heard, in the order in which they were."""


@dataclass(frozen=True, slots=True)
class Hasty:
    """A rule that judges what comes as it comes."""

    before: Watch
    """Before all that came."""
    after: Watch
    """By now, if nothing but that has been heard."""
    told: tuple[Change, ...] = ()

    def followed(self, before: Watch, after: Watch, told: Iterable[Change]) -> "Hasty | None":
        """After one more thing has happened. None: something else was heard meanwhile, or it is another rule by now."""
        if not self.still(before) or before.version not in (None, after.version):
            return None
        return replace(self, after=after, told=(*self.told, *told))

    def still(self, now: Watch) -> bool:
        """Whether nothing was heard since but what this knows of; timers leave the words as they are."""
        words, _, past, _ = self.after.state
        return now.state[0] is words and now.state[2] is past and now.version == self.after.version


@dataclass(slots=True)
class Beyond:
    """Of one stream."""

    after: int
    """The last pack before the gap."""
    until_ms: int | None
    """When what is missing is waited for no more, by the server's clock. None: it was seen by whoever was here before us, and nothing of it has come since."""
    reaches: int = 0
    """The last pack of which anything was judged."""
    packs: list[Range] = field(default_factory=list)
    """Heard since: beyond the gap, and of what was missing."""
    waiting: dict[StateKey, Waiting | None] = field(default_factory=dict)
    """None: it could wait no longer, and judges what comes as it comes."""
    hasty: dict[StateKey, Hasty | None] = field(default_factory=dict)
    """None: it has heard something else meanwhile."""
    said: dict[DeviceId, Waiting] = field(default_factory=dict)
    """What the hasty have heard."""
    held: int = 0
    """How many readings wait, each once for each rule, and how many the hasty have heard."""
    before_us: frozenset[Reading] = frozenset()
    """What the hasty have heard in an earlier life: they know it when it comes again."""

    def copy(self) -> Self:
        return replace(self, packs=[*self.packs], waiting={**self.waiting}, hasty={**self.hasty}, said={**self.said})

    @property
    def whole(self) -> bool:
        """Nothing is missing any more."""
        return len(self.packs) == 1 and self.packs[0][0] == self.after + 1 and self.packs[0][1] >= self.reaches

    def moved(self, by_ms: int) -> Self:
        """The same after the server's clock was set."""
        waiting = {
            key: None if held is None else tuple((reading, heard_ms + by_ms) for reading, heard_ms in held)
            for key, held in self.waiting.items()
        }
        until_ms = None if self.until_ms is None else self.until_ms + by_ms
        return replace(self, until_ms=until_ms, waiting=waiting, hasty=dict.fromkeys(self.hasty), said={})
