"""A notice's machine, section 2c of the field notes: from the outbox to the person's act. Pure.

At least once to the person: a send that was cut off by a crash is sent again, with the same key. Nothing counts as handed over that its
provider did not take.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class NoticeState(StrEnum):
    """Where a notice stands."""

    QUEUED = "queued"
    SENDING = "sending"
    """With a deadline; when that is over and nothing was heard, it is queued again."""
    HANDED_OVER = "handed_over"
    """The provider has taken it."""
    DELIVERED = "delivered"
    """The provider says that the person's device has it."""
    READ = "read"
    """The person has opened the case by its link."""
    ACTED = "acted"
    """The person has done something about the case."""
    FAILED_TEMP = "failed_temp"
    """Tried again on the same channel, later."""
    FAILED_PERM = "failed_perm"
    """This channel won't do: the next one is tried."""
    THROTTLED = "throttled"
    """A limit of the channel or the receiver: it waits for room."""
    BUNDLED = "bundled"
    """Told in another notice of the same person."""
    SUPERSEDED = "superseded"
    """It no longer matters: the case was taken or closed meanwhile."""
    EXHAUSTED = "exhausted"
    """No channel reached the person: the next person is called."""


class NoticeEvent(StrEnum):
    """What can happen to a notice."""

    BEGUN = "begun"
    TAKEN = "taken"
    DELIVERED = "delivered"
    OPENED = "opened"
    ACTED = "acted"
    FAILED = "failed"
    """For now."""
    REFUSED = "refused"
    """For good, on this channel."""
    HELD_BACK = "held_back"
    """By a limit, or by a provider's."""
    LOST = "lost"
    """Its deadline is over and nothing was heard."""
    CUT_OFF = "cut_off"
    """Whoever sent it ended in the midst of it."""
    JOINED = "joined"
    """Told in another one."""
    OUTDATED = "outdated"
    NEXT_CHANNEL = "next_channel"
    NO_CHANNEL = "no_channel"


_S, _E = NoticeState, NoticeEvent
WAITING = frozenset({_S.QUEUED, _S.FAILED_TEMP, _S.THROTTLED})
"""To be sent, at its time."""
DONE = frozenset({_S.ACTED, _S.BUNDLED, _S.SUPERSEDED, _S.EXHAUSTED})
"""Nothing more happens."""
TOLD = frozenset({_S.HANDED_OVER, _S.DELIVERED, _S.READ, _S.ACTED, _S.BUNDLED})

MOVES: dict[tuple[NoticeState, NoticeEvent], NoticeState] = {
    **{(state, _E.BEGUN): _S.SENDING for state in WAITING},
    **{(state, _E.HELD_BACK): _S.THROTTLED for state in (*WAITING, _S.SENDING)},
    **{(state, _E.JOINED): _S.BUNDLED for state in WAITING},
    **{(state, _E.OUTDATED): _S.SUPERSEDED for state in WAITING},
    **{(state, _E.NO_CHANNEL): _S.EXHAUSTED for state in (*WAITING, _S.FAILED_PERM)},
    (_S.SENDING, _E.TAKEN): _S.HANDED_OVER,
    (_S.SENDING, _E.FAILED): _S.FAILED_TEMP,
    (_S.SENDING, _E.REFUSED): _S.FAILED_PERM,
    (_S.SENDING, _E.LOST): _S.QUEUED,
    (_S.SENDING, _E.CUT_OFF): _S.QUEUED,
    (_S.FAILED_PERM, _E.NEXT_CHANNEL): _S.QUEUED,
    (_S.FAILED_TEMP, _E.NEXT_CHANNEL): _S.QUEUED,
    (_S.THROTTLED, _E.NEXT_CHANNEL): _S.QUEUED,
    (_S.HANDED_OVER, _E.DELIVERED): _S.DELIVERED,
    **{(state, _E.OPENED): _S.READ for state in (_S.SENDING, _S.HANDED_OVER, _S.DELIVERED)},
    **{(state, _E.ACTED): _S.ACTED for state in NoticeState if state not in DONE},
}
"""Whoever acts has been told, however: the word may have come by another way, or while the provider's answer was under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One call of one person, and how far it has come."""

    key: str
    state: NoticeState = NoticeState.QUEUED
    channel: int = 0
    """Which of the person's addresses is tried."""
    attempts: int = 0
    """On this channel."""
    due_at_ms: int = 0
    """Waiting: not before. SENDING: the deadline."""


ATTEMPTS = 3
"""On one channel, before the next one is tried."""
RETRY_MS = (2_000, 8_000)
"""Between them [E]: a red case has sixty seconds."""
LOST_ATTEMPTS = 2
"""Attempts of which nothing was heard: once we may have been killed ourselves, twice the channel hangs."""
DEADLINE_MS = 15_000
"""F6: with a channel down the fallback is handed over within so long; twice the longest answer that we wait for."""


def apply(notice: Notice, event: NoticeEvent, now_ms: int, *, again_at_ms: int | None = None) -> Notice:
    """The notice after `event`. One that means nothing in this state changes nothing: the same object returns.

    `again_at_ms`: when room is expected, or the provider wants to be asked again.
    """
    if (state := MOVES.get((notice.state, event))) is None:
        return notice
    match event:
        case NoticeEvent.BEGUN:
            return replace(notice, state=state, attempts=notice.attempts + 1, due_at_ms=now_ms + DEADLINE_MS)
        case NoticeEvent.FAILED:
            if notice.attempts >= ATTEMPTS:
                return replace(notice, state=NoticeState.FAILED_PERM, due_at_ms=now_ms)
            pause_ms = RETRY_MS[min(notice.attempts, len(RETRY_MS)) - 1]
            return replace(notice, state=state, due_at_ms=max(now_ms + pause_ms, again_at_ms or 0))
        case NoticeEvent.LOST if notice.attempts >= LOST_ATTEMPTS:
            return replace(notice, state=NoticeState.FAILED_PERM, due_at_ms=now_ms)
        case NoticeEvent.CUT_OFF:  # the channel has had no chance to fail
            return replace(notice, state=state, attempts=notice.attempts - 1, due_at_ms=now_ms)
        case NoticeEvent.HELD_BACK:
            begun = notice.state is NoticeState.SENDING
            attempts = notice.attempts - begun  # the provider did not try: nor have we
            return replace(notice, state=state, attempts=attempts, due_at_ms=max(now_ms, again_at_ms or 0))
        case NoticeEvent.NEXT_CHANNEL:
            return replace(notice, state=state, channel=notice.channel + 1, attempts=0, due_at_ms=now_ms)
        case _:
            return replace(notice, state=state, due_at_ms=now_ms)
