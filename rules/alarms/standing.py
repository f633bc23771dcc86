"""How an alarm stands: its condition (rules.alarms.condition), and what lies over it. Section 2a of the field notes, whole. Pure.

* Shelved, suppressed, out of service: judged and logged, and nobody is called. None of them ever lies over an alarm that
  guards lives (guarantee 9), whoever asks: that is decided here, and nowhere else.
* When the last of them goes and the alarm is still active, it rings as if it had just come.
* Uncertain (its device is away, or its clock is wrong) and chattering: it doesn't clear by itself. That the rule has seen it
  clear is remembered, and done when it can be believed.
"""

from dataclasses import dataclass, field, replace

from rules.alarms import condition as conditions
from rules.alarms.condition import ACTIVE, LATCHED, AlarmEvent, Condition
from rules.alarms.moment import moment
from rules.records import AlarmState, Overlays, Pause

RULES = "rules"
"""The actor of what happens by itself."""

NOTHING = Overlays()


@dataclass(frozen=True, slots=True)
class Shelve:
    pause: Pause


@dataclass(frozen=True, slots=True)
class Unshelve:
    why: str
    actor: str = RULES


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Out of service."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class PutBack:
    why: str
    actor: str = RULES


@dataclass(frozen=True, slots=True)
class Suppress:
    cause: str


@dataclass(frozen=True, slots=True)
class Unsuppress:
    cause: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """It can't be known whether it still holds."""

    reason: str


@dataclass(frozen=True, slots=True)
class Trust:
    reason: str


@dataclass(frozen=True, slots=True)
class Chatter:
    why: str


@dataclass(frozen=True, slots=True)
class Settle:
    """It has been quiet for long enough."""


@dataclass(frozen=True, slots=True)
class Age:
    """It has been active for so long that it is stale."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nothing will ever say that it is over."""

    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """An event of the condition itself, by whom, and in which words."""

    event: AlarmEvent
    actor: str = RULES
    detail: str = ""


