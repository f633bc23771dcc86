"""Who listens to a device: what each of its channels may say, and the rules that want to know it."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from messages.ids import DeviceId
from messages.kind import Channel, Kind
from messages.reading import Value
from rules.engine.memory.plant import Device
from rules.engine.memory.variants import MOST_SETTINGS
from rules.language.code import Compute
from rules.language.rule import Rule
from rules.language.terms import those_holding

MANY = 8
"""Rules that listen to one channel: from so many on it pays to write down later what their common state is."""


class Ear(NamedTuple):
    """What a channel may say, and which rules want to know it. Devices of a kind share their ears, unless their settings differ."""

    channel: Channel
    unit: str | None
    low: float
    high: float
    """Within them a number in its unit is believed at once; of a channel that is none, nothing is."""
    listeners: tuple[tuple[int, Rule, str, str], ...]
    """By their positions: a rule, its id, and the version of a state for which it is asked together with others: none that there is, if more than the last
    values decide."""
    events: frozenset[str]
    """The channel, if each reading of it counts."""
    raising: Compute | None
    """Which of the rules for which the last values decide would raise, by their positions."""
    many: bool
    """MANY listen."""


class Audience(NamedTuple):
    """Who listens to devices of one kind."""

    ears: Mapping[str, Ear]
    """By channel."""
    rules: Mapping[str, Rule]
    """By their ids."""


@dataclass(slots=True)
class Voice:
    """A device that an edge speaks of."""

    device: Device
    ears: Mapping[str, Ear]
    rules: Mapping[str, Rule]
    noted_until_ms: float = -math.inf
    """A word before this tells nothing new about its silence."""


NO_VOICES: Mapping[DeviceId, Voice] = {}


@dataclass(slots=True)
class Audiences:
    """Devices of one kind share theirs, unless their settings differ."""

    _of_kind: dict[str, dict[tuple[Rule, ...], Audience]] = field(default_factory=dict)

    def of(self, name: str, kind: Kind | None, rules: tuple[Rule, ...]) -> Audience:
        """Who listens to devices that are said to be of the kind `name` and are judged by these rules. `kind`: None if we don't know it."""
        known = self._of_kind.setdefault(name, {})
        if (audience := known.get(rules)) is None:
            if len(known) >= MOST_SETTINGS:
                known.clear()
            audience = known[rules] = _audience(kind, rules)
        return audience

    def clear(self) -> None:
        self._of_kind.clear()


_NO_SPAN = (1.0, 0.0)
_ANY_NUMBER = (-sys.float_info.max, sys.float_info.max)


def _ear(name: str, channel: Channel, rules: list[Rule]) -> Ear:
    low, high = _ANY_NUMBER if channel.type == "number" else _NO_SPAN
    if channel.type == "number" and channel.range:
        low, high = channel.range
    listeners = tuple((at, rule, rule.id, rule.version if rule.plain else "") for at, rule in enumerate(rules))
    events = frozenset({name}) if channel.event else frozenset[str]()
    return Ear(channel, channel.unit, low, high, listeners, events, _together(rules), len(rules) >= MANY)


def _audience(kind: Kind | None, rules: tuple[Rule, ...]) -> Audience:
    ears = {
        name: _ear(name, channel, [rule for rule in rules if name in rule.channels])
        for name, channel in (kind.channels if kind else {}).items()
    }
    return Audience(ears, {rule.id: rule for rule in rules})


def _together(rules: list[Rule]) -> Compute | None:
    settings: dict[str, Value] = {}
    plain = {position: rule for position, rule in enumerate(rules) if rule.plain}
    for rule in plain.values():
        used = {name: rule.settings[name] for name in rule.raise_when.settings if name in rule.settings}
        if any(settings.get(name, value) != value for name, value in used.items()):
            return None
        settings |= used
    sentences = tuple((position, rule.raise_when.write) for position, rule in plain.items())
    return those_holding(sentences)(settings) if sentences else None
