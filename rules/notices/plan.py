"""Which notices go now, by which channel, which of them in one message, and which wait for what. Pure.

Red goes first, alone and at once; where its channel has no room it takes the next that has. Orange goes at once too, several of one person in
one message. Yellow waits a little for company and for the end of the night; blue waits for the day's list.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from messages.alarm import Level
from rules.duty.ladder import DESK, Address
from rules.duty.night import NIGHT, next_minute_ms, night_over_ms
from rules.language.calendar import Calendar
from rules.notices.config import Way
from rules.notices.limits import Limit, free_at_ms, limit
from rules.notices.notice import Notice, NoticeEvent

RED_WAITS_MS = 3_000
"""So long a red notice waits for room on its channel before it takes the next."""
GRAVITY: Mapping[Level, int] = {"red": 0, "orange": 1, "yellow": 2, "blue": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """When people are left in peace. The figures are engineering defaults (sections 4 and 6 of the field notes)."""

    quiet: tuple[int, int] = NIGHT
    company_ms: int = 120_000
    """How long yellow waits for others of the same person."""
    digests: tuple[int, ...] = (8 * 60 + 30, 17 * 60)
    """Minutes after midnight at which blue is told."""
    budget: tuple[Limit, ...] = field(default_factory=lambda: (limit("10/10min"),))
    """What one person is told at most, red apart; the reserve of a limit is red's here too."""
    quiet_budget: tuple[Limit, ...] = field(default_factory=lambda: (limit("8/8h"),))
    """The same for yellow and blue: with the reserve, six in a shift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A notice whose time has come."""

    notice: Notice
    case: str
    site: str
    person: str
    level: Level
    addresses: tuple[Address, ...]
    """As they were when it was queued."""
    queued_at_ms: int
    outdated: bool = False
    """The case was taken or closed meanwhile, and this asked for just that."""
    asks: bool = False
    """Somebody is asked how she is: each answer is to one case, so it goes alone, and waits for no company."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, or is under way."""

    channel: str
    to: str
    person: str
    level: Level
    at_ms: int