Event = (
    Move
    | Shelve
    | Unshelve
    | TakeOut
    | PutBack
    | Suppress
    | Unsuppress
    | Doubt
    | Trust
    | Chatter
    | Settle
    | Age
    | Abandon
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that decides what an event does to an alarm."""

    condition: Condition
    guards: bool = False
    """Lives hang on it: gas, smoke, a call for help."""
    called: bool = False
    """It has a case: somebody was called."""
    overlays: Overlays = NOTHING
    returned: bool = False
    """The rule has seen it clear, and it couldn't be believed yet."""

    @property
    def state(self) -> AlarmState:
        return self.condition.state

    @property
    def active(self) -> bool:
        """The condition holds, as far as anybody knows."""
        return self.state in ACTIVE and not self.returned

    @property
    def calls(self) -> bool:
        """It needs a case, and has none."""
        concerns = self.state in ACTIVE or self.state in LATCHED
        return concerns and self.overlays.annunciated and not self.called


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the log."""

    event: str
    actor: str = RULES
    detail: str = ""


@dataclass(slots=True)
class Moved:
    """What an event did."""

    standing: Standing
    said: list[Said] = field(default_factory=list)


def happen(standing: Standing, event: Event, now_ms: int) -> Moved:
    """What `event` makes of it. One that means nothing now changes nothing, and says nothing."""
    moved = Moved(standing)
    _do(moved, event, now_ms)
    _tidy(moved)
    if moved.standing.overlays.annunciated and not standing.overlays.annunciated:
        _ring(moved, now_ms)
    return moved


def _do(moved: Moved, event: Event, now_ms: int) -> None:
    match event:
        case Move():
            _move(moved, event, now_ms)
        case Abandon(why):
            _apply(moved, AlarmEvent.RETURNED, RULES, why, now_ms)
        case Shelve() | Unshelve() | TakeOut() | PutBack() | Suppress() | Unsuppress():
            _silence(moved, event)
        case _:
            _judge(moved, event, now_ms)


def _silence(moved: Moved, event: Shelve | Unshelve | TakeOut | PutBack | Suppress | Unsuppress) -> None:
    over = moved.standing.overlays
    may = moved.standing.state is not AlarmState.NORM and not moved.standing.guards
    match event:
        case Shelve(pause) if may and pause != over.shelved:
            _lay(moved, replace(over, shelved=pause), Said("alarm.shelved", pause.actor, paused(pause)))
        case TakeOut(pause) if may and pause != over.out_of_service:
            _lay(moved, replace(over, out_of_service=pause), Said("alarm.out_of_service", pause.actor, paused(pause)))
        case Suppress(cause) if may and cause not in over.suppressed:
            causes = tuple(sorted((*over.suppressed, cause)))
            _lay(moved, replace(over, suppressed=causes), Said("alarm.suppressed", RULES, cause))
        case Unshelve(why, actor) if over.shelved:
            _lay(moved, replace(over, shelved=None), Said("alarm.unshelved", actor, why))
        case PutBack(why, actor) if over.out_of_service:
            _lay(moved, replace(over, out_of_service=None), Said("alarm.returned_to_service", actor, why))
        case Unsuppress(cause) if cause in over.suppressed:
            causes = tuple(other for other in over.suppressed if other != cause)
            _lay(moved, replace(over, suppressed=causes), Said("alarm.unsuppressed", RULES, cause))


def _judge(moved: Moved, event: Doubt | Trust | Chatter | Settle | Age, now_ms: int) -> None:
    over, active = moved.standing.overlays, moved.standing.state in ACTIVE
    match event:
        case Doubt(reason) if active and reason not in over.uncertain:
            reasons = tuple(sorted((*over.uncertain, reason)))
            _lay(moved, replace(over, uncertain=reasons), Said("alarm.uncertain", RULES, reason))
        case Trust(reason) if reason in over.uncertain:
            reasons = tuple(other for other in over.uncertain if other != reason)
            _lay(moved, replace(over, uncertain=reasons), Said("alarm.certain", RULES, reason))
            _return_if_believed(moved, now_ms)
        case Chatter(why) if active and not over.chattering:
            _lay(moved, replace(over, chattering=True), Said("alarm.chattering", RULES, why))
        case Settle() if over.chattering:
            _lay(moved, replace(over, chattering=False), Said("alarm.settled"))
            _return_if_believed(moved, now_ms)
        case Age() if active and not over.stale:
            _lay(moved, replace(over, stale=True), Said("alarm.stale"))


def _move(moved: Moved, move: Move, now_ms: int) -> None:
    standing = moved.standing
    match move.event:
        case AlarmEvent.RAISED if standing.returned:
            moved.standing = replace(standing, returned=False)
        case AlarmEvent.RETURNED if standing.overlays.uncertain or standing.overlays.chattering:
            moved.standing = replace(standing, returned=True)
        case AlarmEvent.RESET if standing.returned:
            _apply(moved, AlarmEvent.RETURNED, RULES, "checked by a person", now_ms)
            _apply(moved, move.event, move.actor, move.detail, now_ms)
        case AlarmEvent.REALARMED if not standing.overlays.annunciated:
            pass
        case AlarmEvent.WORSENED if standing.overlays.shelved:
            _apply(moved, move.event, move.actor, move.detail, now_ms)
            _silence(moved, Unshelve("graver"))
        case _:
            _apply(moved, move.event, move.actor, move.detail, now_ms)


def _apply(moved: Moved, event: AlarmEvent, actor: str, detail: str, now_ms: int) -> None:
    before = moved.standing.condition
    after = conditions.apply(before, event, now_ms)
    if after is not before:
        moved.standing = replace(moved.standing, condition=after)
        if name := conditions.log_event(before, after, event):
            moved.said.append(Said(name, actor, detail))


def _return_if_believed(moved: Moved, now_ms: int) -> None:
    over = moved.standing.overlays
    if moved.standing.returned and not over.uncertain and not over.chattering:
        _apply(moved, AlarmEvent.RETURNED, RULES, "", now_ms)


def _tidy(moved: Moved) -> None:
    """What lies only over an active alarm goes with that, and everything with the alarm."""
    standing = moved.standing
    over = standing.overlays
    if standing.state not in ACTIVE:
        moved.said += [Said("alarm.certain", RULES, reason) for reason in over.uncertain]
        moved.said += [Said("alarm.settled")] if over.chattering else []
        over = replace(over, uncertain=(), chattering=False, stale=False)
        moved.standing = replace(standing, overlays=over, returned=False)
        if over.shelved and over.shelved.one_shot and standing.state is not AlarmState.NORM:
            _lay(moved, replace(over, shelved=None), Said("alarm.unshelved", RULES, "returned"))
    if standing.state is AlarmState.NORM:
        moved.standing = replace(moved.standing, overlays=NOTHING)


def _ring(moved: Moved, now_ms: int) -> None:
    """The last thing that kept it from calling people is gone."""
    if moved.standing.state in ACTIVE:
        _apply(moved, AlarmEvent.REALARMED, RULES, "still active", now_ms)
    elif moved.standing.state is AlarmState.RTN_UNACK and not moved.standing.called:
        _apply(moved, AlarmEvent.ACKNOWLEDGED, RULES, "nobody was called", now_ms)
        _tidy(moved)


def _lay(moved: Moved, overlays: Overlays, said: Said) -> None:
    moved.standing = replace(moved.standing, overlays=overlays)
    moved.said.append(said)


def paused(pause: Pause) -> str:
    """A pause in the log's words: `rules.alarms.rebuild` reads them back."""
    return f"until {moment(pause.until_ms)}{', once' if pause.one_shot else ''}: {pause.reason}"
