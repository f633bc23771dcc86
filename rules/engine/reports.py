"""What the engine itself says of edges and sites (rules.engine.own), and what its rules make of that."""

from collections.abc import Iterable

from messages.announcement import Announcement
from messages.ids import DeviceId, SiteId
from messages.reading import Reading
from rules.engine import own
from rules.engine.draft import Draft
from rules.engine.found import Audited
from rules.engine.judgement import judge_by
from rules.engine.memory.plant import Device


def speak(draft: Draft, site: SiteId, device_id: DeviceId, said: Announcement, readings: Iterable[Reading]) -> None:
    """The engine speaks of a device of its own: no edge, no silence, no reading that is counted."""
    if said.kind not in draft.facts.kinds:
        return
    device = Device(
        site=site, edge=own.ENGINE, id=device_id, kind=said.kind, model=said.model, place=said.place, settings={}
    )
    teller = (site, own.ENGINE, device_id)
    if draft.device(teller) != device:
        draft.devices[teller] = device
        draft.look_for_rivals(device)
    for reading in readings:
        for rule in draft.rules_of(device):
            judge_by(draft, device, rule, reading, reading.at_ms)


def count_away(draft: Draft, site: SiteId, now_ms: int) -> None:
    """Say of a site how many of its edges are away."""
    known = {**draft.facts.edges, **draft.edges}
    away = sum(one is not None and not one.online for (of, _), one in known.items() if of == site)
    speak(draft, site, own.site_device(site), own.site_announced(site), [own.site_said(site, away, now_ms)])


def audit(draft: Draft, site: SiteId, found: Audited, now_ms: int) -> None:
    """How it stands with the calls of a site, as those found who look after it."""
    said = [
        own.site_stuck(site, found.stuck, now_ms),
        *own.site_staffed(site, old=found.roster_old, unstaffed=found.unstaffed, now_ms=now_ms),
        own.site_disputed(site, found.disputed, now_ms),
    ]
    speak(draft, site, own.site_device(site), own.site_announced(site), said)
