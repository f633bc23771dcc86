"""What one more reading, or the passing of time, means for one rule of one device.

`step` is pure, and its state is plain data that goes to the database and back, so live, replay and a restart between
any two readings give the same alarms. Its rules:

* Time is the reading's own. A delay is over when a reading's time says so, or, when no reading comes, when the
  server's clock has run for as long after the arrival: until then what the last reading said still holds.
* Readings are ordered by what their clock said, and of two in one millisecond the later word counts. For all else a
  time ahead of the server's clock counts as now, so a device whose clock jumps fires nothing, and once its clock is
  set right it is heard again.
* Unknown (a bad or missing value) neither raises nor clears. It stops the clock of a clear; that of a raise runs on,
  as it would if nothing had come.
* A reading that is older than what its channel has said since (a backlog that follows live readings) can't move
  the present. It runs in a lane of its own: what happened there and is over is a past event.
* What is raised by readings older than the rule's lateness is late: it rings nobody, until a fresh reading shows that
  it still stands. Life safety is never late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from messages.reading import Quality, Reading, Value
from rules.language.rule import Rule
from rules.language.terms import changed

VERSION = 2

AHEAD = 64
"""How many readings of a channel that were ahead of the server's clock are remembered, to know them if they come again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest value of a channel; None if it was bad."""

    at_ms: int
    """Never ahead of the server's clock at the arrival."""
    value: Value | None
    said_ms: int
    """As the device's clock had it."""
    ahead: tuple[int, ...] = ()
    """What the device's clock had for the latest readings that were ahead of the server's."""
    changed_ms: int | None = None
    """When the device's clock had its last change; None while only one value of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One course of events: the present, or a stretch of the past that came to light later."""

    seen: Mapping[str, Seen] = field(default_factory=dict)
    raised_at_ms: int | None = None
    late: bool = False
    since_ms: int | None = None
    """When what would turn the lane (raise it, or clear it) became true, by the readings' time."""
    due_at_ms: int | None = None
    """When the running delay ends by the server's clock if no reading comes; None while nothing runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that `step` must remember of one rule of one device."""

    live: Lane = Lane()
    past: Lane = Lane()
    open_since_ms: int | None = None
    """When something happened in the past that the present has not yet shown to be over (life safety only)."""


NEW = State()
"""Nothing has been heard yet."""


@dataclass(frozen=True, slots=True)
class Timer:
    """No reading came; look at the clock."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The condition has been true for its delay since `at_ms`. Said again with late = False when a late one stands."""

    at_ms: int
    evidence: Mapping[str, Value]
    late: bool = False


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


@dataclass(frozen=True, slots=True)
class Ended:
    """What happened at `raised_at_ms` was over at `at_ms`."""

    raised_at_ms: int
    at_ms: int


Change = Raised | Cleared | Happened | Ended


def step(rule: Rule, state: State, event: Reading | Timer, now_ms: int) -> tuple[State, list[Change], int | None]:
    """The new state, what changed, and when to call with a Timer if no reading comes before (None: no need)."""
    if isinstance(event, Timer):
        live, changes = _wake(rule, state.live, now_ms)
        return (state if live is state.live else replace(state, live=live)), changes, live.due_at_ms
    if event.channel not in rule.channels:
        return state, [], state.live.due_at_ms
    newest = state.live.seen.get(event.channel)
    value = None if event.quality is Quality.BAD else event.value
    seen = Seen(min(event.at_ms, now_ms), value, event.at_ms, _ahead(newest, event.at_ms, now_ms))
    if newest is None or _is_newer(seen, newest, now_ms):
        seen = _changed(rule, event.channel, newest, seen)
        live, changes = _present(rule, state.live, event.channel, seen, now_ms)
        after, more = _close(rule, replace(state, live=live), seen.at_ms)
        return after, changes + more, live.due_at_ms
    if event.at_ms == newest.said_ms or event.at_ms in newest.ahead:
        return state, [], state.live.due_at_ms
    past, changes = _history(rule, state.past, event.channel, seen)
    return _open(rule, replace(state, past=past), changes), changes, state.live.due_at_ms


