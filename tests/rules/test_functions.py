"""The functions over time in sentences, by what `step` makes of whole courses."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messages.kind import Kind, load_kinds
from messages.reading import Reading, Value
from messages.settings import ConfigError
from rules.language.change import Cleared, Graver, Raised
from rules.language.evaluation import step
from rules.language.library import load_file
from rules.language.rule import Rule
from rules.language.state import from_json, to_json
from tests.rules.course import T0, at, course, live, raised, reading, replay, run, write_rules

HOUR_S = 3600.0
TAP = """
name = { zh = "水表", en = "Water meter" }
[channels.volume]
name = { zh = "累计", en = "Volume" }
meaning = "what the meter has counted"
type = "number"
unit = "m3"
interval = "30min"
[channels.door]
name = { zh = "门", en = "Door" }
meaning = "open"
type = "boolean"
interval = "30min"
[channels.card]
name = { zh = "卡", en = "Card" }
meaning = "a card was read"
type = "text"
event = true
interval = "24h"
"""
ONE = """
[rules.it]
level = "yellow"
title = { zh = "它", en = "it" }
raise = '''%s'''
clear = '''%s'''
"""


@pytest.fixture
def tap(tmp_path: Path) -> "Tap":
    return Tap(tmp_path)


class Tap:
    """A kind of its own, and rules for it."""

    def __init__(self, folder: Path) -> None:
        kinds = folder / "kinds"
        kinds.mkdir()
        (kinds / "tap.toml").write_text(TAP, encoding="utf-8")
        self._kinds, self._folder = load_kinds(kinds), folder / "rules"

    @property
    def kind(self) -> Kind:
        return self._kinds["tap"]

    def rule(self, raise_when: str, clear_when: str = "false", more: str = "") -> Rule:
        path = write_rules(self._folder, "tap", ONE % (raise_when, clear_when) + more)
        return load_file(path, self._kinds)[0]

    def refusal(self, raise_when: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self.rule(raise_when)
        return str(caught.value)


def volume(*points: tuple[float, Value]) -> list[Reading]:
    return course("volume", *points)


def steady(until_s: float, value: float = 5.0, step_s: float = 1800) -> list[Reading]:
    return volume(*((at_s * step_s, value) for at_s in range(round(until_s / step_s) + 1)))


def test_no_water_for_twelve_hours_is_known_after_twelve_hours(tap: Tap) -> None:
    rule = tap.rule('increase(volume, "12h") < 0.01', 'increase(volume, "12h") >= 0.01')
    found = replay(rule, [*steady(13 * HOUR_S), *volume((13.5 * HOUR_S, 5.2))])
    assert [(type(change), change.at_ms) for change in found] == [
        (Raised, at(12 * HOUR_S)),
        (Cleared, at(13.5 * HOUR_S)),
    ]


def test_a_device_that_was_silent_for_hours_proves_no_absence(tap: Tap) -> None:
    rule = tap.rule('count(door, "12h") < 1', 'count(door, "12h") >= 1')
    spoken = [reading(at_s, "door", False) for at_s in range(0, 12 * 3600, 1800) if not 4 * 3600 < at_s < 8 * 3600]
    assert replay(rule, [*spoken, reading(12 * HOUR_S, "door", False)]) == []
    backlog = [reading(at_s, "door", False) for at_s in range(4 * 3600 + 1800, 8 * 3600, 1800)]
    late = [*spoken, *backlog, reading(12 * HOUR_S, "door", False)]
    assert [type(change) for change in replay(rule, late)] == [Raised]


def test_what_is_known_already_decides_before_the_window_is_covered(tap: Tap) -> None:
    opened = [reading(at_s, "door", at_s % 600 == 0) for at_s in range(0, 3600, 300)]
    assert [type(change) for change in replay(tap.rule('count(door, "24h") >= 3'), opened)] == [Raised]
    assert replay(tap.rule('count(door, "24h") < 100'), opened) == []


def test_a_text_event_is_counted_by_its_readings(tap: Tap) -> None:
    cards = [reading(at_s, "card", "abc") for at_s in (0, 10, 20)]
    assert replay(tap.rule('count(card, "1min") >= 3'), cards) == [Raised(at(20), {"card": "abc"})]


def test_a_rise_within_minutes_is_the_value_above_the_lowest_of_them(tap: Tap) -> None:
    rule = tap.rule('volume - min(volume, "10min") >= 10')
    slow = volume(*((minute * 60, minute * 0.9) for minute in range(30)))
    fast = volume(*((minute * 60, minute * 1.1) for minute in range(30)))
    assert replay(rule, slow) == []
    assert [type(change) for change in replay(rule, fast)] == [Raised]


def test_a_rate_is_per_second_and_may_fall(tap: Tap) -> None:
    rule = tap.rule('rate(volume, "10min") < -0.01')
    assert replay(rule, volume(*((minute * 60, 100.0 - minute) for minute in range(20)))) != []
    assert replay(rule, volume(*((minute * 60, 100.0 - minute * 0.5) for minute in range(20)))) == []


def test_a_value_that_never_moves_is_stuck(tap: Tap) -> None:
    rule = tap.rule('stuck_for(volume) >= "6h"')
    assert [change.at_ms for change in replay(rule, steady(7 * HOUR_S))] == [at(6 * HOUR_S)]
    moving = [*steady(5 * HOUR_S), *volume((5.5 * HOUR_S, 5.1), (6 * HOUR_S, 5.1), (7 * HOUR_S, 5.1))]
    assert replay(rule, moving) == []


def test_silence_is_noticed_by_the_clock_and_ended_by_a_reading(tap: Tap) -> None:
    rule = tap.rule('silent_for(volume) >= "2h"', 'silent_for(volume) < "1h"')
    found = live(rule, volume((0, 1.0), (1800, 1.0), (5 * HOUR_S, 1.0)), 6 * HOUR_S)
    assert [(type(change), change.at_ms) for change in found] == [
        (Raised, at(1800 + 2 * HOUR_S)),
        (Cleared, at(5 * HOUR_S)),
    ]
    assert live(rule, volume((0, 1.0)), 2 * HOUR_S - 1) == []


def test_two_samples_are_two_readings_however_long_one_lasts(tap: Tap) -> None:
    rule = tap.rule("volume >= 3", "volume < 2", "raise_samples = 2\nclear_samples = 2\n")
    assert live(rule, volume((0, 3.0)), 5 * HOUR_S) == []
    assert live(rule, volume((0, 3.0), (60, 1.0), (120, 3.0), (180, 1.0)), 5 * HOUR_S) == []
    found = live(rule, volume((0, 3.0), (60, 3.0), (120, 1.0), (180, 2.5), (240, 1.0), (300, 1.0)), 5 * HOUR_S)
    assert [(type(change), change.at_ms) for change in found] == [(Raised, at(60)), (Cleared, at(300))]


def test_two_samples_and_a_delay_want_both(tap: Tap) -> None:
    rule = tap.rule("volume >= 3", "volume < 2", 'raise_samples = 2\nraise_delay = "2min"\n')
    assert [change.at_ms for change in live(rule, volume((0, 3.0), (60, 3.0)), HOUR_S)] == [at(120)]
    assert [change.at_ms for change in live(rule, volume((0, 3.0), (300, 3.0)), HOUR_S)] == [at(300)]


def test_an_alarm_gets_graver_with_its_value_and_never_lighter(tap: Tap) -> None:
    levels = 'levels = [{ level = "red", when = "volume >= 30" }, { level = "orange", when = "volume >= 20" }]\n'
    rule = tap.rule("volume >= 10", "volume < 5", levels)
    found = replay(rule, volume((0, 12.0), (60, 22.0), (120, 35.0), (180, 12.0), (240, 36.0), (300, 1.0), (360, 21.0)))
    evidence = [{"volume": value} for value in (12.0, 22.0, 35.0, 21.0)]
    assert found == [
        Raised(at(0), evidence[0]),
        Graver(at(0), at(60), "orange", evidence[1]),
        Graver(at(0), at(120), "red", evidence[2]),
        Cleared(at(0), at(300)),
        Raised(at(360), evidence[3], level="orange"),
    ]


def test_a_level_by_the_hour_is_that_of_the_reading(tap: Tap) -> None:
    rule = tap.rule(
        "door", "not door", """levels = [{ level = "orange", when = 'time_between("22:00", "06:00")' }]\n"""
    )
    noon = datetime(2026, 3, 2, 4, 0, tzinfo=UTC).timestamp() - T0 / 1000  # 12:00 in Shanghai
    night = datetime(2026, 3, 2, 14, 0, tzinfo=UTC).timestamp() - T0 / 1000  # 22:00
    by_day, by_night = (replay(rule, [reading(at_s, "door", True)]) for at_s in (noon, night))
    assert [change.level for change in (*by_day, *by_night) if isinstance(change, Raised)] == [None, "orange"]


@pytest.mark.parametrize(
    ("sentence", "when", "expected"),
    [
        ('time_between("08:00", "18:00")', "2026-03-02 07:59", False),
        ('time_between("08:00", "18:00")', "2026-03-02 08:00", True),
        ('time_between("22:00", "06:00")', "2026-03-02 05:59", True),
        ('time_between("22:00", "06:00")', "2026-03-02 06:00", False),
        ('date_between("11-15", "03-15")', "2026-01-01 00:00", True),
        ('date_between("11-15", "03-15")', "2026-03-15 00:00", False),
        ("weekday() == 1", "2026-03-02 00:00", True),
        ("weekday() == 1", "2026-03-01 23:59", False),
        ("holiday()", "2026-03-01 12:00", True),
        ("holiday()", "2026-03-02 12:00", False),
    ],
)
def test_the_calendar_is_that_of_the_site(tap: Tap, sentence: str, when: str, expected: bool) -> None:
    at_s = datetime.fromisoformat(f"{when}+08:00").timestamp() - T0 / 1000
    found = replay(tap.rule(f"door and {sentence}"), [reading(at_s, "door", True)])
    assert bool(found) is expected


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ('increase(door, "12h") > 1', "`increase` is for numbers, and door is a boolean"),
        ('increase(volume, "12 hours") > 1', "a duration such as"),
        ('increase(volume, "40d") > 1', "at most 31 days"),
        ('increase(volume, "999h") > 1', "at most 31 days"),
        ("increase(volume) > 1", 'takes a channel and a duration: increase(channel, "10min")'),
        ('increase(volume + 1, "1h") > 1', "wants a channel here, not `volume + 1`"),
        ('increase(volum, "1h") > 1', "no channel `volum`; did you mean `volume`?"),
        ('increse(volume, "1h") > 1', "did you mean `increase`?"),
        ('silent_for(volume) + 1 > "1h"', "compare `silent_for(…)`"),
        ("silent_for(volume) > volume", "s can't be compared with m3"),
        ('stuck_for(volume) > "an hour"', "a duration such as"),
        ('volume > "1h"', "a number can't be compared with a text"),
        ('time_between("25:00", "06:00")', "a time of day such as"),
        ("time_between(22, 6)", "takes two texts"),
        ('date_between("13-01", "03-15")', "month and day such as"),
        ("weekday(1) == 1", "takes nothing"),
        ("usual(door) > 1", "`usual` is for numbers"),
        ('rate(volume, "since 00:00") > 1', "`rate` takes a duration"),
        ('increase(volume, "since noon") > 1', "a time of day such as"),
        ("given(volume) > 1", "takes a channel and a value: given(water_level, 0)"),
        ("given(volume, true) > 1", "`given` wants a fixed number"),
        ("given(volume, volume) > 1", "`given` wants a fixed number"),
        ('count_devices("*", "no_such_thing") > 1', "the condition fits no kind"),
        ('count_devices("tapp", "door") > 1', "no kind `tapp`; did you mean `tap`?"),
        (
            'count_devices("tap", "dor") > 1',
            "the condition, for a tap: column 1: no channel or setting `dor`",
        ),
        ('count_devices("tap", "door", within="near") > 1', 'a distance such as "500m"'),
        ('count_devices("tap", "door", since="1h") > 1', "write count_devices("),
    ],
)
def test_a_wrong_use_is_told_with_its_place(tap: Tap, sentence: str, said: str) -> None:
    refusal = tap.refusal(sentence)
    assert said in refusal
    assert re.search(r"tap\.toml:5:\d+: rules\.it\.raise: ", refusal)


MIDNIGHT_S = (datetime(2025, 10, 10, tzinfo=UTC).timestamp() - 8 * HOUR_S) - T0 / 1000
"""The first one after T0, in Shanghai."""


def test_a_window_may_begin_at_a_time_of_the_day(tap: Tap) -> None:
    rule = tap.rule('count(door, "since 00:00") >= 2', "not door")
    evening = [(MIDNIGHT_S - 4 * HOUR_S, True), (MIDNIGHT_S - 3 * HOUR_S, False)]
    first = [(MIDNIGHT_S + HOUR_S, True), (MIDNIGHT_S + 2 * HOUR_S, False)]
    again = [(MIDNIGHT_S + 3 * HOUR_S, True), (MIDNIGHT_S + 4 * HOUR_S, False)]
    assert replay(rule, course("door", *evening, *first)) == []
    assert raised(MIDNIGHT_S + 3 * HOUR_S, replay(rule, course("door", *evening, *first, *again)))


def test_the_hour_may_be_compared_with_a_number(tap: Tap) -> None:
    rule = tap.rule("door and hour() < 5.5", "not door")
    for at_h, holds in ((5.4, True), (5.5, False), (23.9, False), (24.1, True)):
        assert bool(replay(rule, course("door", (MIDNIGHT_S + at_h * HOUR_S, True)))) == holds


def test_a_delay_may_be_a_devices_own(tap: Tap) -> None:
    text = 'raise_delay = "patience"\n[settings]\npatience = { value = 60.0, unit = "s" }\n'
    rule = tap.rule("door", "not door", text)
    for own, delay_s in (({}, 60), ({"patience": 30.0}, 30), ({"patience": "long"}, 60), ({"patience": -5.0}, 0)):
        assert raised(delay_s, live(rule.for_device(own), course("door", (0, True)), 100))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "'patience'; known: limit"),
        ('patience = { value = 1.0, unit = "m" }\n', 'the setting `patience` should be a number with unit = "s"'),
        ("patience = { value = true }\n", "the setting `patience` should be a number"),
    ],
)
def test_a_delay_that_is_no_duration_is_a_mistake(tap: Tap, more: str, said: str) -> None:
    text = f'raise_delay = "patience"\n[settings]\n{more or "limit = { value = 1.0 }"}\n'
    with pytest.raises(ConfigError, match=r"tap\.toml:\d+:\d+: rules\.it\.raise_delay: ") as caught:
        tap.rule("door", "not door", text)
    assert said in str(caught.value)


def test_a_restart_between_any_two_readings_forgets_no_window(tap: Tap) -> None:
    rule = tap.rule('increase(volume, "12h") < 0.01 and silent_for(door) > "1h"', 'increase(volume, "12h") >= 0.01')
    readings = sorted([*steady(14 * HOUR_S), reading(0, "door", True)], key=lambda one: one.at_ms)
    assert live(rule, readings, 15 * HOUR_S, restart=True) == live(rule, readings, 15 * HOUR_S) != []


def test_what_happened_within_the_lateness_rings_though_its_readings_came_late(tap: Tap) -> None:
    rule = tap.rule("volume >= 10", "volume < 5")
    state, _ = run(rule, volume((300, 1.0)))
    for late_s, rings in ((120.0, True), (3600.0, False)):
        now_ms = at(late_s + 300)
        after, found, _ = step(rule, state, reading(100, "volume", 12.0), now_ms)
        assert [change.late for change in found] == [not rings]  # type: ignore[union-attr]
        assert from_json(to_json(after)) == after


def test_a_reflex_cannot_ask_the_neighbourhood(tap: Tap) -> None:
    with pytest.raises(ConfigError, match=r"tap\.toml:\d+:\d+: rules\.it\.reflex: a Pi sees only its own devices"):
        tap.rule('count_devices("tap", "door", within="grid") > 1', more="reflex = true\n")
