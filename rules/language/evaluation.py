"""What one more reading, or the passing of time, means for one rule of one device.

`step` is pure, and its state is plain data that goes to the database and back, so live, replay and a restart between
any two readings give the same alarms. Its rules:

* Time is the reading's own. A delay is over when a reading's time says so, or, when no reading comes, when the
  server's clock has run for as long after the arrival: until then what the last reading said still holds.
* Readings are ordered by what their clock said, and of two in one millisecond the later word counts. For all else a
  time ahead of the server's clock counts as now, so a device whose clock jumps fires nothing, and once its clock is
  set right it is heard again.
* Unknown (a bad or missing value) neither raises nor clears. It stops the clock of a clear; that of a raise runs on,
  as it would if nothing had come. Where all values are good and only the time before is not known well enough, the
  clock of a raise stops too: what made it run is known to be over.
* A reading that is older than what its channel has said since (a backlog that follows live readings) can't move
  the present. It runs in a lane of its own: what happened there and is over is a past event.
* So order is put right by whoever hands in many readings at once, not here: what was decided without a straggler stands. It
  may have prevented an alarm that was raised, or would have raised one earlier; counting a delay backwards from it would raise false
  ones, since what lies between may still be on its way. A rule on one channel without a delay finds in any order what there was. Of two readings in
  one millisecond the order of arrival counts. Readings that come again change no alarm, nor does a restart between any two.
  (`tests/rules/test_metamorphic.py`; docs/decisions/0036-rules-that-change-while-they-run.md)
* What is raised by readings older than the rule's lateness is late: it rings nobody, until a fresh reading shows that
  it still stands: a timer says so at once, when all readings of that moment are heard. Life safety is never late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from messages.alarm import Level
from messages.reading import Quality, Reading, Value
from rules.language import keeps
from rules.language.rule import LEVELS, Rule, graver
from rules.language.seen import NEVER, Seen, Then

VERSION = 3

AHEAD = 64
"""How many readings of a channel that were ahead of the server's clock are remembered, to know them if they come again."""

NOTHING: Mapping[str, Any] = {}
NOBODY: Mapping[str, int] = {}
"""Around whom nobody looks."""


class Lane(NamedTuple):
    """One course of events: the present, or a stretch of the past that came to light later."""

    seen: Mapping[str, Seen] = {}
    raised_at_ms: int | None = None
    late: bool = False
    since_ms: int | None = None
    """When what would turn the lane (raise it, or clear it) became true, by the readings' time."""
    due_at_ms: int | None = None
    """When the running delay ends by the server's clock if no reading comes; None while nothing runs."""
    samples: int = 0
    """How many readings have said so since."""
    level: Level | None = None
    """How grave it is while it is raised, if that is more than the rule's own level."""
    kept: Mapping[str, Any] = NOTHING
    """What the rule's keeps hold (rules.language.keeps)."""
    look_at_ms: int | None = None
    """When a silence that the rule asks about may have become long enough, by the server's clock."""


class State(NamedTuple):
    """All that `step` must remember of one rule of one device."""

    live: Lane = Lane()
    past: Lane = Lane()
    open_since_ms: int | None = None
    """When something happened in the past that the present has not yet shown to be over."""


NEW = State()
"""Nothing has been heard yet."""


@dataclass(frozen=True, slots=True)
class Timer:
    """No reading came; look at the clock, and around."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The condition has been true for its delay since `at_ms`. Said again with late = False when a late one stands."""

    at_ms: int
    evidence: Mapping[str, Value]
    late: bool = False
    level: Level | None = None
    """If it is graver than the rule's own."""


