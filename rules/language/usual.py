"""A channel's usual course by hour and weekday, learnt from its own readings. Pure, in bounded room.

Each of the 168 hours of a week has a mean and a variance over the weeks; the last weeks count most, so a usage that changes is
usual again after about WEEKS of them. An hour of which less than half is known teaches nothing.
"""

from typing import NamedTuple

HOURS = 168
HOUR_MS = 3_600_000
WEEKS = 8
"""How many weeks the memory spans."""
TRUSTED = 3
"""Weeks after which an hour's figures are believed."""


class Hour(NamedTuple):
    """One hour of the week."""

    weeks: int
    mean: float
    variance: float


class Usual(NamedTuple):
    """What has been learnt, and the hour that is being listened to."""

    hours: tuple[Hour | None, ...] = (None,) * HOURS
    hour: int = -1
    """The hour now listened to, counted from 1970."""
    slot: int = 0
    """Its place in the week."""
    area: float = 0.0
    known_ms: int = 0
    last: float = 0.0
    last_ms: int = 0


def add(usual: Usual, slot: int, at_ms: int, value: float, patience_ms: int) -> Usual:
    """With one more reading. `slot`: its hour of the week by the site's clock. One that is older than the last is too late."""
    if at_ms <= usual.last_ms:
        return usual
    held_ms = at_ms - usual.last_ms
    hour = at_ms // HOUR_MS
    if usual.hour >= 0 and held_ms <= patience_ms:
        within_ms = min(held_ms, (usual.hour + 1) * HOUR_MS - usual.last_ms)
        usual = usual._replace(area=usual.area + usual.last * within_ms, known_ms=usual.known_ms + within_ms)
    if hour != usual.hour:
        begun_ms = at_ms - hour * HOUR_MS if held_ms <= patience_ms and usual.hour >= 0 else 0
        usual = Usual(_learnt(usual), hour, slot, usual.last * begun_ms, begun_ms)
    return usual._replace(last=value, last_ms=at_ms)


def _learnt(usual: Usual) -> tuple[Hour | None, ...]:
    if usual.known_ms < HOUR_MS // 2:
        return usual.hours
    value = usual.area / usual.known_ms
    known = usual.hours[usual.slot] or Hour(0, value, 0.0)
    weeks = min(known.weeks + 1, WEEKS)
    step = value - known.mean
    mean = known.mean + step / weeks
    variance = (1 - 1 / weeks) * (known.variance + step * step / weeks)
    return (*usual.hours[: usual.slot], Hour(weeks, mean, variance), *usual.hours[usual.slot + 1 :])


def at(usual: Usual, slot: int) -> Hour | None:
    """What is usual in this hour of the week; None while it isn't known."""
    hour = usual.hours[slot]
    return hour if hour is not None and hour.weeks >= TRUSTED else None
