"""What a row or a page says of one alarm that its fields don't say by themselves. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from messages.alarm import Level
from rules.records import TAKEN, WAITING, Alarm, AlarmState, Calling, Case, CaseState

Step = Literal["accept", "arrive", "finish", "verify"]

NUMERALS: dict[Level, str] = {"red": "I", "orange": "II", "yellow": "III", "blue": "IV"}
"""处置等级 I to IV, red first: a level is told by colour, by shape, by number and by word."""

RETURNED = frozenset(
    {AlarmState.NORM, AlarmState.RTN_UNACK, AlarmState.LATCH_UNACK, AlarmState.LATCH_ACK},
)
"""States in which the condition is not true any more."""

_STEPS: dict[CaseState, Step] = {
    **dict.fromkeys(WAITING, "accept"),
    CaseState.ACCEPTED: "arrive",
    CaseState.ON_SITE: "finish",
    CaseState.HANDLING: "finish",
    CaseState.FEEDBACK: "verify",
    CaseState.VERIFYING: "verify",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be done by when."""

    step: CaseState
    by_ms: int


def order(alarm: Alarm) -> str:
    """Sorts as the feed does: red first, then what nobody has accepted, then oldest first. Plain text, so that the
    page's module can compare it."""
    accepted = alarm.case is None or alarm.case.state not in WAITING
    return f"{list(NUMERALS).index(alarm.level)} {accepted:d} {alarm.raised_at_ms:015d} {alarm.id}"


def next_step(alarm: Alarm) -> Step | None:
    """The button that moves the case on; None when there is nothing to press."""
    return _STEPS.get(alarm.case.state) if alarm.case else None


def promise(alarm: Alarm) -> Promise | None:
    """The promise that runs now. None when none was made, or everything promised is done."""
    return promise_of(alarm.case) if alarm.case else None


def promise_of(case: Case) -> Promise | None:
    """The same of a case."""
    match case:
        case Case(state=state, accept_by_ms=int(by_ms)) if state in WAITING:
            return Promise(CaseState.ACCEPTED, by_ms)
        case Case(state=CaseState.ACCEPTED, arrive_by_ms=int(by_ms)):
            return Promise(CaseState.ON_SITE, by_ms)
        case Case(state=state, handle_by_ms=int(by_ms)) if state in WAITING | TAKEN:
            return Promise(CaseState.FEEDBACK, by_ms)
    return None


def calls_out(alarm: Alarm) -> bool:
    """Whether the page rings for it: red, not kept quiet, and nobody has taken it."""
    rings = alarm.level == "red" and alarm.overlays.annunciated
    return rings and alarm.case is not None and alarm.case.state in WAITING


def marks(alarm: Alarm) -> list[str]:
    """What lies over its state, as words of the texts' `overlay`."""
    over = alarm.overlays
    names = ("shelved", "out_of_service", "suppressed", "uncertain", "chattering", "stale")
    return [name for name in names if getattr(over, name)]


def calling(alarms: Iterable[Alarm | Calling]) -> dict[str, int]:
    """The alarms that call, each with `called_at_ms`."""
    return {alarm.id: called_at_ms(alarm) for alarm in alarms if isinstance(alarm, Calling) or calls_out(alarm)}


def called_at_ms(alarm: Alarm | Calling) -> int:
    """Since when it has been active, 0 once it is back to normal: when it comes again, it calls again."""
    return 0 if alarm.state in RETURNED else alarm.changed_at_ms
