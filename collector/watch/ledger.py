"""What became of every pack that an edge numbered: stored, quarantined, doubled, missing. Pure; times are arguments.

The identity of docs/guarantees.md, number 1, is looked at from both ends. The edge says what it produced, what it has receipts
for, what waits and what it dropped: that must add up by itself. And a pack that nobody has stored or quarantined must be one
that still waits at the edge, or was dropped there with a reason; else somebody gave a receipt for nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from messages import ranges
from messages.ids import EdgeId, SiteId, StreamId
from messages.ranges import Range
from messages.receipt import Receipt
from messages.status import EdgeStatus

EdgeKey = tuple[SiteId, EdgeId]

LATE_MS = 60_000
"""A reading that is older when it arrives was waiting somewhere: it counts as late."""
GRACE_MS = 30_000
"""What a status says must have had time to arrive before anything of it is called missing."""
MOST_STREAMS, MOST_GAPS = 8, 500
"""Per edge, and per stream: beyond them the oldest are forgotten."""
GAPS_SAID = 20
MOST_EDGES = 10_000
"""Whoever comes after them is stored and not accounted for: a broker without access rules must not fill our memory."""
ASKED_AT_ONCE = 10_000
"""Packs that the store is asked for in one look."""


@dataclass(slots=True)
class Account:
    """One stream, as far as this collector has seen it."""

    stored: list[Range] = field(default_factory=list)
    quarantined: list[Range] = field(default_factory=list)
    doubled: int = 0
    """Packs that came again after they had been settled: an edge that missed its receipt."""
    forgotten: int = 0
    """Packs below which nothing is looked for any more."""

    def settled(self, receipt: Receipt, *, retried: bool = False) -> int:
        """How many of its packs came again, having been settled before. `retried` ones did not come: we looked again."""
        again = 0
        for whole, parts in (
            (self.stored, receipt.stored),
            (self.quarantined, [(each.first, each.last) for each in receipt.rejected]),
        ):
            for first, last in parts:
                again += last - first + 1 - ranges.add(whole, first, last)
            while len(whole) > MOST_GAPS:
                whole[:2] = [(whole[0][0], whole[1][1])]
                self.forgotten = max(self.forgotten, whole[0][1])
        if retried:
            return 0
        self.doubled += again
        return again

    def missing(self, upto: int) -> list[Range]:
        return ranges.missing([*self.stored, *self.quarantined], upto, since=self.forgotten + 1)


@dataclass(slots=True)
class EdgeAccount:
    """One edge: its streams, the last first, and what it said last."""

    streams: dict[StreamId, Account] = field(default_factory=dict)
    readings_stored: int = 0
    readings_quarantined: int = 0
    readings_late: int = 0
    status: EdgeStatus | None = None
    status_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a look at one edge's ledger found."""

    missing_packs: int
    breach: str | None
    """Why it does not balance, for people; None if it does."""


