"""One message of the bus into a work: announcements, statuses, receipts and packs. Pure.

A message that can't be read is somebody else's to judge (the collector keeps it in quarantine); here it comes to
nothing, and the reason is handed back for the log.
"""

from messages import announcement, pack, receipt, status, topics
from messages.topics import Origin
from rules.engine import Work

SUBSCRIPTIONS = (topics.ALL_DEVICES, topics.ALL_STATUS, topics.ALL_RECEIPTS, topics.ALL_READINGS)
"""In this order, so that a broker that keeps it tells of a device before its readings come."""


def take(work: Work, topic: str, payload: bytes, now_ms: int) -> str | None:
    """Put a message into the work; why it could not be read, if it could not."""
    origin = topics.origin(topic)
    if origin is None:
        return "a topic that is not ours"
    try:
        match origin.leaf:
            case "readings":
                _take_pack(work, origin, payload, now_ms)
            case "devices":
                _take_announcement(work, origin, payload, now_ms)
            case "receipts":
                _take_receipt(work, origin, payload)
            case _:
                _take_status(work, origin, payload, now_ms)
    except ValueError as error:  # PackError, AnnouncementError, ReceiptError, StatusError
        return str(error)
    return None


def _take_pack(work: Work, origin: Origin, payload: bytes, now_ms: int) -> None:
    found = pack.decode(payload)
    if found.edge is not None and found.edge != origin.edge:
        raise ValueError(f"a pack of {found.edge} on the topic of {origin.edge}")
    if found.stream is None or found.number is None:
        work.hear(origin.site, origin.edge, found.readings, now_ms)
        return
    stream = (origin.site, origin.edge, found.stream)
    if not work.is_heard(stream, found.number):
        work.hear(origin.site, origin.edge, found.readings, now_ms)
        work.heard(stream, found.number)


def _take_announcement(work: Work, origin: Origin, payload: bytes, now_ms: int) -> None:
    assert origin.device is not None
    if payload:  # an empty one is how MQTT forgets; what is known of the device stays until we know better
        work.announce(origin.site, origin.edge, origin.device, announcement.decode(payload), now_ms)


def _take_receipt(work: Work, origin: Origin, payload: bytes) -> None:
    found = receipt.decode(payload)
    numbers = [last for _, last in found.stored] + [rejected.last for rejected in found.rejected]
    if numbers:
        _check_number(max(numbers))
        work.said((origin.site, origin.edge, found.stream), max(numbers))


def _take_status(work: Work, origin: Origin, payload: bytes, now_ms: int) -> None:
    if not payload:
        return
    found = status.decode(payload)
    at_ms = now_ms if found.at_ms is None else max(0, min(found.at_ms, now_ms))
    work.status(origin.site, origin.edge, online=found.online, at_ms=at_ms)
    if found.stream is not None and found.packs:
        _check_number(found.packs)
        work.said((origin.site, origin.edge, found.stream), found.packs)


def _check_number(number: int) -> None:
    if number > pack.NUMBER_LIMIT:
        raise ValueError(f"pack number {number}")
