"""The same readings in another guise raise the same alarms: doubled, in other packs, in another order, with restarts between.

Over the whole shipped library, through the engine and a real database. Times are all different: of two readings in one
millisecond the order of arrival counts (`rules.language.evaluation`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messages.reading import Reading
from messages.settings import duration_s
from rules.engine.gap import PATIENCE_MS, has_time
from rules.language.change import Change
from rules.language.evaluation import Timer, step
from rules.language.hindsight import gains
from rules.language.rule import Rule
from rules.language.state import NEW, State, from_json, present, to_json
from tests.rules.course import KINDS, RULES, T0, reading
from tests.rules.courses import (
    GAPS_S,
    JUDGED,
    Course,
    alarms,
    bursts,
    courses,
    cuts_of_the_link,
    end_ms,
    first_calls,
    forget,
    live,
    packed,
    pieces,
    raises,
    room,
    turn,
    values,
)
from tests.rules.room import Room


@settings(max_examples=12, deadline=None)
@given(courses(), st.lists(st.integers(0, 2), min_size=24, max_size=24))
def test_doubled_readings_change_no_alarm(course: Course, again: list[int]) -> None:
    """Doubled at once, or when others have come since: a store that is asked tells again what was heard."""
    with room(course.kind) as once, room(course.kind) as twice:
        live(once, course.readings)
        for index, one in enumerate(course.readings):
            twice.pass_time((one.at_ms - T0 - 1) / 1000)
            turn(twice, [[one]] * (1 + again[index]), one.at_ms)
            if again[index] == 2:
                turn(twice, [course.readings[max(index - 3, 0) : index + 1]], one.at_ms)
        twice.pass_time((course.readings[-1].at_ms - T0) / 1000 + 7200)
        assert alarms(twice) == alarms(once)


@settings(max_examples=15, deadline=None)
@given(courses(), st.lists(st.integers(0, 24), max_size=6), st.lists(st.integers(0, 24), max_size=6))
def test_other_packs_change_no_alarm(course: Course, cuts: list[int], others: list[int]) -> None:
    """Of a backlog that arrives at one time, in any number of turns."""
    with room(course.kind) as one, room(course.kind) as other:
        for of, chosen in ((one, cuts), (other, others)):
            for piece in pieces(course.readings, chosen):
                turn(of, [piece], end_ms(course))
            of.pass_time((end_ms(course) - T0) / 1000 + 7200)
        assert raises(one) == raises(other)


@settings(max_examples=20, deadline=None)
@given(courses(), st.data())
def test_the_order_of_a_turn_changes_no_alarm(course: Course, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(course.readings))
    cuts = data.draw(st.lists(st.integers(0, 24), max_size=4))
    with room(course.kind) as one, room(course.kind) as other:
        turn(one, [course.readings], end_ms(course))
        turn(other, pieces(shuffled, cuts), end_ms(course))
        for of in (one, other):
            of.pass_time((end_ms(course) - T0) / 1000 + 7200)
        assert alarms(one) == alarms(other)


@settings(max_examples=12, deadline=None)
@given(courses(most=10))
def test_a_restart_between_any_two_readings_and_timers_changes_no_alarm(course: Course) -> None:
    with room(course.kind) as one, room(course.kind) as other:
        live(one, course.readings)
        live(other, course.readings, lambda: forget(other))
        assert alarms(one) == alarms(other)
        assert one.events() == other.events()


EVERY = [rule for some in RULES.values() for rule in some if rule.channels]
"""Those that look at channels of their own; site.storm asks about its neighbours alone."""


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(EVERY), st.data())
def test_a_state_that_goes_through_json_judges_alike(rule: Rule, data: st.DataObject) -> None:
    possible = [(name, values(rule.kind, name, KINDS[rule.kind].channels[name])) for name in rule.channels]
    at_s, found = 0.0, []
    for _ in range(data.draw(st.integers(1, 20))):
        at_s += data.draw(st.sampled_from(GAPS_S))
        name, some = data.draw(st.sampled_from(possible))
        found.append(reading(at_s, name, data.draw(st.sampled_from(some))))
    assert _judged(rule, found, lambda state: from_json(to_json(state))) == _judged(rule, found, lambda state: state)


def _judged(rule: Rule, readings: list[Reading], between: Callable[[State], State]) -> list[Change]:
    state, wake_ms, changes = NEW, None, list[Change]()
    for one in readings:
        while wake_ms is not None and wake_ms < one.at_ms:
            state, found, wake_ms = step(rule, between(state), Timer(), wake_ms)
            changes += found
        state, found, wake_ms = step(rule, between(state), one, one.at_ms)
        changes += found
    return changes


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([rule for rule in EVERY if rule.plain]), st.data())
def test_the_short_way_of_a_reading_finds_what_the_long_way_finds(rule: Rule, data: st.DataObject) -> None:
    possible = [(name, values(rule.kind, name, KINDS[rule.kind].channels[name])) for name in rule.channels]
    long_way, at_s = replace(rule, plain=False), 0.0
    short = long = NEW
    for _ in range(data.draw(st.integers(1, 25))):
        at_s = max(at_s + data.draw(st.sampled_from((*GAPS_S, *GAPS_S, 0.0, -5.0))), 0.0)
        name, some = data.draw(st.sampled_from(possible))
        event: Reading | Timer = reading(at_s, name, data.draw(st.sampled_from(some)))
        if data.draw(st.integers(0, 5)) == 0:
            event = Timer()
        now_ms = T0 + round((at_s + data.draw(st.sampled_from((0.0, 1.0, 3.0)))) * 1000)
        found, expected = step(rule, short, event, now_ms), step(long_way, long, event, now_ms)
        assert found == expected
        short, long = found[0], expected[0]


IMMEDIATE = [
    rule
    for rule in EVERY
    if rule.plain
    and rule.raise_samples == 1
    and len(rule.raise_when.channels) == len(rule.channels) == 1
    and rule.raise_delay_ms == 0
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(IMMEDIATE), st.data())
def test_in_whatever_order_readings_come_a_rule_without_delay_finds_what_there_was(
    rule: Rule, data: st.DataObject
) -> None:
    (name,) = rule.channels
    some = values(rule.kind, name, KINDS[rule.kind].channels[name])
    readings = [
        reading(at, name, value) for at, value in enumerate(data.draw(st.lists(st.sampled_from(some), min_size=1)))
    ]
    state, found = NEW, list[Change]()
    for one in data.draw(st.permutations(readings)):
        state, changes, _ = step(rule, state, one, T0 + 60_000)
        found += changes
    ordered = NEW
    expected = list[Change]()
    for one in readings:
        ordered, changes, _ = step(rule, ordered, one, T0 + 60_000)
        expected += changes
    assert bool(found) == bool(expected)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([rule for rule in EVERY if not rule.keeps]), st.data())
def test_beyond_a_turn_a_rule_that_cannot_wait_is_as_if_a_straggler_had_not_been_said(
    rule: Rule, data: st.DataObject
) -> None:
    """The present of it; what a straggler shows of the past is told as such. With what is kept of the time before it fills a hole, too."""
    possible = [(name, values(rule.kind, name, KINDS[rule.kind].channels[name])) for name in rule.channels]
    readings = []
    for at_s in range(data.draw(st.integers(1, 20))):
        name, some = data.draw(st.sampled_from(possible))
        readings.append(reading(at_s * 7, name, data.draw(st.sampled_from(some))))
    state = without = NEW
    newest = dict[str, int]()
    for one in data.draw(st.permutations(readings)):
        state, _, _ = step(rule, state, one, T0 + 200_000)
        if one.at_ms > newest.get(one.channel, 0):
            newest[one.channel] = one.at_ms
            without, _, _ = step(rule, without, one, T0 + 200_000)
        assert present(state) == present(without)


PATIENT = [rule for rule in EVERY if has_time(rule)]


@st.composite
def patient_courses(draw: st.DrawFn, gaps_s: Sequence[float] = GAPS_S) -> Course:
    """Of a kind with a rule that has the time to wait for stragglers."""
    return draw(courses(kinds=sorted({rule.kind for rule in PATIENT} & set(JUDGED)), gaps_s=gaps_s))


def of_the_patient(kind: str, *of: Room) -> list[list[tuple[object, ...]]]:
    """Of each room. Where a device was silent they may differ in what is over: what is told of one that has begun to speak again may clear an alarm, and a word of
    another channel may come before it, or behind."""
    names = {rule.id for rule in PATIENT if rule.kind == kind}
    silent = any("alarm.uncertain" in one.events() for one in of)
    return [[alarm for alarm in (raises if silent else alarms)(one) if alarm[1] in names] for one in of]


@settings(max_examples=20, deadline=None)
@given(patient_courses(), st.lists(st.integers(0, 24), max_size=4), st.data())
def test_packs_that_come_in_another_order_in_turns_of_their_own_change_no_alarm_of_a_rule_that_has_the_time(
    course: Course, cuts: list[int], data: st.DataObject
) -> None:
    """However far apart they were measured, be it before, in or after a cut of the link, and with kills in between."""
    kills = data.draw(st.sets(st.integers(1, 24), max_size=3))
    cut = cuts_of_the_link(course.readings, cuts)
    with room(course.kind) as one, room(course.kind) as other:
        bursts(one, course, cut)
        bursts(other, course, [data.draw(st.permutations(burst)) for burst in cut], kills)
        in_order, found = of_the_patient(course.kind, one, other)
        assert found == in_order


HASTY = [rule for rule in EVERY if gains(rule) and not has_time(rule)]
"""What is red, guards lives or has a short delay, and may find more in order than as it comes."""
ENOUGH_S = (0.001, 1.0, 3.0, 11.0, 29.0, 61.0)


@settings(max_examples=15, deadline=None)
@given(
    courses(kinds=sorted({rule.kind for rule in HASTY} & set(JUDGED)), gaps_s=ENOUGH_S),
    st.lists(st.integers(0, 24), max_size=4),
    st.data(),
)
def test_packs_in_another_order_in_turns_of_their_own_cost_no_alarm_of_a_rule_that_cannot_wait_and_no_moment(
    course: Course, cuts: list[int], data: st.DataObject
) -> None:
    """What is told as they come stands; nothing is missing or lighter, or told later than in order. Nor with kills in between."""
    kills = data.draw(st.sets(st.integers(1, 24), max_size=3))
    cut = cuts_of_the_link(course.readings, cuts)
    shuffled = [data.draw(st.permutations(burst)) for burst in cut]
    with room(course.kind) as one, room(course.kind) as other, room(course.kind) as killed:
        bursts(one, course, cut)
        bursts(other, course, shuffled)
        bursts(killed, course, shuffled, kills)
        names = {rule.id for rule in HASTY if rule.kind == course.kind}
        in_order = first_calls(one, names)
        for found in (first_calls(other, names), first_calls(killed, names)):
            assert {
                key: (ms, grave) for key, (ms, grave) in in_order.items() if not _as_good(found.get(key), ms, grave)
            } == {}


def _as_good(found: tuple[int, int] | None, known_ms: int, grave: int) -> bool:
    return found is not None and found[0] <= known_ms and found[1] <= grave


def lagging(of: Room, course: Course, lags_s: Sequence[float]) -> None:
    """Each pack comes as much later than it was measured. Rejects courses in which a delay is over of which a word is still under way: that
    word can't be waited for without ringing later."""
    due = sorted(
        (one.at_ms + round(lag_s * 1000), number, one)
        for (number, one), lag_s in zip(enumerate(course.readings, start=1), lags_s, strict=False)
    )
    for now_ms, number, one in due:
        under_way = any(come_ms >= now_ms > other.at_ms + 1 for come_ms, _, other in due)
        wakes = [of.facts.watches[key][1] for key in of.facts.due(now_ms) if key[2] in PATIENT_IDS]
        assume(not under_way or not wakes)
        of.pass_time((now_ms - T0 - 1) / 1000)
        packed(of, number, one, now_ms)
    of.pass_time((end_ms(course) - T0) / 1000 + 7200)


