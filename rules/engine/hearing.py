"""Readings are heard: each by the rules that listen to its channel, as its edge has announced the device."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import mismatch
from messages.reading import Quality, Reading
from rules.engine.draft import Draft
from rules.engine.enquiry import ask_around
from rules.engine.memory.audience import Ear, Voice
from rules.engine.memory.plant import Edge, EdgeKey, TellerKey
from rules.engine.strangers import strand
from rules.engine.together import judge as judge_together
from rules.engine.together import write_down

_BAD = Quality.BAD


Judge = Callable[[Draft, Voice, Ear, Reading, SiteId, EdgeId, int], None]
"""What a reading means for the rules that listen (rules.engine.together)."""


def hear(
    draft: Draft, readings: Iterable[tuple[SiteId, EdgeId, Reading]], now_ms: int, judge: Judge = judge_together
) -> None:
    """Apply readings in this order."""
    newest, newest_broken = dict[EdgeKey, int](), dict[EdgeKey, int]()
    spoke = dict[TellerKey, int]()
    heard = 0
    of_site: SiteId | None = None
    of_edge: EdgeId | None = None
    at_once: Mapping[DeviceId, Voice] = {}
    last_ms, behind_ms = -1, 0
    for site, edge, reading in readings:
        device_id, channel, at_ms, value, unit, quality = reading
        if edge is not of_edge or site is not of_site:
            _keep_newest(newest, of_site, of_edge, last_ms)
            of_site, of_edge, last_ms, behind_ms = site, edge, -1, draft.behind_ms((site, edge))
            at_once = draft.facts.voices_at_once(site, edge) if not draft.devices else {}
        if (voice := at_once.get(device_id)) is None:
            if (device := draft.device((site, edge, device_id))) is None:
                strand(draft, (site, edge, device_id), reading)
                continue
            voice = draft.voice_of(device)
        if (ear := voice.ears.get(channel)) is None:
            draft.refused += 1
            continue
        known, usual_unit, low, high, listeners, _, _, _ = ear
        if at_ms > now_ms:
            at_ms = now_ms
        if quality is _BAD:  # a broken sensor is not one that watches
            _keep_newest(newest_broken, site, edge, at_ms)
        else:
            believed = value.__class__ is float and low <= value <= high and (unit is None or unit == usual_unit)
            if not believed and mismatch(known, value, unit) is not None:
                draft.refused += 1
                continue
            if at_ms > last_ms:
                last_ms = at_ms
            if at_ms + behind_ms >= voice.noted_until_ms:
                teller = (site, edge, device_id)
                spoke[teller] = max(at_ms, spoke.get(teller, at_ms))
        heard += 1
        if listeners:
            judge(draft, voice, ear, reading, site, edge, now_ms)
    draft.readings += heard
    write_down(draft, *draft.together)
    _keep_newest(newest, of_site, of_edge, last_ms)
    _note_edges(draft, newest, now_ms)
    _note_edges(draft, newest_broken, now_ms)
    _note_speakers(draft, spoke, now_ms)
    ask_around(draft, now_ms)


def _keep_newest(newest: dict[EdgeKey, int], site: SiteId | None, edge: EdgeId | None, at_ms: int) -> None:
    if site is not None and edge is not None and at_ms > newest.get((site, edge), -1):
        newest[site, edge] = at_ms


def in_order(said: list[tuple[SiteId, EdgeId, Reading]]) -> list[tuple[SiteId, EdgeId, Reading]]:
    """By the readings' own time; what is of one moment stays as it came."""
    moments = [one[2][2] for one in said]
    if all(map(operator.le, moments, moments[1:])):
        return said
    return [said[index] for index in sorted(range(len(said)), key=moments.__getitem__)]


def _note_edges(draft: Draft, newest: Mapping[EdgeKey, int], now_ms: int) -> None:
    for edge_key, at_ms in newest.items():
        known = draft.edge(edge_key) or Edge(online=True, since_ms=now_ms)
        draft.edges[edge_key] = replace(known, last_reading_at_ms=max(known.last_reading_at_ms or 0, at_ms))
        draft.last_reading_at_ms = max(draft.last_reading_at_ms or 0, at_ms)


def _note_speakers(draft: Draft, spoke: Mapping[TellerKey, int], now_ms: int) -> None:
    """Not at each reading, but often enough that no device which keeps its intervals looks silent."""
    for teller, said_ms in spoke.items():
        if (device := draft.device(teller)) is None:
            continue
        at_ms = min(now_ms, said_ms + draft.behind_ms(teller))
        known_ms = draft.silent_from.get(teller) or draft.facts.silent_from.get(teller)
        if known_ms is None or at_ms >= known_ms - draft.facts.spoken_before_ms(device.kind):
            draft.silent_from[teller] = at_ms + draft.facts.patience_ms(device.kind)
