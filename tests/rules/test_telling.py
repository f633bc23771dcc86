"""From an alarm to the people who are told: the roster's ladder, the outbox, what providers answer, and restarts in between."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from messages.ids import SiteId
from rules.cases.practice import Practice
from rules.duty import book
from rules.duty.folder import SiteFolder
from rules.duty.roll import Roll
from rules.duty.roster import Absence
from rules.engine.work import Work
from rules.escalation import timers
from rules.notices import links, outbox, sendings
from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.notices.config import ALL_LEVELS, Way
from rules.notices.limits import limit
from rules.notices.plan import Habits
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

NIGHT_S = 12 * 3600 + 53 * 60 + 20
"""From the courses' T0, 16:53:20 on 9 October 2025 in Shanghai, to the middle of the night's quiet hours."""

PEOPLE = """
name = { zh = "军门社区", en = "Junmen" }
[grids.g1]
name = { zh = "一", en = "One" }
[people.lin]
name = "林小梅"
phone = "138 0000 0001"
reach = ["app:LinXiaoMei", "sms"]
[people.chen]
name = "Chen"
language = "en"
phone = "13800000002"
reach = ["sms"]
[people.street-desk]
name = "街道值班"
phone = "059100000008"
reach = ["voice"]
[posts.g1]
role = "grid_worker"
grids = ["g1"]
shifts = [{ people = ["lin"] }]
[posts.help]
role = "helper"
shifts = [{ people = ["chen"] }]
[posts.street]
role = "street"
shifts = [{ people = ["street-desk"] }]
"""

Answering = Callable[[str, Message], Outcome]


def way(name: str, *limits: str) -> Way:
    return Way(
        name=name,
        channel=None,
        levels=frozenset(ALL_LEVELS),
        limits=tuple(map(limit, limits)),
        receiver_limits=(),
    )


@dataclass
class Street:
    """An engine, a roster and a sender on a clock of the test's. `answers` is what the providers say."""

    folder: Path
    answers: Answering = lambda _way, _message: Taken()
    ways: dict[str, Way] = field(default_factory=lambda: {name: way(name) for name in ("app", "sms", "voice")})
    told: list[tuple[float, str, str, Message]] = field(default_factory=list)
    """When (seconds), by what, to which address, what."""

    def __post_init__(self) -> None:
        (self.folder / "sites").mkdir()
        (self.folder / "sites" / "junmen.toml").write_text(PEOPLE, encoding="utf-8")
        self.room = Room(self.folder)
        self.roll = Roll(SiteFolder(self.folder / "sites"))
        self.roll.folder.look()
        self.practice = Practice(ladder=self.roll.ladder, owner=self.roll.owner)

    def leak(self, now_s: float, device: str = "gas-1") -> None:
        self.room.announce(device, "gas_alarm", now_s)
        self._hear(now_s, reading(now_s, "gas_concentration", 30.0, device=device))

    def rise(self, now_s: float, device: str) -> None:
        """A yellow alarm."""
        self.room.announce(device, "sewer_level", now_s, depth=2.0)
        self._hear(now_s, *(reading(now_s + s, "water_level", 1.7, device=device) for s in (0, 5, 11)))

    def _hear(self, now_s: float, *some: object) -> None:
        for one in some:
            work = Work(self.room.facts)
            work.hear(SITE, EDGE, [one], at(now_s + 20))  # type: ignore[list-item]
            facts.commit(self.room.database, work, at(now_s), practice=self.practice)
            self.room.facts.adopt(work)

    def resume(self, now_s: float) -> None:
        """An engine has been killed, and another begins."""
        with self.room.database.writing() as connection:
            sendings.resume(connection, at(now_s))

    def run(self, from_s: float, until_s: float) -> None:
        """Fire timers and send, at each second at which something is due."""
        now_s = from_s
        while now_s <= until_s:
            with self.room.database.writing() as connection:
                self.roll.changes = book.changes(connection, at(now_s))
                timers.fire_due(connection, self.practice, at(now_s))
            for begun in self.take(now_s):
                self.told.append((now_s, begun.way, begun.to, begun.message))
                with self.room.database.writing() as connection:
                    sendings.end(connection, [(begun, self.answers(begun.way, begun.message))], at(now_s))
            with self.room.database.reading() as connection:
                due = [ms for ms in (timers.next_due_ms(connection), outbox.next_due_ms(connection)) if ms is not None]
            now_s = max(now_s + 1, math.ceil((min(due, default=at(until_s) + 1000) - at(0)) / 1000))

    def take(self, now_s: float) -> list[sendings.Begun]:
        with self.room.database.writing() as connection:
            return outbox.take(
                connection, self.ways, self.roll.find, self.practice, Habits(), "https://pages.example", at(now_s)
            )

    def whom(self) -> list[tuple[float, str, str]]:
        return [(now_s, name, to) for now_s, name, to, _ in self.told]

    def states(self) -> dict[str, str]:
        with self.room.database.reading() as connection:
            return {f"{row.person}/{row.reason}": row.state for row in connection.execute(select(db.notices))}

    def case(self) -> str:
        (case,) = self.room.desk.cases()
        return case.id


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def test_a_red_case_nobody_accepts_is_told_to_two_people_within_a_minute_and_to_the_street_at_sixty_seconds(
    street: Street,
) -> None:
    """F4: two people by two channels by 60 s, the street at 60 s."""
    street.leak(0)
    street.run(0, 65)
    before = {(name, to) for at_s, name, to in street.whom() if at_s < 60}
    assert {("app", "LinXiaoMei"), ("sms", "13800000001"), ("sms", "13800000002")} <= before
    assert min(at_s for at_s, _, to in street.whom() if to == "059100000008") == 60


