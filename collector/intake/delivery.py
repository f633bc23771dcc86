"""A message that arrived, with what was decided about it; and what follows from some of them together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.intake.judge import Accepted, DeviceKey, PackId, Reason, Refused
from collector.stores.base import Batch, PackRow, Point
from messages import topics
from messages.announcement import Announcement
from messages.ids import EdgeId, SiteId, StreamId
from messages.ranges import ranges
from messages.receipt import Receipt, Rejected
from messages.status import EdgeStatus


@dataclass(frozen=True, slots=True)
class Announced:
    """A device that is known from now on, or, with None, no longer."""

    device: DeviceKey
    announcement: Announcement | None


@dataclass(frozen=True, slots=True)
class Said:
    """How an edge says it is."""

    status: EdgeStatus


class Delivery(NamedTuple):
    """`origin` is None for a topic that belongs to no edge; such a thing is refused."""

    topic: str
    payload: bytes
    received_at_ms: int
    origin: topics.Origin | None
    verdict: Accepted | Refused | Announced | Said

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why it belongs in quarantine; empty if it doesn't."""
        return self.verdict.reasons if isinstance(self.verdict, Accepted | Refused) else ()


class Fate(NamedTuple):
    """What a receipt says of one pack."""

    site: SiteId
    edge: EdgeId
    pack: PackId
    rejected: str | None
    """The reason; None for a pack that is stored, be it in part."""


def fates(deliveries: Iterable[Delivery]) -> list[Fate]:
    """Nothing for what gets no receipt: announcements, foreign packs, and what can't be read that far."""
    found = []
    for delivery in deliveries:
        match delivery.verdict:
            case Accepted(pack=PackRow(stream=stream, number=number)):
                rejected = None
            case Refused(pack=PackId(stream=stream, number=number)) as verdict:
                rejected = verdict.fault.value
            case _:
                continue
        assert delivery.origin is not None
        found.append(Fate(delivery.origin.site, delivery.origin.edge, PackId(stream, number), rejected))
    return found


def batches(deliveries: Iterable[Delivery]) -> list[Batch]:
    """What a store is asked to write: one batch per edge."""
    found: dict[tuple[SiteId, EdgeId], tuple[list[Point], list[PackRow]]] = {}
    for delivery in deliveries:
        if delivery.origin and isinstance(delivery.verdict, Accepted):
            points, packs = found.setdefault((delivery.origin.site, delivery.origin.edge), ([], []))
            points += delivery.verdict.points
            packs += [delivery.verdict.pack] if delivery.verdict.pack else []
    return [
        Batch(site=site, edge=edge, points=found[site, edge][0], packs=found[site, edge][1]) for site, edge in found
    ]


def receipts(fates: Iterable[Fate]) -> list[tuple[str, Receipt]]:
    """Topic and receipt, one per edge and stream. Of two words about one pack the last one counts."""
    last: dict[tuple[SiteId, EdgeId, StreamId], dict[int, str | None]] = {}
    for one in fates:
        last.setdefault((one.site, one.edge, one.pack.stream), {})[one.pack.number] = one.rejected
    return [(topics.receipts(site, edge), _receipt(stream, numbers)) for (site, edge, stream), numbers in last.items()]


def _receipt(stream: StreamId, numbers: dict[int, str | None]) -> Receipt:
    stored = ranges(number for number, reason in numbers.items() if reason is None)
    rejected = [
        Rejected(first=first, last=last, reason=why)
        for why in sorted({reason for reason in numbers.values() if reason is not None})
        for first, last in ranges(number for number, reason in numbers.items() if reason == why)
    ]
    return Receipt(stream=stream, stored=stored, rejected=rejected)
