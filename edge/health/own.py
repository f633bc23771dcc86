"""The devices that an edge is itself: the agent, its lines, the links to its devices, its reflexes. Pure.

They are announced and heard like any other device, so that rules, pages and history need nothing new for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from messages.announcement import OWN_MODEL, Announcement, Place
from messages.ids import DeviceId, EdgeId
from messages.kind import Kind, Kinds

AGENT, LINE, LINK, REFLEX = "edge_agent", "edge_line", "device_link", "reflex"
OWN_KINDS = (AGENT, LINE, LINK, REFLEX)


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """One of the edge's own devices."""

    id: DeviceId
    kind: Kind
    announcement: Announcement


def line_id(edge: EdgeId, line: str) -> DeviceId:
    return DeviceId(f"{edge}-{line}")


def link_id(device: DeviceId) -> DeviceId:
    return DeviceId(f"{device}-link")


def own_devices(
    edge: EdgeId,
    place: Place,
    lines: Iterable[str],
    devices: Mapping[DeviceId, Place],
    reflexes: Iterable[DeviceId],
    kinds: Kinds,
) -> list[OwnDevice]:
    """All of one edge."""

    def own(device: DeviceId, kind: str, where: Place) -> OwnDevice:
        return OwnDevice(device, kinds[kind], Announcement(kind=kind, model=OWN_MODEL, place=where))

    return [
        own(DeviceId(edge), AGENT, place),
        *(own(line_id(edge, line), LINE, place) for line in lines),
        *(own(link_id(device), LINK, where) for device, where in devices.items()),
        *(own(reflex, REFLEX, place) for reflex in reflexes),
    ]
