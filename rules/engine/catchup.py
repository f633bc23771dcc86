"""Which packs the engine has missed, when to ask the store for them, and how to read them there (guarantee 7).

A number is missing when a later one was heard, or a receipt or an edge's status named it or a later one. It may still
be on its way, so it gets a time of grace; after that the store is asked, less and less often, for as long as it
is missing: a pack that its edge had to drop will never be there, and asking costs one look at an index.

At start nobody may be there to say what was missed, so the store is asked what follows the last known number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.stores.base import PackRow, Store
from messages.ranges import Range, merged, missing
from messages.reading import Reading
from rules.engine.memory.beyond import Beyond
from rules.engine.memory.plant import StreamKey
from rules.engine.stream import Stream

GRACE_MS = 3_000
MOST_MS = 60_000
"""Between two questions for the same missing packs."""

AHEAD = 10_000
"""Pack numbers beyond the last known one that a question at start covers."""

PORTION = 5_000
"""Readings that are fed at a time: live ones get in between."""

SLICE_MS = 3_600_000
"""The longest time that the store is asked for at once: one pack may span a day, and hold the whole of it up."""


NOTHING: Mapping[StreamKey, Beyond] = {}


@dataclass(frozen=True, slots=True)
class Gap:
    """What a stream lacks, and when to ask for it."""

    lacking: tuple[Range, ...]
    ask_at_ms: int
    asked: int = 0


def gaps(
    streams: Mapping[StreamKey, Stream],
    known: Mapping[StreamKey, Gap],
    now_ms: int,
    beyond: Mapping[StreamKey, Beyond] = NOTHING,
) -> dict[StreamKey, Gap]:
    """The gaps that there are now; a gap that has changed starts its grace anew. `beyond`: what came meanwhile, and waits."""
    found = {}
    for key, stream in streams.items():
        heard = (*stream.heard, *beyond[key].packs) if key in beyond else stream.heard
        if lacking := tuple(missing(heard, stream.said)):
            before = known.get(key)
            same = before is not None and before.lacking == lacking
            found[key] = before if before and same else Gap(lacking, now_ms + GRACE_MS)
    return found


def asked(gap: Gap, now_ms: int) -> Gap:
    """The gap after a question that did not fill it."""
    pause_ms = min(GRACE_MS * 2 ** min(gap.asked, 8), MOST_MS)
    return Gap(gap.lacking, now_ms + pause_ms, gap.asked + 1)


def at_start(stream: Stream) -> tuple[Range, ...]:
    """What to ask for when nobody has said how far the stream has come."""
    return (*missing(stream.heard, stream.said), (stream.said + 1, stream.said + AHEAD))


@dataclass(frozen=True, slots=True)
class Portion:
    """Some packs and what the store holds of their time, in order. May hold readings of their neighbours as well."""

    packs: tuple[int, ...]
    readings: Sequence[Reading]
    last: bool
    """With these readings the packs are whole."""


def portions(store: Store, key: StreamKey, wanted: Sequence[Range]) -> Iterator[Portion]:
    """The `wanted` packs as far as they are stored, oldest first. Blocks; raises StoreError."""
    site, edge, stream = key
    rows = sorted(store.packs(site, edge, stream, wanted), key=lambda row: (row.first_at_ms, row.number))
    for some in _portioned(rows):
        packs = tuple(row.number for row in some)
        held: Sequence[Reading] = ()
        for first_ms, last_ms in _sliced(merged((row.first_at_ms, row.last_at_ms) for row in some)):
            held = [*held, *store.readings(site, edge, first_ms, last_ms)]
            while len(held) > PORTION:
                yield Portion(packs, held[:PORTION], last=False)
                held = held[PORTION:]
        yield Portion(packs, held, last=True)


def _sliced(spans: Sequence[Range]) -> Iterator[Range]:
    for first_ms, last_ms in spans:
        for from_ms in range(first_ms, last_ms + 1, SLICE_MS):
            yield from_ms, min(from_ms + SLICE_MS - 1, last_ms)


def _portioned(rows: Sequence[PackRow]) -> Iterator[list[PackRow]]:
    some: list[PackRow] = []
    held = 0
    for row in rows:
        if some and held + row.readings > PORTION:
            yield some
            some, held = [], 0
        some.append(row)
        held += row.readings
    if some:
        yield some
