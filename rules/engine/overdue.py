"""Timers that are due are fired: of what is due the most dangerous first, and not all in one work."""

from collections.abc import Collection, Iterable
from contextlib import closing
from itertools import islice

from rules.engine import gap
from rules.engine.draft import Draft
from rules.engine.enquiry import ask_around
from rules.engine.judgement import judge_by
from rules.engine.memory.plant import Device, EdgeKey
from rules.engine.memory.watch import Watch
from rules.engine.timers import StateKey
from rules.language.evaluation import Timer
from rules.language.rule import Rule

WAKE_AT_ONCE, FOUND_AT_ONCE, MOST_AT_ONCE = 5_000, 50, 200
"""Timers of one work, and findings: those that come first are written, and call, before the rest. Nobody else can write meanwhile. Behind a full work, and
one that was written fast, may come a larger one."""

BEHIND_MS = 1_000
"""How long a timer waits for an edge that tells of the past; what it will say may take minutes."""

HIDDEN_MS = 60_000
"""How long a device's silence is not judged while its edge is away; then it is looked at again."""

_TIMER = Timer()


def fire(draft: Draft, now_ms: int, most: int, enough: int, by_ms: int, behind: Collection[EdgeKey]) -> None:
    """As `Work.wake` says."""
    enough += len(draft.found)
    waits, hasty = gap.waiting(draft), gap.hasty(draft)
    with closing(draft.facts.due(by_ms)) as due:
        ripe = (key for key in due if not _waits(draft, key, now_ms, behind)) if behind else due
        for key in islice(ripe, most):
            if key in waits:
                gap.judge_what_waits(draft, key)
                if (draft.watch(key).wake_at_ms or now_ms + 1) > now_ms:  # what it had heard has ended its delay
                    continue
            before, first = draft.watch(key) if key in hasty else None, len(draft.found)
            _fire(draft, key, now_ms)
            if before is not None:
                gap.fired(draft, key, before, draft.found[first:])
            if len(draft.found) >= enough:
                break
    ask_around(draft, now_ms)


def _waits(draft: Draft, key: StateKey, now_ms: int, behind: Collection[EdgeKey]) -> bool:
    """What the edge that spoke last has still to tell may end it."""
    watch = draft.watch(key)
    if watch.edge is None or watch.wake_at_ms is None or (key[0], watch.edge) not in behind:
        return False
    return now_ms - watch.wake_at_ms <= BEHIND_MS


def _fire(draft: Draft, key: StateKey, now_ms: int) -> None:
    site, device_id, rule_id = key
    watch = draft.watch(key)
    if found := _asked_at_once(draft, key, watch):
        judge_by(draft, *found, _TIMER, now_ms)
        return
    told = sorted(draft.told(site, device_id), key=lambda device: device.edge != watch.edge)
    asked = ((device, rule) for device in told for rule in draft.rules_of(device) if rule.id == rule_id)
    if (found := next(asked, None)) is None:  # the rule, or the device, is no longer what it was
        draft.watches[key] = Watch()
    elif found[1].silences and _is_hidden(draft, told):
        draft.watches[key] = watch._replace(wake_at_ms=now_ms + HIDDEN_MS)
    else:
        judge_by(draft, *found, _TIMER, now_ms)


def _asked_at_once(draft: Draft, key: StateKey, watch: Watch) -> tuple[Device, Rule] | None:
    """Whom a timer is for, where that is beyond doubt: the edge that spoke last is there and has said nothing new of the device."""
    if draft.devices or draft.facts.bygone or watch.edge is None:
        return None
    site, device_id, rule_id = key
    if (site, device_id) in draft.facts.apart:
        return None
    if (voice := draft.facts.voices_at_once(site, watch.edge).get(device_id)) is None:
        if (device := draft.facts.devices.get((site, watch.edge, device_id))) is None:
            return None
        voice = draft.facts.voice_of(device)
    if (rule := voice.rules.get(rule_id)) is None:
        return None
    edge = draft.edge((site, watch.edge))
    return None if edge is not None and not edge.online else (voice.device, rule)


def _is_hidden(draft: Draft, told: Iterable[Device]) -> bool:
    """All edges that speak of a device are away: that is one situation, and the device's silence is no other."""
    edges = [draft.edge((device.site, device.edge)) for device in told]
    return all(edge is not None and not edge.online for edge in edges)
