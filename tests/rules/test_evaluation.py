from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.reading import Quality, Reading, Value
from rules.language.change import Change, Cleared, Ended, Happened, Raised
from rules.language.evaluation import Timer, step
from rules.language.state import NEW, from_json, present, to_json
from tests.rules.course import at, course, live, raised, reading, replay, rule, run, tilt

COVER = rule("manhole_cover", "moved")  # raise from 15 deg for 30 s, clear below 5 deg for 60 s
LEAK = rule("gas_alarm", "leak")  # raise from 10 %LEL at once, clear below 5 %LEL for 5 min; life safety
LEVEL = rule("sewer_level", "high")  # raise from 80 % of 3 m for 10 s, clear below 70 % for 10 min
HEAT = rule("waste_bin", "heat")  # raise from 60 Cel for 30 s, clear below 45 Cel for 10 min
LATENESS_S = COVER.lateness_ms / 1000


def gas(*points: tuple[float, Value]) -> list[Reading]:
    return [reading(0, "alarm_contact", False), *course("gas_concentration", *points)]


def test_what_stays_above_is_raised_once_and_cleared_once() -> None:
    found = replay(
        COVER, tilt((0, 20.0), (10, 21.0), (31, 22.0), (60, 30.0), (90, 2.0), (120, 1.0), (151, 1.0), (300, 0.0))
    )
    assert found == [Raised(at(30), {"tilt": 22.0}), Cleared(at(30), at(150))]


def test_a_delay_of_zero_raises_with_the_first_reading() -> None:
    assert replay(LEAK, gas((1, 9.9), (2, 10.0), (3, 40.0))) == [
        Raised(at(2), {"alarm_contact": False, "gas_concentration": 10.0})
    ]


def test_delays_are_measured_in_the_readings_own_time_however_fast_they_arrive() -> None:
    """ThingsBoard's hazard: the sample's time for the start, the server's for the end."""
    old = tilt((0, 20.0))
    assert replay(COVER, old, arrived_s=25 * 60) == []
    assert replay(COVER, tilt((0, 20.0), (29, 20.0)), arrived_s=31) == []
    assert replay(COVER, tilt((0, 20.0), (30, 20.0)), arrived_s=31) == [Raised(at(30), {"tilt": 20.0})]


def test_flapping_within_the_delay_raises_nothing_and_within_the_off_delay_clears_nothing() -> None:
    assert replay(COVER, tilt(*((t, 20.0 if t % 20 == 0 else 2.0) for t in range(0, 600, 10)))) == []
    flapping_back = [(0.0, 20.0), (30.0, 20.0)] + [(t, 2.0 if t % 40 == 0 else 20.0) for t in range(40, 600, 20)]
    assert raised(30, replay(COVER, tilt(*flapping_back)))
    assert len(replay(COVER, tilt(*flapping_back))) == 1


def test_between_the_limits_the_alarm_stays() -> None:
    assert len(replay(COVER, tilt((0, 20.0), (30, 20.0), (40, 10.0), (400, 5.0)))) == 1


def test_a_timer_fires_when_no_reading_comes_and_says_the_same_time_as_a_reading_would() -> None:
    assert live(COVER, tilt((0, 20.0)), until_s=40) == [Raised(at(30), {"tilt": 20.0})]
    assert live(COVER, tilt((0, 20.0), (40, 2.0)), until_s=200) == [
        Raised(at(30), {"tilt": 20.0}),
        Cleared(at(30), at(100)),
    ]
    assert replay(COVER, tilt((0, 20.0), (40, 2.0), (100, 2.0))) == [
        Raised(at(30), {"tilt": 20.0}),
        Cleared(at(30), at(100)),
    ]


def test_a_timer_of_a_late_reading_runs_from_its_arrival() -> None:
    state, _, wake_ms = step(COVER, NEW, tilt((0, 20.0))[0], at(25))
    assert wake_ms == at(55)
    assert step(COVER, state, Timer(), at(54.999)) == (state, [], at(55))
    assert step(COVER, state, Timer(), at(55))[1] == [Raised(at(30), {"tilt": 20.0})]


def test_a_device_whose_clock_jumps_ahead_fires_nothing_and_blocks_nothing() -> None:
    jumped = reading(3600, "tilt", 20.0)
    state, changes = run(COVER, tilt((0, 20.0)))
    state, found, wake_ms = step(COVER, state, jumped, at(1))
    assert (changes + found, wake_ms) == ([], at(30))
    state, found, _ = step(COVER, state, reading(2, "tilt", 2.0), at(2))
    assert found == []
    assert step(COVER, state, Timer(), at(60))[1] == []


