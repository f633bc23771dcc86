"""The alarm's own machine: ISA-18.2 condition states as docs/field-notes.md section 2a writes them.

Pure. An alarm says how the condition is and whether somebody has looked; who does what about it is the case's
affair (`rules.cases.case`). PENDING never has a row in the database: the running delay is held by `rules.language.evaluation`.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

from messages.ids import DeviceId, SiteId
from rules.records import AlarmState


class AlarmEvent(StrEnum):
    """What can happen to an alarm."""

    BEGAN = "began"
    """The condition is true; its delay starts."""
    FLEETED = "fleeted"
    """It was over before its delay."""
    RAISED = "raised"
    """It has been true for its delay."""
    WORSENED = "severity_changed"
    """It has become graver while it is active."""
    RETURNED = "returned"
    """It has been below its reset limit for the off-delay."""
    ACKNOWLEDGED = "acknowledged"
    """A person has seen it."""
    RESET = "reset"
    """A person has checked on the spot (核查) that a held alarm may go."""
    REALARMED = "realarmed"
    """It is still active, and nobody does what was promised; or nobody could be called before."""


@dataclass(frozen=True, slots=True)
class Condition:
    """State of an alarm, and whether its rule holds it (`latch`) until a person has checked."""

    state: AlarmState
    latch: bool
    changed_at_ms: int


ACTIVE = frozenset({AlarmState.UNACK, AlarmState.ACKED})
"""The condition holds."""
LATCHED = frozenset({AlarmState.LATCH_UNACK, AlarmState.LATCH_ACK})
"""It holds no longer, but a person must check."""

_S, _E = AlarmState, AlarmEvent
_MOVES: dict[tuple[AlarmState, AlarmEvent], AlarmState] = {
    (_S.NORM, _E.BEGAN): _S.PENDING,
    (_S.NORM, _E.RAISED): _S.UNACK,
    (_S.PENDING, _E.FLEETED): _S.NORM,
    (_S.PENDING, _E.RAISED): _S.UNACK,
    (_S.UNACK, _E.ACKNOWLEDGED): _S.ACKED,
    (_S.UNACK, _E.RETURNED): _S.RTN_UNACK,
    (_S.UNACK, _E.WORSENED): _S.UNACK,
    (_S.UNACK, _E.REALARMED): _S.UNACK,
    (_S.ACKED, _E.WORSENED): _S.UNACK,
    (_S.ACKED, _E.REALARMED): _S.UNACK,
    (_S.ACKED, _E.RETURNED): _S.NORM,
    (_S.RTN_UNACK, _E.ACKNOWLEDGED): _S.NORM,
    (_S.RTN_UNACK, _E.RAISED): _S.UNACK,
    (_S.LATCH_UNACK, _E.ACKNOWLEDGED): _S.LATCH_ACK,
    (_S.LATCH_UNACK, _E.RESET): _S.NORM,
    (_S.LATCH_UNACK, _E.RAISED): _S.UNACK,
    (_S.LATCH_ACK, _E.RESET): _S.NORM,
    (_S.LATCH_ACK, _E.RAISED): _S.UNACK,
}
_HELD = {_S.UNACK: _S.LATCH_UNACK, _S.ACKED: _S.LATCH_ACK}
"""Where RETURNED leads instead when the rule latches."""


def apply(condition: Condition, event: AlarmEvent, now_ms: int) -> Condition:
    """What `event` makes of it. An event that means nothing in this state changes nothing: the same object returns."""
    if event is AlarmEvent.RETURNED and condition.latch and condition.state in _HELD:
        target: AlarmState | None = _HELD[condition.state]
    else:
        target = _MOVES.get((condition.state, event))
    return condition if target is None else replace(condition, state=target, changed_at_ms=now_ms)


def log_event(before: Condition, after: Condition, event: AlarmEvent) -> str | None:
    """The name under which the log keeps the move (section 2d); None for one that it doesn't keep."""
    if before is after or event in (AlarmEvent.BEGAN, AlarmEvent.FLEETED):
        return None
    if event is AlarmEvent.RETURNED:
        return "alarm.latched" if after.state in _HELD.values() else "alarm.cleared"
    return f"alarm.{event}"


def alarm_id(site: SiteId, device: DeviceId, rule: str, raised_at_ms: int) -> str:
    """The same episode has the same id, whoever computes it and however often: a replay can't double an alarm."""
    name = "\n".join((site, device, rule, str(raised_at_ms)))
    return hashlib.blake2b(name.encode(), digest_size=10).hexdigest()
