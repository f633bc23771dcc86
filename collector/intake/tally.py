"""What a batch of settled deliveries adds up to. Pure; counted once, for the ledger, for presence and for the figures alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.intake.delivery import Announced, Delivery, Said
from collector.intake.judge import Accepted, Refused
from collector.stores.columns import columns
from collector.watch.ledger import LATE_MS, EdgeKey
from messages.ids import DeviceId


@dataclass(slots=True)
class EdgeTally:
    """Of one edge."""

    stored: int = 0
    quarantined: int = 0
    """Records; a message that can't be read counts as one."""
    late: int = 0
    """Readings that were older than LATE_MS when they arrived."""
    newest: dict[DeviceId, int] = field(default_factory=dict)
    """The time of each device's newest reading, UTC ms."""
    least_lag_ms: int | None = None
    """The smallest difference of a pack's arrival and its newest reading; None without a pack."""
    received_at_ms: int = 0
    """When the last pack of it came."""


@dataclass(slots=True)
class Tally:
    """Of all."""

    edges: dict[EdgeKey, EdgeTally] = field(default_factory=dict)
    fates: Counter[str] = field(default_factory=Counter)
    """Messages by what became of them."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Records and messages in quarantine, by reason."""


def tallied(settled: Sequence[Delivery]) -> Tally:
    tally = Tally()
    stored = 0
    for delivery in settled:
        verdict = delivery.verdict
        if isinstance(verdict, Accepted):
            _take(_of_edge(tally, delivery), verdict, delivery.received_at_ms)
            if verdict.reasons:
                tally.fates["stored in part"] += 1
                _refuse(tally, delivery)
            else:
                stored += 1
        elif isinstance(verdict, Refused):
            tally.fates["quarantined"] += 1
            _refuse(tally, delivery)
        elif isinstance(verdict, Announced):
            tally.fates["announcement"] += 1
        elif isinstance(verdict, Said):
            tally.fates["status"] += 1
    if stored:
        tally.fates["stored"] = stored
    return tally


def _take(one: EdgeTally, accepted: Accepted, received_at_ms: int) -> None:
    points, pack, newest = columns(accepted.points), accepted.pack, one.newest
    for series, at_ms in zip(points.series, points.at_ms, strict=True):
        if newest.get(series.device, 0) < at_ms:
            newest[series.device] = at_ms
    first_ms, last_ms = pack[2:4] if pack else (min(points.at_ms), max(points.at_ms))
    late_before_ms = received_at_ms - LATE_MS
    if last_ms < late_before_ms:
        one.late += len(points.series)
    elif first_ms < late_before_ms:
        one.late += sum(at_ms < late_before_ms for at_ms in points.at_ms)
    lag_ms = received_at_ms - last_ms
    if one.least_lag_ms is None or lag_ms < one.least_lag_ms:
        one.least_lag_ms = lag_ms
    one.stored += len(points.series)
    one.received_at_ms = received_at_ms


def _refuse(tally: Tally, delivery: Delivery) -> None:
    for reason in delivery.reasons:
        tally.refusals[reason.fault.value] += reason.records
    if delivery.origin:
        _of_edge(tally, delivery).quarantined += sum(reason.records for reason in delivery.reasons)


def _of_edge(tally: Tally, delivery: Delivery) -> EdgeTally:
    origin = delivery.origin
    assert origin is not None
    edge = (origin.site, origin.edge)
    one = tally.edges.get(edge)
    if one is None:
        one = tally.edges[edge] = EdgeTally()
    return one
