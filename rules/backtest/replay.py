"""Readings of the past through the engine's own work, with the readings' time for a clock. Pure: nothing is written or told.

When a reading came is not stored, only when it was taken: here every reading comes at once, so nothing is late. What the engine says itself
(whether an edge is there) is not in the history either; rules about it raise nothing here.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from messages.alarm import Level
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Reading
from rules.engine.found import Found
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.change import Cleared, Ended, Graver, Happened, Raised

SLICE_MS = 1_000
"""So much of the past is judged at a time; within it the server's clock stands at its end."""

Past = tuple[SiteId, EdgeId, Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """From an alarm's raise to its clear, by the readings' time."""

    site: SiteId
    device: DeviceId
    kind: str
    model: str
    rule: str
    level: Level
    grid: str
    raised_at_ms: int
    cleared_at_ms: int | None = None
    """None: it stood when the history ended."""
    edge: EdgeId | None = None
    """Who spoke of the device."""
    version: str = ""
    """Of the rule."""
    late: bool = False
    """It came to light when it was over: nobody was called."""

    def stands_at(self, at_ms: int) -> bool:
        return self.raised_at_ms < at_ms and (self.cleared_at_ms is None or self.cleared_at_ms >= at_ms)


@dataclass(slots=True)
class Replay:
    """One run over the past. `judge` readings in the order of their time, then `finish`."""

    facts: Facts
    readings: int = 0
    unknown: int = 0
    """Readings of devices that nobody announces today, or that can't be true for their kind: not judged."""
    _open: dict[tuple[SiteId, DeviceId, str], Episode] = field(default_factory=dict)

    def judge(self, past: Sequence[Past]) -> Iterator[Episode]:
        """The episodes that are over by these readings, each when it is. To be read to its end."""
        for some in _slices(past):
            yield from self._wake_before(some[0][2].at_ms)
            work = Work(self.facts)
            work.pending = some
            work.settle(some[-1][2].at_ms)
            self.readings += work.readings
            self.unknown += len(some) - work.readings
            work.stranded.clear()
            work.waiting_of.clear()
            yield from self._adopt(work)

    def finish(self, until_ms: int) -> Iterator[Episode]:
        """The episodes that end by themselves, and those that still stand."""
        yield from self._wake_before(until_ms)
        yield from self._open.values()
        self._open.clear()

    def _wake_before(self, at_ms: int) -> Iterator[Episode]:
        """Every timer that was due before, at its own millisecond and in order."""
        while (due_ms := self.facts.next_wake_ms()) is not None and due_ms < at_ms:
            work = Work(self.facts)
            work.wake(due_ms)
            yield from self._adopt(work)

    def _adopt(self, work: Work) -> Iterator[Episode]:
        self.facts.adopt(work)
        for found in work.found:
            if (episode := self._apply(found)) is not None:
                yield episode

    def _apply(self, found: Found) -> Episode | None:
        """The episode that is over by what was found."""
        key = (found.device.site, found.device.id, found.rule.id)
        match found.change:
            case Raised() | Happened() as change:
                if key not in self._open:
                    self._open[key] = Episode(
                        site=found.device.site,
                        device=found.device.id,
                        kind=found.device.kind,
                        model=found.device.model,
                        rule=found.rule.id,
                        level=change.level or found.rule.level,
                        grid=found.device.place.grid,
                        raised_at_ms=change.at_ms,
                        edge=found.device.edge,
                        version=found.rule.version,
                    )
            case Graver() as change if key in self._open:
                self._open[key] = replace(self._open[key], level=change.level)
            case Cleared() | Ended() as change if key in self._open:
                return replace(self._open.pop(key), cleared_at_ms=change.at_ms)
        return None


def _slices(past: Sequence[Past]) -> Iterator[list[Past]]:
    moments = [one[2].at_ms for one in past]
    first = 0
    while first < len(moments):
        last = bisect_left(moments, moments[first] + SLICE_MS, first)
        yield list(past[first:last])
        first = last
