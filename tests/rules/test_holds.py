"""Shelves, maintenance and work permits, in a real database: what people lay over alarms has a reason and an end, and is said."""

from pathlib import Path

import pytest

from messages.alarm import encode
from messages.ids import DeviceId
from rules.alarms.overlays.hold import MOST_SHELF_MS
from rules.alarms.published import published
from rules.cases.practice import Practice
from rules.desk import Desk
from rules.records import ActionRefused, AlarmState, Overlays
from tests.rules.course import at, reading
from tests.rules.overlaid import HOUR, furnished, hold_door, let_go, of, said, shelve, still
from tests.rules.room import SITE, Room, mend


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return furnished(tmp_path)


def test_a_shelf_ends_by_itself_and_the_alarm_rings_again(room: Room) -> None:
    hold_door(room)
    alarm = shelve(room, "door-1", 70)
    assert alarm.overlays.shelved
    assert (alarm.overlays.shelved.actor, alarm.overlays.shelved.reason) == ("li", "dust")
    assert room.desk.quiet() == [alarm]
    room.look(70 + HOUR - 1)
    assert not of(room, "door-1").overlays.annunciated
    room.start()
    still(room, 70 + HOUR)
    room.look(70 + HOUR)
    again = of(room, "door-1")
    assert (again.state, again.overlays) == (AlarmState.UNACK, Overlays())
    assert [line for line in said(room, alarm) if "certain" not in line][-2:] == [
        "alarm.unshelved rules",
        "alarm.realarmed rules",
    ]
    assert room.desk.holds() == []


def test_other_systems_are_told_what_lies_over_an_alarm(room: Room) -> None:
    hold_door(room)
    alarm = shelve(room, "door-1", 70)
    room.status(80, online=False)
    room.look(81)
    told = published(of(room, "door-1"))
    assert (told.shelved_until_ms, told.uncertain, told.suppressed_by) == (at(70 + HOUR), ["edge"], [])
    assert b'"shelved_until_ms"' not in encode(published(room.desk.unshelve(alarm.id, actor="li", at_ms=at(90))))


def test_what_a_shelf_hides_is_raised_without_a_case_and_gets_one_when_it_is_over(room: Room) -> None:
    hold_door(room)
    first = shelve(room, "door-1", 70)
    assert first.case
    let_go(room, 80)
    room.desk.accept(first.case.id, actor="wang", at_ms=at(90))
    room.desk.arrive(first.case.id, actor="wang", at_ms=at(91))
    mend(room.desk, first.case.id, at_ms=at(92), outcome="no_cause_found")
    assert room.desk.alarms() == []
    hold_door(room, 200)
    second = of(room, "door-1")
    assert second.id != first.id
    assert (second.case, second.state, second.overlays.shelved) == (None, AlarmState.UNACK, first.overlays.shelved)
    still(room, 70 + HOUR)
    room.look(70 + HOUR)
    called = of(room, "door-1").case
    assert called
    assert said(room, second) == [
        "alarm.raised rules",
        "alarm.shelved li",
        "alarm.unshelved rules",
        "alarm.realarmed rules",
    ]


def test_a_shelf_is_taken_away_by_hand(room: Room) -> None:
    hold_door(room)
    shelve(room, "door-1", 70)
    alarm = room.desk.unshelve(of(room, "door-1").id, actor="wang", at_ms=at(80))
    assert alarm.overlays.annunciated
    assert said(room, alarm)[-2:] == ["alarm.unshelved wang", "alarm.realarmed rules"]
    room.look(81)
    assert of(room, "door-1").overlays.annunciated
    with pytest.raises(ActionRefused, match="not-shelved"):
        room.desk.unshelve(alarm.id, actor="wang", at_ms=at(90))


def test_a_shelf_for_one_time_does_not_come_back(room: Room) -> None:
    hold_door(room)
    shelve(room, "door-1", 70, one_shot=True)
    let_go(room, 80)
    room.look(90)
    assert of(room, "door-1").overlays == Overlays()
    hold_door(room, 100)
    assert of(room, "door-1").overlays == Overlays()
    assert room.desk.holds() == []


@pytest.mark.parametrize(
    ("hours", "reason", "why"),
    [(8.01, "dust", "too-long"), (0, "dust", "over-already"), (1, "  ", "no-reason"), (1, "x" * 201, "too-many-words")],
)
def test_a_shelf_has_a_reason_and_lasts_a_shift_at_most(room: Room, hours: float, reason: str, why: str) -> None:
    hold_door(room)
    before = room.desk.position()
    until_ms = at(70 + hours * HOUR)
    with pytest.raises(ActionRefused, match=why):
        room.desk.shelve(of(room, "door-1").id, until_ms=until_ms, reason=reason, actor="li", at_ms=at(70))
    assert (room.desk.position(), room.desk.holds()) == (before, [])
    full = at(70) + MOST_SHELF_MS
    room.desk.shelve(of(room, "door-1").id, until_ms=full, reason="dust", actor="li", at_ms=at(70))


