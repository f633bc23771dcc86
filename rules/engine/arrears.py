"""Delays that began while nobody listened.

A delay counts from when its reading was heard (rules.language.evaluation), so after a restart it would be over late by as long as we were away. Once
an edge speaks of the present, and none of its packs since is missing, all that it said meanwhile is heard: then a delay that began in that time is
over when it would have been, had we listened (docs/decisions/0085-had-we-listened.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.engine.draft import Draft
from rules.engine.gap import open_gap
from rules.engine.memory.facts import Facts
from rules.engine.memory.plant import EdgeKey, StreamKey
from rules.engine.stream import Stream
from rules.engine.timers import StateKey
from rules.language.evaluation import hastened

MOST_AWAY_MS = 30_000
"""Who was away for longer leaves its delays as they are. A device whose clock is behind seems to have spoken earlier than it did: by as much as
this, at worst, its delay would be over too soon."""


@dataclass(slots=True)
class Arrears:
    """Since a start, or since sites became ours. `known`: what was known of the streams then."""

    known: Mapping[StreamKey, Stream]
    begun_ms: int
    _paid: set[EdgeKey] = field(default_factory=set)

    @classmethod
    def begun(cls, facts: Facts, now_ms: int) -> "Arrears":
        return cls(dict(facts.streams), now_ms)

    def lasts(self, now_ms: int) -> bool:
        """An edge that says nothing for so long has nothing to hasten."""
        return 0 <= now_ms - self.begun_ms <= MOST_AWAY_MS

    def is_owed(self, edge: EdgeKey) -> bool:
        """Whether an edge has not spoken of the present yet."""
        return edge not in self._paid

    def pay(self, draft: Draft, edge: EdgeKey, lag_ms: int, now_ms: int) -> None:
        """An edge has spoken of the present. `lag_ms`: how long before its word was heard that was said, by its clock. Once for each edge."""
        self._paid.add(edge)
        before = [stream for key, stream in self.known.items() if key[:2] == edge]
        from_ms = max((stream.used_at_ms for stream in before), default=0)
        if now_ms - from_ms > MOST_AWAY_MS or not self._is_whole(draft, edge):
            return
        for key in _waking(draft, edge):
            watch, device = draft.watch(key), draft.device((*edge, key[1]))
            rule = draft.voice_of(device).rules.get(key[2]) if device else None
            if rule is not None and rule.version == watch.version and watch.wake_at_ms is not None:
                state, wake_at_ms = hastened(rule, watch.state, from_ms, lag_ms)
                if wake_at_ms != watch.wake_at_ms:
                    draft.watches[key] = watch._replace(state=state, wake_at_ms=wake_at_ms)

    def _is_whole(self, draft: Draft, edge: EdgeKey) -> bool:
        """No pack is missing of what an edge has said since."""
        for key in {**draft.facts.streams, **draft.streams}:
            if key[:2] != edge or (stream := draft.known_stream(key)) is None or not stream.heard:
                continue
            first, last = stream.heard[-1]
            known = self.known.get(key)
            if open_gap(draft, key) is not None or stream.said > last:
                return False
            if known is None or not known.heard:
                if len(stream.heard) > 1:
                    return False
            elif first > known.heard[-1][1] + 1:
                return False
        return True


def _waking(draft: Draft, edge: EdgeKey) -> list[StateKey]:
    """Whose timers wait for what this edge said last."""
    site, name = edge
    known = (draft.facts.watches, draft.watches)
    return [
        key
        for watches in known
        for key, (_, wake_at_ms, teller, _) in watches.items()
        if wake_at_ms is not None and teller == name and key[0] == site
    ]