PATIENT_IDS = {rule.id for rule in PATIENT}
CLOSE_S = (0.001, 1.0, 3.0, 1.0, 3.0, 8.0, 29.0, 301.0, 601.0)


@settings(max_examples=20, deadline=None)
@given(
    patient_courses(gaps_s=CLOSE_S),
    st.lists(st.sampled_from([0.0, 0.0, 0.5, 2.0, 6.0, PATIENCE_MS / 1000 - 0.5]), min_size=24, max_size=24),
)
def test_packs_that_lag_behind_later_ones_for_less_than_the_patience_change_no_alarm_of_a_rule_that_has_the_time(
    course: Course, lags_s: list[float]
) -> None:
    with room(course.kind) as one, room(course.kind) as other:
        lagging(one, course, [0.0] * 24)
        lagging(other, course, [0.0, *lags_s[1:]])
        in_order, found = of_the_patient(course.kind, one, other)
        assert found == in_order


def test_the_durations_of_the_courses_pass_the_delays_of_the_library() -> None:
    """Else the tests above would try nothing."""
    delays = [rule.raise_delay_ms / 1000 for rule in EVERY] + [rule.clear_delay_ms / 1000 for rule in EVERY]
    assert max(delays) <= 24 * GAPS_S[-1]
    assert max(GAPS_S) > duration_s("1h")
