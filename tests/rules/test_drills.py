"""Drills: nobody outside is called for practice, real red calls all the same, and nothing of a drill lives on after it."""

from pathlib import Path

import pytest
from sqlalchemy import select

from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text
from rules.cases.case import Situation
from rules.cases.practice import Practice
from rules.drills import drill as drills
from rules.drills import exercise
from rules.drills.drill import Drill
from rules.drills.exercise import MOST_MS, DrillRefused
from rules.duty.ladder import Address, Ladder, Person
from rules.engine.work import Work
from rules.escalation import timers
from rules.language.library import load_rules
from rules.notices import outbox
from rules.notices.plan import Habits
from rules.outside import bulletin
from rules.quality import gathering
from rules.records import OVER, AlarmState, CaseState
from rules.store import facts, versions
from rules.store import tables as db
from tests.rules.course import KINDS, at, reading
from tests.rules.room import EDGE, SITE, Room
from tests.rules.test_notices import way

LIN = Person("lin", "林小梅", "grid_worker", "zh", (Address("sms", "13800000001"),))
CALLING = Practice(ladder=lambda *_: Ladder(((LIN,), (LIN,), ())))
WAYS = {"sms": way("sms", "100/1min")}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    versions.keep(made.database, load_rules(KINDS), at(0))
    made.announce("gas-1", "gas_alarm")
    return made


def begun(room: Room, seconds: float = 0, lasts_ms: int = 3_600_000) -> Drill:
    with room.database.writing() as connection:
        return exercise.start(
            connection, SITE, actor="chen", why="季度演练", until_ms=at(seconds) + lasts_ms, now_ms=at(seconds)
        )


def practise(room: Room, drill: Drill, seconds: float = 1, device: str = "gas-1", rule: str = "leak") -> str:
    with room.database.writing() as connection:
        return exercise.raise_alarm(connection, drill, device, rule, actor="chen", now_ms=at(seconds), practice=CALLING)


def ended(room: Room, drill: Drill, seconds: float) -> None:
    with room.database.writing() as connection:
        exercise.end(connection, drill, actor="chen", now_ms=at(seconds), practice=CALLING)


def told(room: Room, seconds: float) -> list[str]:
    """Who is told by message, after all that escalation asks for until then."""
    with room.database.writing() as connection:
        timers.fire_due(connection, CALLING, at(seconds))
    with room.database.writing() as connection:
        begun = outbox.take(connection, WAYS, lambda *_: (), CALLING, Habits(), "", at(seconds))
    return [one.message.title for one in begun]


def reported(
    room: Room,
    seconds: float,
    *,
    kind: str = "bin",
    level: str = "red",
    lat: float | None = None,
    lon: float | None = None,
) -> str:
    about = Situation(
        site=SITE,
        place=Place(grid="g1", building="3", unit="2", text="3号楼"),
        kind=kind,
        subject="",
        title=Text(zh="真的", en="real"),
        level=level,  # type: ignore[arg-type]
        origin="report",
        lat=lat,
        lon=lon,
    )
    desk = room.desk
    case = desk.report(about, actor="chen", at_ms=at(seconds))
    return case.id


def test_practice_calls_nobody_outside_however_long_it_is_left(room: Room) -> None:
    drill = begun(room)
    alarm = practise(room, drill)
    assert [title for seconds in (2, 70, 200, 700, 3000) for title in told(room, seconds)] == []
    found = room.desk.alarm(alarm)
    assert found
    assert found.case
    assert (found.title.zh, found.state, found.level) == ("【演练】燃气泄漏", AlarmState.UNACK, "red")
    with room.database.reading() as connection:
        states = {row.state for row in connection.execute(select(db.notices))}
        assert connection.execute(select(db.sendings)).all() == []
    assert states == {"handed_over"}


def test_a_real_red_alarm_calls_in_a_drill_and_what_is_less_grave_keeps_to_the_pages(room: Room) -> None:
    begun(room)
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(1, "gas_concentration", 25.0, device="gas-1")], at(1))
    work.wake(at(60))
    facts.commit(room.database, work, at(60), practice=CALLING)
    assert told(room, 61) == ["红色 燃气泄漏"]
    (real,), other = room.desk.cases(), room.desk.case(reported(room, 62, level="yellow"))
    assert other
    with room.database.reading() as connection:
        assert drills.kept_inside(connection, [real, other], at(63)) == {other.id}


def test_a_report_of_a_leak_never_joins_a_practised_one(room: Room) -> None:
    drill = begun(room)
    alarm = room.desk.alarm(practise(room, drill))
    assert alarm
    assert alarm.case
    assert reported(room, 5, kind="gas_alarm") != alarm.case.id


def test_with_its_end_every_practice_alarm_is_over_and_its_case_struck_out(room: Room) -> None:
    drill = begun(room)
    alarm = practise(room, drill)
    case = room.desk.alarm(alarm).case  # type: ignore[union-attr]
    assert case
    room.desk.accept(case.id, actor="chen", at_ms=at(5))
    ended(room, drill, 60)
    over, struck = room.desk.alarm(alarm), room.desk.case(case.id)
    assert over
    assert struck
    assert (over.state, over.open) == (AlarmState.NORM, False)
    assert (struck.state, struck.outcome) == (CaseState.CANCELLED, "test")
    assert struck.state in OVER
    assert told(room, 4000) == []
    events = [line.event for line in room.desk.log_after(0) if line.event.startswith("drill.")]
    assert events == ["drill.started", "drill.raised", "drill.ended"]
    assert gathering.audited(room.database)[2] == []


