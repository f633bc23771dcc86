"""The state of every alarm from the log alone. Pure.

It knows what lines mean, not why they were written: so it can be held against the tables, which the machine wrote
(`gridcall rules audit`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from messages.language import Unfit, phrase
from rules.alarms.moment import moment_ms
from rules.records import AlarmState, LogEntry, Overlays, Pause

S = AlarmState
_MOVES: Mapping[str, Mapping[AlarmState, AlarmState]] = {
    "alarm.raised": {S.NORM: S.UNACK, S.RTN_UNACK: S.UNACK, S.LATCH_UNACK: S.UNACK, S.LATCH_ACK: S.UNACK},
    "alarm.severity_changed": {S.UNACK: S.UNACK, S.ACKED: S.UNACK},
    "alarm.realarmed": {S.UNACK: S.UNACK, S.ACKED: S.UNACK},
    "alarm.acknowledged": {S.UNACK: S.ACKED, S.RTN_UNACK: S.NORM, S.LATCH_UNACK: S.LATCH_ACK},
    "alarm.cleared": {S.UNACK: S.RTN_UNACK, S.ACKED: S.NORM},
    "alarm.latched": {S.UNACK: S.LATCH_UNACK, S.ACKED: S.LATCH_ACK},
    "alarm.reset": {S.LATCH_UNACK: S.NORM, S.LATCH_ACK: S.NORM},
}
_ACTIVE = (S.UNACK, S.ACKED)
NOTHING = Overlays()
LATE = "late"
"""How the detail of a line begins that speaks of the past: it moves nothing."""


class Unreadable(Unfit):
    """A line that could not have been written where it stands; the message names it."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    state: AlarmState = AlarmState.NORM
    overlays: Overlays = NOTHING


def rebuild(lines: Iterable[LogEntry]) -> dict[str, Rebuilt]:
    """Every alarm that the log speaks of. Raises Unreadable."""
    found: dict[str, Rebuilt] = {}
    for line in lines:
        if line.alarm and line.event.startswith("alarm."):
            found[line.alarm] = after(found.get(line.alarm, Rebuilt()), line)
    return found


def after(before: Rebuilt, line: LogEntry) -> Rebuilt:
    """The alarm after one more line of its own. Raises Unreadable."""
    if moves := _MOVES.get(line.event):
        if line.detail.startswith(LATE):
            return before
        if before.state not in moves:
            raise Unreadable(
                phrase(
                    "line {seq}: {event} of an alarm that is {state}",
                    seq=line.seq,
                    event=line.event,
                    state=before.state,
                )
            )
        now = replace(before, state=moves[before.state])
    else:
        now = replace(before, overlays=_laid(before.overlays, line))
    if now.state not in _ACTIVE and now.overlays.stale:
        now = replace(now, overlays=replace(now.overlays, stale=False))
    return replace(now, overlays=_nothing_but_doubt(now.overlays)) if now.state is S.NORM else now


def _nothing_but_doubt(over: Overlays) -> Overlays:
    """What is over has nothing over it; that the doubt about it is over has lines of its own."""
    return Overlays(uncertain=over.uncertain, chattering=over.chattering)


def _laid(over: Overlays, line: LogEntry) -> Overlays:
    detail = line.detail
    match line.event:
        case "alarm.shelved":
            return replace(over, shelved=_pause(line))
        case "alarm.unshelved":
            return replace(over, shelved=None)
        case "alarm.out_of_service":
            return replace(over, out_of_service=_pause(line))
        case "alarm.returned_to_service":
            return replace(over, out_of_service=None)
        case "alarm.suppressed":
            return replace(over, suppressed=_with(over.suppressed, detail))
        case "alarm.unsuppressed":
            return replace(over, suppressed=_without(over.suppressed, detail))
        case "alarm.uncertain":
            return replace(over, uncertain=_with(over.uncertain, detail))
        case "alarm.certain":
            return replace(over, uncertain=_without(over.uncertain, detail))
        case "alarm.chattering" | "alarm.settled":
            return replace(over, chattering=line.event == "alarm.chattering")
        case "alarm.stale":
            return replace(over, stale=True)
        case _:
            raise Unreadable(phrase("line {seq}: {event} is no word of an alarm's log", seq=line.seq, event=line.event))


def _pause(line: LogEntry) -> Pause:
    span, _, reason = line.detail.partition(": ")
    end, once, _ = span.removeprefix("until ").partition(", once")
    try:
        until_ms = moment_ms(end)
    except ValueError as error:
        raise Unreadable(
            phrase("line {seq}: {event} until when? {detail!r}", seq=line.seq, event=line.event, detail=line.detail)
        ) from error
    return Pause(until_ms=until_ms, actor=line.actor, reason=reason, one_shot=bool(once))


def _with(some: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(sorted({*some, one}))


def _without(some: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(other for other in some if other != one)
