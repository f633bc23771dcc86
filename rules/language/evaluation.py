"""What one more reading, or the passing of time, means for one rule of one device.

`step` is pure, and its state is plain data that goes to the database and back, so live, replay and a restart between
any two readings give the same alarms. Its rules:

* Time is the reading's own. A delay is over when a reading's time says so, or, when no reading comes, when the
  server's clock has run for as long after the arrival: until then what the last reading said still holds. After a restart, when all that
  was said meanwhile is heard, the arrival counts as if somebody had listened (`hastened`, rules.engine.arrears).
* Readings are ordered by what their clock said, and of two in one millisecond the later word counts. For all else a
  time ahead of the server's clock counts as now, so a device whose clock jumps fires nothing, and once its clock is
  set right it is heard again.
* What several channels say together is so from the youngest of their words on: an old word of a channel that has said nothing since began
  nothing in its own time, of which nobody knows what the others said. Not where a rule asks for a silence: that counts from the word itself, and
  an edge whose clock is behind ours is not silent.
* Unknown (a bad or missing value) neither raises nor clears. It stops the clock of a clear; that of a raise runs on,
  as it would if nothing had come. Where all values are good and only the time before is not known well enough, the
  clock of a raise stops too: what made it run is known to be over. So it does where all that was ever said is good and clears: a bin
  without a camera, of which the one half of "full or seen to overflow" is never known, is not full because it was.
* A reading that is older than what its channel has said since (a backlog that follows live readings) can't move
  the present. It runs in a lane of its own: what happened there and is over is a past event.
* So order is put right by whoever hands readings in, within a turn, where a delay leaves the time for it (rules.engine.gap), and in hindsight, not here: what was
  decided without a straggler stands. It may have prevented an alarm that was raised, or would have raised one earlier; counting a delay backwards from it would raise false
  ones, since what lies between may still be on its way. A rule on one channel without a delay finds in any order what there was. Of two readings in
  one millisecond the order of arrival counts. Readings that come again change no alarm, nor does a restart between any two.
  (`tests/rules/test_metamorphic.py`; docs/decisions/0036-rules-that-change-while-they-run.md, 0079-a-gap-that-closes.md)
* What is raised by readings older than the rule's lateness is late: it rings nobody, until a fresh reading shows that
  it still stands: a timer says so at once, when all readings of that moment are heard. Life safety is never late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from messages.alarm import Level
from messages.reading import Quality, Reading, Value
from rules.language import keeps
from rules.language.change import Change, Cleared, Ended, Graver, Happened, Raised
from rules.language.rest import followed, stays_calm
from rules.language.rule import Rule, graver
from rules.language.seen import Seen, Then, Word
from rules.language.state import NEW, Lane, State, at_present, lane_of, present

AHEAD = 64
"""How many readings of a channel that were ahead of the server's clock are remembered, to know them if they come again."""

NOBODY: Mapping[str, int] = {}
"""Around whom nobody looks."""


@dataclass(frozen=True, slots=True)
class Timer:
    """No reading came; look at the clock, and around."""


def step(
    rule: Rule, state: State, event: Reading | Timer, now_ms: int, around: Mapping[str, int] = NOBODY
) -> tuple[State, list[Change], int | None]:
    """The new state, what changed, and when to call with a Timer if no reading comes before (None: no need).

    `around` answers the rule's questions about its neighbourhood, by their keys.
    """
    if rule.plain and event.__class__ is Reading:  # by far the commonest thing to happen takes the shortest way
        calm = followed(state, event, now_ms, rule.events)
        if calm is not None and stays_calm(rule, calm):
            return calm, [], None
    live = present(state)
    if isinstance(event, Timer):
        woken, changes = _wake(rule, live, now_ms, around)
        return (state if woken is live else at_present(state, woken)), changes, wake_at_ms(woken)
    _, channel, at_ms, value, _, quality = event
    if channel not in rule.channels:
        return state, [], wake_at_ms(live)
    known = None if quality is Quality.BAD else value
    word = live.seen.get(channel)
    newest = None if word is None else Seen(*word)
    if newest is None or _is_newer(at_ms, known, newest, now_ms):
        said = _said(rule, channel, newest, at_ms, known, now_ms, _ahead(newest, at_ms, now_ms))
        live, changes = _present(rule, live, channel, said, now_ms, around)
        state = at_present(state, live)
        if state[3] is not None:
            state, more = _close(rule, state, live, said[0])
            changes += more
        return state, changes, wake_at_ms(live)
    if at_ms == newest.said_ms or at_ms in newest.ahead:
        return state, [], wake_at_ms(live)
    past = _informed(rule, state[2], live, at_ms)
    past, changes = _history(rule, past, channel, at_ms, known, now_ms, _ahead(newest, at_ms, now_ms))
    if live.late and live.raised_at_ms is not None:
        changes = _untold(changes, live.raised_at_ms)
    if rule.keeps and known is not None:  # it fills a hole in what the present remembers
        kept = keeps.with_reading(rule.keeps, live.kept, channel, at_ms, known)
        live = live._replace(kept=kept)
        state = at_present(state, live)
    seen_by_channel, run, _, open_since_ms = state
    return _open(rule, (seen_by_channel, run, past, open_since_ms), live, changes), changes, wake_at_ms(live)