def test_maintenance_has_an_end_and_comes_back(room: Room) -> None:
    room.announce("door-2", "door_access")
    hold_door(room)
    door = of(room, "door-1")
    hold = room.desk.out_of_service(
        SITE, DeviceId("door-1"), until_ms=at(HOUR), reason="new lock", actor="li", at_ms=at(70)
    )
    assert of(room, "door-1").overlays.out_of_service == hold.pause
    hold_door(room, 100, "door-2")
    assert of(room, "door-2").overlays.annunciated
    room.start()
    still(room, HOUR)
    room.look(HOUR)
    assert of(room, "door-1").overlays.annunciated
    assert room.events().count("device.returned_to_service") == 1
    assert said(room, door)[-2:] == ["alarm.returned_to_service rules", "alarm.realarmed rules"]
    with pytest.raises(ActionRefused, match="ended-already"):
        room.desk.return_to_service(hold.id, actor="li", at_ms=at(HOUR + 1))
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.out_of_service(SITE, DeviceId("none"), until_ms=at(99), reason="r", actor="li", at_ms=at(1))


def test_work_on_a_device_that_is_done_early_is_said_by_whom(room: Room) -> None:
    hold_door(room)
    one = room.desk.out_of_service(SITE, DeviceId("door-1"), until_ms=at(999), reason="r", actor="li", at_ms=at(70))
    room.desk.return_to_service(one.id, actor="wang", at_ms=at(80))
    assert said(room, of(room, "door-1"))[-2:] == ["alarm.returned_to_service wang", "alarm.realarmed rules"]


def test_under_a_permit_nothing_calls_and_what_is_held_calls_when_nobody_has_checked(room: Room) -> None:
    permit = room.desk.open_permit(
        SITE,
        device=DeviceId("cover-1"),
        holder="drainage co.",
        reason="pump",
        until_ms=at(HOUR),
        actor="li",
        at_ms=at(0),
    )
    room.hear(reading(10, "tilt", 90.0, device="cover-1"))
    alarm = of(room, "cover-1")
    assert (alarm.level, alarm.case, alarm.overlays.suppressed) == ("red", None, (permit.cause,))
    room.hear(reading(600, "tilt", 0.0, device="cover-1"))
    room.hear(reading(700, "tilt", 0.0, device="cover-1"))
    assert of(room, "cover-1").state is AlarmState.LATCH_UNACK
    room.start()
    room.look(HOUR)
    assert of(room, "cover-1").case


def test_who_worked_there_has_checked_what_the_work_set_off(room: Room) -> None:
    permit = room.desk.open_permit(
        SITE, grid="g1", building="3", holder="co.", reason="pump", until_ms=at(HOUR), actor="li", at_ms=at(0)
    )
    room.hear(reading(10, "tilt", 90.0, device="cover-1"))
    hold_door(room, 20)
    room.hear(reading(600, "tilt", 0.0, device="cover-1"), reading(700, "tilt", 0.0, device="cover-1"))
    room.desk.close_permit(permit.id, actor="wang", at_ms=at(800), checked=True)
    assert (of(room, "cover-1").state, of(room, "cover-1").case) == (AlarmState.NORM, None)
    assert "alarm.reset wang" in said(room, of(room, "cover-1"))
    assert of(room, "door-1").case  # it still stands open
    assert room.events().count("permit.closed") == 1


def test_what_a_permit_held_is_dealt_with_as_the_desk_that_ends_it_was_told(room: Room) -> None:
    """The console's desk has the practice of the engine's settings, and of the sites' files."""
    desk = Desk(room.database, Practice(owner=lambda site, device, announced: "drainage"))
    permit = desk.open_permit(SITE, grid="g1", holder="co.", reason="r", until_ms=at(HOUR), actor="li", at_ms=at(0))
    hold_door(room, 20)
    assert of(room, "door-1").case is None
    desk.close_permit(permit.id, actor="wang", at_ms=at(800))
    case = of(room, "door-1").case
    assert case
    known = desk.case(case.id)
    assert known
    assert known.owner == "drainage"


def test_a_permit_is_for_somebody_and_somewhere_and_for_its_own_time(room: Room) -> None:
    def asked(**more: object) -> None:
        given = {"holder": "co.", "reason": "r", "until_ms": at(200), "actor": "li", "at_ms": at(0)} | more
        room.desk.open_permit(SITE, **given)  # type: ignore[arg-type]

    for wrong, why in (({"holder": " "}, "no-holder"), ({}, "no-place"), ({"device": "none"}, "unknown")):
        with pytest.raises(ActionRefused, match=why):
            asked(**wrong)
    asked(grid="g1", from_ms=at(100))
    hold_door(room)
    assert of(room, "door-1").overlays.annunciated
    room.look(100)
    assert not of(room, "door-1").overlays.annunciated
    room.look(200)
    assert of(room, "door-1").overlays.annunciated
