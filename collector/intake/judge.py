"""One pack, judged: which of its readings can be true, and why the others can't. Pure.

A bad record costs itself, not its pack. A pack without one good reading is refused as a whole; so is one that can't
be read, or that another edge signed. Judging is by the time that is given: of arrival, or of a retry, so that what a clock that
ran ahead had dated can be taken once its time has come.

Whether a store takes the good ones, and where the bad ones lie, is the desk's affair.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from collector.stores.base import PackRow, Point
from messages import pack as packs
from messages.announcement import Announcement
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Channel, Kinds, mismatch
from messages.pack import Fault, Pack, PackError
from messages.reading import Reading
from messages.suggestion import suggest
from messages.topics import Origin

FUTURE_LIMIT_MS = 120_000
"""How far an edge's clock may be ahead of ours."""

DETAIL_LIMIT = 300
"""Characters of a reason's detail: it may quote the sender, who may be long-winded."""

DeviceKey = tuple[SiteId, EdgeId, DeviceId]
Known = Mapping[DeviceKey, Announcement]

_MISMATCHES = {"type": Fault.WRONG_TYPE, "unit": Fault.WRONG_UNIT, "range": Fault.OUT_OF_RANGE}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some records of a pack, or all of it, are refused: one fault of one device."""

    fault: Fault
    detail: str
    device: DeviceId | None = None
    records: int = 1
    """How many records it stands for; `detail` is that of the first."""


class PackId(NamedTuple):
    """Which pack of which stream: what a receipt names."""

    stream: StreamId
    number: int


class Accepted(NamedTuple):
    """Something to store. `pack` is None for a foreign publisher's, which gets no receipt."""

    points: Sequence[Point]
    pack: PackRow | None
    reasons: Sequence[Reason] = ()
    """Why the records that are missing from `points` are missing; empty if none is."""


class Refused(NamedTuple):
    """Nothing to store. `pack` is None where stream and number could not be read."""

    reasons: Sequence[Reason]
    pack: PackId | None = None

    @property
    def fault(self) -> Fault:
        """The first of the reasons: what a receipt says."""
        return self.reasons[0].fault


def judge(
    payload: bytes, origin: Origin, known: Known, kinds: Kinds, now_ms: int, *, retention_ms: int | None = None
) -> Accepted | Refused:
    """What of a pack that arrived at `now_ms` is worth storing. Raises nothing, whatever the bytes are."""
    try:
        pack = packs.decode(payload)
    except PackError as error:
        return refused(error.fault, error.detail, pack=_identity_in(payload))
    identity = _identity_of(pack)
    if pack.edge not in (None, origin.edge):
        return refused(Fault.WRONG_EDGE, f"the pack says edge {pack.edge}, its topic {origin.edge}", pack=identity)
    points: dict[tuple[DeviceId, str, int], Point] = {}
    reasons = [Reason(record.fault, f"record {record.index}: {record.detail}") for record in pack.bad]
    latest_ms = now_ms + FUTURE_LIMIT_MS
    earliest_ms = 0 if retention_ms is None else now_ms - retention_ms
    for reading in pack.readings:
        if earliest_ms <= reading.at_ms <= latest_ms:
            verdict = _point(reading, origin, known, kinds)
        else:
            verdict = _wrong_time(reading, now_ms)
        if isinstance(verdict, Point):
            points[reading.device, reading.channel, reading.at_ms] = verdict
        else:
            reasons.append(verdict)
    if not points:
        none = [Reason(Fault.MALFORMED, "there is no reading in it")]
        return Refused(reasons=grouped(reasons or none), pack=identity)
    good = tuple(points.values())
    return Accepted(
        points=good, pack=row(identity, good) if identity else None, reasons=grouped(reasons) if reasons else ()
    )


def refused(fault: Fault, detail: str, *, pack: PackId | None = None) -> Refused:
    """All of a message, for one reason."""
    return Refused(reasons=grouped([Reason(fault, detail)]), pack=pack)


def row(pack: PackId, points: Sequence[Point]) -> PackRow:
    """The store's note that `points`, at least one, of a pack are stored."""
    times = [point.reading.at_ms for point in points]
    return PackRow(
        stream=pack.stream, number=pack.number, first_at_ms=min(times), last_at_ms=max(times), readings=len(points)
    )


def grouped(reasons: Sequence[Reason]) -> list[Reason]:
    """One reason per fault and device, with the number of records it stands for, in order of appearance."""
    count = Counter[tuple[Fault, DeviceId | None]]()
    first: dict[tuple[Fault, DeviceId | None], Reason] = {}
    for reason in reasons:
        key = (reason.fault, reason.device)
        count[key] += reason.records
        first.setdefault(key, reason)
    return [replace(reason, detail=reason.detail[:DETAIL_LIMIT], records=count[key]) for key, reason in first.items()]


def _identity_of(pack: Pack) -> PackId | None:
    return PackId(pack.stream, pack.number) if pack.stream is not None and pack.number is not None else None


def _identity_in(payload: bytes) -> PackId | None:
    """Stream and number of a pack whose rest can't be read: its edge should not repeat it for ever."""
    if len(payload) > packs.LIMIT_BYTES:
        return None
    try:
        return _identity_of(packs.decode(orjson.dumps(orjson.loads(payload)[:2])))
    except (PackError, ValueError, LookupError, TypeError):
        return None


def _wrong_time(reading: Reading, now_ms: int) -> Reason:
    ahead_ms = reading.at_ms - now_ms
    if ahead_ms > 0:
        return Reason(Fault.IN_THE_FUTURE, f"{reading.channel}: {ahead_ms / 1000:.0f} s ahead", reading.device)
    return Reason(Fault.TOO_OLD, f"{reading.channel}: {-ahead_ms / 86_400_000:.0f} days old", reading.device)


def _point(reading: Reading, origin: Origin, known: Known, kinds: Kinds) -> Point | Reason:
    device = reading.device
    announcement = known.get((origin.site, origin.edge, device))
    if announcement is None:
        return Reason(Fault.UNKNOWN_DEVICE, f"{origin.edge} has not announced {device}", device)
    kind = kinds.get(announcement.kind)
    if kind is None:
        why = f"{device} is announced as {announcement.kind}, a kind not known here{suggest(announcement.kind, kinds)}"
        return Reason(Fault.UNKNOWN_DEVICE, why, device)
    channel = kind.channels.get(reading.channel)
    if channel is None:
        why = f"a {announcement.kind} has no channel {reading.channel!r}{suggest(reading.channel, kind.channels)}"
        return Reason(Fault.UNKNOWN_CHANNEL, why, device)
    if (what := mismatch(channel, reading.value, reading.unit)) is not None:
        return Reason(_MISMATCHES[what], _complaint(reading, channel, what), device)
    if reading.unit != channel.unit:  # none was sent, or one where the kind has none
        reading = reading._replace(unit=channel.unit)
    return Point(
        reading=reading,
        kind=announcement.kind,
        model=announcement.model,
        building=announcement.place.building,
    )


def _complaint(reading: Reading, channel: Channel, what: str) -> str:
    wanted = {"type": f"a {channel.type}", "unit": channel.unit, "range": f"{channel.range}"}[what]
    got = reading.unit if what == "unit" else f"{reading.value!r:.80}"
    return f"{reading.channel}: {got}, not {'in ' if what == 'range' else ''}{wanted}"