def test_everybody_is_told_in_his_own_language_what_where_and_how_long_is_left(street: Street) -> None:
    street.leak(0)
    street.run(0, 0)
    chinese = next(message for _, _, to, message in street.told if to == "LinXiaoMei")
    english = next(message for _, _, to, message in street.told if to == "13800000002")
    assert chinese.text == "【红色】燃气泄漏\n3号楼2单元101厨房\n请接单, 还剩1分钟"
    assert english.text == "[RED] Gas leak\n3号楼2单元101厨房\nPlease accept, 1 min left"
    assert chinese.link.startswith("https://pages.example/c/")
    assert chinese.link != english.link


def test_what_happened_long_ago_says_so_in_its_first_lines(street: Street) -> None:
    street.room.announce("gas-1", "gas_alarm")
    work = Work(street.room.facts)
    work.hear(SITE, EDGE, [reading(0, "gas_concentration", 30.0, device="gas-1")], at(7200))
    facts.commit(street.room.database, work, at(7200), practice=street.practice)
    street.run(7200, 7200)
    said = next(message for _, _, to, message in street.told if to == "LinXiaoMei")
    assert said.text.splitlines()[1] == "发生于 16:53（2小时前）"


def test_acceptance_ends_the_calls_that_asked_for_it(street: Street) -> None:
    street.leak(0)
    street.run(0, 5)
    street.room.desk.accept(street.case(), actor="lin", at_ms=at(6))
    count = len(street.told)
    street.run(6, 200)
    later = {message.left for _, _, _, message in street.told[count:]}
    assert not any("接单" in words for words in later)


def test_a_channel_that_fails_is_tried_again_and_then_the_next_one(street: Street) -> None:
    street.answers = lambda name, _: Failed("503") if name == "app" else Taken()
    street.leak(0)
    street.run(0, 19)
    to_lin = [(at_s, name) for at_s, name, to in street.whom() if to in ("LinXiaoMei", "13800000001")]
    assert to_lin == [(0, "app"), (2, "app"), (3, "sms")]  # F6: handed over within 15 s
    assert street.states()["lin/new"] == "handed_over"


def test_a_channel_that_refuses_for_good_is_left_at_once(street: Street) -> None:
    street.answers = lambda name, _: Failed("no such member", for_good=True) if name == "app" else Taken()
    street.leak(0)
    street.run(0, 3)
    assert [name for _, name, to in street.whom() if to in ("LinXiaoMei", "13800000001")] == ["app", "sms"]


def test_when_nobody_can_be_reached_the_next_rung_is_called_at_once(street: Street) -> None:
    street.answers = lambda name, _: Taken() if name == "voice" else Failed("gone", for_good=True)
    street.leak(0)
    street.run(0, 10)
    assert street.states()["lin/new"] == "exhausted"
    assert min(at_s for at_s, _, to in street.whom() if to == "059100000008") <= 5


def test_nothing_is_handed_over_that_the_provider_did_not_take(street: Street) -> None:
    street.answers = lambda _name, _message: Failed("502")
    street.leak(0)
    street.run(0, 40)
    states = street.states()
    assert states.pop("desk/nobody-accepts") == "handed_over"  # the last resort needs no provider
    assert not {"handed_over", "delivered"} & set(states.values())


def test_a_send_that_a_kill_cut_off_is_sent_again_under_the_same_key(street: Street) -> None:
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    lost = street.take(0)
    assert lost
    street.room.start()
    street.run(1, 14)
    assert street.told == []
    street.run(15, 16)
    assert {begun.message.key for begun in lost} == {message.key for _, _, _, message in street.told}


def test_what_ended_with_an_engine_goes_again_when_one_begins_and_is_no_fault_of_its_channel(street: Street) -> None:
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    first = street.take(0)
    for life in range(1, sendings.CUT_OFF_MOST):
        street.resume(life)
        assert [(begun.way, begun.message.key) for begun in street.take(life)] == [
            (begun.way, begun.message.key) for begun in first
        ]
    street.resume(5)
    street.run(5, 6)
    assert {(name, message.key) for _, name, _, message in street.told} == {
        (begun.way, begun.message.key) for begun in first
    }
    assert "handed_over" in street.states().values()