def test_an_older_reading_does_not_move_the_present() -> None:
    state, _ = run(COVER, tilt((0, 2.0), (100, 2.0)))
    after, changes = run(COVER, tilt((50, 20.0)), state=state, arrived_s=100)
    assert (present(after), changes) == (present(state), [])
    state, _ = run(COVER, tilt((0, 20.0), (30, 20.0)))
    after, changes = run(COVER, tilt((10, 1.0)), state=state, arrived_s=30)
    assert (present(after), changes) == (present(state), [])


def test_readings_that_come_again_change_nothing() -> None:
    readings = tilt((0, 20.0), (31, 20.0), (60, 2.0), (125, 2.0))
    once = replay(COVER, readings)
    assert replay(COVER, [one for one in readings for _ in range(3)]) == once
    state, _ = run(COVER, readings)
    assert run(COVER, [readings[-1]], state=state) == (state, [])


def test_what_comes_to_light_later_and_is_over_is_a_past_event() -> None:
    state, _ = run(COVER, tilt((0, 2.0), (1000, 2.0)))
    backlog = tilt((100, 20.0), (120, 20.0), (131, 20.0), (200, 2.0), (261, 2.0), (900, 2.0))
    assert run(COVER, backlog, state=state, arrived_s=1001)[1] == [
        Happened(at(130), {"tilt": 20.0}),
        Ended(at(130), at(260)),
    ]


def test_nothing_is_assumed_between_two_readings_of_the_past() -> None:
    state, _ = run(COVER, tilt((0, 2.0), (1000, 2.0)))
    assert run(COVER, tilt((100, 20.0), (900, 2.0)), state=state, arrived_s=1001)[1] == []


def test_what_the_present_has_heard_meanwhile_ends_a_stretch_of_the_past() -> None:
    stragglers = tilt((6, 20.0), (60, 20.0))
    assert replay(COVER, [*tilt((0, 2.0), (7, 3.0), (100, 3.0)), *stragglers], arrived_s=101) == []
    assert replay(COVER, [*tilt((0, 2.0), (100, 3.0)), *stragglers], arrived_s=101) == [
        Happened(at(36), {"tilt": 20.0}, late=False)
    ]


def test_an_older_stretch_of_the_past_is_looked_at_by_itself() -> None:
    state, _ = run(LEAK, gas((0, 0.0), (1000, 0.0)))
    state, found = run(LEAK, course("gas_concentration", (500, 20.0), (600, 0.0)), state=state, arrived_s=1001)
    assert [change.at_ms for change in found if isinstance(change, Happened)] == [at(500)]
    _, found = run(LEAK, course("gas_concentration", (100, 15.0)), state=state, arrived_s=1001)
    assert [change.at_ms for change in found if isinstance(change, Happened)] == [at(100)]


def test_what_is_raised_by_old_readings_is_late() -> None:
    over = tilt((0, 20.0), (31, 20.0), (60, 2.0), (125, 2.0))
    assert replay(COVER, over, arrived_s=LATENESS_S + 100) == [
        Raised(at(30), {"tilt": 20.0}, late=True),
        Cleared(at(30), at(120)),
    ]
    assert raised(30, replay(COVER, over, arrived_s=LATENESS_S))


def test_a_late_one_that_a_fresh_reading_shows_to_stand_is_raised_in_earnest() -> None:
    """Not by the reading itself: others of the same moment may say otherwise."""
    old, fresh = tilt((0, 20.0), (31, 20.0)), tilt((2000, 10.0))
    state, found = run(COVER, old + fresh, arrived_s=2000)
    assert found == [Raised(at(30), {"tilt": 20.0}, late=True)]
    assert step(COVER, state, Timer(), at(2000))[1] == [Raised(at(30), {"tilt": 10.0})]
    state, found = run(COVER, old + tilt((2000, 2.0)), arrived_s=2000)
    assert len(found) == 1
    assert step(COVER, state, Timer(), at(2000))[1] == []


def test_a_late_one_is_not_raised_in_earnest_by_half_of_what_a_device_says_at_once() -> None:
    surcharge = rule("manhole_cover", "surcharge")
    old = [reading(at_s, name, value) for at_s in (0, 60) for name, value in (("water_level", 9.0), ("tilt", 40.0))]
    fresh = [reading(9000, name, value) for name, value in (("tilt", 0.0), ("water_level", 0.0), ("rim_switch", False))]
    state, found = run(surcharge, old + fresh, arrived_s=9000)
    assert [change.late for change in found if isinstance(change, Raised)] == [True]
    assert step(surcharge, state, Timer(), at(9000))[1] == []


