"""A rule at rest: it is raised or it isn't, nothing runs, and the last values alone decide. So it is nearly always; then one more reading
is one more tuple. Pure; whatever is not so simple is `step`'s (rules.language.evaluation), which says the same of what is.
"""

from collections.abc import Collection

from messages.reading import Quality, Reading
from rules.language.rule import Rule
from rules.language.seen import NEVER
from rules.language.state import IDLE, State

_BAD = Quality.BAD


def followed(state: State, reading: Reading, now_ms: int, events: Collection[str]) -> State | None:
    """The state after a good reading in its turn, if no rule turns by it (`stays_calm`): it is the same for all plain rules of a
    device that were in the same state. None: there is more to it. `events`: channels that count each reading."""
    all_seen, run, past, open_since_ms = state
    if open_since_ms is not None:
        return None
    if run is not IDLE:
        raised_at_ms, late, since_ms, _, _, level, kept, look_at_ms = run
        if late or since_ms is not None:
            return None
        if look_at_ms is not None:
            run = (raised_at_ms, False, None, None, 0, level, kept, None)
    _, channel, at_ms, value, _, quality = reading
    if (newest := all_seen.get(channel)) is None:
        return None
    _, before, said_ms, stands_since_ms, changed, ahead = newest
    if not said_ms < at_ms <= now_ms or ahead or quality is _BAD:
        return None
    if before != value or (events and channel in events):
        stands_since_ms, changed = at_ms, True
    word = (at_ms, value, at_ms, stands_since_ms, changed, ahead)
    return {channel: word} if len(all_seen) == 1 else {**all_seen, channel: word}, run, past, None


def stays_calm(rule: Rule, after: State) -> bool:
    """Whether the values of `after` neither raise what is not raised nor clear or worsen what is."""
    seen, run, _, _ = after
    if run[0] is None:
        return rule.raises(seen, NEVER) is not True
    if rule.levels:
        return False
    return rule.raises(seen, NEVER) is True or rule.clears(seen, NEVER) is not True
