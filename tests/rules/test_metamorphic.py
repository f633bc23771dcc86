"""The same readings in another guise raise the same alarms: doubled, in other packs, in another order, with restarts between.

Over the whole shipped library, through the engine and a real database. Times are all different: of two readings in one
millisecond the order of arrival counts (`rules.language.evaluation`).
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messages import pack, topics
from messages.ids import StreamId
from messages.kind import Channel
from messages.reading import Reading, Value
from messages.settings import duration_s
from rules.engine import gap
from rules.engine.gap import PATIENCE_MS, has_time
from rules.engine.intake import take
from rules.engine.work import Work
from rules.language.change import Change
from rules.language.evaluation import Timer, step
from rules.language.hindsight import gains
from rules.language.rule import LEVELS, Rule
from rules.language.state import NEW, State, from_json, present, to_json
from rules.store import facts
from tests.rules.course import ALL_RULES, KINDS, RULES, T0, reading
from tests.rules.room import EDGE, SITE, Room

GAPS_S = (0.001, 1.0, 3.0, 11.0, 29.0, 61.0, 301.0, 601.0, 3601.0)
JUDGED = sorted(kind for kind in KINDS if ALL_RULES.get(kind) and kind not in ("site", "edge_link"))
"""The engine itself speaks of the other two."""


def values(kind: str, name: str, channel: Channel) -> list[Value]:
    """Of a channel: where its rules turn, and beside it."""
    if channel.type == "boolean":
        return [True, False]
    if channel.type == "text":
        return ["a", "b"]
    low, high = channel.range or (-1e6, 1e6)
    sources = [
        one.source
        for rule in ALL_RULES[kind]
        for one in (rule.raise_when, rule.clear_when, *(when for _, when in rule.graver_when))
    ]
    numbers = {float(found) for source in sources for found in re.findall(r"\d+(?:\.\d+)?", source)}
    numbers |= {
        float(value) for rule in ALL_RULES[kind] for value in rule.settings.values() if isinstance(value, int | float)
    }
    near = {number + more for number in numbers for more in (-0.5, 0.0, 0.5)}
    return sorted({low, high, *(number for number in near if low <= number <= high)})


class Course(NamedTuple):
    """Readings of one or two devices of a kind, in order."""

    kind: str
    readings: list[Reading]


@st.composite
def courses(draw: st.DrawFn, most: int = 24, kinds: Sequence[str] = JUDGED, gaps_s: Sequence[float] = GAPS_S) -> Course:
    kind = draw(st.sampled_from(kinds))
    heard = {channel for rule in ALL_RULES[kind] for channel in rule.channels}
    possible = [(name, values(kind, name, KINDS[kind].channels[name])) for name in sorted(heard)]
    at_s, found = 0.0, []
    for _ in range(draw(st.integers(1, most))):
        at_s += draw(st.sampled_from(gaps_s))
        name, some = draw(st.sampled_from(possible))
        found.append(reading(at_s, name, draw(st.sampled_from(some)), device=draw(st.sampled_from(("it", "other")))))
    return Course(kind, found)


SHELF = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a commit costs nothing: these tests are about what is decided."""


@lru_cache
def _fresh() -> bytes:
    """A database in which nothing has happened."""
    with TemporaryDirectory(dir=SHELF) as folder:
        Room(Path(folder)).database.close()
        return (Path(folder) / "rules.db").read_bytes()


@contextmanager
def room(kind: str) -> Iterator[Room]:
    with TemporaryDirectory(dir=SHELF) as folder:
        (Path(folder) / "rules.db").write_bytes(_fresh())
        made = Room(Path(folder))
        for device in ("it", "other"):
            made.announce(device, kind)
        try:
            yield made
        finally:
            made.database.close()


def forget(of: Room) -> None:
    """As a restart does: nothing survives but the database."""
    of.facts = facts.load(of.database, KINDS, ALL_RULES)


def turn(of: Room, packs: Iterable[Sequence[Reading]], now_ms: int) -> None:
    """What arrives in one turn of the engine."""
    work = Work(of.facts)
    for readings in packs:
        work.collect(SITE, EDGE, readings)
    work.settle(now_ms)
    of.write(work, (now_ms - T0) / 1000)


def live(of: Room, readings: Sequence[Reading], between: Callable[[], None] = lambda: None) -> None:
    """Each reading when it was measured, each timer at its millisecond."""
    for one in readings:
        of.pass_time((one.at_ms - T0 - 1) / 1000)
        between()
        turn(of, [[one]], one.at_ms)
        between()
    of.pass_time((readings[-1].at_ms - T0) / 1000 + 7200)


def alarms(of: Room) -> list[tuple[object, ...]]:
    found = of.desk.alarms(open_only=False, limit=1000)
    return sorted(
        (one.device, one.rule, one.raised_at_ms, one.level, one.state.value, one.late, one.case is not None)
        for one in found
    )


