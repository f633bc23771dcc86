"""What the collector says of itself on the wire, so that a breach of the ledger is an alarm like any other. Pure.

One device for each edge whose ledger it keeps. The collector is the "edge" of these devices: no edge may be called so.
"""

from collector.watch.ledger import Balance, EdgeKey
from messages import announcement, pack, topics
from messages.announcement import OWN_MODEL, Announcement, Place
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading

COLLECTOR = EdgeId("collector")
KIND = "edge_ledger"
Message = tuple[str, bytes, bool]
"""Topic, payload, retained."""


def device_of(edge: EdgeKey) -> DeviceId:
    return DeviceId(f"{edge[1]}-ledger"[:63])


def announced(edge: EdgeKey, place: Place) -> Message:
    said = Announcement(kind=KIND, model=OWN_MODEL, place=place)
    return topics.announcement(edge[0], COLLECTOR, device_of(edge)), announcement.encode(said), True


def said(edge: EdgeKey, balance: Balance, at_ms: int) -> Message:
    device = device_of(edge)
    readings = [
        Reading(device=device, channel="balanced", at_ms=at_ms, value=balance.breach is None),
        Reading(device=device, channel="missing_packs", at_ms=at_ms, value=float(balance.missing_packs), unit="count"),
        Reading(device=device, channel="why", at_ms=at_ms, value=balance.breach or ""),
    ]
    return topics.readings(edge[0], COLLECTOR), pack.encode_unnumbered(readings), False