def _changed(rule: Rule, channel: str, before: Seen | None, seen: Seen) -> Seen:
    """`seen` with the time of its channel's last change. The first value is none: it may have stood for days."""
    if channel in rule.events or (before is not None and before.value != seen.value):
        return replace(seen, changed_ms=seen.said_ms)
    return replace(seen, changed_ms=before.changed_ms if before else None)


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
    """What came to light counts as over only if the present knows so."""
    for index, change in enumerate(changes):
        if isinstance(change, Happened) and rule.life_safety and not _is_clear(rule, state.live):
            changes[index] = replace(change, over=False)
            return replace(state, open_since_ms=change.at_ms) if state.live.raised_at_ms is None else state
    return state


def _close(rule: Rule, state: State, at_ms: int) -> tuple[State, list[Change]]:
    """Whether the present shows by now that what happened in the past is over."""
    if state.open_since_ms is None:
        return state, []
    if state.live.raised_at_ms is not None:  # it is the present's affair now
        return replace(state, open_since_ms=None), []
    if not _is_clear(rule, state.live):
        return state, []
    return replace(state, open_since_ms=None), [Cleared(state.open_since_ms, at_ms)]


def _present(rule: Rule, lane: Lane, channel: str, seen: Seen, now_ms: int) -> tuple[Lane, list[Change]]:
    changes: list[Change] = []
    after = replace(lane, seen={**lane.seen, channel: seen})
    if _over(rule, lane, seen.at_ms) and lane.due_at_ms is not None and _turns(rule, after) is not True:
        # The delay ran out before this reading, which ends what ran: a timer, had it come first, would have said so.
        lane, change = _turn(rule, lane, 0, now_ms)
        changes.append(change)
        after = replace(lane, seen={**lane.seen, channel: seen})
    turns = _turns(rule, after)
    after = _run(rule, after, turns, seen.at_ms, now_ms)
    if turns is True and _over(rule, after, seen.at_ms):
        after, change = _turn(rule, after, seen.at_ms, now_ms)
        changes.append(change)
    elif after.late and after.raised_at_ms and turns is False and not _late(rule, seen.at_ms, now_ms):
        changes.append(Raised(after.raised_at_ms, _evidence(after)))
        after = replace(after, late=False)
    return after, changes


def _wake(rule: Rule, lane: Lane, now_ms: int) -> tuple[Lane, list[Change]]:
    if lane.due_at_ms is None or now_ms < lane.due_at_ms:
        return lane, []
    lane, change = _turn(rule, lane, 0, now_ms)
    return lane, [change]


def _history(rule: Rule, lane: Lane, channel: str, seen: Seen) -> tuple[Lane, list[Change]]:
    """As the present, but nothing is assumed between two readings: others may have come, in the other lane."""
    if (newest := lane.seen.get(channel)) is not None and seen.said_ms <= newest.said_ms:
        if seen.said_ms < newest.said_ms:
            lane = Lane()  # an older stretch begins
        elif seen.value == newest.value:
            return lane, []
    seen = _changed(rule, channel, lane.seen.get(channel), seen)
    lane = replace(lane, seen={**lane.seen, channel: seen})
    turns = _turns(rule, lane)
    lane = replace(_run(rule, lane, turns, seen.at_ms, 0), due_at_ms=None)
    if turns is not True or not _over(rule, lane, seen.at_ms) or lane.since_ms is None:
        return lane, []
    at_ms = lane.since_ms + _delay_ms(rule, lane)
    rest = replace(lane, since_ms=None)
    if lane.raised_at_ms is None:
        return replace(rest, raised_at_ms=at_ms), [Happened(at_ms, _evidence(lane))]
    return replace(rest, raised_at_ms=None), [Ended(lane.raised_at_ms, at_ms)]


def _is_clear(rule: Rule, lane: Lane) -> bool:
    """The lane's values are known not to raise, and to clear what is raised."""
    values = _values(rule, lane)
    return (
        lane.raised_at_ms is None
        and rule.raise_when.evaluate(values) is not True
        and rule.clear_when.evaluate(values) is True
    )


