"""The state of one rule of one device, and when it wants a timer."""

from collections.abc import Mapping
from typing import NamedTuple

from messages.ids import EdgeId
from rules.engine.timers import StateKey
from rules.language.state import NEW, State

MARK = "@"
"""In the name of a rule's state that is kept apart from another kind's (rules.engine.contested)."""


class Watch(NamedTuple):
    """The state of one rule of one device, and when it wants a Timer. Kept without its names (`Watched`): `Watch(*one)` names it."""

    state: State = NEW
    wake_at_ms: int | None = None
    edge: EdgeId | None = None
    """Who spoke last."""
    version: str | None = None
    """Of the rule that this is the state of."""


Watched = tuple[State, int | None, EdgeId | None, str | None]
"""A `Watch` without its names: there is a new one with each reading, and a plain tuple is made in a fifth of the time."""

FORGOTTEN: Watched = (NEW, None, None, None)
"""What is known of nothing."""

NO_WATCHES: Mapping[StateKey, Watched] = {}
