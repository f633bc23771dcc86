"""The topic tree of the wire, version 1: written here and nowhere else."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from messages.ids import DeviceId, EdgeId, SiteId, is_identifier

ROOT = "gridcall/1"

ALL_READINGS = f"{ROOT}/+/+/readings"
ALL_RECEIPTS = f"{ROOT}/+/+/receipts"
ALL_STATUS = f"{ROOT}/+/+/status"
ALL_DEVICES = f"{ROOT}/+/+/devices/+"
ALL_RESULTS = f"{ROOT}/+/+/results/+"


def shared(group: str, topic: str) -> str:
    """A subscription whose messages go to one of the group's members each (MQTT 5 section 4.8.2)."""
    return f"$share/{group}/{topic}"


def readings(site: SiteId, edge: EdgeId) -> str:
    return f"{ROOT}/{site}/{edge}/readings"


def receipts(site: SiteId, edge: EdgeId) -> str:
    return f"{ROOT}/{site}/{edge}/receipts"


def status(site: SiteId, edge: EdgeId) -> str:
    return f"{ROOT}/{site}/{edge}/status"


def announcement(site: SiteId, edge: EdgeId, device: DeviceId) -> str:
    return f"{ROOT}/{site}/{edge}/devices/{device}"


def command(site: SiteId, edge: EdgeId, device: DeviceId | Literal["+"]) -> str:
    return f"{ROOT}/{site}/{edge}/commands/{device}"


def result(site: SiteId, edge: EdgeId, device: DeviceId) -> str:
    return f"{ROOT}/{site}/{edge}/results/{device}"


def probe(name: str) -> str:
    """Where a collector tries out how much the broker keeps; nobody else listens there."""
    return f"{ROOT}/probes/{name}"


def alarm(site: SiteId, alarm_id: str) -> str:
    return f"{ROOT}/{site}/alarms/{alarm_id}"


def notice(site: SiteId, receiver: str) -> str:
    """To one receiver, for systems that have no other way to be told."""
    return f"{ROOT}/{site}/notices/{receiver}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came from, as its topic says."""

    site: SiteId
    edge: EdgeId
    leaf: str
    """"readings", "receipts", "status" or "devices"."""
    device: DeviceId | None = None


def origin(topic: str) -> Origin | None:
    """Site, edge and leaf of an edge's topic; None for a topic of another shape, or with a name that is no identifier."""
    return _origin(topic) if len(topic) <= LONGEST else None


LONGEST = 300
"""Of ours; a longer topic is nobody's, and is not remembered."""


@lru_cache(maxsize=8192)
def _origin(topic: str) -> Origin | None:
    match topic.split("/"):
        case ["gridcall", "1", site, edge, ("readings" | "receipts" | "status") as leaf]:
            named = all(map(is_identifier, (site, edge)))
            return Origin(SiteId(site), EdgeId(edge), leaf) if named else None
        case ["gridcall", "1", site, edge, "devices", device]:
            named = all(map(is_identifier, (site, edge, device)))
            return Origin(SiteId(site), EdgeId(edge), "devices", DeviceId(device)) if named else None
    return None


def told(topic: str) -> DeviceId | None:
    """The device that a command is for; None for a topic of another shape."""
    match topic.split("/"):
        case ["gridcall", "1", site, edge, "commands", device] if all(map(is_identifier, (site, edge, device))):
            return DeviceId(device)
    return None
