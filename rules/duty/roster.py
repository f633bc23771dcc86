"""Who is on duty at a moment: the shifts of a site's file, and what was changed since. Pure: the time is an argument.

A shift belongs to the day on which it begins, by the site's own clock, so a night shift of a workday reaches into the weekend.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from rules.duty.site import WEEKDAYS, Post, Shift, Site, minute_of
from rules.language.calendar import Calendar

DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A person is not there (请假), and who stands in (顶班); a swap 换班 is two of these."""

    person: str
    from_ms: int
    until_ms: int
    """Not included."""
    instead: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A person is on duty at a post beyond its shifts."""

    person: str
    post: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What the people of a site have changed."""

    absences: tuple[Absence, ...] = ()
    extras: tuple[Extra, ...] = ()


UNCHANGED = Changes()


def holders(site: Site, post: str, changes: Changes, at_ms: int) -> list[str]:
    """Who is on duty at a post, the one to be called first at the head. Nobody twice."""
    calendar = site.clock()
    found = [person for shift in site.posts[post].shifts for person in on_shift(shift, calendar, at_ms)]
    found += [one.person for one in changes.extras if one.post == post and one.from_ms <= at_ms < one.until_ms]
    present = [there for person in found for there in present_for(person, changes.absences, at_ms)]
    return list(dict.fromkeys(present))


def present_for(person: str, absences: Sequence[Absence], at_ms: int) -> Iterator[str]:
    """The person, or who stands in for him; of several absences the last word counts. A stand-in who is away himself is replaced in turn."""
    asked = set[str]()
    while person not in asked:
        asked.add(person)
        away = [one for one in absences if one.person == person and one.from_ms <= at_ms < one.until_ms]
        if not away:
            yield person
            return
        if away[-1].instead is None:
            return
        person = away[-1].instead


def on_shift(shift: Shift, calendar: Calendar, at_ms: int) -> list[str]:
    """Whom a shift has on duty, absences aside."""
    begins, ends = _minutes(shift)
    today = calendar.local(at_ms).date()
    days = [
        day
        for day in (today, today - timedelta(days=1))
        if _moment_ms(calendar, day, begins) <= at_ms < _moment_ms(calendar, day, ends)
    ]
    return [person for day in days if _is_day(shift, calendar, day) for person in _turn(shift, day)]


def _moment_ms(calendar: Calendar, day: date, minute: int) -> int:
    """When the wall clock shows so many minutes after the midnight with which a day begins. A time that it leaves out in spring comes an
    hour later, one that it shows twice in autumn is the first of the two: so where one shift ends another can begin."""
    return _wall_ms(calendar.zone, day, minute)


@lru_cache(maxsize=16_384)
def _wall_ms(zone: tzinfo, day: date, minute: int) -> int:
    local = datetime.combine(day + timedelta(days=minute // DAY_MIN), time(minute % DAY_MIN // 60, minute % 60))
    return round(local.replace(tzinfo=zone).timestamp() * 1000)


def _is_day(shift: Shift, calendar: Calendar, day: date) -> bool:
    if (shift.since and day < shift.since) or (shift.to and day > shift.to):
        return False
    wanted = [shift.days] if isinstance(shift.days, str) else shift.days
    off = day in calendar.days_off or (day.isoweekday() > 5 and day not in calendar.days_worked)
    return any(
        word == "daily" or word == WEEKDAYS[day.weekday()] or word == ("holidays" if off else "workdays")
        for word in wanted
    )


def _turn(shift: Shift, day: date) -> list[str]:
    if shift.rotate_days is None or shift.since is None:
        return list(shift.people)
    return [shift.people[(day - shift.since).days // shift.rotate_days % len(shift.people)]]


def edges_ms(site: Site, posts: Iterable[Post], changes: Changes, from_ms: int, until_ms: int) -> list[int]:
    """The moments at which somebody comes or goes, with the first and the last of the span. Between two of them nothing changes."""
    calendar = site.clock()
    found = {from_ms, until_ms}
    day = calendar.local(from_ms).date() - timedelta(days=1)
    minutes = {minute for post in posts for shift in post.shifts for minute in _minutes(shift)} | {0}
    while _moment_ms(calendar, day, 0) < until_ms:
        found |= {_moment_ms(calendar, day, minute) for minute in minutes}
        day += timedelta(days=1)
    found |= {at for one in changes.absences for at in (one.from_ms, one.until_ms)}
    found |= {at for one in changes.extras for at in (one.from_ms, one.until_ms)}
    return sorted(at for at in found if from_ms <= at <= until_ms)


def _minutes(shift: Shift) -> tuple[int, int]:
    """From and until, after the midnight of the day to which the shift belongs."""
    begins, ends = minute_of(shift.from_), minute_of(shift.until)
    return begins, ends if ends > begins else ends + DAY_MIN