class Ledger:
    """All edges. One thread."""

    def __init__(self) -> None:
        self.edges: dict[EdgeKey, EdgeAccount] = {}

    def settled(self, edge: EdgeKey, receipt: Receipt, *, retried: bool = False) -> int:
        """These packs have their fate; how many of them had it before and came again."""
        return self._stream(edge, receipt.stream).settled(receipt, retried=retried)

    def readings(self, edge: EdgeKey, *, stored: int, quarantined: int, late: int) -> None:
        account = self._account(edge)
        account.readings_stored += stored
        account.readings_quarantined += quarantined
        account.readings_late += late

    def said(self, edge: EdgeKey, status: EdgeStatus, at_ms: int) -> None:
        account = self._account(edge)
        account.status, account.status_at_ms = status, at_ms

    def unknown(self, edge: EdgeKey, now_ms: int) -> tuple[StreamId, list[Range]] | None:
        """The packs of its stream that the store should be asked for: another collector may have had them, or a life before
        this one."""
        account = self.edges[edge]
        status = account.status
        if status is None or status.stream is None or not status.packs or now_ms - account.status_at_ms < GRACE_MS:
            return None
        wanted, room = [], ASKED_AT_ONCE
        for first, last in self._stream(edge, status.stream).missing(status.packs):
            if room <= 0:
                break
            wanted.append((first, min(last, first + room - 1)))
            room -= last - first + 1
        return (status.stream, wanted) if wanted else None

    def found(self, edge: EdgeKey, stream: StreamId, packs: Iterator[int]) -> None:
        """These are in the store after all."""
        stored = self._stream(edge, stream).stored
        for number in packs:
            ranges.add(stored, number, number)

    def balance(self, edge: EdgeKey, now_ms: int) -> Balance:
        """After the store was asked."""
        account = self.edges[edge]
        missing_packs = 0
        if asked := self.unknown(edge, now_ms):
            missing_packs = sum(last - first + 1 for first, last in asked[1])
        return Balance(missing_packs=missing_packs, breach=_breach(account.status, missing_packs))

    def _account(self, edge: EdgeKey) -> EdgeAccount:
        """Its own, or for one too many one that is forgotten at once."""
        if len(self.edges) >= MOST_EDGES:
            return self.edges.get(edge) or EdgeAccount()
        return self.edges.setdefault(edge, EdgeAccount())

    def _stream(self, edge: EdgeKey, stream: StreamId) -> Account:
        streams = self._account(edge).streams
        if stream not in streams:
            while len(streams) >= MOST_STREAMS:
                del streams[next(iter(streams))]
            streams[stream] = Account()
        return streams[stream]


def _breach(status: EdgeStatus | None, missing_packs: int) -> str | None:
    figures = status.outbox if status else None
    if figures is None:
        return None
    told = figures.receipted + figures.pending + figures.dropped
    if figures.produced != told:
        return (
            f"the edge produced {figures.produced} readings and accounts for {told}:"
            f" {figures.receipted} receipted, {figures.pending} waiting, {figures.dropped} dropped"
        )
    if missing_packs and not figures.pending and not figures.dropped:
        return f"{missing_packs} packs are nowhere, and the edge holds receipts for all it sent"
    return None


def as_rows(ledger: Ledger, now_ms: int) -> list[Mapping[str, object]]:
    """One row an edge, for people and programs."""
    rows: list[Mapping[str, object]] = []
    for (site, edge), account in sorted(ledger.edges.items()):
        balance = ledger.balance((site, edge), now_ms)
        figures = account.status.outbox if account.status else None
        rows.append(
            {
                "site": site,
                "edge": edge,
                "produced": figures.produced if figures else None,
                "receipted": figures.receipted if figures else None,
                "pending": figures.pending if figures else None,
                "dropped": figures.dropped if figures else None,
                "dropped_for": dict(figures.dropped_for) if figures else {},
                "rejected_for": dict(figures.rejected_for) if figures else {},
                "outbox_bytes": figures.bytes if figures else None,
                "software": account.status.software if account.status else None,
                "set_aside": list(account.status.set_aside or ()) if account.status else [],
                "status_at_ms": account.status_at_ms or None,
                "stored": account.readings_stored,
                "quarantined": account.readings_quarantined,
                "late": account.readings_late,
                "doubled_packs": sum(each.doubled for each in account.streams.values()),
                "missing_packs": balance.missing_packs,
                "breach": balance.breach,
                "streams": [_stream_row(account, *each) for each in account.streams.items()],
            }
        )
    return rows


def _stream_row(account: EdgeAccount, stream: StreamId, of_stream: Account) -> Mapping[str, object]:
    """Packs of one stream. What is missing is known of the running one alone: its status says how many there are."""
    status = account.status
    missing = of_stream.missing(status.packs) if status and status.stream == stream and status.packs else []
    return {
        "stream": stream,
        "produced_packs": status.packs if status and status.stream == stream else None,
        "stored_packs": ranges.count(of_stream.stored),
        "quarantined_packs": ranges.count(of_stream.quarantined),
        "doubled_packs": of_stream.doubled,
        "missing": missing[:GAPS_SAID],
    }
