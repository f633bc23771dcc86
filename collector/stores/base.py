"""What the collector, the rules and the console ask of a store of history, and nothing more.

Storing twice is storing once: a reading's key is (site, device, channel, at_ms), a pack's is (site, edge, stream,
number). Calls block; callers put them on a thread of their own. A store may be used from one thread at a time;
several processes may open the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.language import Phrase, phrase
from messages.ranges import Range
from messages.reading import Reading

WRITERS = 3
"""Writes at the same time to a database on the network: one is judged by it while the next travels."""


COARSE_MS = 900_000
"""Length of a coarse range: of a channel's numbers in it, count, sum, lowest and highest are kept."""
SETTLED_MS, CONDENSE_EVERY_MS = 7_200_000, 3_600_000
"""What is younger is drawn from the readings themselves, so that what comes late to it costs nothing."""

IS_THERE, MADE = phrase("is there"), phrase("made")


def kept_for(retention_ms: int | None) -> Phrase:
    """How long readings are kept."""
    return phrase("for ever") if retention_ms is None else phrase("{days:g} days", days=retention_ms / 86_400_000)


class StoreError(Exception):
    """Base of the errors below."""


class StoreAway(StoreError):
    """The store can't take or give anything now, or doesn't let us in: wait and try the same again.

    Credentials belong here and not below: whoever mends them finds every reading still waiting.
    """

    def __init__(self, words: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s
        """How long the store itself asks us to wait (Retry-After, RFC 9110 section 10.2.3); 0 if it doesn't say."""


class StoreLocked(StoreAway):
    """The store doesn't let us in (401, 403): somebody must mend credentials or rights, and until then asking again is no use."""


class StoreRefused(StoreError):
    """The store will never take this batch, or never understand this question. The message holds its words."""


class Point(NamedTuple):
    """A reading with what the store keeps beside it. By name, always."""

    reading: Reading
    kind: str
    model: str
    building: str


class PackRow(NamedTuple):
    """That a pack is stored, and which span of time its readings cover (UTC ms, both included)."""

    stream: StreamId
    number: int
    first_at_ms: int
    last_at_ms: int
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one edge's packs brought: written wholly or, as far as the store can, not at all."""

    site: SiteId
    edge: EdgeId
    points: Sequence[Point]
    packs: Sequence[PackRow]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series, or the mean, lowest and highest of a stretch of it (`at_ms` is then its start)."""

    at_ms: int
    value: float | bool | str
    low: float | None = None
    high: float | None = None


class Store(Protocol):
    """One history of readings. Every method raises StoreAway or StoreRefused."""

    @property
    def writers(self) -> int:
        """How many threads may call `write` at the same time."""

    def write(self, batches: Sequence[Batch]) -> None:
        """Returns when everything is durable: a receipt may follow. Makes the store if there is none, even for nothing.

        Reading from a store that nobody has made is StoreAway: a wrong address must not look like an empty history.
        """

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        """Which of the `wanted` packs are stored, by number."""

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        """All readings that an edge's devices took from `from_ms` to `to_ms`, both included, in order of time."""

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        """One channel's course, both ends included. Where a number has more than `most` values they are
        averaged over at most `most` equal stretches of time, with their extremes; booleans and texts come as they are, the latest
        `most` of them. Stretches of COARSE_MS and more begin at a multiple of it, the first of them before `from_ms`."""

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        """The newest reading of each channel of a device."""

    def delete_before(self, at_ms: int) -> None:
        """Retention: forget readings and pack rows older than `at_ms`. A database that forgets by a period of its own
        alone does nothing here; `setup` has set that period, or said what it must be."""

    def condense(self, before_ms: int) -> None:
        """Bring the coarse ranges, from which `series` draws long spans, up to `before_ms`, with what came late.

        For whoever writes, at its start and every CONDENSE_EVERY_MS, with the time SETTLED_MS ago. A database that reads
        a year in a glance has none, and does nothing.
        """

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        """Make what is missing: database or bucket, retention, coarse ranges. Each line says what was done, or
        was so already. May be repeated. What it can't set itself and isn't as it must be is StoreAway."""

    def close(self) -> None: ...
