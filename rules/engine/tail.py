"""The last words of sites that another worker owns: what it leaves unheard when it dies is heard from here. Pure.

A device and a status are kept for as long as there is room, packs and receipts for a minute: by then their owner has heard them, or has
been replaced. What is older, or had no room, is in the history, and is read from there by pack number (rules.engine.catchup).
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from messages import topics
from messages.ids import SiteId

TAIL_MS = 60_000
MOST_BYTES = 32 * 1024 * 1024
OVERHEAD_BYTES = 200
"""About what Python needs for one kept message."""


@dataclass(frozen=True, slots=True)
class Word:
    site: SiteId
    topic: str
    payload: bytes
    at_ms: int

    @property
    def bytes(self) -> int:
        return len(self.topic) + len(self.payload) + OVERHEAD_BYTES


@dataclass(slots=True)
class Tail:
    """Bounded in bytes; the oldest goes first."""

    _lasting: OrderedDict[str, Word] = field(default_factory=OrderedDict)
    """What is retained at the broker too: the latest on each topic."""
    _passing: deque[Word] = field(default_factory=deque)
    _bytes: int = 0

    def keep(self, site: SiteId, topic: str, payload: bytes, now_ms: int) -> None:
        word = Word(site, topic, payload, now_ms)
        origin = topics.origin(topic)
        if origin is not None and origin.leaf in ("devices", "status"):
            if (before := self._lasting.pop(topic, None)) is not None:
                self._bytes -= before.bytes
            self._lasting[topic] = word
        else:
            self._passing.append(word)
        self._bytes += word.bytes
        self._trim(now_ms)

    def of(self, site: SiteId) -> list[Word]:
        """What was last said of a site, devices and statuses first; it is no longer kept here."""
        found = list(self._taken(site))
        self._bytes -= sum(word.bytes for word in found)
        return found

    def _taken(self, site: SiteId) -> Iterator[Word]:
        for topic in [topic for topic, word in self._lasting.items() if word.site == site]:
            yield self._lasting.pop(topic)
        kept = deque[Word]()
        for word in self._passing:
            if word.site == site:
                yield word
            else:
                kept.append(word)
        self._passing = kept

    def _trim(self, now_ms: int) -> None:
        while self._passing and (self._passing[0].at_ms < now_ms - TAIL_MS or self._bytes > MOST_BYTES):
            self._bytes -= self._passing.popleft().bytes
        while self._lasting and self._bytes > MOST_BYTES:
            self._bytes -= self._lasting.popitem(last=False)[1].bytes
