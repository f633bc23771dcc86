"""One message of the bus into a work: announcements, statuses, receipts and packs. Pure.

A message that can't be read is somebody else's to judge (the collector keeps it in quarantine); here it comes to
nothing, and the reason is handed back for the log.
"""

from collections.abc import Callable, Collection
from typing import TypeVar

from messages import announcement, pack, receipt, status, topics
from messages.ids import SiteId
from messages.topics import Origin
from rules.engine.memory.plant import StreamKey
from rules.engine.work import Work

T = TypeVar("T")

SUBSCRIPTIONS = (topics.ALL_DEVICES, topics.ALL_STATUS, topics.ALL_RECEIPTS, topics.ALL_READINGS)
"""In this order, so that a broker that keeps it tells of a device before its readings come."""


def subscriptions(sites: Collection[SiteId] | None) -> tuple[str, ...]:
    """Of these sites alone; None: of all."""
    if sites is None:
        return SUBSCRIPTIONS
    return tuple(every.replace("/+/", f"/{site}/", 1) for every in SUBSCRIPTIONS for site in sites)


LIMITS_BYTES = {"status": 16 * 1024, "devices": 16 * 1024, "receipts": 64 * 1024}
"""Far above what an honest one needs. A pack has its own limit."""


class Undecodable(Exception):
    """A decoder failed in a way that it does not name: a defect of ours, which must cost no more than this message."""


def take(work: Work, topic: str, payload: bytes, now_ms: int, *, kept: bool = False) -> str | None:
    """Put a message into the work; why it could not be read, if it could not. Its readings are heard when the work is settled. `kept`: the
    broker kept it for whoever comes (MQTT's retain flag).

    Raises Undecodable.
    """
    origin = topics.origin(topic)
    if origin is None:
        return "a topic that is not ours"
    if len(payload) > LIMITS_BYTES.get(origin.leaf, len(payload)):
        return f"oversized: {len(payload)} bytes"
    match origin.leaf:
        case "readings":
            return _take_pack(work, origin, payload, now_ms)
        case "devices":
            return _take_announcement(work, origin, payload, now_ms)
        case "receipts":
            return _take_receipt(work, origin, payload, now_ms)
        case _:
            return _take_status(work, origin, payload, now_ms, kept=kept)


def _decoded(decode: Callable[[bytes], T], payload: bytes) -> T | str:
    """What the message says, or why it can't be read."""
    try:
        return decode(payload)
    except ValueError as error:  # PackError, AnnouncementError, ReceiptError, StatusError
        return str(error)
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def _take_pack(work: Work, origin: Origin, payload: bytes, now_ms: int) -> str | None:
    found = _decoded(pack.decode, payload)
    if isinstance(found, str):
        return found
    if found.edge is not None and found.edge != origin.edge:
        return f"a pack of {found.edge} on the topic of {origin.edge}"
    if found.stream is None or found.number is None:
        work.collect(origin.site, origin.edge, found.readings)
        return None
    stream = (origin.site, origin.edge, found.stream)
    if not work.is_heard(stream, found.number):
        work.collect_pack(stream, found.number, found.readings, now_ms)
    return None


def _take_announcement(work: Work, origin: Origin, payload: bytes, now_ms: int) -> str | None:
    assert origin.device is not None
    if not payload:  # how MQTT forgets
        work.withdraw(origin.site, origin.edge, origin.device, now_ms)
        return None
    found = _decoded(announcement.decode, payload)
    if isinstance(found, str):
        return found
    if not work.announce(origin.site, origin.edge, origin.device, found, now_ms):
        return f"{origin.edge} has announced too many devices already"
    return None


def _take_receipt(work: Work, origin: Origin, payload: bytes, now_ms: int) -> str | None:
    found = _decoded(receipt.decode, payload)
    if isinstance(found, str):
        return found
    numbers = [last for _, last in found.stored] + [rejected.last for rejected in found.rejected]
    return _said(work, (origin.site, origin.edge, found.stream), max(numbers, default=0), now_ms)


def _take_status(work: Work, origin: Origin, payload: bytes, now_ms: int, *, kept: bool) -> str | None:
    if not payload:
        return None
    found = _decoded(status.decode, payload)
    if isinstance(found, str):
        return found
    guessed = found.at_ms is None or found.clock_trusted is False
    at_ms = now_ms if found.at_ms is None or guessed else max(0, min(found.at_ms, now_ms))
    by_edge = found.at_ms is not None
    work.status(
        origin.site,
        origin.edge,
        online=found.online,
        at_ms=at_ms,
        now_ms=now_ms,
        by_edge=by_edge,
        clock_trusted=found.clock_trusted is not False,
        clock_ms=found.at_ms,
        kept=kept,
    )
    if found.stream is None:
        return None
    return _said(work, (origin.site, origin.edge, found.stream), found.packs or 0, now_ms)


def _said(work: Work, stream: StreamKey, number: int, now_ms: int) -> str | None:
    if number > pack.NUMBER_LIMIT:
        return f"pack number {number}"
    if number:
        work.said(stream, number, now_ms)
    return None