def test_what_has_cleared_is_not_looked_at_for_whether_it_still_stands() -> None:
    hot = rule("edge_agent", "hot")
    old = [reading(0, "throttled", True), reading(60, "temperature", 20.0)]
    fresh = [reading(9000, "temperature", 20.0), reading(9000, "throttled", False)]
    state, _ = run(hot, old + fresh, arrived_s=9000)
    state, found = run(hot, [reading(9601, "throttled", False)], state=state, arrived_s=9601)
    assert [type(change) for change in found] == [Cleared]
    assert present(state).look_at_ms is None


def test_a_fresh_reading_that_ends_an_old_delay_is_not_late() -> None:
    assert replay(COVER, tilt((0, 20.0), (2000, 20.0)), arrived_s=2000) == [Raised(at(30), {"tilt": 20.0})]


def test_life_safety_is_never_late() -> None:
    assert raised(0, replay(LEAK, gas((0, 30.0)), arrived_s=86_400))


def test_unknown_does_not_raise_and_does_not_clear() -> None:
    assert replay(LEAK, [reading(0, "gas_concentration", 3.0)]) == []
    broken = reading(-1, "alarm_contact", False, quality=Quality.BAD)
    found = replay(LEAK, [broken, *course("gas_concentration", (0, 30.0), (10, 0.0), (1000, 0.0))])
    assert raised(0, found)
    assert len(found) == 1


def test_a_channel_that_a_product_does_not_have_keeps_nothing_raised() -> None:
    found = replay(LEAK, course("gas_concentration", (0, 30.0), (10, 0.0), (1000, 0.0)))  # the contact was never heard
    assert [type(change) for change in found] == [Raised, Cleared]


def test_an_old_word_that_meets_a_young_one_begins_a_delay_now() -> None:
    """A backlog of days that follows live readings: what the one channel said then and the other says now were never true together until now."""
    covered = replace(rule("manhole_cover", "surcharge"), raise_samples=1, delays=(30.0, 0.0))
    days_s = 3 * 86_400.0
    state, found = run(covered, [reading(days_s, "water_level", 3.0)])
    state, more = run(covered, [reading(57, "tilt", 20.0)], state=state, arrived_s=days_s + 1)
    assert found + more == []
    assert run(covered, [reading(days_s + 5, "tilt", 0.0)], state=state)[1] == []
    assert raised(days_s + 30, run(covered, [reading(days_s + 31, "tilt", 20.0)], state=state)[1])


def test_a_channel_that_a_product_does_not_have_keeps_no_delay_running() -> None:
    """A bin without a camera: whether "full or seen to overflow" holds is never known to be false."""
    bin_ = rule("waste_bin", "overflowing")
    assert live(bin_, course("fill", (0, 96.0), (30, 96.0), (40, 10.0)), until_s=600) == []
    assert live(bin_, course("fill", (0, 96.0), (40, 10.0), (90, 96.0)), until_s=600) == []
    broken = reading(40, "fill", 10.0, quality=Quality.BAD)
    assert raised(60, live(bin_, [*course("fill", (0, 96.0), (30, 96.0)), broken], until_s=600))


def test_a_bad_reading_stops_the_clock_of_a_clear() -> None:
    bad = reading(100, "gas_concentration", 0.0, quality=Quality.BAD)
    readings = [*gas((0, 30.0), (10, 0.0)), bad, *course("gas_concentration", (200, 0.0), (499, 0.0), (501, 0.0))]
    assert [change for change in live(LEAK, readings, until_s=600) if isinstance(change, Cleared)] == [
        Cleared(at(0), at(500))
    ]


def test_a_bad_reading_stops_no_raise_that_silence_would_not_stop() -> None:
    bad = reading(10, "tilt", 20.0, quality=Quality.BAD)
    assert raised(30, live(COVER, [*tilt((0, 20.0)), bad], until_s=600))
    assert raised(30, live(COVER, [*tilt((0, 20.0)), bad, *tilt((40, 20.0))], until_s=600))
    assert live(COVER, [*tilt((0, 20.0)), bad, *tilt((20, 2.0))], until_s=600) == []
    assert live(COVER, [bad], until_s=600) == []


def test_of_two_values_in_one_millisecond_the_later_word_counts() -> None:
    assert raised(5, replay(LEAK, gas((5, 0.0), (5, 30.0))))
    assert raised(30, replay(COVER, tilt((0, 2.0), (0, 20.0), (0, 20.0), (30, 20.0))))
    state, _ = run(LEAK, gas((0, 0.0), (1000, 0.0)))
    past = course("gas_concentration", (500, 0.0), (500, 30.0))
    assert [change.at_ms for change in run(LEAK, past, state=state, arrived_s=1001)[1]] == [at(500)]


def test_no_reading_of_a_clock_that_is_ahead_is_lost() -> None:
    """Several come in one pack: to the server they are all of now, to each other they are not."""
    found = replay(LEAK, [reading(90, "alarm_contact", False), *gas((100, 0.0), (101, 30.0), (102, 0.0))], arrived_s=0)
    assert found == [Raised(at(0), {"alarm_contact": False, "gas_concentration": 30.0})]


