"""Days off in the rules' own settings, and those that are shipped."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from messages.settings import ConfigError
from rules.config import load
from rules.language.calendar import CHINA, CalendarText
from rules.language.seen import Seen, Then

GOOD = """name = "r"
database = "sqlite:///r.db"
store = "sqlite:h.db"
[broker]
"""


FULL = Seen(0, 1.0, 0, 0)


def then(at_ms: int) -> Then:
    return Then(at_ms, {}, {})


def noon_ms(year: int, month: int, day: int) -> int:
    return round(datetime(year, month, day, 4, tzinfo=UTC).timestamp() * 1000)  # noon in China


def written(folder: Path, calendar: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(f"{GOOD}\n[calendar]\n{calendar}\n", encoding="utf-8")
    return path


def test_the_state_councils_notice_of_2026_is_shipped() -> None:
    assert sum(day.year == 2026 for day in CHINA.days_off) == 3 + 9 + 3 + 5 + 3 + 3 + 7  # as the notice counts them
    assert CHINA.is_holiday(noon_ms(2026, 2, 17))  # 春节
    assert not CHINA.is_holiday(noon_ms(2026, 2, 14))  # a Saturday that is worked
    assert CHINA.is_holiday(noon_ms(2026, 11, 28))  # any Saturday
    assert not CHINA.is_holiday(noon_ms(2026, 11, 25))
    assert all(day.isoweekday() > 5 for day in CHINA.days_worked)


def test_a_year_of_ones_own_replaces_the_shipped_one_and_leaves_the_others(tmp_path: Path) -> None:
    calendar = load(written(tmp_path, "days_off = [2027-01-01, 2026-05-01]")).calendar
    assert calendar.is_holiday(noon_ms(2027, 1, 1))
    assert not calendar.is_holiday(noon_ms(2026, 2, 17))
    assert calendar.is_holiday(noon_ms(2025, 10, 1))
    assert calendar.years == {2025, 2026, 2027}


def test_the_rules_go_by_the_calendar_of_their_configuration(tmp_path: Path) -> None:
    text = """[rules.idle]
level = "blue"
title = { zh = "假日", en = "A day off" }
raise = "fill >= 0 and holiday()"
clear = "not holiday()"
"""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "waste_bin.toml").write_text(text, encoding="utf-8")
    path = tmp_path / "rules.toml"
    path.write_text(f'rules = ["own"]\n{GOOD}[calendar]\ndays_off = [2026-11-25]\n', encoding="utf-8")
    rule = load(path).rules["waste_bin"][0]
    assert rule.written["text"]["raise"] == "fill >= 0 and holiday()"
    assert rule.raises({"fill": FULL}, then(noon_ms(2026, 11, 25))) is True
    assert rule.raises({"fill": FULL}, then(noon_ms(2026, 11, 26))) is False


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ('zone = "Asia/Fuzhou"', "rules.toml:7: calendar.zone: no time zone of this name is known; one such as Asia/Shanghai is wanted"),
        ('days_off = ["2027-02-30"]', "rules.toml:7: calendar.days_off"),
        ("days = []", "rules.toml:7: calendar.days: is not known here; did you mean `days_off`?"),
    ],
)  # fmt: skip
def test_a_calendar_that_can_not_be_is_refused(tmp_path: Path, calendar: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, calendar))
    assert said in str(caught.value)


def test_a_year_that_nobody_announced_has_weekends_only() -> None:
    calendar = CalendarText(days_off=[date(2027, 1, 1)]).calendar()
    assert not CHINA.is_holiday(noon_ms(2027, 1, 1))
    assert calendar.is_holiday(noon_ms(2027, 1, 1))