def _values(rule: Rule, lane: Lane) -> dict[str, Value | None]:
    values = {**rule.settings, **{channel: seen.value for channel, seen in lane.seen.items()}}
    for channel in rule.times:
        if (seen := lane.seen.get(channel)) is not None:
            values[changed(channel)] = seen.changed_ms
    return values


def _turns(rule: Rule, lane: Lane) -> bool | None:
    """Whether the lane's values, if they last, raise what is not raised, or clear what is."""
    values = _values(rule, lane)
    holds = rule.raise_when.evaluate(values)
    if lane.raised_at_ms is None:
        return holds
    return False if holds else rule.clear_when.evaluate(values)  # where both hold, raise wins


def _run(rule: Rule, lane: Lane, turns: bool | None, at_ms: int, now_ms: int) -> Lane:
    """The lane with its delay started, going on, waiting or stopped."""
    if turns is True:
        since_ms = at_ms if lane.since_ms is None else lane.since_ms
        due_at_ms = now_ms + _delay_ms(rule, lane) if lane.due_at_ms is None else lane.due_at_ms
        return replace(lane, since_ms=since_ms, due_at_ms=due_at_ms)
    if turns is None and lane.raised_at_ms is None:
        return lane
    return replace(lane, since_ms=None, due_at_ms=None)


def _over(rule: Rule, lane: Lane, at_ms: int) -> bool:
    return lane.since_ms is not None and lane.since_ms + _delay_ms(rule, lane) <= at_ms


def _turn(rule: Rule, lane: Lane, confirmed_at_ms: int, now_ms: int) -> tuple[Lane, Change]:
    """The delay is over, and a reading of `confirmed_at_ms` (0: none) has said so."""
    assert lane.since_ms is not None
    at_ms = lane.since_ms + _delay_ms(rule, lane)
    rest = replace(lane, since_ms=None, due_at_ms=None)
    if lane.raised_at_ms is not None:
        return replace(rest, raised_at_ms=None, late=False), Cleared(lane.raised_at_ms, at_ms)
    late = _late(rule, max(at_ms, confirmed_at_ms), now_ms)
    return replace(rest, raised_at_ms=at_ms, late=late), Raised(at_ms, _evidence(lane), late)


def _late(rule: Rule, at_ms: int, now_ms: int) -> bool:
    return not rule.life_safety and now_ms - at_ms > rule.lateness_ms


def _delay_ms(rule: Rule, lane: Lane) -> int:
    return rule.raise_delay_ms if lane.raised_at_ms is None else rule.clear_delay_ms


def _evidence(lane: Lane) -> dict[str, Value]:
    return {channel: seen.value for channel, seen in lane.seen.items() if seen.value is not None}


def to_json(state: State) -> dict[str, Any]:
    return {
        "version": VERSION,
        "live": _lane_to_json(state.live),
        "past": _lane_to_json(state.past),
        "open_since_ms": state.open_since_ms,
    }


def from_json(content: Mapping[str, Any]) -> State:
    """Raises ValueError for a state that another version wrote."""
    if content.get("version") != VERSION:
        raise ValueError(f"a rule's state of version {content.get('version')}, not {VERSION}")
    return State(
        live=_lane_from_json(content["live"]),
        past=_lane_from_json(content["past"]),
        open_since_ms=content["open_since_ms"],
    )


def _lane_to_json(lane: Lane) -> dict[str, Any]:
    return {
        "seen": {
            channel: [seen.at_ms, seen.value, seen.said_ms, seen.changed_ms, *seen.ahead]
            for channel, seen in lane.seen.items()
        },
        "raised_at_ms": lane.raised_at_ms,
        "late": lane.late,
        "since_ms": lane.since_ms,
        "due_at_ms": lane.due_at_ms,
    }


def _lane_from_json(content: Mapping[str, Any]) -> Lane:
    seen = {
        channel: Seen(at_ms, value, said_ms, tuple(ahead), changed_ms)
        for channel, (at_ms, value, said_ms, changed_ms, *ahead) in content["seen"].items()
    }
    return Lane(**{**content, "seen": seen})
