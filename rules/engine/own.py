"""What the engine itself knows and says as devices of its own, so that it is judged by rules like everything else. Pure.

The link to each edge: whether the edge is there, and when it last spoke. One device for each site, for rules about the site as a whole. No
edge may be called as the engine is.
"""

from messages.announcement import OWN_MODEL, Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, part_of
from messages.reading import Reading

ENGINE = EdgeId("rules")
LINK, SITE = "edge_link", "site"
"""Kinds."""


def link_of(edge: EdgeId) -> DeviceId:
    return part_of(edge, "link")


def site_device(site: SiteId) -> DeviceId:
    return DeviceId(site)


def link_announced(edge: EdgeId, place: Place | None) -> Announcement:
    """`place`: where the edge is, if it has said so."""
    return Announcement(kind=LINK, model=OWN_MODEL, place=place or Place(grid=edge, text=edge))


def site_announced(site: SiteId) -> Announcement:
    return Announcement(kind=SITE, model=OWN_MODEL, place=Place(grid=site, text=site))


def link_said(edge: EdgeId, *, online: bool, said_ms: int | None, now_ms: int) -> list[Reading]:
    """Of a status. `said_ms`: when the edge itself said it; None where the broker speaks in its name."""
    device = link_of(edge)
    readings = [Reading(device=device, channel="online", at_ms=now_ms, value=online)]
    if said_ms is not None:
        readings.append(Reading(device=device, channel="heard", at_ms=min(said_ms, now_ms), value=True))
    return readings


def site_stuck(site: SiteId, stuck: int, now_ms: int) -> Reading:
    return Reading(device=site_device(site), channel="stuck", at_ms=now_ms, value=float(stuck), unit="count")


def site_staffed(site: SiteId, *, old: bool, unstaffed: bool, now_ms: int) -> list[Reading]:
    """Whether the roster by which calls go is not the one on disk, and whether there is none at all."""
    device = site_device(site)
    return [
        Reading(device=device, channel="roster_old", at_ms=now_ms, value=old),
        Reading(device=device, channel="unstaffed", at_ms=now_ms, value=unstaffed),
    ]


def site_disputed(site: SiteId, devices: int, now_ms: int) -> Reading:
    return Reading(device=site_device(site), channel="disputed", at_ms=now_ms, value=float(devices), unit="count")


def site_said(site: SiteId, edges_away: int, now_ms: int) -> Reading:
    return Reading(device=site_device(site), channel="edges_away", at_ms=now_ms, value=float(edges_away), unit="count")
