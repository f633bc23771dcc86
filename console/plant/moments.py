"""Days, months and moments that a form brings, by a calendar's own clock. Pure."""

from datetime import date, datetime, timedelta

from rules.language.calendar import Calendar


def moment_ms(text: str, calendar: Calendar) -> int | None:
    """Of "2026-11-21T08:00" or "2026-11-21"; None for what is neither."""
    try:
        local = datetime.fromisoformat(text[:19])
    except ValueError:
        return None
    if local.tzinfo is not None or not 2000 <= local.year < 2200:
        return None
    return round(local.replace(tzinfo=calendar.zone).timestamp() * 1000)


def day_ms(day: date, calendar: Calendar) -> int:
    """Its midnight."""
    return round(datetime(day.year, day.month, day.day, tzinfo=calendar.zone).timestamp() * 1000)


def month_of(text: str) -> date | None:
    """The first day of "2026-11"."""
    try:
        found = date.fromisoformat(f"{text[:7]}-01")
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None


def next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def monday_of(text: str, today: date) -> date:
    """The Monday of the week in which the day lies, or of this week."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = today
    if not 2000 <= day.year < 2200:
        day = today
    return day - timedelta(days=day.weekday())
