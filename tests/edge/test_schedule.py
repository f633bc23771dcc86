from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import pytest

from edge.models.modbus import ModbusModel
from edge.models.product import load_models
from edge.protocols.modbus import Request
from edge.protocols.modbus_rtu import Pace
from edge.sources.schedule import (
    ALIKE_ALONE_S,
    MOST_BACKOFF_S,
    PROBES_SHARE,
    Poll,
    Schedule,
    backoff_s,
    polls,
    probe_s,
    spread,
)
from messages.ids import DeviceId
from messages.kind import load_kinds


def model(channels: Mapping[str, Mapping[str, object]]) -> ModbusModel:
    return ModbusModel.model_validate(
        {
            "protocol": "modbus",
            "name": "",
            "source": "",
            "kind": "",
            "poll_every": "1s",
            "channels": channels,
        }
    )


def test_what_a_product_says_may_be_read_over_saves_a_request() -> None:
    product = model({"a": {"holding": 0}, "b": {"holding": 3}, "c": {"holding": 9}}).model_copy(update={"gap": 2})
    found = polls(DeviceId("d"), 1, product)
    assert [(poll.request.address, poll.request.count, list(poll.channels)) for poll in found] == [
        (0, 4, ["a", "b"]),
        (9, 1, ["c"]),
    ]


def requests(**channels: Mapping[str, object]) -> list[tuple[str, int, int, list[str]]]:
    return [
        (poll.request.table, poll.request.address, poll.request.count, list(poll.channels))
        for poll in polls(DeviceId("d"), 1, model(channels))
    ]


def test_registers_that_touch_are_read_together() -> None:
    assert requests(b={"holding": 2, "type": "float32"}, a={"holding": 1}, c={"holding": 4}) == [
        ("holding", 1, 4, ["a", "b", "c"])
    ]


def test_without_a_word_of_the_product_no_gap_is_read_over_and_tables_stay_apart() -> None:
    assert requests(a={"holding": 0}, b={"holding": 2}, c={"input": 1}) == [
        ("holding", 0, 1, ["a"]),
        ("holding", 2, 1, ["b"]),
        ("input", 1, 1, ["c"]),
    ]


def test_two_bits_of_one_register_are_one_request() -> None:
    bits = {name: {"holding": 7, "type": "bit", "bit": bit} for bit, name in enumerate("ab")}
    assert requests(**bits) == [("holding", 7, 1, ["a", "b"])]


def test_a_request_never_grows_past_what_a_reply_can_carry() -> None:
    many = {f"c{address:03}": {"holding": address} for address in range(130)}
    assert [(address, count) for _, address, count, _ in requests(**many)] == [(0, 125), (125, 5)]
    pairs = {f"c{address:03}": {"input": address, "type": "int32"} for address in range(0, 130, 2)}
    assert [(address, count) for _, address, count, _ in requests(**pairs)] == [(0, 124), (124, 6)]


def test_every_shipped_modbus_product_is_read_by_at_most_two_requests() -> None:
    shipped = load_models(load_kinds()).values()
    counts = [len(polls(DeviceId("d"), 1, product)) for product in shipped if isinstance(product, ModbusModel)]
    assert max(counts) == 2


def poll(unit: int, every_s: float = 1.0) -> Poll:
    return Poll(DeviceId(f"d{unit}"), Request(unit, "holding", 0, 1), {}, every_s)


def run(
    schedule: Schedule,
    until_s: float,
    dead: set[int],
    takes_s: float = 0.3,
    answers_s: float = 0.0,
    slow_s: Mapping[int, float] | None = None,
) -> list[tuple[float, int]]:
    """Who is asked when, if those in `dead` never answer and a time-out takes `takes_s`. `slow_s`: who takes longer to answer."""
    now_s = 0.0
    asked: list[tuple[float, int]] = []
    while True:
        next_, now_s = schedule.next(now_s)
        if now_s >= until_s:
            return asked
        unit = next_.request.unit
        asked.append((now_s, unit))
        if unit in dead:
            now_s += takes_s
            schedule.silent(next_, now_s, takes_s)
        else:
            took_s = (slow_s or {}).get(unit, answers_s)
            now_s += took_s
            schedule.answered(next_, now_s, took_s)


