"""Who is called when, in real rows on a clock of the test's: 「1分钟接单」 and everything around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from rules.cases.case import opened
from rules.cases.practice import PLAIN, Practice
from rules.duty.ladder import Address, Ladder, Person
from rules.engine.found import Audited
from rules.engine.work import Work
from rules.escalation import auditor, timers
from rules.escalation.loop import wind_all
from rules.escalation.program import Leg, due, running, step
from rules.records import Case, CaseState
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import SITE, Room, mend
from tests.rules.situation import about


def person(name: str, role: str) -> Person:
    return Person(name, name, role, addresses=(Address("wecom", name), Address("sms", "+86" + name)))


WANG, LI = person("wang", "grid"), person("li", "helper")
STREET, WATER = person("street-1", "street"), person("water", "department")
ALL = Ladder(((WANG, LI), (STREET,), (WATER,)))


@dataclass
class Watched(Room):
    """A room in which time passes for cases too, and a roster that the test changes."""

    ladder: Ladder = ALL
    practice: Practice = field(init=False)

    def __post_init__(self) -> None:
        self.practice = replace(PLAIN, ladder=self._ladder)
        super().__post_init__()

    def _ladder(self, _site: SiteId, _kind: str, _level: Level, _place: Place, _owner: str, _at_ms: int) -> Ladder:
        return self.ladder

    def begin(self, level: Level = "red", at_s: float = 0) -> Case:
        """A case from the door of the desk: as grave as the test wants, without a sensor."""
        seen = about(level, origin="ticket", subject="")
        return self.desk.report(seen, actor="12345", at_ms=at(at_s))

    def clock(self, until_s: float) -> None:
        """Every timer fires at its millisecond."""
        while (due_ms := self.next_due_ms()) is not None and due_ms <= at(until_s):
            self.fire(due_ms)

    def fire(self, now_ms: int) -> int:
        with self.database.writing() as connection:
            return timers.fire_due(connection, self.practice, now_ms)

    def next_due_ms(self) -> int | None:
        with self.database.reading() as connection:
            return timers.next_due_ms(connection)

    def calls(self, state: str | None = None) -> list[tuple[float, str, str, str]]:
        """(second, person, channel, reason), in the order in which they were queued."""
        query = select(db.notices).order_by(db.notices.c.queued_at_ms, db.notices.c.rung, db.notices.c.key)
        with self.database.reading() as connection:
            return [
                ((row.queued_at_ms - at(0)) / 1000, row.person, row.channel, row.reason)
                for row in connection.execute(query)
                if state is None or row.state == state
            ]

    def said(self, case: Case) -> list[tuple[float, str, str]]:
        return [
            ((line.at_ms - at(0)) / 1000, line.event, line.detail)
            for line in self.desk.log_of_case(case.id)
            if not line.event.startswith(("notify", "alarm"))
        ]


@pytest.fixture
def room(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_one_minute_to_accept_two_people_by_two_channels_then_the_street_then_the_department(room: Watched) -> None:
    """F4: unaccepted red; 「1分钟接单」."""
    case = room.begin()
    room.clock(180)
    assert room.calls() == [
        (0, "li", "wecom", "new"),
        (0, "wang", "wecom", "new"),
        (20, "li", "sms", "nobody-accepts"),
        (20, "wang", "sms", "nobody-accepts"),
        (40, "li", "wecom", "nobody-accepts"),
        (40, "wang", "wecom", "nobody-accepts"),
        (60, "street-1", "wecom", "nobody-accepts"),
        (180, "water", "wecom", "nobody-accepts"),
    ]
    tried = {(who, channel) for second, who, channel, _ in room.calls() if second < 60}
    assert tried == {("wang", "wecom"), ("wang", "sms"), ("li", "wecom"), ("li", "sms")}
    assert room.said(case) == [
        (0, "case.reported", ""),
        (60, "sla.breached", "accept"),
        (60, "case.escalated", "2: nobody-accepts"),
        (180, "case.escalated", "3: nobody-accepts"),
    ]
    known = room.desk.case(case.id)
    assert known
    assert (known.rung, known.escalated_at_ms) == (3, at(180))


def test_an_orange_case_is_with_the_street_after_three_minutes(room: Watched) -> None:
    room.begin("orange")
    room.clock(600)
    assert [(second, who) for second, who, _, _ in room.calls() if who in ("street-1", "water")] == [
        (180, "street-1"),
        (600, "water"),
    ]


def test_of_a_yellow_case_one_person_after_the_other_hears_and_of_a_blue_one_once_a_day(room: Watched) -> None:
    room.begin("yellow")
    room.clock(1800)
    assert [(second, who) for second, who, _, _ in room.calls()] == [
        (0, "wang"),
        (600, "li"),
        (1200, "wang"),
        (1800, "street-1"),
    ]
    blue = room.begin("blue", 2000)
    room.clock(2000 + 86_400)
    with room.database.reading() as connection:
        query = select(db.notices.c.queued_at_ms).where(db.notices.c.case == blue.id)
        assert sorted(connection.scalars(query)) == [at(2000), at(2000 + 86_400)]


def test_a_red_case_that_nobody_accepts_is_never_quiet(room: Watched) -> None:
    room.begin()
    room.clock(3600)
    seconds = sorted({second for second, *_ in room.calls()})
    assert max(later - earlier for earlier, later in pairwise(seconds)) <= 120
    assert seconds[-1] >= 3600 - 60
    latest = {who for second, who, _, _ in room.calls() if second == seconds[-1]}
    assert latest == {"wang", "li", "street-1", "water"}


def test_to_accept_ends_the_calls_and_withdraws_those_that_nobody_has_sent(room: Watched) -> None:
    case = room.begin()
    room.clock(20)
    room.desk.accept(case.id, actor="wang", at_ms=at(25))
    room.clock(400)
    assert room.calls("queued") == []
    assert {reason for *_, reason in room.calls("superseded")} == {"new", "nobody-accepts"}


def test_a_late_arrival_begins_the_escalation_anew(room: Watched) -> None:
    case = room.begin()
    room.desk.accept(case.id, actor="wang", at_ms=at(30))
    room.clock(720)
    late = [call for call in room.calls() if call[3].endswith("arrive")]
    assert late == [
        (450, "wang", "", "soon-arrive"),
        (600, "wang", "", "late-arrive"),
        (600, "street-1", "wecom", "late-arrive"),
        (720, "water", "sms", "late-arrive"),
    ]
    assert (600, "sla.breached", "arrive") in room.said(case)
    room.desk.arrive(case.id, actor="wang", at_ms=at(730))
    quiet = len(room.calls())
    room.clock(3600)
    assert len(room.calls()) == quiet


def test_a_case_given_back_is_called_for_at_once_and_its_clock_ran_on(room: Watched) -> None:
    case = room.begin()
    room.desk.accept(case.id, actor="wang", at_ms=at(5))
    room.clock(50)
    room.desk.reject(case.id, actor="wang", at_ms=at(50), reason="not my grid")
    room.fire(at(50))
    room.clock(60)
    assert [call[:2] for call in room.calls("queued")] == [(50, "li"), (50, "wang"), (60, "street-1")]
    assert (60, "sla.breached", "accept") in room.said(case)


def test_what_is_escalated_by_hand_calls_the_next_rung_at_once(room: Watched) -> None:
    case = room.begin()
    room.desk.accept(case.id, actor="wang", at_ms=at(5))
    room.desk.escalate(case.id, actor="wang", at_ms=at(100), reason="needs a digger")
    room.clock(100)
    assert room.calls("queued") == [(100, "street-1", "wecom", "escalated")]
    room.clock(220)
    assert (220, "water", "wecom", "nobody-accepts") in room.calls("queued")


def test_who_is_sent_by_name_is_called(room: Watched) -> None:
    case = room.begin()
    room.desk.dispatch(case.id, actor="desk", at_ms=at(3), to="sun")
    assert (3, "sun", "", "dispatched") in room.calls("queued")


def test_a_rung_with_nobody_on_duty_passes_the_call_on_at_once_and_says_so(room: Watched) -> None:
    room.ladder = Ladder(((), (STREET,), (WATER,)))
    case = room.begin()
    room.clock(0)
    assert room.calls() == [(0, "street-1", "wecom", "new")]
    assert room.said(case)[1:] == [(0, "oncall.gap", "1"), (0, "case.escalated", "2: new")]


def test_where_nobody_is_on_duty_at_all_the_desk_is_called(room: Watched) -> None:
    room.ladder = Ladder(((), (), ()))
    case = room.begin()
    room.clock(0)
    assert [(who, reason) for _, who, _, reason in room.calls()] == [("desk", "new")]
    assert [event for _, event, _ in room.said(case)].count("oncall.gap") == 3


def test_who_can_not_be_reached_hastens_the_next_rung(room: Watched) -> None:
    case = room.begin()
    room.clock(5)
    with room.database.writing() as connection:
        timers.hasten(connection, case.id, at(10), room.practice)
    room.fire(at(10))
    assert [call[1] for call in room.calls() if call[0] == 10] == ["street-1"]


def test_more_time_a_review_and_a_check_call_the_street(room: Watched) -> None:
    case = room.begin()
    room.desk.accept(case.id, actor="wang", at_ms=at(1))
    room.desk.ask_extension(case.id, actor="wang", at_ms=at(2), until_ms=at(99_999), reason="spare part")
    room.clock(2)
    room.desk.suspend(case.id, actor="zhao", at_ms=at(3), review_ms=at(50), reason="no parts")
    room.clock(50)
    room.desk.resume(case.id, actor="zhao", at_ms=at(51))
    room.desk.arrive(case.id, actor="wang", at_ms=at(52))
    room.desk.finish(case.id, actor="wang", at_ms=at(53), outcome="mended")
    room.clock(53)
    reasons = [(second, reason) for second, who, _, reason in room.calls() if who == "street-1"]
    assert reasons == [(2, "extension"), (50, "review"), (53, "verify")]


def test_a_day_after_its_closing_a_case_goes_to_the_archive(room: Watched) -> None:
    case = room.begin()
    room.desk.accept(case.id, actor="wang", at_ms=at(1))
    room.desk.arrive(case.id, actor="wang", at_ms=at(2))
    mend(room.desk, case.id, at_ms=at(3))
    room.clock(86_402)
    assert room.desk.cases(open_only=False)[0].state is CaseState.CLOSED
    room.clock(86_403)
    assert room.desk.cases(open_only=False)[0].state is CaseState.ARCHIVED
    assert room.next_due_ms() is None


@given(kills=st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=5, deadline=None)
def test_a_restart_between_any_two_timers_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, kills: Sequence[int]
) -> None:
    killed, whole = (Watched(tmp_path_factory.mktemp("room")) for _ in range(2))
    for one in (killed, whole):
        one.announce("gas-1", "gas_alarm")
        one.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
        one.begin("orange", 10)
    for second in sorted(kills):
        killed.clock(second)
        killed.start()
    for one in (killed, whole):
        one.clock(400)
    assert killed.calls() == whole.calls()
    assert killed.events() == whole.events()
    for one in (killed, whole):
        one.database.close()


def test_overdue_steps_fire_in_order_after_a_restart_and_nobody_is_called_four_times(room: Watched) -> None:
    """F3: the order, over several cases."""
    first, second = room.begin(at_s=0), room.begin(at_s=30)
    room.start()
    assert room.fire(at(200)) > 0
    order = [
        (line.case, line.detail) for line in room.desk.log_after(0) if line.event in ("case.escalated", "sla.breached")
    ]
    assert order == [
        (first.id, "accept"),
        (first.id, "2: nobody-accepts"),
        (second.id, "accept"),
        (second.id, "2: nobody-accepts"),
        (first.id, "3: nobody-accepts"),
    ]
    with room.database.reading() as connection:
        of_wang = connection.execute(select(db.notices).where(db.notices.c.person == "wang")).all()
    assert len(of_wang) == 2, "once for each case"
    assert room.fire(at(200)) == 0


def test_calls_are_queued_with_the_alarm_in_one_transaction(room: Watched) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    assert [call[1] for call in room.calls()] == ["desk"], "the room's commit knows no roster"
    lines = room.desk.log_after(0)
    assert [line.event for line in lines] == ["alarm.raised", "case.registered", "notify.queued"]
    assert {line.at_ms for line in lines} == {at(0)}


def test_the_auditor_waits_for_nobody_who_writes_while_all_moves(room: Watched) -> None:
    room.begin()
    room.clock(0)
    with room.database.writing():
        assert auditor.look(room.database, [SITE], room.practice, at(1)) == []


def test_the_auditor_names_what_stands_still_and_sets_a_timer_that_is_missing(room: Watched) -> None:
    case = room.begin()
    room.clock(0)
    assert auditor.look(room.database, [SITE], room.practice, at(1)) == []
    with room.database.writing() as connection:
        connection.execute(delete(db.timers))
    found = auditor.look(room.database, [SITE], room.practice, at(2))
    assert [(one.what, one.name) for one in found] == [("no-timer", case.id)]
    assert auditor.look(room.database, [SITE], room.practice, at(3)) == []
    assert [one.what for one in auditor.look(room.database, [SITE], room.practice, at(6))] == ["overdue"]
    with room.database.writing() as connection:
        connection.execute(update(db.notices).values(state="sending", due_at_ms=at(4)))
    room.clock(6)
    stuck = auditor.look(room.database, [SITE], room.practice, at(10))
    assert {one.what for one in stuck} == {"notice"}
    assert "audit.found" in room.events()
    assert auditor.look(room.database, [SiteId("elsewhere")], room.practice, at(10)) == []


def test_an_open_alarm_without_a_case_is_found(room: Watched) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    with room.database.writing() as connection:
        connection.execute(update(db.alarms).values(case=None))
    assert "no-case" in {one.what for one in auditor.look(room.database, [SITE], room.practice, at(6))}


def test_a_call_that_nobody_sends_is_found(room: Watched) -> None:
    room.begin()
    room.clock(0)
    assert "notice" not in {one.what for one in auditor.look(room.database, [SITE], room.practice, at(9))}
    assert "notice" in {one.what for one in auditor.look(room.database, [SITE], room.practice, at(11))}


@pytest.mark.parametrize("state", [CaseState.CANCELLED, CaseState.CLOSED, CaseState.SUSPENDED])
def test_a_leak_in_a_case_that_rests_is_found(room: Watched, state: CaseState) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    with room.database.writing() as connection:
        connection.execute(update(db.cases).values(state=state))
    assert "asleep" in {one.what for one in auditor.look(room.database, [SITE], room.practice, at(6))}


def test_a_clock_that_is_set_back_an_hour_silences_no_call(room: Watched) -> None:
    room.begin(at_s=3600)
    room.clock(3600)
    assert room.fire(at(10)) == 0
    assert "clock" in {one.what for one in auditor.look(room.database, [SITE], room.practice, at(10))}
    room.clock(69)
    assert {call[0] for call in room.calls()} == {10, 30, 50}
    with room.database.reading() as connection:
        assert set(connection.scalars(select(db.notices.c.due_at_ms))) <= {at(10), at(30), at(50)}
    assert auditor.look(room.database, [SITE], room.practice, at(10)) == []


def test_who_has_accepted_by_a_clock_that_was_set_back_is_late_from_now_on(room: Watched) -> None:
    case = room.begin(at_s=3600)
    room.desk.accept(case.id, actor="wang", at_ms=at(3610))
    auditor.look(room.database, [SITE], room.practice, at(10))
    room.clock(611)
    assert (610, "street-1", "late-arrive") in [(call[0], call[1], call[3]) for call in room.calls()]


def test_what_stands_still_is_an_alarm_of_the_site(room: Watched) -> None:
    work = Work(room.facts)
    work.audited(SITE, Audited(stuck=2), at(0))
    facts.commit(room.database, work, at(0), practice=room.practice)
    room.facts.adopt(work)
    (alarm,) = room.desk.alarms()
    assert (alarm.rule, alarm.level, alarm.evidence) == ("stalled", "red", {"stuck": 2.0})
    assert [call[1] for call in room.calls()] == ["li", "wang"]


def test_cases_of_an_older_database_get_their_timers(room: Watched) -> None:
    room.begin()
    with room.database.writing() as connection:
        connection.execute(delete(db.timers))
    assert wind_all(room.database, room.practice, at(5)) == 1
    assert wind_all(room.database, room.practice, at(5)) == 0
    room.fire(at(5))
    assert len(room.calls()) == 2


@given(level=st.sampled_from(["red", "orange", "yellow", "blue"]), away_s=st.integers(0, 10**7))
@settings(max_examples=100, deadline=None)
def test_after_any_time_away_the_next_step_is_the_last_that_was_missed_of_its_rung(level: Level, away_s: int) -> None:
    case = opened("c-1", about(level), 0)
    ((leg, from_ms), *_) = running(case).items()
    assert leg is Leg.ACCEPT
    number, passed, now_ms = 0, 0, away_s * 1000
    while (one := due(case, leg, from_ms, number, now_ms, PLAIN.calendar))[1] is not None:
        number, coming = one
        assert coming is not None
        if coming.due_ms > now_ms:
            break
        number, passed = number + 1, passed + 1
    assert passed <= 6
    coming = step(case, leg, from_ms, number, PLAIN.calendar)
    assert coming is not None, "it never ends by itself"
    assert coming.due_ms > now_ms


def test_while_every_alarm_of_a_case_is_kept_quiet_nobody_is_called_and_then_at_once(room: Watched) -> None:
    room.announce("cover-1", "manhole_cover")
    room.hear(reading(0, "tilt", 90.0, device="cover-1"))
    room.clock(0)
    known = room.calls()
    assert known
    room.desk.shelve(room.the_alarm().id, until_ms=at(300), reason="pump", actor="li", at_ms=at(10))
    room.clock(299)
    assert room.calls() == known
    room.look(300)
    room.clock(306)
    later = room.calls()[len(known) :]
    assert later
    assert {second for second, *_ in later if not 300 <= second <= 305} == set()
    assert any(person == "street-1" for _, person, *_ in later)


def test_a_leak_calls_on_beside_an_alarm_that_is_kept_quiet(room: Watched) -> None:
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(0, "gas_concentration", 30.0, device="gas-1"))
    room.desk.open_permit(SITE, grid="g1", holder="h", reason="r", until_ms=at(900), actor="li", at_ms=at(1))
    room.clock(60)
    assert any(person == "street-1" for _, person, *_ in room.calls())
