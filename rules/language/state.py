"""What must be remembered of one rule of one device: plain data that goes to the database and back. Pure.

A state is a tuple of tuples, without names: a reading of a calm device makes a new one, and most of its parts are the old ones.
Who has more to do than that looks at it as lanes, which have names.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from messages.alarm import Level
from rules.language import keeps
from rules.language.rule import LEVELS
from rules.language.seen import SeenByChannel, Word

VERSION = 3

NOTHING: Mapping[str, Any] = {}


class Lane(NamedTuple):
    """One course of events: the present, or a stretch of the past that came to light later."""

    seen: SeenByChannel = NOTHING
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


lane_of: Callable[[tuple[Any, ...]], Lane] = partial(tuple.__new__, Lane)
"""A lane from its parts, in a third of the time that its names would take."""

Run = tuple[int | None, bool, int | None, int | None, int, Level | None, Mapping[str, Any], int | None]
"""A lane without its first part."""

IDLE: Run = Lane()[1:]
"""Nothing is raised, nothing runs, nothing is kept: nearly always this very tuple."""

State = tuple[SeenByChannel, Run, Lane, int | None]
"""What the present has said and how it stands; a stretch of the past; and since when something that happened in the past is not yet shown
by the present to be over."""

NEW: State = (NOTHING, IDLE, Lane(), None)
"""Nothing has been heard yet."""


def present(state: State) -> Lane:
    return lane_of((state[0], *state[1]))


def at_present(state: State, lane: Lane) -> State:
    """The state, with the present as in `lane`."""
    run = lane[1:]
    return lane[0], IDLE if run == IDLE else run, state[2], state[3]


def known_raised(at_ms: int) -> State:
    """Of a rule of which no more is known than that it was raised."""
    return at_present(NEW, Lane(raised_at_ms=at_ms))


def is_raised(state: State) -> bool:
    return state[1][0] is not None


def is_running(state: State) -> bool:
    """Something was raised, and is not over."""
    return state[1][0] is not None or state[3] is not None


def to_json(state: State) -> dict[str, Any]:
    return {
        "version": VERSION,
        "live": _lane_to_json(present(state)),
        "past": _lane_to_json(state[2]),
        "open_since_ms": state[3],
    }


def from_json(content: Any) -> State:
    """Raises ValueError for what no `to_json` of this version wrote."""
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise ValueError(f"a rule's state of version {version}, not {VERSION}")
    try:
        live, past = _lane_from_json(content["live"]), _lane_from_json(content["past"])
        open_since_ms = content["open_since_ms"]
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"a rule's state that is damaged: {type(error).__name__}: {error}") from error
    if not (_is_lane(live) and (past is NEW[2] or _is_lane(past)) and _is_time(open_since_ms)):
        raise ValueError("a rule's state that is damaged: a value of another type")
    return at_present((NOTHING, IDLE, past, open_since_ms), live)


_VALUES = (float, int, bool, str, type(None))
_LEVELS = (None, *LEVELS)


def _is_time(value: object) -> bool:
    return value is None or type(value) is int


def _is_lane(lane: tuple[Any, ...]) -> bool:
    seen, raised_at_ms, late, since_ms, due_at_ms, samples, level, _, look_at_ms = lane
    of_its_type = type(late) is bool and type(samples) is int and level in _LEVELS
    times = _is_time(raised_at_ms) and _is_time(since_ms) and _is_time(due_at_ms) and _is_time(look_at_ms)
    return of_its_type and times and all(map(_is_word, seen.values()))


def _is_word(word: tuple[Any, ...]) -> bool:
    at_ms, value, said_ms, since_ms, changed, ahead = word
    times = type(at_ms) is int and type(said_ms) is int and type(since_ms) is int
    ahead_is = not ahead or {type(one) for one in ahead} <= {int}
    return times and type(changed) is bool and type(value) in _VALUES and ahead_is


_DEFAULTS = Lane()._asdict()


def _lane_to_json(lane: Lane) -> dict[str, Any]:
    """Without what is as in a new lane."""
    content = {name: value for name, value in lane._asdict().items() if value != _DEFAULTS[name]}
    if lane.seen:
        content["seen"] = {channel: [*word[:5], *word[5]] for channel, word in lane.seen.items()}
    if lane.kept:
        content["kept"] = keeps.to_json(lane.kept)
    return content


def _lane_from_json(content: Mapping[str, Any]) -> Lane:
    if content == {}:  # nearly every past
        return NEW[2]
    lane = Lane(**content)
    seen: dict[str, Word] = {
        channel: (at_ms, value, said_ms, since_ms, changed, tuple(ahead))
        for channel, (at_ms, value, said_ms, since_ms, changed, *ahead) in content.get("seen", {}).items()
    }
    kept = lane.kept if lane.kept is NOTHING else keeps.from_json(lane.kept)
    return lane_of((seen, *lane[1:7], kept, lane.look_at_ms))
