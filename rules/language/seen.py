"""What a sentence is about: the last word of each channel, and what is kept of the time before. Plain data, pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from messages.reading import Value


class Seen(NamedTuple):
    """The newest value of a channel; None if it was bad."""

    at_ms: int
    """Never ahead of the server's clock at the arrival."""
    value: Value | None
    said_ms: int
    """As the device's clock had it."""
    since_ms: int
    """Since when, by the device's clock, nothing else is known; an event stands since its last reading."""
    changed: bool = False
    """Whether `since_ms` was a change. The first value that is heard is none: it may have stood for days."""
    ahead: tuple[int, ...] = ()
    """What the device's clock had for the latest readings that were ahead of the server's."""


Word = tuple[int, Value | None, int, int, bool, tuple[int, ...]]
"""A `Seen` without its names, as it is remembered: there is one for each channel of each rule of each device, with each reading a new one,
and a plain tuple is made in a third of the time. `Seen(*word)` names it."""

SeenByChannel = Mapping[str, Word]


class Then(NamedTuple):
    """The moment that is asked about, for sentences that look at more than the last values."""

    at_ms: int
    """The time of the reading that asks, or the server's clock where a timer does."""
    kept: Mapping[str, Any]
    """What the rule's keeps hold, by their keys."""
    around: Mapping[str, int]
    """How many devices of the neighbourhood are as the sentence asks, by the question's key."""


NEVER = Then(0, {}, {})