def renewed(rule: Rule, state: State, now_ms: int) -> State:
    """What a rule knows that takes the place of one with another meaning: the last values, and of what was kept that which
    it keeps too. It judges what stands now from now on, as soon as it is called with a Timer."""
    live = present(state)
    seen = {channel: word for channel, word in live.seen.items() if channel in rule.channels}
    kept = {keep.key: live.kept[keep.key] for keep in rule.keeps if keep.key in live.kept}
    return at_present(NEW, Lane(seen, kept=kept, look_at_ms=now_ms)) if seen else NEW


def stepped(state: State, by_ms: int, now_ms: int) -> State:
    """The same after the server's clock was set, by `by_ms`, to `now_ms`: what runs takes as long as it would have. A time that was now
    can't lie ahead."""
    live = present(state)
    due_at_ms, look_at_ms = (None if ms is None else ms + by_ms for ms in (live.due_at_ms, live.look_at_ms))
    seen: dict[str, Word] = {channel: (min(word[0], now_ms), *word[1:]) for channel, word in live.seen.items()}
    return at_present(state, live._replace(seen=seen, due_at_ms=due_at_ms, look_at_ms=look_at_ms))


def hastened(rule: Rule, state: State, from_ms: int, lag_ms: int) -> tuple[State, int | None]:
    """The same where nobody listened from `from_ms` on, and whoever speaks is heard `lag_ms` after it speaks: a delay that began since is over when
    it would have been. And when to call with a Timer."""
    live = present(state)
    if live.due_at_ms is not None and live.since_ms is not None and live.since_ms >= from_ms:
        due_at_ms = live.since_ms + lag_ms + _delay_ms(rule, live)
        if due_at_ms < live.due_at_ms:
            live = live._replace(due_at_ms=due_at_ms)
            state = at_present(state, live)
    return state, wake_at_ms(live)


def wake_at_ms(lane: Lane) -> int | None:
    """When to call with a Timer."""
    if lane.look_at_ms is None or lane.due_at_ms is None:
        return lane.due_at_ms if lane.look_at_ms is None else lane.look_at_ms
    return min(lane.due_at_ms, lane.look_at_ms)


def _said(
    rule: Rule,
    channel: str,
    before: Seen | None,
    said_ms: int,
    value: Value | None,
    now_ms: int,
    ahead: tuple[int, ...],
) -> Word:
    """A channel's new word, after what was known of it. The first value is no change: it may have stood for days."""
    since_ms, changed = said_ms, False
    if channel in rule.events or (before is not None and before.value != value):
        changed = True
    elif before is not None:
        since_ms, changed = before.since_ms, before.changed
    return min(said_ms, now_ms), value, said_ms, since_ms, changed, ahead


def _ahead(newest: Seen | None, said_ms: int, now_ms: int) -> tuple[int, ...]:
    known = newest.ahead if newest else ()
    return (*known, said_ms)[-AHEAD:] if said_ms > now_ms and said_ms not in known else known


def _is_newer(said_ms: int, value: Value | None, newest: Seen, now_ms: int) -> bool:
    if said_ms == newest.said_ms:
        return value != newest.value
    if said_ms > newest.said_ms:
        return True
    set_right = newest.said_ms > now_ms >= said_ms > newest.at_ms  # its clock was ahead, and is no longer
    return set_right and said_ms not in newest.ahead