def test_the_beat_is_kept() -> None:
    assert run(Schedule([poll(1)], 0), 3, set()) == [(0, 1), (1, 1), (2, 1)]


def test_an_overloaded_line_takes_turns_and_makes_up_for_nothing() -> None:
    slow = Schedule([poll(1, 0.1), poll(2, 0.1)], 0)
    asked = []
    for now_s in (10.0, 20.0, 30.0, 40.0):
        first, _ = slow.next(now_s - 10)
        asked.append(first.request.unit)
        slow.answered(first, now_s)
    assert sorted(asked) == [1, 1, 2, 2]
    assert slow.next(40.0)[1] == 40.0


def test_a_dead_slave_is_asked_less_and_less_often_and_the_others_as_before() -> None:
    asked = run(Schedule([poll(1), poll(2), poll(2)], 0), 300, {2})
    living = [at_s for at_s, unit in asked if unit == 1]
    dead = [at_s for at_s, unit in asked if unit == 2]
    assert len(living) == 300
    assert max(later - sooner for sooner, later in pairwise(living)) < 1.5
    assert len(dead) < 12
    assert dead[-1] - dead[-2] == pytest.approx(MOST_BACKOFF_S * spread(2), abs=1)


def test_a_slave_that_let_a_question_pass_is_left_alone_for_as_long_again() -> None:
    one, other = poll(1), Poll(DeviceId("d1"), Request(1, "holding", 0, 2), {}, 1.0)
    schedule = Schedule([one, other], 0)
    schedule.silent(one, 0.3, 0.3)
    assert schedule.next(0.3) == (other, 0.6)


def test_a_slave_whose_answers_look_alike_is_left_alone_until_a_late_one_must_be_over() -> None:
    """What it answers to the first question, late, would be taken for the value of the second one's channel."""
    first, second = (Poll(DeviceId("d1"), Request(1, "holding", at, 5), {}, 1.0) for at in (0, 100))
    schedule = Schedule([first, second], 0)
    schedule.silent(first, 0.3, 0.3)
    assert schedule.next(0.3)[1] == 0.3 + ALIKE_ALONE_S


def test_many_dead_slaves_take_a_twentieth_of_the_line_at_most() -> None:
    dead = set(range(10, 40))
    asked = run(Schedule([poll(unit) for unit in (1, *dead)], 0), 600, dead, answers_s=0.05)
    later = [unit for at_s, unit in asked if at_s > 120]
    assert sum(unit in dead for unit in later) * 0.3 <= 480 * PROBES_SHARE * 1.1
    assert {unit for unit in later if unit in dead} == dead, "each is still tried"
    assert sum(unit == 1 for unit in later) > 470


@pytest.mark.parametrize("baudrate", [9600, 115200])
@pytest.mark.parametrize("dead", [1, 4])
def test_dead_slaves_lengthen_hardly_any_interval_of_the_others(baudrate: int, dead: int) -> None:
    """The line of `tests.bench modbus_line` on a clock that nobody disturbs: 32 units, two groups of five registers each."""
    pace = Pace(baudrate)
    latency_s = pace.transmission_s(23) + pace.silent_s
    usual_s = 64 * (latency_s + pace.silent_s)
    asked = [poll(unit, 0.01) for unit in range(1, 33) for _ in range(2)]
    schedule, firsts = Schedule(asked, 0), set(asked[::2])
    now_s, heard_s, tries, intervals_s = 0.0, dict[int, float](), Counter[int](), list[float]()
    while now_s < 150 * usual_s:
        next_, now_s = schedule.next(now_s)
        unit = next_.request.unit
        if unit <= dead:
            tries[unit] += schedule.is_probe(unit)
            waited_s = pace.transmission_s(23) + (probe_s(tries[unit], latency_s, 0.3) if tries[unit] else 0.3)
            now_s += waited_s
            schedule.silent(next_, now_s, waited_s)
        else:
            now_s += latency_s
            schedule.answered(next_, now_s, latency_s)
            if next_ in firsts:
                intervals_s += [now_s - heard_s[unit]] if unit in heard_s else []
                heard_s[unit] = now_s
        now_s += pace.silent_s
    del intervals_s[: 6 * (32 - dead)]  # as in the bench: after six rounds the dead are known for dead
    assert sum(interval_s <= 1.1 * usual_s for interval_s in intervals_s) >= 0.99 * len(intervals_s) > 1000