@dataclass(frozen=True, slots=True)
class Send:
    """One message. `others` are told in it."""

    due: Due
    address: int
    """Which of the person's."""
    others: tuple[Due, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """A notice that isn't sent now, and why."""

    due: Due
    event: NoticeEvent
    again_at_ms: int | None = None


Decision = Send | Move


def plan(
    due: Iterable[Due],
    sent: Sequence[Sent],
    ways: Mapping[str, Way],
    calendar: Calendar,
    now_ms: int,
    habits: Habits = Habits(),
) -> list[Decision]:
    """What is to be done now, the gravest and oldest first. `sent`: all that a limit may still count, ascending."""
    book = _Book(sent, ways, habits, now_ms)
    decisions: list[Decision] = []
    together: dict[tuple[str, int, str, str], list[tuple[Due, int]]] = defaultdict(list)
    for one in sorted(due, key=lambda one: (GRAVITY[one.level], one.queued_at_ms, one.notice.key)):
        if one.outdated:
            decisions.append(Move(one, NoticeEvent.OUTDATED))
        elif (first := _usable(one, ways, one.notice.channel)) is None:
            decisions.append(Move(one, NoticeEvent.NO_CHANNEL))
        elif one.level == "red":
            decisions.append(_red(one, first, book, ways))
        elif (wait_ms := _waits_until(one, calendar, habits, now_ms)) > now_ms:
            decisions.append(Move(one, NoticeEvent.HELD_BACK, wait_ms))
        else:
            alone = one.notice.key if one.asks else ""
            together[one.person, first, one.addresses[first].channel, alone].append((one, first))
    for some in together.values():
        decisions += _bundle(some, book, ways)
    return decisions


def _usable(one: Due, ways: Mapping[str, Way], start: int) -> int | None:
    """The first address, from `start` on, whose channel exists and serves the level. The desk is told by the pages."""
    if one.person == DESK.id and not one.addresses:
        return None
    for index in range(start, len(one.addresses)):
        way = ways.get(one.addresses[index].channel)
        if way is not None and one.level in way.levels:
            return index
    return None


def _red(one: Due, first: int, book: "_Book", ways: Mapping[str, Way]) -> Decision:
    """By the first channel with room, wherever the person can be reached; else by the one that is free soonest."""
    soonest: tuple[int, int] | None = None
    index: int | None = first
    while index is not None:
        free_ms = book.free_ms(one, index)
        if free_ms is not None and (soonest is None or free_ms < soonest[0]):
            soonest = (free_ms, index)
        if free_ms is not None and free_ms <= book.now_ms + RED_WAITS_MS:
            break
        index = _usable(one, ways, index + 1)
    if soonest is None:
        return Move(one, NoticeEvent.NO_CHANNEL)
    free_ms, index = soonest
    if free_ms > book.now_ms:
        return Move(one, NoticeEvent.HELD_BACK, free_ms)
    book.note(one, index)
    return Send(one, index)


def _bundle(some: Sequence[tuple[Due, int]], book: "_Book", ways: Mapping[str, Way]) -> Iterator[Decision]:
    """One message for all that one person is to be told on one channel."""
    (head, index), *rest = some
    free_ms = book.free_ms(head, index)
    while free_ms is None:  # this channel is for red alone
        further = _usable(head, ways, index + 1)
        if further is None:
            yield from (Move(one, NoticeEvent.NO_CHANNEL) for one, _ in some)
            return
        index = further
        free_ms = book.free_ms(head, index)
    if free_ms > book.now_ms:
        yield from (Move(one, NoticeEvent.HELD_BACK, free_ms) for one, _ in some)
        return
    book.note(head, index)
    yield Send(head, index, tuple(one for one, _ in rest))


def _waits_until(one: Due, calendar: Calendar, habits: Habits, now_ms: int) -> int:
    """Until when a notice that isn't red keeps still; not later than `now_ms`: no longer."""
    if one.level == "orange":
        return now_ms
    if one.level == "blue":
        return next_minute_ms(calendar, one.queued_at_ms, habits.digests)
    ready_ms = one.queued_at_ms + (0 if one.asks else habits.company_ms)
    at_ms = max(now_ms, ready_ms)
    over_ms = night_over_ms(calendar, at_ms, habits.quiet)
    return over_ms if over_ms > at_ms else ready_ms


class _Book:
    """What was sent, and what is decided now, by channel, receiver and person."""

    def __init__(self, sent: Sequence[Sent], ways: Mapping[str, Way], habits: Habits, now_ms: int) -> None:
        self.now_ms = now_ms
        self._ways = ways
        self._habits = habits
        self._on: dict[str, list[int]] = defaultdict(list)
        self._to: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._told: dict[str, list[int]] = defaultdict(list)
        self._told_quietly: dict[str, list[int]] = defaultdict(list)
        for one in sent:
            self._add(one)

    def free_ms(self, one: Due, index: int) -> int | None:
        """When the address may be used for it; None: never."""
        address, red = one.addresses[index], one.level == "red"
        way = self._ways[address.channel]
        asked: list[tuple[Sequence[Limit], list[int]]] = [
            (way.limits, self._on[way.name]),
            (way.receiver_limits, self._to[way.name, address.to]),
        ]
        if not red:
            asked.append((self._habits.budget, self._told[one.person]))
        if one.level in ("yellow", "blue"):
            asked.append((self._habits.quiet_budget, self._told_quietly[one.person]))
        free = [free_at_ms(limits, times, self.now_ms, red=red) for limits, times in asked]
        known = [ms for ms in free if ms is not None]
        return max(known) if len(known) == len(free) else None

    def note(self, one: Due, index: int) -> None:
        address = one.addresses[index]
        self._add(Sent(address.channel, address.to, one.person, one.level, self.now_ms))

    def _add(self, one: Sent) -> None:
        self._on[one.channel].append(one.at_ms)
        self._to[one.channel, one.to].append(one.at_ms)
        if one.level != "red":
            self._told[one.person].append(one.at_ms)
        if one.level in ("yellow", "blue"):
            self._told_quietly[one.person].append(one.at_ms)