def _untold(changes: list[Change], raised_at_ms: int) -> list[Change]:
    """Without stretches of what was raised late at `raised_at_ms` and still stands: that is in the history already."""
    return [one for one in changes if not (isinstance(one, Happened) and one.late and one.at_ms >= raised_at_ms)]


def _open(rule: Rule, state: State, live: Lane, changes: list[Change]) -> State:
    """What came to light, and is to ring, counts as over only if the present knows so."""
    for index, change in enumerate(changes):
        if isinstance(change, Happened) and not change.late and not _is_clear(rule, live):
            changes[index] = replace(change, over=False)
            seen, run, past, _ = state
            return (seen, run, past, change.at_ms) if live.raised_at_ms is None else state
    return state


def _close(rule: Rule, state: State, live: Lane, at_ms: int) -> tuple[State, list[Change]]:
    """Whether the present shows by now that what happened in the past is over."""
    seen, run, past, open_since_ms = state
    if open_since_ms is None:
        return state, []
    if live.raised_at_ms is not None:  # it is the present's affair now
        return (seen, run, past, None), []
    if not _is_clear(rule, live):
        return state, []
    return (seen, run, past, None), [Cleared(open_since_ms, at_ms)]


def _present(
    rule: Rule, lane: Lane, channel: str, said: Word, now_ms: int, around: Mapping[str, int]
) -> tuple[Lane, list[Change]]:
    changes: list[Change] = []
    after, stands = _with(rule, lane, channel, said), False
    at_ms = said[0]
    if len(after.seen) > 1 and not rule.silences:
        at_ms = max([word[0] for word in after.seen.values()])
    then = Then(at_ms, after.kept, around)
    turns = _turns(rule, after, then)
    if lane.due_at_ms is not None and turns is not True and _over(rule, lane, at_ms):
        # The delay ran out before this reading, which ends what ran: a timer, had it come first, would have said so.
        turned, change = _turn(rule, lane, 0, now_ms, around)
        changes.append(change)
        after = turned._replace(seen=after.seen, kept=after.kept)
        turns = _turns(rule, after, then)
    after = _run(rule, after, turns, at_ms, now_ms, heard=True)
    if turns is True and _over(rule, after, at_ms):
        waits = _rests_on_the_past(rule, after, at_ms, now_ms)
        after, change = _turn(rule, after, 0 if waits else at_ms, now_ms, around)
        changes.append(change)
        stands = waits and after.late
    elif after.raised_at_ms is not None and turns is False:
        stands = after.late and not _late(rule, at_ms, now_ms)
        after, more = _weigh(rule, after, then)
        changes += more
    if rule.silences:
        after = _looking(after, _look_at_ms(rule, after, at_ms))
    if stands:  # unless another reading of this moment says otherwise: it is looked at when all that came is heard
        after = _looking(after, now_ms)
    return after, changes


def _rests_on_the_past(rule: Rule, lane: Lane, at_ms: int, now_ms: int) -> bool:
    """A fresh reading of one channel says that something is to be raised by what another one said long ago, and may say otherwise in a moment."""
    if lane.raised_at_ms is not None or len(lane.seen) < 2 or _samples(rule, lane) > 1 or _late(rule, at_ms, now_ms):
        return False
    return any(_late(rule, word[0], now_ms) for word in lane.seen.values())


def _with(rule: Rule, lane: Lane, channel: str, said: Word) -> Lane:
    all_seen, raised_at_ms, late, since_ms, due_at_ms, samples, level, kept, look_at_ms = lane
    at_ms, value, _, _, _, _ = said
    if rule.keeps and value is not None:
        kept = keeps.with_reading(rule.keeps, kept, channel, at_ms, value)
    all_seen = {**all_seen, channel: said}
    return lane_of((all_seen, raised_at_ms, late, since_ms, due_at_ms, samples, level, kept, look_at_ms))


def _looking(lane: Lane, at_ms: int | None) -> Lane:
    return lane if at_ms == lane.look_at_ms else lane_of((*lane[:8], at_ms))