@dataclass(frozen=True, slots=True)
class Graver:
    """What was raised at `raised_at_ms` has become graver."""

    raised_at_ms: int
    at_ms: int
    level: Level
    evidence: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was raised at `raised_at_ms` has been below its reset limit for the off-delay since `at_ms`."""

    raised_at_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Happened:
    """It was raised at `at_ms` by readings older than the present; `over`: as the present's values show."""

    at_ms: int
    evidence: Mapping[str, Value]
    over: bool = True
    late: bool = True
    """Too long ago to ring. Life safety never is."""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What happened at `raised_at_ms` was over at `at_ms`."""

    raised_at_ms: int
    at_ms: int


Change = Raised | Graver | Cleared | Happened | Ended


def step(
    rule: Rule, state: State, event: Reading | Timer, now_ms: int, around: Mapping[str, int] = NOBODY
) -> tuple[State, list[Change], int | None]:
    """The new state, what changed, and when to call with a Timer if no reading comes before (None: no need).

    `around` answers the rule's questions about its neighbourhood, by their keys.
    """
    if rule.plain and event.__class__ is Reading:
        reading: Any = event  # by far the commonest thing to happen takes the shortest way
        calm = followed(state, reading, now_ms, bool(rule.events) and reading.channel in rule.events)
        if calm is not None and stays_calm(rule, calm):
            return calm, [], None
    live = state.live
    if isinstance(event, Timer):
        live, changes = _wake(rule, live, now_ms, around)
        return (state if live is state.live else state._replace(live=live)), changes, _wake_at_ms(live)
    channel = event.channel
    if channel not in rule.channels:
        return state, [], _wake_at_ms(live)
    at_ms, newest = event.at_ms, live.seen.get(channel)
    value = None if event.quality is Quality.BAD else event.value
    seen = Seen(min(at_ms, now_ms), value, at_ms, at_ms, False, _ahead(newest, at_ms, now_ms))
    if newest is None or _is_newer(seen, newest, now_ms):
        seen = _dated(rule, channel, newest, seen)
        live, changes = _present(rule, live, channel, seen, now_ms, around)
        after, more = _close(rule, state._replace(live=live), seen.at_ms)
        return after, changes + more, _wake_at_ms(live)
    if at_ms == newest.said_ms or at_ms in newest.ahead:
        return state, [], _wake_at_ms(live)
    past, changes = _history(rule, state.past, channel, seen, now_ms)
    if rule.keeps and value is not None:  # it fills a hole in what the present remembers
        kept = keeps.with_reading(rule.keeps, live.kept, channel, at_ms, value)
        state = state._replace(live=live._replace(kept=kept))
    return _open(rule, state._replace(past=past), changes), changes, _wake_at_ms(live)


def is_running(state: State) -> bool:
    """Something was raised, and is not over."""
    return state.live.raised_at_ms is not None or state.open_since_ms is not None


def renewed(rule: Rule, state: State, now_ms: int) -> State:
    """What a rule knows that takes the place of one with another meaning: the last values, and of what was kept that which
    it keeps too. It judges what stands now from now on, as soon as it is called with a Timer."""
    seen = {channel: one for channel, one in state.live.seen.items() if channel in rule.channels}
    kept = {keep.key: state.live.kept[keep.key] for keep in rule.keeps if keep.key in state.live.kept}
    return State(Lane(seen, kept=kept, look_at_ms=now_ms)) if seen else NEW


def stepped(state: State, by_ms: int, now_ms: int) -> State:
    """The same after the server's clock was set, by `by_ms`, to `now_ms`: what runs takes as long as it would have. A time that was now
    can't lie ahead."""
    live = state.live
    due_at_ms, look_at_ms = (None if ms is None else ms + by_ms for ms in (live.due_at_ms, live.look_at_ms))
    seen = {channel: one._replace(at_ms=min(one.at_ms, now_ms)) for channel, one in live.seen.items()}
    return state._replace(live=live._replace(seen=seen, due_at_ms=due_at_ms, look_at_ms=look_at_ms))