def test_on_a_line_that_is_asked_for_too_much_nobody_starves() -> None:
    polls_ = [poll(unit, 1.0) for unit in range(1, 31)] + [poll(unit, 60.0) for unit in range(31, 41)]
    asked = run(Schedule(polls_, 0), 600, set(), answers_s=0.05)
    counts = {unit: sum(other == unit for _, other in asked) for unit in range(1, 41)}
    assert min(counts[unit] for unit in range(1, 31)) > 300
    assert min(counts[unit] for unit in range(31, 41)) >= 6


def test_a_slow_slave_has_no_more_of_a_busy_line_than_its_share() -> None:
    """Fifteen answer in 20 ms, one in 280 ms; all are wanted more often than the line can."""
    asked = run(Schedule([poll(unit, 0.1) for unit in range(1, 17)], 0), 300, set(), answers_s=0.02, slow_s={16: 0.28})
    by_unit = {unit: [at_s for at_s, other in asked if other == unit] for unit in range(1, 17)}
    alone_s = 15 * 0.02
    for unit in range(1, 16):
        gaps = [later - sooner for sooner, later in pairwise(by_unit[unit])]
        assert sum(gaps) / len(gaps) < 1.2 * alone_s, "without it, a round would take that much longer: 1.93"
    assert max(later - sooner for sooner, later in pairwise(by_unit[16])) < 3, "and it is heard all the same"


def test_a_slow_slave_is_asked_as_often_as_wanted_while_nobody_waits() -> None:
    asked = run(Schedule([poll(1, 10.0), poll(2, 1.0)], 0), 100, set(), answers_s=0.02, slow_s={2: 0.28})
    assert sum(unit == 2 for _, unit in asked) == 100


def test_a_slave_that_answers_again_is_asked_as_before_at_once() -> None:
    one, other = poll(2), poll(2)
    schedule = Schedule([one, other], 0)
    for _ in range(6):
        schedule.silent(one, 10, 0.3)
    assert schedule.next(10)[1] > 12
    schedule.answered(one, 100)
    assert schedule.next(100) == (other, 100)
    schedule.answered(other, 100)
    assert schedule.next(100)[1] == 101


def test_back_off_doubles_to_a_minute_and_is_never_shorter_than_the_beat() -> None:
    assert [backoff_s(silent, 1) for silent in (3, 4, 5, 8, 2000)] == [2, 4, 8, 60, 60]
    assert backoff_s(3, 600) == 600


def test_a_slave_that_is_deaf_after_anothers_silence_is_found_again_although_that_one_stays_dead() -> None:
    schedule, heard_at_s, now_s, living = Schedule([poll(11), poll(12)], 0), [], 0.0, -1.0
    while now_s < 300:
        next_, now_s = schedule.next(now_s)
        if next_.request.unit == 11 and now_s > living:
            schedule.answered(next_, now_s)
            heard_at_s.append(now_s)
        else:
            if next_.request.unit == 12:
                living = now_s + 0.5  # until then 11 takes what it hears for 12's answer
            now_s += 0.3
            schedule.silent(next_, now_s, 0.3)
    gaps = [later - sooner for sooner, later in pairwise(heard_at_s)]
    assert max(gaps) < 10
    assert len(heard_at_s) > 280