def raises(of: Room) -> list[tuple[object, ...]]:
    """The same, whether it is over or not: while a device says nothing no alarm of it clears, and it depends on the turns how much it
    had said when its silence began."""
    return [(*one[:4], *one[5:]) for one in alarms(of)]


def end_ms(course: Course) -> int:
    return course.readings[-1].at_ms + 1000


def pieces(readings: Sequence[Reading], cuts: Iterable[int]) -> list[list[Reading]]:
    edges = sorted({0, len(readings), *(cut % (len(readings) + 1) for cut in cuts)})
    return [list(readings[first:last]) for first, last in itertools.pairwise(edges)]


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


def cuts_of_the_link(readings: Sequence[Reading], cuts: Iterable[int]) -> list[list[tuple[int, Reading]]]:
    """The readings as packs with their numbers, each burst as long as it was under way together."""
    numbered = list(enumerate(readings, start=1))
    edges = sorted({1, len(readings), *(1 + cut % len(readings) for cut in cuts)})
    return [numbered[:1], *(numbered[first:last] for first, last in itertools.pairwise(edges))]


def bursts(of: Room, course: Course, cut: Iterable[Sequence[tuple[int, Reading]]], kills: Collection[int] = ()) -> None:
    """What was under way together comes at one moment, each pack in a turn of its own. `kills`: after these packs."""
    said = dict[int, Reading]()
    for burst in cut:
        now_ms = max(one.at_ms for _, one in burst)
        of.pass_time((now_ms - T0 - 1) / 1000)
        for number, one in burst:
            packed(of, number, one, now_ms)
            said[number] = one
            if number in kills:
                forget(of)
                recall(of, said, now_ms)
    of.pass_time((end_ms(course) - T0) / 1000 + 7200)


def recall(of: Room, said: Mapping[int, Reading], now_ms: int) -> None:
    """What the history has of what doesn't count as heard, as at a start."""
    work, stream = Work(of.facts), (SITE, EDGE, StreamId("s"))
    if unheard := [number for number in said if not work.is_heard(stream, number)]:
        work.catch_up(stream, unheard, [said[number] for number in unheard], now_ms, last=True)
        of.write(work, (now_ms - T0) / 1000)


def packed(of: Room, number: int, one: Reading, now_ms: int) -> None:
    work = Work(of.facts)
    assert take(work, topics.readings(SITE, EDGE), pack.encode(EDGE, StreamId("s"), number, [one]), now_ms) is None
    work.settle(now_ms)
    of.write(work, (now_ms - T0) / 1000)


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


def first_calls(of: Room, kind: str) -> dict[tuple[str, str], tuple[int, int]]:
    """When each of the hasty first called somebody about a device, and how grave that became."""
    names = {rule.id for rule in HASTY if rule.kind == kind}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in of.desk.alarms(open_only=False, limit=1000):
        if one.rule in names and not one.late:
            known_ms, grave = found.get((one.device, one.rule), (one.known_at_ms, len(LEVELS)))
            now = (min(known_ms, one.known_at_ms), min(grave, LEVELS.index(one.level)))
            found[one.device, one.rule] = now
    return found


@settings(max_examples=15, deadline=None)
@given(
    courses(kinds=sorted({rule.kind for rule in HASTY} & set(JUDGED)), gaps_s=ENOUGH_S),
    st.lists(st.integers(0, 24), max_size=4),
    st.data(),
)
def test_packs_in_another_order_in_turns_of_their_own_cost_no_alarm_of_a_rule_that_cannot_wait_and_no_moment(
    course: Course, cuts: list[int], data: st.DataObject
) -> None:
    """What is told as they come stands; nothing is missing or lighter, or told later than in order. With kills in between, nothing that would be told if packs were
    judged as they come, and no more."""
    kills = data.draw(st.sets(st.integers(1, 24), max_size=3))
    cut = cuts_of_the_link(course.readings, cuts)
    shuffled = [data.draw(st.permutations(burst)) for burst in cut]
    with room(course.kind) as one, room(course.kind) as other, room(course.kind) as killed, room(course.kind) as before:
        bursts(one, course, cut)
        bursts(other, course, shuffled)
        bursts(killed, course, shuffled, kills)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gap, "MOST_GAPS", 0)
            bursts(before, course, shuffled, kills)
        in_order = first_calls(one, course.kind)
        for late, early in ((in_order, other), (_also_in(first_calls(before, course.kind), in_order), killed)):
            found = first_calls(early, course.kind)
            assert {
                key: (ms, grave) for key, (ms, grave) in late.items() if not _as_good(found.get(key), ms, grave)
            } == {}


def _also_in(
    some: dict[tuple[str, str], tuple[int, int]], others: Collection[object]
) -> dict[tuple[str, str], tuple[int, int]]:
    return {key: one for key, one in some.items() if key in others}


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
