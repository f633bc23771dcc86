"""What a rule was before a gap in the packs of a stream, written down beside its state, so that it can still judge in order when the gap closes after
a kill, or with another worker (rules.engine.hindsight). Pure.

It is as good as the state that it stands beside, and goes with it: whatever else changes that writes it without. It is of one gap: once the pack behind which that
began is no longer the last one heard, the gap is closed or was given up. Of a device that has said more than MOST_SAID meanwhile nothing is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Quality, Reading
from rules.engine.memory.beyond import Beyond, Hasty, Waiting
from rules.engine.memory.plant import StreamKey
from rules.engine.memory.watch import Watch, Watched
from rules.engine.stream import Stream
from rules.engine.timers import StateKey
from rules.language import state as states
from rules.language.change import Change, Cleared, Ended, Graver, Happened, Raised

MOST_SAID = 64

_CHANGES: Mapping[str, type[Change]] = {one.__name__: one for one in (Raised, Graver, Cleared, Happened, Ended)}


def to_json(stream: StreamKey, beyond: Beyond, hasty: Hasty, key: StateKey) -> dict[str, Any] | None:
    said = beyond.said.get(key[1], ())
    if len(said) > MOST_SAID:
        return None
    return {
        "edge": stream[1],
        "stream": stream[2],
        "after": beyond.after,
        "reaches": beyond.reaches,
        "before": states.to_json(hasty.before.state),
        "told": [[type(one).__name__, asdict(one)] for one in hasty.told],
        "said": [[one.channel, one.at_ms, one.value, one.quality.value, heard_ms] for one, heard_ms in said],
    }


def reopened(
    marks: Iterable[tuple[StateKey, Any]], streams: Mapping[StreamKey, Stream], watches: Mapping[StateKey, Watched]
) -> dict[StreamKey, Beyond]:
    """The gaps that these are of, as far as they are still open. What can't be read is left out."""
    found = dict[StreamKey, Beyond]()
    for key, mark in marks:
        try:
            stream = (key[0], EdgeId(mark["edge"]), StreamId(mark["stream"]))
            before = Watch(states.from_json(mark["before"]))
            told = tuple(_CHANGES[name](**content) for name, content in mark["told"])
            said = _said(key[1], mark["said"])
            after, reaches = int(mark["after"]), int(mark["reaches"])
        except (TypeError, KeyError, ValueError):
            continue
        heard = streams[stream].heard if stream in streams else ()
        if after != (heard[-1][1] if heard else 0):
            continue
        beyond = found.setdefault(stream, Beyond(after, None))
        beyond.reaches = max(beyond.reaches, reaches)
        beyond.hasty[key] = Hasty(before, Watch(*watches[key]), told)
        beyond.said[key[1]] = max(
            said, beyond.said.get(key[1], ()), key=len
        )  # the later it was written the longer it is
    for beyond in found.values():
        beyond.held = sum(map(len, beyond.said.values()))
        beyond.before_us = frozenset(one for said in beyond.said.values() for one, _ in said)
    return found


def _said(device: DeviceId, content: Iterable[Any]) -> Waiting:
    return tuple(
        (Reading(device=device, channel=channel, at_ms=at_ms, value=value, quality=Quality(quality)), heard_ms)
        for channel, at_ms, value, quality, heard_ms in content
    )
