"""A message that arrived, with what was decided about it; and what follows from some of them together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.intake.judge import Accepted, DeviceKey, PackId, Reason, Refused
from collector.stores.base import Batch
from collector.stores.columns import joined
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


_JUDGED = (Accepted, Refused)


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
        return self.verdict.reasons if isinstance(self.verdict, _JUDGED) else ()


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
        verdict = delivery.verdict
        if not isinstance(verdict, _JUDGED) or not verdict.pack:
            continue
        rejected = verdict.fault.value if isinstance(verdict, Refused) else None
        assert delivery.origin is not None
        found.append(Fate(delivery.origin.site, delivery.origin.edge, PackId(*verdict.pack[:2]), rejected))
    return found


def batches(deliveries: Iterable[Delivery]) -> list[Batch]:
    """What a store is asked to write: one batch per edge."""
    of_edges: dict[tuple[SiteId, EdgeId], list[Accepted]] = {}
    for _, _, _, origin, verdict in deliveries:
        if origin and isinstance(verdict, Accepted):
            of_edges.setdefault((origin.site, origin.edge), []).append(verdict)
    return [
        Batch(
            site=site,
            edge=edge,
            points=joined(points for points, _, _ in accepted),
            packs=[pack for _, pack, _ in accepted if pack],
        )
        for (site, edge), accepted in of_edges.items()
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
