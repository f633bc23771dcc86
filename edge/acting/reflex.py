"""A reflex: what the Pi does by itself when a rule of a device says so, network or not. Pure.

The rule and its `step` are the server's own (rules/language). A reflex may watch several devices of one kind: it acts
when the first of them raises, and undoes when the last has cleared. Times are those of a steady clock, which a Pi's wall clock
is not: when that is set right after a boot, no delay may be over at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from messages.ids import DeviceId
from messages.reading import Reading, Value
from rules.language.change import Cleared, Happened, Raised
from rules.language.evaluation import Timer, step
from rules.language.rule import Rule
from rules.language.state import NEW, State, known_raised


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a device is told."""

    device: DeviceId
    command: str
    value: Value | None = None

    def __str__(self) -> str:
        return f"{self.device}: {self.command}" + ("" if self.value is None else f" {json.dumps(self.value)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflex:
    """What is watched, and what is done."""

    id: DeviceId
    rules: Mapping[DeviceId, Rule]
    """By device, with the device's own settings in it."""
    raised: tuple[Deed, ...]
    cleared: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done now, and why."""

    reflex: DeviceId
    raised: bool
    deeds: tuple[Deed, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Stand:
    """How one reflex stands."""

    states: Mapping[DeviceId, State] = field(default_factory=dict)
    raised: frozenset[DeviceId] = frozenset()
    wake_at_ms: Mapping[DeviceId, int] = field(default_factory=dict)
    settled: bool = True
    """Whether all that was to be done is confirmed."""

    @property
    def next_wake_ms(self) -> int | None:
        return min(self.wake_at_ms.values(), default=None)


def feel(reflex: Reflex, stand: Stand, reading: Reading, now_ms: int) -> tuple[Stand, list[Act]]:
    """What one reading makes of a reflex. A reading of a device or a channel that it doesn't watch makes nothing."""
    rule = reflex.rules.get(reading.device)
    if rule is None or reading.channel not in rule.channels:
        return stand, []
    return _stepped(reflex, stand, reading.device, rule, reading, now_ms)


def wake(reflex: Reflex, stand: Stand, now_ms: int) -> tuple[Stand, list[Act]]:
    """What the time does that has passed."""
    acts: list[Act] = []
    for device, at_ms in sorted(stand.wake_at_ms.items()):
        if at_ms <= now_ms and device in reflex.rules:
            stand, more = _stepped(reflex, stand, device, reflex.rules[device], Timer(), now_ms)
            acts += more
    return stand, acts


def _stepped(
    reflex: Reflex, stand: Stand, device: DeviceId, rule: Rule, event: Reading | Timer, now_ms: int
) -> tuple[Stand, list[Act]]:
    state, changes, wake_at_ms = step(rule, stand.states.get(device, NEW), event, now_ms)
    raised = stand.raised
    why = ""
    for change in changes:
        match change:
            case Raised(evidence=evidence) | Happened(evidence=evidence, over=False):
                raised |= {device}
                why = f"{device}: {rule.id}, {_words(evidence)}"
            case Cleared():
                raised -= {device}
                why = f"{device}: {rule.id} is over"
    wakes = {known: at_ms for known, at_ms in stand.wake_at_ms.items() if known != device}
    if wake_at_ms is not None:
        wakes[device] = wake_at_ms
    after = replace(stand, states={**stand.states, device: state}, raised=raised, wake_at_ms=wakes)
    return (after, []) if bool(raised) == bool(stand.raised) else turned(reflex, after, why)


def turned(reflex: Reflex, stand: Stand, why: str) -> tuple[Stand, list[Act]]:
    """What is to be done as it stands."""
    is_raised = bool(stand.raised)
    act = Act(reflex.id, is_raised, reflex.raised if is_raised else reflex.cleared, why)
    return replace(stand, settled=False), [act]


def _words(evidence: Mapping[str, Value]) -> str:
    return ", ".join(f"{channel} {json.dumps(value, ensure_ascii=False)}" for channel, value in evidence.items())


def dump(stand: Stand) -> str:
    """For the book: what was done and whether it was confirmed. Delays that were running begin anew after a restart."""
    return json.dumps({"raised": sorted(stand.raised), "settled": stand.settled})


def load(text: str, reflex: Reflex, now_ms: int) -> Stand:
    """What `dump` wrote, without devices that are no longer watched. Raises ValueError."""
    try:
        content = json.loads(text)
        raised = frozenset(DeviceId(name) for name in content["raised"] if name in reflex.rules)
        states = {device: known_raised(now_ms) for device in raised}
        return Stand(states=states, raised=raised, settled=bool(content["settled"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a reflex's state: {error}") from error
