"""Which packs travel next, and how many may be without a receipt. Pure: seconds are arguments.

Four lanes, first come those that matter most; each has its own room, so that no backlog, and no collector that
is away, keeps a fresh alarm from the broker. A pack without a receipt is sent again, after ten seconds and then
less and less often: a broker queues every repetition for a collector that is away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge.report import Urgency
from messages.ranges import Range

LIVE_MS = 10_000
"""A pack younger than this is live; an older one is backlog."""
FIRST_REPEAT_S, MOST_REPEAT_S = 10.0, 300.0


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
"""Packs without receipt per lane: 128 in all."""


@dataclass(slots=True)
class _Flight:
    lane: Lane
    times: int
    repeat_at_s: float


class Window:
    """The packs that were sent and have no receipt yet."""

    def __init__(self) -> None:
        self._flights: dict[int, _Flight] = {}

    @property
    def numbers(self) -> list[int]:
        return list(self._flights)

    def room(self, lane: Lane) -> int:
        return ROOM[lane] - sum(flight.lane is lane for flight in self._flights.values())

    def sent(self, number: int, lane: Lane, now_s: float) -> None:
        """A pack left, for the first time or again."""
        flight = self._flights.setdefault(number, _Flight(lane, 0, now_s))
        flight.repeat_at_s = now_s + min(FIRST_REPEAT_S * 2.0 ** min(flight.times, 16), MOST_REPEAT_S)
        flight.times += 1

    def overdue(self, now_s: float) -> list[int]:
        """Packs that should be sent again."""
        return [number for number, flight in self._flights.items() if flight.repeat_at_s <= now_s]

    def lane(self, number: int) -> Lane:
        return self._flights[number].lane

    def next_repeat_s(self) -> float | None:
        return min((flight.repeat_at_s for flight in self._flights.values()), default=None)

    def settled(self, parts: Iterable[Range], now_s: float) -> None:
        """A receipt names these. Its writer is alive, so the others need not wait as for one that is away."""
        for first, last in parts:
            self.forget([number for number in self._flights if first <= number <= last])
        for flight in self._flights.values():
            flight.repeat_at_s = min(flight.repeat_at_s, now_s + FIRST_REPEAT_S)
            flight.times = 1

    def forget(self, numbers: Iterable[int]) -> None:
        """These are no longer in the outbox."""
        for number in numbers:
            self._flights.pop(number, None)

    def clear(self) -> None:
        """A new connection: whatever has no receipt may be lost."""
        self._flights.clear()
