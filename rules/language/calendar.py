"""The local calendar of a site: time of day, weekday, days off. Pure: the time is an argument."""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from pydantic import Field

from messages.settings import Settings

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


CHINA = Calendar(ZoneInfo(ZONE))


class CalendarText(Settings):
    """The `[calendar]` table of a configuration."""

    zone: str = ZONE
    days_off: list[date] = Field(default_factory=list)
    days_worked: list[date] = Field(default_factory=list)

    def calendar(self) -> Calendar:
        """Raises ValueError for a time zone that nobody knows."""
        try:
            zone = ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f'no time zone "{self.zone}"; one such as "{ZONE}" is wanted') from error
        return Calendar(zone, frozenset(self.days_off), frozenset(self.days_worked))