def followed(state: State, reading: Reading, now_ms: int, event: bool) -> State | None:
    """The state after a good reading in its turn, if nothing is under way and no rule turns by it (`stays_calm`): it is the same
    for all plain rules of a device that were in the same state. `event`: its channel counts each reading.

    The tuples are made by `tuple` itself, which knows no names and is twice as fast.
    """
    live, past, open_since_ms = state
    all_seen, raised_at_ms, late, since_ms, _, _, level, kept, _ = live
    _, channel, at_ms, value, _, quality = reading
    if late or since_ms is not None or open_since_ms is not None or (newest := all_seen.get(channel)) is None:
        return None
    _, before, said_ms, stands_since_ms, changed, ahead = newest
    if not said_ms < at_ms <= now_ms or ahead or quality is Quality.BAD:
        return None
    if event or before != value:
        stands_since_ms, changed = at_ms, True
    seen = _tuple(Seen, (at_ms, value, at_ms, stands_since_ms, changed, ()))
    all_seen = {channel: seen} if len(all_seen) == 1 else {**all_seen, channel: seen}
    after: State = _tuple(
        State, (_tuple(Lane, (all_seen, raised_at_ms, False, None, None, 0, level, kept, None)), past, None)
    )
    return after


def stays_calm(rule: Rule, after: State) -> bool:
    """Whether the values of `after` neither raise what is not raised nor clear or worsen what is."""
    live = after[0]
    seen, raised_at_ms = live[0], live[1]
    if raised_at_ms is None:
        return rule.raises(seen, NEVER) is not True
    if rule.levels:
        return False
    return rule.raises(seen, NEVER) is True or rule.clears(seen, NEVER) is not True


_tuple: Any = tuple.__new__


def _wake_at_ms(lane: Lane) -> int | None:
    if lane.look_at_ms is None or lane.due_at_ms is None:
        return lane.due_at_ms if lane.look_at_ms is None else lane.look_at_ms
    return min(lane.due_at_ms, lane.look_at_ms)


def _dated(rule: Rule, channel: str, before: Seen | None, seen: Seen) -> Seen:
    """`seen` with the time since which it stands. The first value is no change: it may have stood for days."""
    if channel in rule.events or (before is not None and before.value != seen.value):
        return seen._replace(changed=True)
    return seen._replace(since_ms=before.since_ms, changed=before.changed) if before else seen


def _ahead(newest: Seen | None, said_ms: int, now_ms: int) -> tuple[int, ...]:
    known = newest.ahead if newest else ()
    return (*known, said_ms)[-AHEAD:] if said_ms > now_ms and said_ms not in known else known


def _is_newer(seen: Seen, newest: Seen, now_ms: int) -> bool:
    if seen.said_ms == newest.said_ms:
        return seen.value != newest.value
    if seen.said_ms > newest.said_ms:
        return True
    set_right = newest.said_ms > now_ms >= seen.said_ms > newest.at_ms  # its clock was ahead, and is no longer
    return set_right and seen.said_ms not in newest.ahead


def _open(rule: Rule, state: State, changes: list[Change]) -> State:
    """What came to light, and is to ring, counts as over only if the present knows so."""
    for index, change in enumerate(changes):
        if isinstance(change, Happened) and not change.late and not _is_clear(rule, state.live):
            changes[index] = replace(change, over=False)
            return state._replace(open_since_ms=change.at_ms) if state.live.raised_at_ms is None else state
    return state


def _close(rule: Rule, state: State, at_ms: int) -> tuple[State, list[Change]]:
    """Whether the present shows by now that what happened in the past is over."""
    if state.open_since_ms is None:
        return state, []
    if state.live.raised_at_ms is not None:  # it is the present's affair now
        return state._replace(open_since_ms=None), []
    if not _is_clear(rule, state.live):
        return state, []
    return state._replace(open_since_ms=None), [Cleared(state.open_since_ms, at_ms)]


