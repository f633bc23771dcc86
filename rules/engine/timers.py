"""Who is to be woken when. Of what is due the most dangerous comes first, whenever it became due: nothing red waits for ten thousand bins.

A timer is as good as the watch that asks for it (rules.engine.memory.watch): one that asks for another moment by now is passed over. Pure.
"""

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from messages.ids import DeviceId, SiteId
from rules.language.rule import LEVELS, Rule

StateKey = tuple[SiteId, DeviceId, str]
"""The last part is the rule's id."""

Wakes = Callable[[StateKey], int | None]
"""When who watches there is to be woken."""

MOST_DANGEROUS, LEAST_DANGEROUS = 0, len(LEVELS)


def danger(rule: Rule) -> int:
    """In which row its timers stand. What answers a question about the neighbourhood may be asked by the gravest."""
    if rule.shadow:
        return LEAST_DANGEROUS
    if rule.guards or rule.answers is not None:
        return MOST_DANGEROUS
    return min(LEVELS.index(level) for level in (rule.level, *(level for level, _ in rule.graver_when)))


@dataclass(slots=True)
class _Row:
    """The timers of one danger."""

    keys: dict[int, list[StateKey]] = field(default_factory=dict)
    """By the moment."""
    moments: list[int] = field(default_factory=list)
    """Those moments: a heap."""
    sorted: set[int] = field(default_factory=set)
    """Moments whose keys are in order, the first one last."""

    def add(self, key: StateKey, at_ms: int) -> None:
        if (keys := self.keys.get(at_ms)) is None:
            self.keys[at_ms] = [key]
            heapq.heappush(self.moments, at_ms)
        else:
            keys.append(key)
            self.sorted.discard(at_ms)

    def next_ms(self, wakes: Wakes) -> int | None:
        while self.moments:
            at_ms = self.moments[0]
            keys = self.keys[at_ms]
            while keys and wakes(keys[-1]) != at_ms:
                keys.pop()
            if keys:
                return at_ms
            del self.keys[heapq.heappop(self.moments)]
            self.sorted.discard(at_ms)
        return None

    def due(self, now_ms: int, wakes: Wakes) -> Generator[StateKey, None, None]:
        passed = list[int]()
        try:
            while (at_ms := self.next_ms(wakes)) is not None and at_ms <= now_ms:
                passed.append(heapq.heappop(self.moments))
                if at_ms not in self.sorted:
                    self.keys[at_ms] = sorted(set(self.keys[at_ms]), reverse=True)
                    self.sorted.add(at_ms)
                yield from (key for key in reversed(self.keys[at_ms]) if wakes(key) == at_ms)
        finally:
            for at_ms in passed:
                heapq.heappush(self.moments, at_ms)


@dataclass(slots=True)
class Timers:
    """All timers, in a row for each danger."""

    _rows: tuple[_Row, ...] = field(default_factory=lambda: tuple(_Row() for _ in range(LEAST_DANGEROUS + 1)))

    def add(self, key: StateKey, at_ms: int, of_danger: int) -> None:
        self._rows[of_danger].add(key, at_ms)

    def next_ms(self, wakes: Wakes) -> int | None:
        """When the next one is due."""
        return min((at_ms for row in self._rows if (at_ms := row.next_ms(wakes)) is not None), default=None)

    def due(self, now_ms: int, wakes: Wakes) -> Generator[StateKey, None, None]:
        """Those that are due, the most dangerous first and of these the oldest. They stay until their watches ask for another moment.
        To be closed before a timer is added."""
        for row in self._rows:
            yield from row.due(now_ms, wakes)