def test_a_clock_that_was_ahead_and_is_set_right_is_heard_again() -> None:
    state, _ = run(LEAK, gas((3600, 0.0)), arrived_s=0)
    _, found = run(LEAK, course("gas_concentration", (2, 30.0)), state=state)
    assert raised(2, found)


def test_an_uncertain_reading_counts() -> None:
    assert raised(0, replay(LEAK, [reading(0, "gas_concentration", 30.0, quality=Quality.UNCERTAIN)]))


def test_a_devices_own_settings_decide() -> None:
    shallow = LEVEL.for_device({"depth": 1.0})
    readings = course("water_level", (0, 0.9), (11, 0.9))
    assert raised(10, replay(shallow, readings))
    assert replay(LEVEL, readings) == []
    assert LEVEL.for_device({"depth": "1.0"}) is LEVEL
    assert LEVEL.for_device({"depth": True}) is LEVEL
    assert LEVEL.for_device({"width": 1.0}) is LEVEL


def test_where_both_sentences_hold_the_raise_wins() -> None:
    both = replace(HEAT, clear_when=HEAT.raise_when, delays=(HEAT.delays[0], 0.0))
    assert raised(30, replay(both, course("temperature", (0, 70.0), (30, 70.0), (60, 70.0))))
    assert len(replay(both, course("temperature", (0, 70.0), (30, 70.0), (60, 70.0)))) == 1


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 99"):
        from_json(to_json(NEW) | {"version": 99})


_TILTS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.0, 4.0, 10.0, 20.0, 40.0])), max_size=30)


def _course(steps: list[tuple[int, float]]) -> list[Reading]:
    at_s, readings = 0.0, []
    for gap_s, value in steps:
        at_s += gap_s
        readings.append(reading(at_s, "tilt", value))
    return readings


@given(_TILTS)
def test_a_restart_between_any_two_readings_changes_no_alarm(steps: list[tuple[int, float]]) -> None:
    readings = _course(steps)
    assert live(COVER, readings, 3000, restart=True) == live(COVER, readings, 3000)


@given(_TILTS)
def test_live_with_timers_and_replayed_without_give_the_same_alarms(steps: list[tuple[int, float]]) -> None:
    readings = _course(steps)
    end = readings[-1].at_ms if readings else at(0)
    found = [change for change in live(COVER, readings, 3000) if change.at_ms <= end]
    assert _times(replay(COVER, readings)) == _times(found)


@given(_TILTS, st.data())
def test_readings_that_come_again_in_any_order_move_nothing_in_the_present(
    steps: list[tuple[int, float]], data: st.DataObject
) -> None:
    readings = _course(steps)
    state, _ = run(COVER, readings)
    again = data.draw(st.permutations(readings))
    after, changes = run(COVER, again, state=state, arrived_s=3000)
    assert present(after) == present(state)
    assert not [change for change in changes if isinstance(change, Raised | Cleared)]


@given(_TILTS)
def test_raised_and_cleared_take_turns_and_time_never_runs_back(steps: list[tuple[int, float]]) -> None:
    changes = live(COVER, _course(steps), 3000)
    assert [type(change) for change in changes] == [(Raised, Cleared)[index % 2] for index in range(len(changes))]
    assert _times(changes) == sorted(_times(changes), key=lambda entry: entry[1])


@given(_TILTS)
def test_a_state_survives_the_database(steps: list[tuple[int, float]]) -> None:
    state, _ = run(COVER, _course(steps))
    assert from_json(orjson.loads(orjson.dumps(to_json(state)))) == state


def _times(changes: list[Change]) -> list[tuple[str, int]]:
    return [(type(change).__name__, change.at_ms) for change in changes]


def test_what_one_channel_said_long_ago_rings_not_before_all_of_this_moment_is_heard() -> None:
    """An edge comes back: its first fresh word is of one channel, and the next, of the same moment, ends what the other had begun."""
    hot, day_s = rule("edge_agent", "hot"), 86_400
    said = [reading(0, "throttled", True), reading(day_s, "temperature", 40.0)]
    state, found = run(hot, said, arrived_s=day_s)
    assert [(type(one), one.late) for one in found if isinstance(one, Raised)] == [(Raised, True)]
    over, more = run(hot, [reading(day_s, "throttled", False)], arrived_s=day_s, state=state)
    assert [one for one in [*more, *step(hot, over, Timer(), at(day_s))[1]] if isinstance(one, Raised)] == []
    stands = step(hot, state, Timer(), at(day_s))[1]
    assert [(one.late, one.at_ms) for one in stands if isinstance(one, Raised)] == [(False, at(600))]
