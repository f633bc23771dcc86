"""When people are left in peace who are called for nothing grave. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from rules.language.calendar import Calendar

NIGHT = (22 * 60, 7 * 60)
"""Minutes after midnight, from and until [E]: no yellow or blue."""


def night_over_ms(calendar: Calendar, at_ms: int, night: tuple[int, int] = NIGHT) -> int:
    """`at_ms`, or if that lies in the night, its end."""
    begin, end = night
    minute = calendar.minute_of_day(at_ms)
    at_night = begin <= minute < end if begin <= end else minute >= begin or minute < end
    return next_minute_ms(calendar, at_ms, (end,)) if at_night else at_ms


def next_minute_ms(calendar: Calendar, after_ms: int, minutes: Sequence[int]) -> int:
    """When the site's clock shows one of `minutes` next."""
    local = calendar.local(after_ms)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [midnight + timedelta(days=day, minutes=minute) for day in (0, 1) for minute in minutes]
    return min(ms for moment in moments if (ms := round(moment.timestamp() * 1000)) > after_ms)
