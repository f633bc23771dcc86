"""Who isn't seen is asked first how she is, then her contacts, and then a worker goes there (section 4, 静安); what she answers decides."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from messages.alarm import Level
from messages.announcement import Place
from messages.settings import ConfigError, Text
from rules.cases import docket
from rules.cases.acts import HELP, SAFE
from rules.cases.case import Situation
from rules.cases.measures import course, of_row
from rules.cases.policy import load_policies
from rules.cases.practice import Practice
from rules.desk import Desk
from rules.drills import exercise
from rules.engine.work import Work
from rules.escalation import auditor, timers
from rules.escalation.program import Leg
from rules.language.library import load_rules
from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.records import Case, CaseState
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import KINDS, at, reading
from tests.rules.room import EDGE, SITE, Room
from tests.rules.test_telling import PEOPLE, Street

SHE, SON, NEIGHBOUR = "059100000031", "13800000031", "13800000032"
WORKERS = {"LinXiaoMei", "13800000001", "13800000002"}
HOME = """
[buildings.3]
grid = "g1"
[households.h-301]
building = "3"
resident = "陈阿婆"
phone = "059100000031"
contacts = [{ name = "陈建军", relation = "儿子", phone = "13800000031" }, { name = "李秀珍", phone = "13800000032" }]
consent = 2026-03-01
devices = ["door-301", "meter-301"]
"""
RESIDENT, CONTACT = "resident:h-301", "contact-1:h-301"
NIGHT_S, SEVEN_S = 12 * 3600, 14 * 3600 + 400
"""From the courses' T0, 16:53:20 on 9 October 2025 in Shanghai, to 04:53:20 and to 07:00 the next day."""