def test_a_drill_that_nobody_ends_ends_by_itself(room: Room) -> None:
    drill = begun(room, lasts_ms=60_000)
    practise(room, drill)
    facts.beat(room.database, at(59), CALLING, hears=True)
    with room.database.reading() as connection:
        assert len(drills.running(connection, at(59))) == 1
    facts.beat(room.database, at(61), CALLING, hears=True)
    with room.database.reading() as connection:
        assert drills.running(connection, at(61)) == []
    assert room.desk.alarms() == []
    assert [line.actor for line in room.desk.log_after(0) if line.event == "drill.ended"] == ["rules"]


def test_practice_that_was_cleared_is_closed_as_a_real_one_is(room: Room) -> None:
    drill = begun(room)
    alarm = practise(room, drill)
    with room.database.writing() as connection:
        exercise.clear_alarm(connection, drill, alarm, actor="chen", now_ms=at(10), practice=CALLING)
    case = room.desk.alarm(alarm).case  # type: ignore[union-attr]
    assert case
    room.desk.accept(case.id, actor="lin", at_ms=at(11))
    room.desk.arrive(case.id, actor="lin", at_ms=at(12))
    room.desk.finish(case.id, actor="lin", at_ms=at(13), outcome="mended")
    assert room.desk.verify(case.id, actor="zhao", at_ms=at(14), passed=True).state is CaseState.CLOSED
    ended(room, drill, 20)
    assert room.desk.case(case.id).state is CaseState.CLOSED  # type: ignore[union-attr]


def test_other_systems_hear_of_practice_as_an_exercise(room: Room) -> None:
    alarm = practise(room, begun(room))
    case = room.desk.alarm(alarm).case  # type: ignore[union-attr]
    assert case
    with room.database.reading() as connection:
        told = bulletin.of_alarm(connection, alarm, lambda _: None, "x")
        told_of_case = bulletin.of_case(connection, case.id, lambda _: None, "x")
    for message in (told, told_of_case):
        assert message
        assert b"<status>Exercise</status>" in message


def test_practice_is_in_no_figure(room: Room) -> None:
    practise(room, begun(room))
    (found,) = gathering.qualities(room.database, at(0), at(100), operators={})
    assert found.alarms == 0


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("no-reason", {"why": " \n"}),
        ("too-long", {"until_ms": at(0) + MOST_MS + 1}),
        ("too-long", {"until_ms": at(0)}),
    ],
)
def test_a_drill_has_a_reason_and_an_end(room: Room, reason: str, words: dict[str, object]) -> None:
    asked = {"why": "x", "until_ms": at(0) + 1000} | words
    with pytest.raises(DrillRefused, match=reason), room.database.writing() as connection:
        exercise.start(connection, SITE, actor="chen", now_ms=at(0), **asked)  # type: ignore[arg-type]


def test_what_can_not_be_practised_is_refused(room: Room) -> None:
    drill = begun(room)
    with pytest.raises(DrillRefused, match="running"):
        begun(room)
    for device, rule, reason in (("gas-7", "leak", "no-device"), ("gas-1", "flood", "no-rule")):
        with pytest.raises(DrillRefused, match=reason):
            practise(room, drill, device=device, rule=rule)
    practise(room, drill)
    with pytest.raises(DrillRefused, match="open-already"):
        practise(room, drill)
    ended(room, drill, 5)
    with pytest.raises(DrillRefused, match="not-running"):
        practise(room, drill, 6)
    assert SiteId("junmen") == SITE


def test_what_turns_out_to_be_red_in_a_drill_calls_though_its_first_calls_kept_to_the_pages(room: Room) -> None:
    begun(room)
    case = reported(room, 1, level="yellow")
    assert told(room, 2) == []
    room.desk.register(case, actor="chen", at_ms=at(30), level="red")
    assert told(room, 31) == ["红色 真的"]


def test_a_real_leak_that_joins_what_somebody_has_smelt_calls_in_a_drill(room: Room) -> None:
    drill = begun(room)
    room.announce("gas-3", "gas_alarm", lat=26.0, lon=119.0)
    practise(room, drill, device="gas-3")
    case = reported(room, 2, kind="gas_alarm", level="yellow", lat=26.0, lon=119.0)
    assert told(room, 3) == []
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(30, "gas_concentration", 25.0, device="gas-3")], at(30))
    facts.commit(room.database, work, at(30), practice=CALLING)
    (leak,) = [one for one in room.desk.alarms() if one.rule == "leak"]
    assert leak.case
    assert leak.case.id == case, "the one that somebody has reported, and not the practised one"
    assert told(room, 31) == ["红色 燃气泄漏"]


def test_red_that_is_real_calls_as_often_in_a_drill_as_without_one(tmp_path: Path) -> None:
    """To the second, until the department: with practice before it, beside it, and a drill that ends in its midst."""

    def calls(name: str, *, drilled: bool) -> list[tuple[int, str]]:
        (tmp_path / name).mkdir()
        room = Room(tmp_path / name)
        versions.keep(room.database, load_rules(KINDS), at(0))
        for device in ("gas-1", "gas-2"):
            room.announce(device, "gas_alarm")
        if drilled:
            drill = begun(room)
            practise(room, drill)
            practise(room, drill, device="gas-2")
        work = Work(room.facts)
        work.hear(SITE, EDGE, [reading(10, "gas_concentration", 25.0, device="gas-1")], at(10))
        facts.commit(room.database, work, at(10), practice=CALLING)
        found = []
        for seconds in range(10, 400, 5):
            if drilled and seconds == 100:
                ended(room, drill, 100)
            found += [(seconds, title) for title in told(room, seconds)]
        room.database.close()
        return found

    without = calls("without", drilled=False)
    assert len(without) >= 5
    assert calls("drilled", drilled=True) == without
