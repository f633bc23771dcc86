"""The server's clock is set, by minutes or hours, while delays and calls run: each takes as long as it would have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rules.cases.practice import PLAIN
from rules.engine.work import Work
from rules.escalation import auditor
from rules.shell.steady import STEP_MS, Steady
from rules.shell.timekeeper import Timekeeper
from rules.shell.writer import Writer
from rules.store import facts
from rules.store.clerk import Clerk
from rules.store.leases import Holder
from rules.tenure import Tenure
from tests.rules.course import at, reading
from tests.rules.room import SITE, Room
from tests.rules.test_escalation import Watched

STEPS = [-7200, -300, -5, 5, 300, 7200]


@pytest.fixture
def room(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def step(room: Room, by_s: int, now_s: float) -> None:
    """At `now_s` by the clock before, as the engine does it."""
    work = Work(room.facts)
    work.step(by_s * 1000, {SITE}, at(now_s + by_s))
    room.write(work, now_s + by_s)


@pytest.mark.parametrize("by_s", STEPS)
def test_a_door_that_stands_open_counts_its_minute_through_a_clock_that_is_set(room: Watched, by_s: int) -> None:
    room.announce("door-1", "door_access", door_class="unit")
    room.hear(reading(0, "door_open", True, device="door-1"))
    assert room.facts.next_wake_ms() == at(60)
    step(room, by_s, 20)
    room.pass_time(by_s + 59)
    assert room.desk.alarms() == []
    room.pass_time(by_s + 60)
    assert [alarm.rule for alarm in room.desk.alarms()] == ["held_open"]


@pytest.mark.parametrize("by_s", STEPS)
def test_what_waits_is_moved_over_a_restart(room: Watched, by_s: int) -> None:
    room.announce("door-1", "door_access", door_class="unit")
    room.hear(reading(0, "door_open", True, device="door-1"))
    step(room, by_s, 20)
    room.start()
    assert room.facts.next_wake_ms() == at(by_s + 60)


@pytest.mark.parametrize("by_s", STEPS)
def test_a_red_case_is_called_for_as_if_the_clock_had_not_been_set(room: Watched, by_s: int) -> None:
    room.begin()
    room.clock(25)
    step(room, by_s, 25)
    auditor.look(room.database, [SITE], room.practice, at(by_s + 26))
    room.clock(by_s + 180)
    assert [(at_s - by_s, name, why) for at_s, name, _, why in room.calls()] == [
        (0, "li", "new"),
        (0, "wang", "new"),
        (20, "li", "nobody-accepts"),
        (20, "wang", "nobody-accepts"),
        (40, "li", "nobody-accepts"),
        (40, "wang", "nobody-accepts"),
        (60, "street-1", "nobody-accepts"),
        (180, "water", "nobody-accepts"),
    ]


def test_a_call_that_waits_for_its_next_attempt_waits_no_hour(room: Watched) -> None:
    room.begin()
    room.clock(0)
    step(room, -3600, 1)
    assert {at_s for at_s, *_ in room.calls()} == {-3600}


@pytest.mark.parametrize(("by_s", "again_s"), [(-86_400, -86_399), (-600, -599), (-30, 1801), (7200, 7201)])
def test_red_that_stands_and_that_nobody_mends_rings_again_early_rather_than_late(
    room: Watched, by_s: int, again_s: int
) -> None:
    """How long it has waited is counted from a moment of history, which is not moved."""
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    case = room.the_alarm().case
    assert case
    room.desk.accept(case.id, actor="li", at_ms=at(1))
    step(room, by_s, 1)
    seconds = [now_s for now_s in (by_s + 1, 0, 1, 600, 1799, 1800, 1801, 7201) if now_s > by_s]
    for now_s in sorted(seconds):
        room.look(now_s)
        if "alarm.realarmed" in room.events():
            break
    assert now_s == again_s


def test_what_a_person_has_put_aside_until_a_day_comes_back_on_that_day(room: Watched) -> None:
    case = room.begin("yellow")
    room.desk.suspend(case.id, actor="zhao", at_ms=at(1), review_ms=at(86_400), reason="parts")
    step(room, 7200, 10)
    assert room.next_due_ms() == at(86_400)


def test_the_log_says_by_how_much_the_clock_was_set(room: Watched) -> None:
    step(room, -300, 20)
    assert [(line.event, line.detail) for line in room.desk.log_after(0)] == [("clock.stepped", "-300 s")]


def test_a_step_is_held_back_until_it_is_accepted_and_slewing_is_none() -> None:
    wall_ms = running_ms = 0
    steady = Steady(lambda: 1_000_000 + wall_ms, lambda: running_ms)
    for _ in range(100):  # a fast clock, pulled in by the network's
        wall_ms, running_ms = wall_ms + 1000 - STEP_MS // 2, running_ms + 1000
        assert (steady(), steady.step_ms) == (1_000_000 + wall_ms, 0)
    wall_ms -= 3_600_000
    assert steady() == 1_000_000 + wall_ms + 3_600_000
    assert steady.step_ms == -3_600_000
    running_ms, wall_ms = running_ms + 500, wall_ms + 500
    assert steady() == 1_000_000 + wall_ms + 3_600_000
    steady.accept(steady.step_ms)
    assert (steady(), steady.step_ms) == (1_000_000 + wall_ms, 0)


@pytest.mark.parametrize("by_s", [-3600, 3600])
async def test_an_engine_sees_the_step_and_never_lets_a_timer_see_it_first(room: Watched, by_s: int) -> None:
    wall_ms, running_ms = at(0), 0
    room.announce("door-1", "door_access", door_class="unit")
    room.hear(reading(0, "door_open", True, device="door-1"))
    room.begin()
    steady = Steady(lambda: wall_ms, lambda: running_ms)
    tenure = Tenure(room.database, Holder("ours", None), lambda: 0.0)
    tenure.mine |= {*tenure.enter(), SITE}
    known = facts.load(room.database, room.facts.kinds, room.known)
    clerk = Clerk("test")
    writer = Writer(tenure, known, clerk, PLAIN, steady, lambda: None)
    wall_ms, running_ms = wall_ms + 10_000 + by_s * 1000, 10_000
    assert steady() == at(10)
    running = asyncio.create_task(Timekeeper(steady, writer, tenure).run())
    try:
        await until(lambda: steady.step_ms == 0 and known.next_wake_ms() != at(60))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        clerk.close()
    assert steady() == at(10 + by_s)
    assert known.next_wake_ms() == at(60 + by_s)
    assert room.next_due_ms() == at(by_s)  # the first call, which nobody has fired here


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)
