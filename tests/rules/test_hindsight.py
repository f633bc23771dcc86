"""What a rule that judged readings as they came is told when all of them are there, beside one that had them in order. Whatever the rule."""

from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from messages.reading import Quality, Reading
from rules.language.change import Change, Cleared, Ended, Happened, Raised
from rules.language.evaluation import Timer, step
from rules.language.hindsight import gains, in_hindsight
from rules.language.library import load_rules
from rules.language.rule import Rule
from rules.language.state import NEW, State
from tests.rules.course import KINDS, at, reading, write_rules

SENTENCES = [
    ("tilt >= 45", "tilt < 5"),
    ("tilt >= 15", "tilt < 15"),
    ("water_level >= 2 and tilt >= 15", "water_level < 1 and tilt < 15"),
    ("rim_switch or tilt >= 45", "not given(rim_switch, false) and given(tilt, 0) < 45"),
    ("rim_switch and water_level >= 2", "not rim_switch or water_level < 2"),
    ('max(tilt, "1min") >= 45', 'max(tilt, "1min") < 45'),
]
FIGURES = [(0, 0, 1), (0, 30, 2), (2, 0, 1), (5, 5, 2), (5, 0, 3), (30, 2, 1)]
"""Delays in seconds of raising and clearing, and how many readings must say so."""
VALUES: dict[str, list[float | bool]] = {
    "tilt": [0.0, 10.0, 20.0, 50.0, 70.0],
    "water_level": [0.0, 1.5, 2.5],
    "rim_switch": [True, False],
}
RULE = """
[rules.r{number}]
level = "yellow"
levels = [{{ level = "red", when = "tilt >= 60" }}]
title = {{ zh = "甲", en = "A" }}
raise = '{raises}'
raise_delay = "{raise_s}s"
raise_samples = {samples}
clear = '{clears}'
clear_delay = "{clear_s}s"
"""


@lru_cache
def rules() -> list[Rule]:
    text = ""
    for number, (raises, clears) in enumerate(SENTENCES):
        for more, (raise_s, clear_s, samples) in enumerate(FIGURES):
            text += RULE.format(
                number=f"{number}-{more}",
                raises=raises,
                clears=clears,
                raise_s=raise_s,
                clear_s=clear_s,
                samples=samples,
            )
    with TemporaryDirectory() as folder:
        path = write_rules(Path(folder) / "own", "manhole_cover", text)
        return [one for one in load_rules(KINDS, path.parent)["manhole_cover"] if one.about is None and gains(one)]


@st.composite
def courses(draw: st.DrawFn, rule: Rule, most: int) -> list[Reading]:
    at_s, found = 0.0, []
    for _ in range(draw(st.integers(1, most))):
        at_s += draw(st.sampled_from([0.5, 1.0, 3.0, 7.0, 31.0]))
        name = draw(st.sampled_from(rule.channels))
        quality = draw(st.sampled_from([Quality.GOOD] * 9 + [Quality.BAD]))
        found.append(reading(at_s, name, draw(st.sampled_from(VALUES[name])), quality=quality))
    return found


def heard(
    rule: Rule, state: State, some: list[Reading], now_ms: int | None = None
) -> tuple[State, list[Change], int | None]:
    """Each when it was measured, with timers, or all at `now_ms`."""
    changes, wake_at_ms = list[Change](), None
    for one in some:
        while now_ms is None and wake_at_ms is not None and wake_at_ms < one.at_ms:
            state, found, wake_at_ms = step(rule, state, Timer(), wake_at_ms)
            changes += found
        state, found, wake_at_ms = step(rule, state, one, now_ms or one.at_ms)
        changes += found
    return state, changes, wake_at_ms


def fired(rule: Rule, state: State, wake_at_ms: int | None, until_ms: int) -> tuple[State, list[Change]]:
    changes = list[Change]()
    while wake_at_ms is not None and wake_at_ms < until_ms:
        state, found, wake_at_ms = step(rule, state, Timer(), wake_at_ms)
        changes += found
    return state, changes


def spans(changes: list[Change]) -> list[tuple[int, float]]:
    """From when to when somebody knew of it."""
    found = dict[int, float]()
    for one in changes:
        if isinstance(one, Raised | Happened) and not one.late:
            found.setdefault(one.at_ms, float("inf"))
        elif isinstance(one, Cleared | Ended) and one.raised_at_ms in found:
            found[one.raised_at_ms] = max(one.at_ms, one.raised_at_ms)
    return sorted(found.items())


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whoever_judged_as_it_came_has_told_in_the_end_what_it_would_have_told_in_order(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(rules()))
    course = data.draw(courses(rule, 16))
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(course)), st.integers(0, len(course)))))
    before, told_before, _ = heard(rule, NEW, course[:first])
    gap = course[first:last]
    now_ms = max([one.at_ms for one in course[:last]], default=at(0))
    then, in_order, _ = heard(rule, before, gap, now_ms)
    came = data.draw(st.permutations(gap))
    state, told, _ = heard(rule, before, came, now_ms)
    state, missed, wake_at_ms = in_hindsight(rule, before, [(one, now_ms) for one in came], state, told)
    assert in_hindsight(rule, before, [(one, now_ms) for one in gap], then, in_order)[:2] == (then, [])

    rest = course[last:]
    until_ms = rest[0].at_ms if rest else now_ms + 7_200_000
    (
        state,
        of_timers,
    ) = fired(rule, state, wake_at_ms, until_ms)
    then, of_other_timers = fired(rule, then, step(rule, then, Timer(), now_ms)[2], until_ms)
    state, afterwards, _ = heard(rule, state, rest)
    then, in_order_afterwards, _ = heard(rule, then, rest)
    all_told = [*told_before, *told, *missed, *of_timers, *afterwards]
    known = spans(all_told)
    for from_ms, to_ms in spans([*told_before, *in_order, *of_other_timers, *in_order_afterwards]):
        assert any(begun_ms <= to_ms and ended_ms >= from_ms for begun_ms, ended_ms in known), "nobody was told"
    raised = [one.at_ms for one in all_told if isinstance(one, Raised) and not one.late]
    assert len(raised) == len(set(raised)), "an alarm of that name may be over"
    episodes = [one.at_ms for one in all_told if isinstance(one, Happened) and one in missed]
    assert not {*raised} & {*episodes}, "told twice"


def both(name: str, before: list[Reading], came: list[Reading], now_s: float) -> tuple[list[Change], list[Change]]:
    """What is missed, and what timers say then."""
    rule = next(one for one in rules() if one.id == name)
    known, _, _ = heard(rule, NEW, before)
    state, told, _ = heard(rule, known, came, at(now_s))
    state, missed, wake_at_ms = in_hindsight(rule, known, [(one, at(now_s)) for one in came], state, told)
    return missed, fired(rule, state, wake_at_ms, at(now_s + 600))[1]


def test_what_runs_on_from_an_episode_that_is_over_is_not_raised_under_its_name() -> None:
    """The alarm of that name may be closed by now: it would ring nobody."""
    water, rim = partial(reading, channel="water_level"), partial(reading, channel="rim_switch")
    came = [rim(78.5, value=True), rim(47.5, value=False), water(35.5, value=2.5)]
    missed, then = both("r4-2", [water(0.5, value=1.5), rim(4.5, value=True)], came, 78.5)
    assert [type(one) for one in missed] == [Happened, Ended]
    assert [one.at_ms for one in missed] == [at(37.5), at(47.5)]
    assert [one.at_ms for one in then] == [at(80.5)]