def _present(
    rule: Rule, lane: Lane, channel: str, seen: Seen, now_ms: int, around: Mapping[str, int]
) -> tuple[Lane, list[Change]]:
    stands = False
    changes: list[Change] = []
    after = _with(rule, lane, channel, seen)
    then = Then(seen.at_ms, after.kept, around)
    if _over(rule, lane, seen.at_ms) and lane.due_at_ms is not None and _turns(rule, after, then) is not True:
        # The delay ran out before this reading, which ends what ran: a timer, had it come first, would have said so.
        lane, change = _turn(rule, lane, 0, now_ms, around)
        changes.append(change)
        after = _with(rule, lane, channel, seen)
    turns = _turns(rule, after, then)
    after = _run(rule, after, turns, seen.at_ms, now_ms, heard=True)
    if turns is True and _over(rule, after, seen.at_ms):
        after, change = _turn(rule, after, seen.at_ms, now_ms, around)
        changes.append(change)
    elif after.raised_at_ms is not None and turns is False:
        stands = after.late and not _late(rule, seen.at_ms, now_ms)
        after, more = _weigh(rule, after, then)
        changes += more
    if rule.silences:
        after = after._replace(look_at_ms=_look_at_ms(rule, after, seen.at_ms))
    if stands:  # unless another reading of this moment says otherwise: it is looked at when all that came is heard
        after = after._replace(look_at_ms=now_ms)
    return after, changes


def _with(rule: Rule, lane: Lane, channel: str, seen: Seen) -> Lane:
    kept = lane.kept
    if rule.keeps and seen.value is not None:
        kept = keeps.with_reading(rule.keeps, kept, channel, seen.at_ms, seen.value)
    return lane._replace(seen={**lane.seen, channel: seen}, kept=kept)


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
            if lane.late and any(not _late(rule, seen.at_ms, now_ms) for seen in lane.seen.values()):
                changes.append(Raised(lane.raised_at_ms, _evidence(lane), level=lane.level))
                lane = lane._replace(late=False)
            lane, more = _weigh(rule, lane, then)
            changes += more
        if (look_at_ms := _look_at_ms(rule, lane, now_ms)) != lane.look_at_ms:
            lane = lane._replace(look_at_ms=look_at_ms)
    return lane, changes


def _history(rule: Rule, lane: Lane, channel: str, seen: Seen, now_ms: int) -> tuple[Lane, list[Change]]:
    """As the present, but nothing is assumed between two readings: others may have come, in the other lane."""
    if (newest := lane.seen.get(channel)) is not None and seen.said_ms <= newest.said_ms:
        if seen.said_ms < newest.said_ms:
            lane = Lane()  # an older stretch begins
        elif seen.value == newest.value:
            return lane, []
    seen = _dated(rule, channel, lane.seen.get(channel), seen)
    lane = _with(rule, lane, channel, seen)
    then = Then(seen.at_ms, lane.kept, NOBODY)
    turns = _turns(rule, lane, then)
    lane = _run(rule, lane, turns, seen.at_ms, 0, heard=True)._replace(due_at_ms=None)
    if turns is not True or not _over(rule, lane, seen.at_ms) or lane.since_ms is None:
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
    then = Then(max((seen.at_ms for seen in lane.seen.values()), default=0), lane.kept, NOBODY)
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
        return lane._replace(since_ms=since_ms, due_at_ms=due_at_ms, samples=samples)
    if turns is None and lane.raised_at_ms is None and not (heard and rule.keeps and _all_good(lane)):
        return lane
    if lane.since_ms is None and lane.due_at_ms is None and not lane.samples:
        return lane
    return lane._replace(since_ms=None, due_at_ms=None, samples=0)


def _all_good(lane: Lane) -> bool:
    return all(one.value is not None for one in lane.seen.values())


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
        clear = Lane(lane.seen, kept=lane.kept, look_at_ms=lane.look_at_ms)
        return clear, Cleared(lane.raised_at_ms, at_ms)
    late = _late(rule, max(at_ms, confirmed_at_ms), now_ms)
    level = _level(rule, lane, Then(max(at_ms, confirmed_at_ms), lane.kept, around))
    raised = Lane(lane.seen, at_ms, late, level=level, kept=lane.kept, look_at_ms=lane.look_at_ms)
    return raised, Raised(at_ms, _evidence(lane), late, level)


