"""Rules that can't wait for missing packs judge what comes as it comes. What they were before is kept, and what has come since: when nothing is missing any
more, they judge it once more in its order, and what they missed is told (rules.language.hindsight). In memory alone, and only while a gap is open.
"""

from collections.abc import Collection, Sequence

from messages.reading import Reading
from rules.engine.draft import Draft
from rules.engine.found import Found
from rules.engine.judgement import judge_by
from rules.engine.memory.beyond import Beyond, Hasty
from rules.engine.memory.plant import Device, StreamKey
from rules.engine.memory.watch import Watch
from rules.engine.timers import StateKey
from rules.language.change import Change
from rules.language.hindsight import in_hindsight
from rules.language.rule import Rule


def judge(beyond: Beyond, draft: Draft, device: Device, rule: Rule, reading: Reading, now_ms: int) -> None:
    """A rule hears what comes beyond a gap, or what was missing in it, at once."""
    key = (device.site, device.id, rule.id)
    before, first = draft.watch(key), len(draft.found)
    judge_by(draft, device, rule, reading, now_ms)
    known = beyond.hasty.get(key, Hasty(before, before))
    if known is not None:
        beyond.hasty[key] = known.followed(before, draft.watch(key), _changes(draft.found[first:]))


def fired(beyond: Beyond, key: StateKey, before: Watch, after: Watch, found: Sequence[Found]) -> None:
    """The timer of one that has heard something beyond the gap."""
    if (known := beyond.hasty.get(key)) is not None:
        beyond.hasty[key] = known.followed(before, after, _changes(found))


def look_back(draft: Draft, stream: StreamKey, beyond: Beyond) -> None:
    """Nothing is missing any more: what was judged as it came is judged in its order."""
    site, edge, _ = stream
    for key, known in beyond.hasty.items():
        watch, device = draft.watch(key), draft.device((site, edge, key[1]))
        if known is None or device is None or draft.is_contested(device) or not known.still(watch):
            continue
        rule = draft.voice_of(device).rules.get(key[2])
        if rule is None or rule.version != watch.version:
            continue
        if behind_ms := draft.behind_ms((site, edge)):
            rule = rule.lenient(behind_ms)
        said = beyond.said.get(device.id, ())
        state, missed, wake_at_ms = in_hindsight(rule, known.before.state, said, watch.state, known.told)
        if state is not watch.state:
            draft.watches[key] = watch._replace(state=state, wake_at_ms=wake_at_ms)
        draft.found += [Found(device, rule, change) for change in missed]


def _changes(found: Collection[Found]) -> list[Change]:
    return [one.change for one in found if isinstance(one.change, Change)]
