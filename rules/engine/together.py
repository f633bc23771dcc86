"""Rules that listen to one channel, asked together where a reading means the same to all of them."""

from collections.abc import Collection

from messages.ids import EdgeId, SiteId
from messages.reading import Reading
from rules.engine.draft import Draft
from rules.engine.judgement import judge_by
from rules.engine.memory.audience import Ear, Voice
from rules.engine.memory.plant import DeviceKey
from rules.language.rest import followed, stays_calm
from rules.language.rule import Rule
from rules.language.seen import NEVER
from rules.language.state import State, is_raised


def judge(draft: Draft, voice: Voice, ear: Ear, reading: Reading, site: SiteId, edge: EdgeId, now_ms: int) -> None:
    """What a reading means for the rules that listen. Nearly always it turns none of them; then those that were in one state
    are in one state again, and it is made once for all of them. `site` and `edge` are the voice's."""
    _, _, _, _, listeners, events, raising, many = ear
    if many and _stays_together(draft, voice, ear, reading, now_ms):
        return
    device_id, watches, known = reading[0], draft.watches, draft.facts.watches
    if draft.together:
        write_down(draft, (site, device_id))
    before: State | None = None
    after: State | None = None
    turned: Collection[int] | None = None
    for position, rule, rule_id, at_rest in listeners:
        key = (site, device_id, rule_id)
        watched = watches.get(key) or known.get(key)
        if watched is not None:
            state, wake_at_ms, _, version = watched
            if wake_at_ms is None and version == at_rest:
                if before is None or (state is not before and state != before):
                    before, after, turned = state, followed(state, reading, now_ms, events), None
                    if after is not None and raising is not None and after[1][0] is None:
                        turned = (found := raising(after[0], NEVER)) and frozenset(found)
                if after is not None and (_stays(rule, after) if turned is None else position not in turned):
                    watches[key] = (after, None, edge, version)
                    continue
        judge_by(draft, voice.device, rule, reading, now_ms)


def _stays(rule: Rule, after: State) -> bool:
    """A life-safety rule that is raised looks closer: its event may have come again."""
    return not (rule.life_safety and is_raised(after)) and stays_calm(rule, after)


def _stays_together(draft: Draft, voice: Voice, ear: Ear, reading: Reading, now_ms: int) -> bool:
    """Whether all the rules, which are many, were in one state and are so again. Which one is written down when they part, or all is
    heard."""
    key = (voice.device.site, voice.device.id)
    _, _, _, _, _, events, raising, _ = ear
    known_voice, known_ear, state = draft.together.get(key) or (voice, ear, _one_state(draft, voice, ear))
    if raising is None or state is None or known_voice is not voice or known_ear is not ear:
        return False
    after = followed(state, reading, now_ms, events)
    if after is None or raising(after[0], NEVER):
        return False
    draft.together[key] = (voice, ear, after)
    return True


def _one_state(draft: Draft, voice: Voice, ear: Ear) -> State | None:
    """The state that all rules of an ear are in, if it is one, and nothing is raised."""
    site, device_id = voice.device.site, voice.device.id
    first: State | None = None
    for _, _, rule_id, at_rest in ear.listeners:
        state, wake_at_ms, _, version = draft.watched((site, device_id, rule_id))
        if wake_at_ms is not None or version != at_rest or is_raised(state):
            return None
        if first is None:
            first = state
        elif state is not first and state != first:
            return None
    return first


def write_down(draft: Draft, *devices: DeviceKey) -> None:
    """The states of rules that stayed together."""
    for site, device_id in devices:
        if (found := draft.together.pop((site, device_id), None)) is None:
            continue
        voice, ear, state = found
        for _, _, rule_id, version in ear.listeners:
            draft.watches[site, device_id, rule_id] = (state, None, voice.device.edge, version)
