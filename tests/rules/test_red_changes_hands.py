"""Red of a device that goes from one edge to another, and of a case that goes from one person to another: nothing of it is ended or waited for
by what came before."""

from pathlib import Path

import pytest

from messages.ids import DeviceId, EdgeId
from rules.engine.work import Work
from rules.records import AlarmState
from tests.rules.course import at, reading
from tests.rules.refusing import refuse
from tests.rules.room import EDGE, SITE, Room, announced
from tests.rules.test_escalation import Watched

NEW = EdgeId("pi-2")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def goes_over(room: Room, device: str, kind: str, now_s: float) -> Work:
    """One batch: its old edge withdraws it, and its new one announces it."""
    work = Work(room.facts)
    work.withdraw(SITE, EDGE, DeviceId(device), at(now_s))
    work.announce(SITE, NEW, DeviceId(device), announced(kind), at(now_s))
    return work


@pytest.mark.parametrize("refused", [False, True])
def test_smoke_that_stands_while_its_device_goes_to_another_edge_goes_on_ringing(room: Room, refused: bool) -> None:
    room.announce("smoke-1", "smoke_alarm")
    room.hear(reading(0, "smoke", True, device="smoke-1"))
    work = goes_over(room, "smoke-1", "smoke_alarm", 60)
    work.hear(SITE, NEW, [reading(60, "smoke", True, device="smoke-1")], at(60))
    if refused:  # then all of it is written part by part
        refuse(room.database, "silences", "{device} = 'smoke-1'")
    room.write(work, 60)
    assert room.the_alarm().state is AlarmState.UNACK


def test_what_is_raised_by_the_edge_that_a_device_goes_to_stands(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "alarm_contact", False, device="gas-1"))
    work = goes_over(room, "gas-1", "gas_alarm", 60)
    work.hear(SITE, NEW, [reading(60, "alarm_contact", True, device="gas-1")], at(60))
    room.write(work, 60)
    assert room.the_alarm().state is AlarmState.UNACK


def test_what_an_edge_withdraws_is_over_though_it_was_raised_in_the_same_batch(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(60, "alarm_contact", True, device="gas-1")], at(60))
    work.withdraw(SITE, EDGE, DeviceId("gas-1"), at(60))
    room.write(work, 60)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK


@pytest.mark.parametrize("given_back", [True, False])
def test_a_red_case_that_is_given_back_after_the_clock_was_set_back_is_called_for_at_once(
    tmp_path: Path, given_back: bool
) -> None:
    room = Watched(tmp_path)
    case = room.begin()
    room.clock(0)
    room.desk.accept(case.id, actor="wang", at_ms=at(5))
    work = Work(room.facts)
    work.step(-3_600_000, {SITE}, at(-3590))
    room.write(work, -3590)
    if given_back:
        room.desk.reject(case.id, actor="wang", at_ms=at(-3580), reason="another fire")
    else:
        room.desk.dispatch(case.id, actor="chief", at_ms=at(-3580), to="li")
    room.clock(-3500)
    assert [at_s for at_s, _, _, why in room.calls() if at_s < 0 and why != "dispatched"][:1] == [-3580]
