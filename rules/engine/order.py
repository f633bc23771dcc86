"""In which order messages are heard: an edge that tells of the past keeps no other edge waiting. Pure.

What an edge says is heard in its own order, always. An edge whose packs are old, after an outage, queues here, and what it says next queues
behind that; all others are heard at once, and it gets its turns in between, a portion each.
"""

import re
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from messages import topics
from rules.engine.memory.plant import EdgeKey

OLD_MS = 60_000
"""A pack whose readings begin so long ago is of the past."""

PORTION_BYTES = 128 * 1024
"""Of one turn: some thousand readings, a fraction of a second."""

MOST_BYTES = 8 * 1024 * 1024
"""With more than this in the queue nothing more is taken from the broker."""

_BASE_TIME = re.compile(rb'"bt":\s*([0-9]{9,11}(?:\.[0-9]{1,9})?)')
_HEAD_BYTES = 1024


class Message(Protocol):
    """What of a message matters here."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...


M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class Order(Generic[M]):
    """Messages of edges that tell of the past."""

    _queue: deque[M] = field(default_factory=deque)
    _queued: Counter[EdgeKey] = field(default_factory=Counter)
    _bytes: int = 0

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    @property
    def full(self) -> bool:
        return self._bytes > MOST_BYTES

    @property
    def behind(self) -> Collection[EdgeKey]:
        """The edges of which something waits."""
        return self._queued.keys()

    def sort(self, messages: Iterable[M], now_ms: int) -> list[M]:
        """Those that are to be heard at once; the others queue."""
        at_once = []
        for message in messages:
            edge = edge_of(message)
            if edge is not None and (self._queued[edge] or _is_old(message, now_ms)):
                self._queue.append(message)
                self._queued[edge] += 1
                self._bytes += len(message.payload)
            else:
                at_once.append(message)
        return at_once

    def portion(self) -> list[M]:
        """What is next in the queue: at least one message, if there is any."""
        taken: list[M] = []
        held = 0
        while self._queue and (not taken or held + len(self._queue[0].payload) <= PORTION_BYTES):
            message = self._queue.popleft()
            taken.append(message)
            held += len(message.payload)
            edge = edge_of(message)
            assert edge is not None
            self._queued[edge] -= 1
            if not self._queued[edge]:
                del self._queued[edge]
        self._bytes -= held
        return taken


def edge_of(message: Message) -> EdgeKey | None:
    origin = topics.origin(message.topic)
    return (origin.site, origin.edge) if origin else None


def begun_ms(message: Message) -> int | None:
    """When the readings of a pack begin; None: it is no pack, or doesn't say."""
    if not message.topic.endswith("/readings"):
        return None
    found = _BASE_TIME.search(message.payload, 0, _HEAD_BYTES)
    return round(float(found[1]) * 1000) if found else None


def _is_old(message: Message, now_ms: int) -> bool:
    """By the first base time in its head; decoding comes later, and only once."""
    base_ms = begun_ms(message)
    return base_ms is not None and base_ms < now_ms - OLD_MS