def _wake(rule: Rule, lane: Lane, now_ms: int, around: Mapping[str, int]) -> tuple[Lane, list[Change]]:
    changes: list[Change] = []
    if lane.due_at_ms is not None and now_ms >= lane.due_at_ms:
        lane, change = _turn(rule, lane, 0, now_ms, around)
        changes.append(change)
    if rule.questions or (lane.look_at_ms is not None and now_ms >= lane.look_at_ms):
        then = Then(now_ms, lane.kept, around)
        turns = _turns(rule, lane, then)
        lane = _run(rule, lane, turns, now_ms, now_ms)
        if turns is True and _over(rule, lane, now_ms):
            lane, change = _turn(rule, lane, now_ms, now_ms, around)
            changes.append(change)
        elif lane.raised_at_ms is not None and turns is False:
            if lane.late and any(not _late(rule, word[0], now_ms) for word in lane.seen.values()):
                changes.append(Raised(lane.raised_at_ms, _evidence(lane), level=lane.level))
                lane = lane._replace(late=False)
            lane, more = _weigh(rule, lane, then)
            changes += more
        lane = _looking(lane, _look_at_ms(rule, lane, now_ms))
    return lane, changes


def _informed(rule: Rule, lane: Lane, live: Lane, at_ms: int) -> Lane:
    """What the present has heard meanwhile that ended, by `at_ms`, what the lane last heard of a channel."""
    known, seen = lane.seen, dict(lane.seen)
    for channel, (_, value, _, since_ms, changed, ahead) in live.seen.items():
        word = known.get(channel)
        if word is not None and word[2] < since_ms <= at_ms:
            seen[channel] = (since_ms, value, since_ms, since_ms, changed, ahead)
    if seen == known:
        return lane
    lane = lane._replace(seen=seen)
    moment_ms = max(word[0] for word in seen.values())
    turns = _turns(rule, lane, Then(moment_ms, lane.kept, NOBODY))
    return _run(rule, lane, turns, moment_ms, 0, heard=True)._replace(due_at_ms=None)


def _history(
    rule: Rule, lane: Lane, channel: str, said_ms: int, value: Value | None, now_ms: int, ahead: tuple[int, ...]
) -> tuple[Lane, list[Change]]:
    """As the present, but nothing is assumed between two readings: others may have come, in the other lane."""
    word = lane.seen.get(channel)
    newest = None if word is None else Seen(*word)
    if newest is not None and said_ms <= newest.said_ms:
        if said_ms < newest.said_ms:
            lane, newest = Lane(), None  # an older stretch begins
        elif value == newest.value:
            return lane, []
    said = _said(rule, channel, newest, said_ms, value, now_ms, ahead)
    lane = _with(rule, lane, channel, said)
    then = Then(said[0], lane.kept, NOBODY)
    turns = _turns(rule, lane, then)
    lane = _run(rule, lane, turns, said[0], 0, heard=True)._replace(due_at_ms=None)
    if turns is not True or not _over(rule, lane, said[0]) or lane.since_ms is None:
        return lane, []
    at_ms = lane.since_ms + _delay_ms(rule, lane)
    rest = lane._replace(since_ms=None, samples=0)
    if lane.raised_at_ms is None:
        level = _level(rule, lane, then)
        late = _late(rule, at_ms, now_ms)
        return rest._replace(raised_at_ms=at_ms), [Happened(at_ms, _evidence(lane), late=late, level=level)]
    return rest._replace(raised_at_ms=None), [Ended(lane.raised_at_ms, at_ms)]


def _is_clear(rule: Rule, lane: Lane) -> bool:
    """The lane's values are known not to raise, and to clear what is raised."""
    if lane.raised_at_ms is not None:
        return False
    then = Then(max((word[0] for word in lane.seen.values()), default=0), lane.kept, NOBODY)
    return rule.raises(lane.seen, then) is not True and rule.clears(lane.seen, then) is True


def _turns(rule: Rule, lane: Lane, then: Then) -> bool | None:
    """Whether the lane's values, if they last, raise what is not raised, or clear what is."""
    holds: bool | None = rule.raises(lane.seen, then)
    if lane.raised_at_ms is None:
        return holds
    clear: bool | None = rule.clears(lane.seen, then)
    return False if holds else clear  # where both hold, raise wins


