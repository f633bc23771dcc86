"""Three days without a link, replayed at once: over the whole shipped library, through the engine and its database."""

import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from messages.kind import Channel
from messages.reading import Reading, Value
from rules.engine.work import Work
from rules.language.seen import Seen, Then
from rules.records import AlarmState
from tests.rules.course import KINDS, RULES, at, course, reading
from tests.rules.room import EDGE, SITE, Room

HOURS = 72
BACK_S = HOURS * 3600.0
JUDGED = sorted(kind for kind in RULES if kind not in ("site", "edge_link"))
"""The engine itself speaks of the other two."""


def restless(kind: str, dice: random.Random) -> Iterator[Reading]:
    """Each channel, every two hours at most, anywhere in its range: everything happens that can."""
    for name, channel in KINDS[kind].channels.items():
        every_s = max(channel.interval_s, 7200.0)
        at_s = dice.uniform(0, every_s)
        while at_s < BACK_S - 3600:
            yield reading(at_s, name, anything(channel, dice), device=f"{kind}-1")
            at_s += every_s


def anything(channel: Channel, dice: random.Random) -> Value:
    if channel.type == "boolean":
        return dice.random() < 0.3
    if channel.type == "text":
        return dice.choice("ab")
    low, high = channel.range or (-100.0, 100.0)
    return dice.uniform(low, high)


def deliver(room: Room, readings: list[Reading], now_s: float, *, packs: int = 500) -> None:
    for first in range(0, len(readings), packs):
        work = Work(room.facts)
        work.collect(SITE, EDGE, readings[first : first + packs])
        work.settle(at(now_s))
        room.write(work, now_s)


@pytest.mark.parametrize("order", ["in order", "live first"])
def test_a_replay_of_72_hours_calls_nobody_but_for_life_safety(tmp_path: Path, order: str) -> None:
    room, dice = Room(tmp_path), random.Random(7)
    # a window of the last day still holds what was in the outage, and may rightly ring
    kinds = [kind for kind in JUDGED if calm(kind) and not any(rule.keeps for rule in RULES[kind])]
    assert len(kinds) > 0.5 * len(JUDGED)
    for kind in kinds:
        room.announce(f"{kind}-1", kind)
    backlog = sorted((one for kind in kinds for one in restless(kind, dice)), key=lambda one: one.at_ms)
    for at_s, some in ((BACK_S - 1800, backlog), (BACK_S, fresh := list[Reading]())):
        for kind in kinds:
            some += [reading(at_s, name, value, device=f"{kind}-1") for name, value in calm(kind).items()]
    deliver(room, backlog + fresh if order == "in order" else fresh + backlog, BACK_S)
    found = room.desk.alarms(open_only=False, limit=100_000)
    rung = {(alarm.device, alarm.rule) for alarm in found if alarm.case is not None}
    grave = {(f"{rule.kind}-1", rule.id) for rules in RULES.values() for rule in rules if rule.life_safety}
    assert rung <= grave
    assert {alarm.rule for alarm in found if alarm.late}  # what happened is known all the same
    assert len({(alarm.device, alarm.rule) for alarm in found}) > 5


@lru_cache
def calm(kind: str) -> dict[str, Value]:
    """Values with which every rule of a kind would clear, and none would raise; empty where time alone ends something."""
    dice = random.Random(1)
    for _ in range(3_000):
        values = {name: plain(channel, dice) for name, channel in KINDS[kind].channels.items()}
        seen = {name: Seen(at(0), value, at(0), at(0)) for name, value in values.items()}
        then = Then(at(0), {}, {})
        if all(rule.clears(seen, then) is not False and not rule.raises(seen, then) for rule in RULES[kind]):
            return values
    return {}


def plain(channel: Channel, dice: random.Random) -> Value:
    if channel.type != "number":
        return anything(channel, dice)
    low, high = channel.range or (-100.0, 100.0)
    return dice.choice([low, high, 0.0 if low <= 0 <= high else low, dice.uniform(low, high), (low + high) / 2])


def sos(*points: tuple[float, Value]) -> list[Reading]:
    contact = reading(points[0][0], "alarm_contact", False, device="gas-1")
    return [*course("gas_concentration", *points, device="gas-1"), contact]


@pytest.mark.parametrize("live_first", [False, True])
def test_what_guards_lives_and_tripped_in_the_outage_rings_with_its_age(tmp_path: Path, live_first: bool) -> None:
    room = Room(tmp_path)
    room.announce("gas-1", "gas_alarm")
    if live_first:
        room.hear(*sos((BACK_S - 1, 3.0)), now_s=BACK_S)
    room.hear(*sos((1000.0, 30.0), (1100.0, 0.0)), now_s=BACK_S)
    alarm = room.the_alarm()
    assert alarm.case is not None
    assert not alarm.late
    assert (alarm.known_at_ms - alarm.raised_at_ms) / 1000 == BACK_S - 1000  # its age
    room.pass_time(BACK_S + 3600)
    assert room.the_alarm().state in (AlarmState.LATCH_UNACK, AlarmState.UNACK)  # until a person has looked


def test_a_condition_that_began_and_ended_in_the_outage_is_a_past_event(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("bin-1", "waste_bin")
    room.hear(
        *course("temperature", (100.0, 70.0), (130.0, 70.0), (200.0, 20.0), (900.0, 20.0), device="bin-1"), now_s=BACK_S
    )
    alarm = room.the_alarm()
    assert (alarm.late, alarm.case, alarm.raised_at_ms) == (True, None, at(130))
    assert room.desk.alarms() == []


def test_one_that_still_stands_after_the_outage_rings(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.announce("bin-1", "waste_bin")
    room.hear(*course("temperature", (100.0, 70.0), (130.0, 70.0), (BACK_S, 70.0), device="bin-1"), now_s=BACK_S)
    room.wake(BACK_S)
    assert room.the_alarm().case is not None


@pytest.mark.parametrize("jump_s", [-86_400.0, 3_600.0, 86_400.0])
def test_a_clock_that_jumps_fires_no_duration(tmp_path: Path, jump_s: float) -> None:
    room = Room(tmp_path)
    room.announce("bin-1", "waste_bin")
    day = 100_000.0
    room.hear(*course("temperature", (day, 20.0), (day + 10, 70.0), device="bin-1"))
    room.hear(reading(day + 15 + jump_s, "temperature", 70.0, device="bin-1"), now_s=day + 15)  # five seconds later
    room.pass_time(day + 20)
    room.hear(reading(day + 25, "temperature", 20.0, device="bin-1"))
    room.pass_time(day + 4000)
    assert [alarm for alarm in room.desk.alarms(open_only=False) if alarm.case] == []
