"""Which packs travel next, and how many may be under way. Pure: seconds are arguments.

Four lanes, first come those that matter most; each has its own room, so that no backlog, and no collector that
is away, keeps a fresh alarm from the broker. An alarm leaves its lane's room with the broker's answer, since the
rules hear it there, collector or not; other readings leave it with the receipt. A pack without a receipt is sent
again, after ten seconds and then less and less often: a broker queues every repetition for a collector that is away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge.report import Urgency
from messages.ids import StreamId
from messages.ranges import Range

LIVE_S = 10.0
"""A pack younger than this is live; an older one is backlog."""
FIRST_REPEAT_S, MOST_REPEAT_S = 10.0, 300.0
MOST_FLIGHTS = 1000
"""Packs that are remembered until their receipt, some 200 kB; beside them only alarms of the last ten seconds."""

PackKey = tuple[StreamId, int]


class Lane(IntEnum):
    """In the order in which they travel."""

    LIVE_ALARM = 0
    OLD_ALARM = 1
    LIVE_PERIODIC = 2
    OLD_PERIODIC = 3

    @property
    def live(self) -> bool:
        return self in (Lane.LIVE_ALARM, Lane.LIVE_PERIODIC)

    @property
    def urgency(self) -> Urgency:
        return Urgency.ALARM if self in (Lane.LIVE_ALARM, Lane.OLD_ALARM) else Urgency.PERIODIC


ROOM = {Lane.LIVE_ALARM: 64, Lane.OLD_ALARM: 16, Lane.LIVE_PERIODIC: 32, Lane.OLD_PERIODIC: 16}
"""Packs under way per lane."""


@dataclass(slots=True)
class _Flight:
    lane: Lane
    times: int
    repeat_at_s: float
    answered: bool = False


class Window:
    """The packs that were sent and have no receipt yet."""

    def __init__(self) -> None:
        self._flights: dict[PackKey, _Flight] = {}

    @property
    def keys(self) -> list[PackKey]:
        return list(self._flights)

    def room(self, lane: Lane) -> int:
        counts_answered = lane.urgency is Urgency.PERIODIC
        under_way = sum(
            flight.lane is lane and (counts_answered or not flight.answered) for flight in self._flights.values()
        )
        room = ROOM[lane] - under_way
        return min(room, max(MOST_FLIGHTS - len(self._flights), 0)) if lane is Lane.OLD_ALARM else room

    def sent(self, key: PackKey, lane: Lane, now_s: float) -> None:
        """A pack left, for the first time or again."""
        flight = self._flights.setdefault(key, _Flight(lane, 0, now_s))
        flight.repeat_at_s = now_s + min(FIRST_REPEAT_S * 2.0 ** min(flight.times, 16), MOST_REPEAT_S)
        flight.times += 1

    def answered(self, key: PackKey) -> None:
        """The broker has taken the pack, or has said that it will not."""
        if flight := self._flights.get(key):
            flight.answered = True

    def overdue(self, now_s: float) -> list[PackKey]:
        """Packs that should be sent again. A live alarm beyond MOST_FLIGHTS is none any more: it is backlog by now."""
        overdue = [key for key, flight in self._flights.items() if flight.repeat_at_s <= now_s]
        was_live = [
            key for key in overdue if self._flights[key].lane is Lane.LIVE_ALARM and self._flights[key].answered
        ]
        too_many = max(len(self._flights) - MOST_FLIGHTS, 0)
        self.forget(was_live[:too_many])
        return [key for key in overdue if key in self._flights]

    def lane(self, key: PackKey) -> Lane:
        return self._flights[key].lane

    def next_repeat_s(self) -> float | None:
        return min((flight.repeat_at_s for flight in self._flights.values()), default=None)

    def settled(self, stream: StreamId, parts: Iterable[Range], now_s: float) -> None:
        """A receipt names these. Its writer is alive, so the others need not wait as for one that is away."""
        for first, last in parts:
            self.forget([key for key in self._flights if key[0] == stream and first <= key[1] <= last])
        for flight in self._flights.values():
            flight.repeat_at_s = min(flight.repeat_at_s, now_s + FIRST_REPEAT_S)
            flight.times = 1

    def forget(self, keys: Iterable[PackKey]) -> None:
        """These are no longer in the outbox, or no longer remembered."""
        for key in keys:
            self._flights.pop(key, None)

    def clear(self) -> None:
        """A new connection: whatever has no receipt may be lost."""
        self._flights.clear()
