"""Whatever the rules: packs that overtake each other, in bursts or by some seconds, with kills and with sites that change hands in between. Held against the same
packs in their order: nothing missed, nothing later than by what the words took on their way and until none was missing, nothing told twice, and nothing that neither order nor
arrival shows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messages.reading import Reading
from rules.engine import gap
from rules.engine.gap import PATIENCE_MS, has_time
from rules.language.rule import Rule
from rules.store import facts
from tests.rules import made_up
from tests.rules.course import KINDS, T0
from tests.rules.courses import alarms, first_calls, forget, packed, recall, room
from tests.rules.made_up import SETTINGS, Made
from tests.rules.room import SITE, Room

Arrival = tuple[int, int, Reading]
"""When a pack comes, its number, and what it holds."""
KINDS_TRIED = sorted(made_up.SWITCHES)
GAPS_S = (0.25, 1.0, 1.0, 3.0, 3.0, 7.0, 11.0, 31.0, 61.0)
LAGS_S = [0.0, 0.0, 0.0, 0.3, 2.0, 6.0, 9.0]


def handed_over(of: Room) -> None:
    """Another worker, which knows of no site yet, takes it over."""
    of.facts = facts.load(of.database, KINDS, of.known, sites=[])
    of.facts.take_over(facts.load(of.database, KINDS, of.known, sites=[SITE]))


Ends = Mapping[int, tuple[Callable[[Room], None], int]]
"""After which arrivals an engine ends: how the next one begins, and after how many more the history answers it."""


@dataclass(frozen=True)
class Disorder:
    """`said`: the readings in their order, each a pack."""

    made: Made
    said: list[Reading]
    arrivals: list[Arrival]
    ends: Ends


@st.composite
def disorders(draw: st.DrawFn) -> Disorder:
    """Packs come out of order within bursts, or each with a lag of its own; engines end above all while one is missing."""
    made = draw(made_up.rules(draw(st.sampled_from(KINDS_TRIED)), asks=False))
    said = draw(made_up.readings(made, GAPS_S))
    if draw(st.booleans()):
        arrivals = in_bursts(draw, said)
    else:
        lags_ms = [0, *(round(draw(st.sampled_from(LAGS_S)) * 1000) for _ in said[1:])]
        arrivals = sorted((one.at_ms + lags_ms[at], at + 1, one) for at, one in enumerate(said))
        assume(_longest_gap_ms(arrivals) < PATIENCE_MS)
    numbers = [number for _, number, _ in arrivals]
    amid = [at for at in range(len(numbers)) if max(numbers[: at + 1]) > at + 1]
    when = st.sampled_from(amid) if amid else st.integers(0, len(numbers))
    how = st.tuples(st.sampled_from([forget, handed_over]), st.sampled_from([0, 0, 1, 2]))
    return Disorder(made, said, arrivals, draw(st.dictionaries(when, how, max_size=3)))


def in_bursts(draw: st.DrawFn, said: Sequence[Reading]) -> list[Arrival]:
    """The first pack comes alone: that something is missing before it nobody knows."""
    edges = sorted({1, len(said), *draw(st.sets(st.integers(1, len(said)), max_size=3))})
    arrivals = [(said[0].at_ms, 1, said[0])]
    for first, last in pairwise(edges):
        burst = draw(st.permutations(range(first, last)))
        arrivals += [(said[last - 1].at_ms, at + 1, said[at]) for at in burst]
    return arrivals


def _longest_gap_ms(arrivals: Sequence[Arrival]) -> int:
    """How long some pack was missing. A gap that is not closed in time is waited for no more."""
    heard, open_ms, longest_ms = set[int](), None, 0
    for now_ms, number, _ in arrivals:
        heard.add(number)
        if len(heard) == max(heard):
            longest_ms, open_ms = max(longest_ms, now_ms - (now_ms if open_ms is None else open_ms)), None
        elif open_ms is None:
            open_ms = now_ms
    return longest_ms


def arrive(of: Room, arrivals: Sequence[Arrival], ends: Ends | None = None) -> None:
    said, asked = dict[int, Reading](), dict[int, int]()
    for at, (now_ms, number, one) in enumerate(arrivals):
        of.pass_time((now_ms - T0 - 1) / 1000)
        packed(of, number, one, now_ms)
        said[number] = one
        if ends and at in ends:
            begins, later = ends[at]
            begins(of)
            asked[at + later] = now_ms
        if at in asked:
            recall(of, said, now_ms)
    of.pass_time((arrivals[-1][0] - T0) / 1000 + 7200)


def calls(of: Room, some: Sequence[Rule]) -> dict[tuple[str, str], tuple[int, int]]:
    return first_calls(of, {rule.id for rule in some})


@settings(max_examples=20)
@given(disorders())
def test_whatever_the_rules_disorder_costs_no_alarm_and_makes_none(disorder: Disorder) -> None:
    judge(disorder)


def judge(disorder: Disorder) -> None:
    made, said, arrivals = disorder.made, disorder.said, disorder.arrivals
    rules = made.rules[made.kind]
    in_order = [
        (now_ms, at + 1, one) for at, (now_ms, one) in enumerate(zip(_moments(said, arrivals), said, strict=True))
    ]
    with (
        room(made.kind, made.rules, SETTINGS) as one,
        room(made.kind, made.rules, SETTINGS) as other,
        room(made.kind, made.rules, SETTINGS) as as_it_came,
    ):
        arrive(one, in_order)
        arrive(other, arrivals, disorder.ends)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gap, "MOST_GAPS", 0)
            arrive(as_it_came, arrivals)
        longest_ms = max(now_ms - reading.at_ms for now_ms, _, reading in arrivals) + _longest_gap_ms(arrivals)
        late_ms = 0 if _is_in_bursts(arrivals) else longest_ms
        in_time = [rule for rule in rules if rule.life_safety or rule.lateness_ms > longest_ms]
        hasty = [rule for rule in in_time if not has_time(rule)]
        expected, found = calls(one, hasty), calls(other, hasty)
        for key, (known_ms, grave) in expected.items():
            assert key in found, ("missed", key)
            assert found[key][0] <= known_ms + late_ms, ("later", key)
            assert found[key][1] <= grave, ("lighter", key)
        counting = {rule.id for rule in rules if rule.raise_samples > 1}
        false = {
            key for key in found.keys() - expected.keys() - calls(as_it_came, hasty).keys() if key[1] not in counting
        }
        assert not false
        for alarm in other.desk.alarms(open_only=False, limit=1000):
            assert len(set(alarm.times)) == len(alarm.times), "one moment, told twice"
        if _is_in_bursts(arrivals):
            patient = {rule.id for rule in rules if has_time(rule)}
            assert _of(other, patient) == _of(one, patient)


def _of(of: Room, names: set[str]) -> list[tuple[object, ...]]:
    return [alarm for alarm in alarms(of) if alarm[1] in names]


def _is_in_bursts(arrivals: Sequence[Arrival]) -> bool:
    """Whether all that is missing at some moment comes at that moment."""
    return _longest_gap_ms(arrivals) == 0


def _moments(said: Sequence[Reading], arrivals: Sequence[Arrival]) -> list[int]:
    """When each would have come in order: at once, or with its burst."""
    if not _is_in_bursts(arrivals):
        return [one.at_ms for one in said]
    came = {number: now_ms for now_ms, number, _ in arrivals}
    return [came[at + 1] for at in range(len(said))]