def test_what_ends_one_engine_after_the_other_waits_for_its_deadline_and_goes_by_the_next_channel(
    street: Street,
) -> None:
    def way_to_lin(now_s: float) -> set[str]:
        return {begun.way for begun in street.take(now_s) if begun.to in ("LinXiaoMei", "13800000001")}

    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    for life in range(sendings.CUT_OFF_MOST + 1):
        assert way_to_lin(life) == {"app"}
        street.resume(life)
    assert way_to_lin(5) == set()
    for at_s, way in ((20, {"app"}), (35, {"sms"})):
        assert way_to_lin(at_s) == way
        street.resume(at_s)


def test_several_yellow_ones_of_one_person_are_one_message(street: Street) -> None:
    for index in range(3):
        street.rise(0, f"sewer-{index}")
    street.run(12, 200)
    to_lin = [message for _, _, to, message in street.told if to == "LinXiaoMei"]
    assert len(to_lin) == 1
    assert "另有2件" in to_lin[0].text


def test_yellow_waits_for_the_morning_and_red_does_not(street: Street) -> None:
    street.rise(NIGHT_S, "sewer-1")
    street.leak(NIGHT_S)
    street.run(NIGHT_S + 12, NIGHT_S + 300)
    assert {message.level for _, _, _, message in street.told} == {"red"}


def test_a_flood_of_bins_does_not_hold_up_an_sos(street: Street) -> None:
    """F5: the reserve of the channel is red's."""
    street.ways = {name: way(name, "20/1min") for name in ("app", "sms", "voice")}
    for index in range(60):
        street.rise(0, f"sewer-{index}")
    street.run(130, 140)
    street.leak(141)
    street.run(141, 146)
    assert any(message.level == "red" and at_s <= 146 for at_s, _, _, message in street.told)
    within = [at_s for at_s, _, to, _ in street.told if to == "LinXiaoMei" and at_s <= 600]
    assert len(within) <= 10


def test_leave_that_is_entered_in_the_book_changes_who_is_called(street: Street) -> None:
    site = street.roll.folder.sites[SiteId("junmen")]
    away = Absence(person="lin", from_ms=at(0), until_ms=at(86_400), instead="chen")
    with street.room.database.writing() as connection:
        entry = book.enter(connection, SITE, site, away, actor="zhao", now_ms=at(0))
        street.roll.changes = book.changes(connection, at(1))
    street.leak(10)
    street.run(10, 12)
    assert {to for _, _, to in street.whom()} == {"13800000002"}
    with street.room.database.writing() as connection:
        assert book.withdraw(connection, entry, actor="zhao", now_ms=at(13))
        assert not book.withdraw(connection, entry, actor="zhao", now_ms=at(14))
        assert book.changes(connection, at(14)) == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Absence(person="lim", from_ms=at(0), until_ms=at(9)), "did you mean `lin`?"),
        (Absence(person="lin", instead="lin", from_ms=at(0), until_ms=at(9)), "himself"),
        (Absence(person="lin", from_ms=at(9), until_ms=at(9)), "ends before"),
        (Absence(person="lin", from_ms=at(-9), until_ms=at(-1)), "past"),
        (Absence(person="lin", from_ms=at(0), until_ms=at(400 * 86_400)), "year"),
    ],
)
def test_a_change_that_can_not_be_is_refused(street: Street, change: Absence, why: str) -> None:
    site = street.roll.folder.sites[SiteId("junmen")]
    with street.room.database.writing() as connection, pytest.raises(book.WrongChange, match=why):
        book.enter(connection, SITE, site, change, actor="zhao", now_ms=at(0))


def test_a_link_opens_its_own_case_until_it_expires_or_is_revoked(street: Street) -> None:
    street.leak(0)
    street.run(0, 0)
    token = next(message.link for _, _, to, message in street.told if to == "LinXiaoMei").rpartition("/")[2]
    with street.room.database.writing() as connection:
        assert links.opened(connection, token, at(5)) == (street.case(), "lin")
        assert links.opened(connection, token + "x", at(5)) is None
        assert links.opened(connection, token, at(0) + links.LINK_MS) is None
        sendings.read(connection, street.case(), "lin", at(5))
    assert street.states()["lin/new"] == "read"
    with street.room.database.writing() as connection:
        assert links.revoke(connection, at(6), person="lin") == 1
        assert links.opened(connection, token, at(7)) is None
    assert token not in (street.folder / "rules.db").read_bytes().decode("latin-1")


def test_the_desk_is_told_by_its_pages_where_no_site_is_known(street: Street) -> None:
    street.roll.folder.sites = {}
    street.leak(0)
    street.run(0, 2)
    assert street.told == []
    assert street.states() == {"desk/new": "handed_over"}