@dataclass
class Place301(Street):
    """A street with somebody who is looked after."""

    home: str = HOME
    url: str = ""
    """Of a database elsewhere than in `folder`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.url:
            self.room.database.close()
            self.room = Room(self.folder, self.url)
        (self.folder / "sites" / "junmen.toml").write_text(PEOPLE + self.home, encoding="utf-8")
        self.roll.folder.look()
        assert not self.roll.folder.faults
        self.practice = Practice(ladder=self.roll.ladder, owner=self.roll.owner, home=self.roll.home)

    @property
    def desk(self) -> Desk:
        return Desk(self.room.database, self.practice)

    def unseen(
        self, now_s: float, level: Level = "yellow", *, device: str = "door-301", situation: str = "unseen"
    ) -> Case:
        """A case of an alarm of that word and level."""
        about = Situation(
            site=SITE,
            place=Place(grid="g1", building="3", text="3号楼2单元301"),
            kind="elderly_door" if device == "door-301" else "water_meter",
            subject=device,
            title=Text(zh="老人家门长时间未开", en="An elderly person's door stays shut"),
            level=level,
            origin="alarm",
            situation=situation,
        )
        with self.room.database.writing() as connection:
            case, _ = docket.for_alarm(connection, f"c-{device}", about, "not_opened", at(now_s), self.practice)
        return case

    def door(self, now_s: float, *, open_: bool) -> None:
        """What the magnet at her door says."""
        work = Work(self.room.facts)
        work.hear(SITE, EDGE, [reading(now_s, "open", open_, device="door-301")], at(now_s))
        facts.commit(self.room.database, work, at(now_s), practice=self.practice)
        self.room.facts.adopt(work)

    def shut_from(self, now_s: float, until: Callable[[], bool]) -> float:
        """It says once an hour that the door is shut, until something has come of that; when that is, in seconds."""
        for hour in range(1, 60):
            self.door(now_s + 3600 * hour, open_=False)
            if until():
                return now_s + 3600 * hour
        raise AssertionError("nothing came of it")

    def shut_for_a_day(self) -> float:
        """Until it is said that her door stays shut."""
        self.room.announce("door-301", "elderly_door", 0)
        self.door(0, open_=True)
        self.door(60, open_=False)
        return self.shut_from(60, lambda: bool(self.desk.cases()))

    def now(self) -> Case:
        (case,) = self.desk.cases()
        return case

    def events(self, case: Case) -> list[tuple[float, str, str]]:
        quiet = ("notify.handed_over", "alarm")
        return [
            ((line.at_ms - case.opened_at_ms) / 1000, line.event, line.detail)
            for line in self.desk.log_of_case(case.id)
            if not line.event.startswith(quiet)
        ]


@pytest.fixture
def home(tmp_path: Path) -> Place301:
    return Place301(tmp_path)


def without(home: Path, *lines: str) -> Place301:
    """A household of which the file lacks something."""
    text = HOME
    for line in lines:
        text = "\n".join(one for one in text.splitlines() if not one.startswith(line))
    return Place301(home, home=text)


def test_she_is_asked_then_her_son_and_then_a_worker_goes_whose_time_begins_with_his_call(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 1000)
    assert [one for one in home.whom() if one[2] not in WORKERS] == [(0, "sms", SHE), (300, "sms", SON)]
    assert (
        min(at_s for at_s, _, to in home.whom() if to in WORKERS) == 600 + 120
    )  # yellow waits two minutes for company
    now = home.now()
    assert (now.clock_from_ms, now.accept_by_ms) == (at(600), at(600 + 1800))
    assert home.events(case)[:4] == [
        (0, "notify.queued", "ask-resident: 陈**"),
        (300, "notify.queued", "ask-contact: 陈**"),
        (600, "case.unanswered", ""),
        (600, "notify.queued", "new: 林小梅"),
    ]


def test_a_number_that_takes_no_text_rings(home: Place301) -> None:
    home.answers = lambda way, _: Failed("a landline", for_good=True) if way == "sms" else Taken()
    home.unseen(0)
    home.run(0, 10)
    assert home.whom() == [(0, "sms", SHE), (1, "voice", SHE)]


def test_of_orange_all_her_contacts_are_asked_and_the_worker_has_his_three_minutes_after_them(home: Place301) -> None:
    home.unseen(0, "orange")
    home.run(0, 800)
    asked = [(at_s, to) for at_s, _, to in home.whom() if to not in WORKERS and at_s < 600]
    assert asked == [(0, SHE), (300, SON), (300, NEIGHBOUR)]
    assert min(at_s for at_s, _, to in home.whom() if to in WORKERS) == 600
    assert not [to for at_s, _, to in home.whom() if to == "059100000008" and at_s < 780]
    assert [at_s for at_s, event, _ in home.events(home.now()) if event == "sla.breached"] == [780]


def test_a_door_that_stays_shut_asks_her_and_who_says_well_is_believed_until_the_door_opens(home: Place301) -> None:
    began_s = home.shut_for_a_day()
    home.run(began_s, began_s + 30)
    assert [to for _, _, to in home.whom()] == [SHE]
    case = home.now()
    answered = home.desk.safe(case.id, actor=RESIDENT, at_ms=at(began_s + 40))
    assert (answered.state, answered.outcome, answered.feedback_by) == (CaseState.FEEDBACK, SAFE, RESIDENT)
    home.run(began_s + 40, began_s + 7200)
    assert [to for _, _, to in home.whom()] == [SHE]
    home.door(began_s + 7200, open_=True)
    now = home.desk.case(case.id)
    assert now
    assert (now.state, now.feedback_by, now.verified_by) == (CaseState.CLOSED, RESIDENT, "rules")
    said = [(line.event, line.actor, line.detail) for line in home.desk.log_of_case(case.id)]
    assert ("case.answered", RESIDENT, SAFE) in said


def test_who_says_well_and_is_not_seen_for_another_day_is_called_for_at_once(home: Place301) -> None:
    began_s = home.shut_for_a_day()
    home.run(began_s, began_s + 30)
    home.desk.safe(home.now().id, actor=RESIDENT, at_ms=at(began_s + 40))
    graver_s = home.shut_from(began_s, lambda: home.now().level != "yellow")
    now = home.now()
    assert (now.level, now.state) == ("orange", CaseState.REOPENED)
    home.told.clear()
    home.run(graver_s, graver_s + 10)
    assert {to for _, _, to in home.whom()} == WORKERS - {"13800000001"}


def test_an_answer_of_a_house_that_is_well_by_its_sensor_too_closes_the_case_with_its_name(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 310)
    home.desk.safe(case.id, actor=CONTACT, at_ms=at(320))
    assert home.now().state is CaseState.FEEDBACK  # this case has no sensor behind it
    home.run(320, 7200)
    assert not {to for _, _, to in home.whom()} & WORKERS
    assert home.desk.safe(case.id, actor=CONTACT, at_ms=at(330)) == home.now()


def test_who_says_help_has_a_red_case_and_the_worker_at_once(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 30)
    home.desk.help(case.id, actor=RESIDENT, at_ms=at(40))
    home.told.clear()
    home.run(40, 90)
    now = home.now()
    assert (now.level, now.accept_by_ms, now.title.en) == ("red", at(100), "A resident asks for help")
    assert {to for at_s, _, to in home.whom() if at_s == 40} == {"LinXiaoMei", "13800000002"}
    assert SON not in {to for _, _, to in home.whom()}


@pytest.mark.parametrize("end", ["safe", "closed", "cancelled", "merged", "suspended", "accepted"])
def test_help_is_never_refused_however_the_case_stands(home: Place301, end: str) -> None:
    case = home.unseen(0)
    home.run(0, 10)
    match end:
        case "safe":
            home.desk.safe(case.id, actor=RESIDENT, at_ms=at(20))
        case "closed":
            home.desk.finish(case.id, actor="lin", at_ms=at(20), outcome="no_cause_found")
            home.desk.verify(case.id, actor="zhao", at_ms=at(21), passed=True)
        case "cancelled":
            home.desk.cancel(case.id, actor="zhao", at_ms=at(20), reason="false_alarm")
        case "merged":
            other = home.unseen(15, device="meter-301", situation="")
            home.desk.merge(case.id, actor="zhao", at_ms=at(20), into=other.id)
        case "suspended":
            home.desk.suspend(case.id, actor="zhao", at_ms=at(20), review_ms=at(9000), reason="asked")
        case "accepted":
            home.desk.accept(case.id, actor="lin", at_ms=at(20))
    helped = home.desk.help(case.id, actor=RESIDENT, at_ms=at(40))
    home.told.clear()
    home.run(40, 45)
    assert helped.level == "red"
    assert "LinXiaoMei" in {to for _, _, to in home.whom()}
    assert ("case.answered", HELP) in [(line.event, line.detail) for line in home.desk.log_of_case(helped.id)]


def test_well_said_while_somebody_is_on_the_way_stands_in_the_log_and_stops_nobody(home: Place301) -> None:
    case = home.unseen(0)
    home.desk.accept(case.id, actor="lin", at_ms=at(10))
    assert home.desk.safe(case.id, actor=RESIDENT, at_ms=at(20)).state is CaseState.ACCEPTED
    assert (20, "case.answered", SAFE) in home.events(case)


def test_who_says_well_to_the_desk_on_the_telephone_has_said_it(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 30)
    home.desk.safe(case.id, actor="zhao", at_ms=at(40), whose=RESIDENT)
    now = home.now()
    assert (now.state, now.outcome, now.feedback_by, now.accepted_by) == (CaseState.FEEDBACK, SAFE, RESIDENT, RESIDENT)
    said = [(line.actor, line.event, line.detail) for line in home.desk.log_of_case(case.id) if line.actor == "zhao"]
    assert said == [
        ("zhao", "case.answered", f"safe for {RESIDENT}"),
        ("zhao", "case.accepted", f"for {RESIDENT}"),
        ("zhao", "case.feedback", SAFE),
    ]
    assert course(home.desk.log_of_case(case.id)) == of_row(now)
    home.run(40, 7200)
    assert not {to for _, _, to in home.whom()} & WORKERS


def test_who_says_help_to_the_desk_on_the_telephone_has_a_red_case(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 30)
    home.desk.help(case.id, actor="zhao", at_ms=at(40), whose=CONTACT)
    home.told.clear()
    home.run(40, 90)
    assert home.now().level == "red"
    assert {to for at_s, _, to in home.whom() if at_s == 40} == {"LinXiaoMei", "13800000002"}
    assert (40, "case.answered", f"help for {CONTACT}") in home.events(case)


def test_well_on_the_telephone_while_somebody_is_on_the_way_stands_in_the_log(home: Place301) -> None:
    case = home.unseen(0)
    home.desk.accept(case.id, actor="lin", at_ms=at(10))
    assert home.desk.safe(case.id, actor="zhao", at_ms=at(20), whose=RESIDENT).state is CaseState.ACCEPTED
    assert (20, "case.answered", f"safe for {RESIDENT}") in home.events(case)


def test_who_does_not_take_the_desks_call_is_waited_for_no_longer(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 30)
    home.desk.no_answer(case.id, actor="zhao", at_ms=at(60), whose=RESIDENT)
    home.run(60, 90)
    assert [at_s for at_s, _, to in home.whom() if to == SON] == [60]
    home.desk.no_answer(case.id, actor="zhao", at_ms=at(100), whose=CONTACT)
    home.run(100, 120)
    assert home.now().clock_from_ms == at(100), "the worker's time begins"
    assert [one for one in home.events(case) if one[1] == "case.no_answer"] == [
        (60, "case.no_answer", RESIDENT),
        (100, "case.no_answer", CONTACT),
    ]


def test_of_several_who_were_asked_each_may_answer_until_none_has(home: Place301) -> None:
    case = home.unseen(0, "orange")
    home.run(0, 310)
    home.desk.no_answer(case.id, actor="zhao", at_ms=at(320), whose=CONTACT)
    home.run(320, 400)
    assert not {to for _, _, to in home.whom()} & WORKERS
    home.desk.no_answer(case.id, actor="zhao", at_ms=at(410), whose="contact-2:h-301")
    home.run(410, 420)
    assert min(at_s for at_s, _, to in home.whom() if to in WORKERS) == 410


def test_a_contact_who_does_not_answer_before_it_is_his_turn_hurries_nobody(home: Place301) -> None:
    case = home.unseen(0)
    home.run(0, 30)
    home.desk.no_answer(case.id, actor="zhao", at_ms=at(60), whose=CONTACT)
    home.run(60, 299)
    assert {to for _, _, to in home.whom()} == {SHE}


@pytest.mark.parametrize(
    ("lacks", "asked", "worker_s", "gaps"),
    [
        (["phone"], [(0, SON)], 300, ["ask-resident"]),
        (["contacts"], [(0, SHE)], 300, ["ask-contact"]),
        (["phone", "contacts"], [], 0, ["ask-resident", "ask-contact"]),
        (["devices"], [], 0, ["ask-resident", "ask-contact"]),
    ],
)
def test_where_no_number_is_on_file_the_next_is_asked_at_once_and_that_is_said(
    tmp_path: Path, lacks: list[str], asked: list[tuple[float, str]], worker_s: float, gaps: list[str]
) -> None:
    home = without(tmp_path, *lacks)
    case = home.unseen(0)
    home.run(0, 900)
    assert [(at_s, to) for at_s, _, to in home.whom() if to not in WORKERS] == asked
    assert home.now().clock_from_ms == at(worker_s)
    assert [detail for _, event, detail in home.events(case) if event == "home.gap"] == gaps


@pytest.mark.parametrize("refused", [{SHE}, {SHE, SON}])
def test_who_can_not_be_reached_is_passed_over_at_once(home: Place301, refused: set[str]) -> None:
    def answers(_way: str, message: Message) -> Outcome:
        number = SHE if message.person == RESIDENT else SON
        return Failed("no such number", for_good=True) if number in refused and ":" in message.person else Taken()

    home.answers = answers
    home.unseen(0)
    home.run(0, 400)
    first = min((at_s for at_s, _, to in home.whom() if to == SON), default=math.inf)
    assert first < 10
    if SON in refused:
        assert home.now().clock_from_ms < at(20)
    else:
        assert at(300) <= home.now().clock_from_ms < at(310)


def test_nobody_is_woken_for_what_waits_till_the_morning_and_orange_knows_no_night(home: Place301) -> None:
    home.unseen(NIGHT_S)
    home.unseen(NIGHT_S, "orange", device="meter-301", situation="unseen")
    home.run(NIGHT_S, SEVEN_S + 400)
    asked = [(at_s, to) for at_s, _, to in home.whom() if to in (SHE, SON)]
    assert asked[:2] == [(NIGHT_S, SHE), (NIGHT_S + 300, SON)]
    assert [at_s for at_s, _ in asked[2:]] == [SEVEN_S, SEVEN_S + 300]


@pytest.mark.parametrize("level", ["red", "blue"])
def test_of_red_nobody_is_asked_first_and_of_blue_neither(home: Place301, level: Level) -> None:
    case = home.unseen(0, level)
    assert case.policy.ask_s is None
    home.run(0, 30)
    assert not {to for _, _, to in home.whom()} & {SHE, SON}


def test_what_is_red_by_its_rule_or_is_no_word_of_who_is_unseen_asks_nobody() -> None:
    asking = {
        (kind, one.id)
        for kind, some in load_rules(KINDS).items()
        for one in some
        if load_policies().of("orange", kind, one.situation).ask_s is not None
    }
    assert asking == {("elderly_door", "not_opened"), ("water_meter", "no_use")}


def test_what_becomes_red_while_she_is_asked_calls_the_worker_at_once(home: Place301) -> None:
    case = home.unseen(0, "orange")
    home.run(0, 100)
    with home.room.database.writing() as connection:
        docket.worsened(connection, case.id, "red", at(100), home.practice)
    home.told.clear()
    home.run(100, 400)
    assert min(at_s for at_s, _, to in home.whom() if to in WORKERS) == 100
    assert SON not in {to for _, _, to in home.whom()}
    assert home.desk.safe(case.id, actor=RESIDENT, at_ms=at(110)).state is CaseState.REGISTERED


def test_two_cases_of_one_house_are_two_questions(home: Place301) -> None:
    home.unseen(0, "orange")
    home.unseen(0, "orange", device="meter-301")
    home.run(0, 5)
    assert [(to, message.more) for _, _, to, message in home.told] == [(SHE, 0), (SHE, 0)]
    assert len({message.case for *_, message in home.told}) == 2


def test_in_a_drill_nobody_of_the_house_is_called(home: Place301) -> None:
    with home.room.database.writing() as connection:
        exercise.start(connection, SITE, actor="chen", why="演练", until_ms=at(3600), now_ms=at(0))
    case = home.unseen(0)
    home.run(0, 1000)
    assert home.whom() == []
    assert (600, "case.unanswered", "") in home.events(case)


def test_a_restart_between_any_two_steps_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    whole, broken = Place301(tmp_path / "one"), Place301(tmp_path / "other")
    whole.unseen(0)
    whole.run(0, 1500)
    broken.unseen(0)
    for at_s in range(0, 1500, 50):
        broken.room.start()
        broken.run(at_s, at_s + 49)
    assert broken.whom() == whole.whom()


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_question_of_which_the_timer_is_gone_is_found_and_asked(tmp_path: Path, database_url: str) -> None:
    home = Place301(tmp_path, url=database_url)
    case = home.unseen(0)
    with home.room.database.writing() as connection:
        connection.execute(delete(db.timers).where(db.timers.c.leg == Leg.ASK))
        assert [one.id for one in timers.lacking(connection)] == [case.id]
    assert [one.what for one in auditor.look(home.room.database, [SITE], home.practice, at(4))] == ["no-timer"]
    with home.room.database.reading() as connection:
        assert list(connection.scalars(select(db.timers.c.leg).where(db.timers.c.leg == Leg.ASK))) == [Leg.ASK]
        assert timers.lacking(connection) == []
    home.room.database.close()


def test_who_is_sent_by_the_desk_while_she_is_asked_has_his_time_from_then(home: Place301) -> None:
    case = home.unseen(0, "orange")
    home.run(0, 100)
    home.desk.dispatch(case.id, actor="zhao", at_ms=at(100), to="lin")
    now = home.now()
    assert (now.clock_from_ms, now.accept_by_ms) == (at(100), at(280))
    home.run(100, 700)
    assert SON not in {to for _, _, to in home.whom()}


def test_the_log_and_the_list_of_calls_hold_no_name_and_no_number_in_full(home: Place301) -> None:
    case = home.unseen(0, "orange")
    home.run(0, 400)
    words = [f"{line.actor} {line.detail}" for line in home.desk.log_of_case(case.id)]
    told = [one for one in home.desk.told(case.id) if ":" in one.person]
    for secret in ("陈阿婆", "陈建军", "李秀珍", SHE, SON, NEIGHBOUR):
        assert not any(secret in one for one in words)
        assert not any(secret in f"{one.name} {one.tries}" for one in told)
    assert {try_.receiver for one in told for try_ in one.tries} >= {"059****0031", "138****0031"}


def test_the_time_to_answer_is_a_setting_and_naught_asks_nobody(tmp_path: Path) -> None:
    own = tmp_path / "policies.toml"
    own.write_text('[situations.unseen]\nask = "3min"\n', encoding="utf-8")
    assert load_policies(own).of("yellow", "elderly_door", "unseen").ask_s == 180
    own.write_text('[situations.unseen]\nask = "0s"\n', encoding="utf-8")
    assert load_policies(own).of("yellow", "elderly_door", "unseen").ask_s is None
    own.write_text('[situations.unseen]\nask = "2h"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"policies\.toml:2"):
        load_policies(own)