def _weigh(rule: Rule, lane: Lane, then: Then) -> tuple[Lane, list[Change]]:
    """Whether what is raised has become graver. It gets no lighter: somebody was called for the worse of it."""
    level = _level(rule, lane, then)
    if level is None or lane.raised_at_ms is None or not graver(level, lane.level or rule.level):
        return lane, []
    return lane._replace(level=level), [Graver(lane.raised_at_ms, then.at_ms, level, _evidence(lane))]


def _level(rule: Rule, lane: Lane, then: Then) -> Level | None:
    """The gravest level whose sentence holds; None: the rule's own."""
    return next((level for level, holds in rule.levels if holds(lane.seen, then) is True), None)


def _look_at_ms(rule: Rule, lane: Lane, now_ms: int) -> int | None:
    """When the next of the silences that the rule asks about would be long enough."""
    moments = [
        moment
        for channel, limit_ms in rule.silences
        if (one := lane.seen.get(channel)) is not None and (moment := one.at_ms + limit_ms) > now_ms
    ]
    return min(moments, default=None)


def _late(rule: Rule, at_ms: int, now_ms: int) -> bool:
    return not rule.life_safety and now_ms - at_ms > rule.lateness_ms


def _delay_ms(rule: Rule, lane: Lane) -> int:
    return rule.raise_delay_ms if lane.raised_at_ms is None else rule.clear_delay_ms


def _samples(rule: Rule, lane: Lane) -> int:
    return rule.raise_samples if lane.raised_at_ms is None else rule.clear_samples


def _evidence(lane: Lane) -> dict[str, Value]:
    return {channel: seen.value for channel, seen in lane.seen.items() if seen.value is not None}


def to_json(state: State) -> dict[str, Any]:
    return {
        "version": VERSION,
        "live": _lane_to_json(state.live),
        "past": _lane_to_json(state.past),
        "open_since_ms": state.open_since_ms,
    }


def from_json(content: Any) -> State:
    """Raises ValueError for what no `to_json` of this version wrote."""
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise ValueError(f"a rule's state of version {version}, not {VERSION}")
    try:
        live, past = _lane_from_json(content["live"]), _lane_from_json(content["past"])
        state = State(live, past, content["open_since_ms"])
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"a rule's state that is damaged: {type(error).__name__}: {error}") from error
    if not (_is_lane(live) and _is_lane(past) and _is_time(state.open_since_ms)):
        raise ValueError("a rule's state that is damaged: a value of another type")
    return state


_VALUES = (float, int, bool, str, type(None))


def _is_time(value: object) -> bool:
    return value is None or type(value) is int


def _is_lane(lane: Lane) -> bool:
    times = (lane.raised_at_ms, lane.since_ms, lane.due_at_ms, lane.look_at_ms)
    if not all(map(_is_time, times)) or type(lane.samples) is not int or type(lane.late) is not bool:
        return False
    if lane.level not in (None, *LEVELS):
        return False
    return all(_is_seen(seen) for seen in lane.seen.values())


def _is_seen(seen: Seen) -> bool:
    times = {type(at_ms) for at_ms in (seen.at_ms, seen.said_ms, seen.since_ms, *seen.ahead)}
    of_its_type = (times == {int}, type(seen.changed) is bool, type(seen.value) in _VALUES)
    return all(of_its_type)


_DEFAULTS = Lane()._asdict()


def _lane_to_json(lane: Lane) -> dict[str, Any]:
    """Without what is as in a new lane."""
    content = {name: value for name, value in lane._asdict().items() if value != _DEFAULTS[name]}
    if lane.seen:
        content["seen"] = {channel: [*seen[:5], *seen.ahead] for channel, seen in lane.seen.items()}
    if lane.kept:
        content["kept"] = keeps.to_json(lane.kept)
    return content


def _lane_from_json(content: Mapping[str, Any]) -> Lane:
    seen = {
        channel: Seen(at_ms, value, said_ms, since_ms, changed, tuple(ahead))
        for channel, (at_ms, value, said_ms, since_ms, changed, *ahead) in content.get("seen", {}).items()
    }
    return Lane(**{**content, "seen": seen, "kept": keeps.from_json(content.get("kept", {}))})