def _run(rule: Rule, lane: Lane, turns: bool | None, at_ms: int, now_ms: int, *, heard: bool = False) -> Lane:
    """The lane with its delay started, going on, waiting or stopped. `heard`: by a reading."""
    if turns is True:
        since_ms = at_ms if lane.since_ms is None else lane.since_ms
        samples = lane.samples + 1
        due_at_ms = lane.due_at_ms
        if due_at_ms is None and samples >= _samples(rule, lane):
            due_at_ms = now_ms + max(_delay_ms(rule, lane) - max(at_ms - since_ms, 0), 0)
        return lane_of((*lane[:3], since_ms, due_at_ms, samples, *lane[6:]))
    if turns is None and lane.raised_at_ms is None and not (heard and _all_good(lane) and _is_known(rule, lane, at_ms)):
        return lane
    if lane.since_ms is None and lane.due_at_ms is None and not lane.samples:
        return lane
    return lane_of((*lane[:3], None, None, 0, *lane[6:]))


def _is_known(rule: Rule, lane: Lane, at_ms: int) -> bool:
    """Whether what is not known is only the time before, or a channel that has never said anything, without which it is clear."""
    return bool(rule.keeps) or rule.clears(lane.seen, Then(at_ms, lane.kept, NOBODY)) is True


def _all_good(lane: Lane) -> bool:
    return all(word[1] is not None for word in lane.seen.values())


def _over(rule: Rule, lane: Lane, at_ms: int) -> bool:
    if lane.since_ms is None or lane.samples < _samples(rule, lane):
        return False
    return lane.since_ms + _delay_ms(rule, lane) <= at_ms


def _turn(rule: Rule, lane: Lane, confirmed_at_ms: int, now_ms: int, around: Mapping[str, int]) -> tuple[Lane, Change]:
    """The delay is over, and a reading of `confirmed_at_ms` (0: none) has said so."""
    assert lane.since_ms is not None
    at_ms = lane.since_ms + _delay_ms(rule, lane)
    if _samples(rule, lane) > 1:
        at_ms = max(at_ms, confirmed_at_ms)
    if lane.raised_at_ms is not None:
        look_at_ms = lane.look_at_ms if rule.silences else None  # whether it still stands is no question any more
        clear = lane_of((lane.seen, None, False, None, None, 0, None, lane.kept, look_at_ms))
        return clear, Cleared(lane.raised_at_ms, at_ms)
    late = _late(rule, max(at_ms, confirmed_at_ms), now_ms)
    level = _level(rule, lane, Then(max(at_ms, confirmed_at_ms), lane.kept, around)) if rule.levels else None
    raised = lane_of((lane.seen, at_ms, late, None, None, 0, level, lane.kept, lane.look_at_ms))
    return raised, Raised(at_ms, _evidence(lane), late, level)


def _weigh(rule: Rule, lane: Lane, then: Then) -> tuple[Lane, list[Change]]:
    """Whether what is raised has become graver. It gets no lighter: somebody was called for the worse of it."""
    level = _level(rule, lane, then) if rule.levels else None
    if level is None or lane.raised_at_ms is None or not graver(level, lane.level or rule.level):
        return lane, []
    return lane._replace(level=level), [Graver(lane.raised_at_ms, then.at_ms, level, _evidence(lane))]


def _level(rule: Rule, lane: Lane, then: Then) -> Level | None:
    """The gravest level whose sentence holds; None: the rule's own."""
    return next((level for level, holds in rule.levels if holds(lane.seen, then) is True), None)


def _look_at_ms(rule: Rule, lane: Lane, now_ms: int) -> int | None:
    """When the next of the silences that the rule asks about would be long enough."""
    nearest: int | None = None
    for channel, limit_ms in rule.silences:
        if (word := lane.seen.get(channel)) is not None and (moment := word[0] + limit_ms) > now_ms:
            nearest = moment if nearest is None or moment < nearest else nearest
    return nearest


def _late(rule: Rule, at_ms: int, now_ms: int) -> bool:
    return not rule.life_safety and now_ms - at_ms > rule.lateness_ms


def _delay_ms(rule: Rule, lane: Lane) -> int:
    return rule.raise_delay_ms if lane.raised_at_ms is None else rule.clear_delay_ms


def _samples(rule: Rule, lane: Lane) -> int:
    return rule.raise_samples if lane.raised_at_ms is None else rule.clear_samples


def _evidence(lane: Lane) -> dict[str, Value]:
    return {channel: word[1] for channel, word in lane.seen.items() if word[1] is not None}
