"""The local calendar of a site: time of day, weekday, days off. Pure: the time is an argument.

The holidays that are shipped are data, `china.toml`; a program's `[calendar]` adds years, or replaces them.
"""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from messages.language import Unfit
from messages.settings import Settings, read

SHIPPED = Path(str(files("rules"))) / "language" / "china.toml"
ZONE = "Asia/Shanghai"
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where the sun stands for the people of a site, and when they don't work."""

    zone: tzinfo
    days_off: frozenset[date] = frozenset()
    """Public holidays, weekends aside."""
    days_worked: frozenset[date] = frozenset()
    """Saturdays and Sundays that are worked, 调休."""

    @property
    def years(self) -> frozenset[int]:
        """Those whose public holidays are known."""
        return frozenset(day.year for day in self.days_off)

    def local(self, at_ms: int) -> datetime:
        return _local(self.zone, at_ms // 60_000)

    def minute_of_day(self, at_ms: int) -> int:
        then = self.local(at_ms)
        return then.hour * 60 + then.minute

    def weekday(self, at_ms: int) -> int:
        """1 Monday … 7 Sunday."""
        return self.local(at_ms).isoweekday()

    def is_holiday(self, at_ms: int) -> bool:
        """Nobody works: a public holiday, or a weekend that isn't worked."""
        then = self.local(at_ms)
        today = then.date()
        return today in self.days_off or (then.isoweekday() > 5 and today not in self.days_worked)

    def hour_of_week(self, at_ms: int) -> int:
        """0 … 167, from Monday midnight."""
        then = self.local(at_ms)
        return then.weekday() * 24 + then.hour


@lru_cache(maxsize=1024)
def _local(zone: tzinfo, minute: int) -> datetime:
    """Readings of one minute share the work: the same question comes from every device."""
    return datetime.fromtimestamp(minute * 60, zone)


def _known_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise Unfit("no time zone of this name is known; one such as {zone} is wanted", zone=ZONE) from error
    return text


class CalendarText(Settings):
    """The `[calendar]` table of a configuration. A year of which it names a day is wholly as it says; of the other years the
    shipped holidays count."""

    zone: Annotated[str, AfterValidator(_known_zone)] = ZONE
    days_off: list[date] = Field(default_factory=list)
    days_worked: list[date] = Field(default_factory=list)

    def calendar(self) -> Calendar:
        own = {day.year for day in (*self.days_off, *self.days_worked)}
        off = {day for day in CHINA.days_off if day.year not in own}
        worked = {day for day in CHINA.days_worked if day.year not in own}
        return Calendar(ZoneInfo(self.zone), frozenset(off | {*self.days_off}), frozenset(worked | {*self.days_worked}))


def _shipped() -> Calendar:
    text = read(SHIPPED, CalendarText)
    return Calendar(ZoneInfo(text.zone), frozenset(text.days_off), frozenset(text.days_worked))


CHINA = _shipped()
