"""Who may take a case, who is on duty in nights with an hour more or less, and what becomes of a call when nobody is there."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest

from messages.announcement import Place
from rules.desk import Desk
from rules.duty import book
from rules.duty.ladder import DESK
from rules.duty.roster import UNCHANGED, Absence, Changes, edges_ms, holders
from rules.duty.routing import Situation, shipped_routes, steps
from rules.duty.site import Site
from rules.escalation import timers
from rules.records import ActionRefused, CaseState
from rules.store.database import Database
from tests.rules.course import at
from tests.rules.room import SITE
from tests.rules.situation import about
from tests.rules.test_duty import ONE_POST, site
from tests.rules.test_telling import Street

BERLIN = ZoneInfo("Europe/Berlin")
"""China has had no summer time since 1991; a site elsewhere may."""
MINUTE_MS = 60_000


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_of_two_who_accept_at_the_same_moment_in_two_programs_one_has_it(database_url: str) -> None:
    ours, theirs = Database(database_url), Database(database_url)
    try:
        for round_ in range(10):
            case = Desk(ours).report(about(origin="ticket", subject=""), actor=f"{round_}", at_ms=at(round_ * 7200))
            together, outcomes = Barrier(2), dict[str, str]()

            def accept(
                database: Database,
                actor: str,
                case_id: str = case.id,
                together: Barrier = together,
                outcomes: dict[str, str] = outcomes,
                now_ms: int = at(round_ * 7200 + 5),
            ) -> None:
                together.wait()
                try:
                    outcomes[actor] = str(Desk(database).accept(case_id, actor=actor, at_ms=now_ms).accepted_by)
                except ActionRefused as refused:
                    outcomes[actor] = refused.reason

            programs = [Thread(target=accept, args=(ours, "lin")), Thread(target=accept, args=(theirs, "chen"))]
            for one in programs:
                one.start()
            for one in programs:
                one.join()
            assert sorted(outcomes.values()) in (["lin", "taken"], ["chen", "taken"])
            found = Desk(theirs).case(case.id)
            assert found is not None
            assert outcomes[str(found.accepted_by)] == found.accepted_by
            events = [line.event for line in Desk(ours).log_of_case(case.id)]
            assert events.count("case.accepted") == 1
    finally:
        ours.close()
        theirs.close()


def test_who_is_on_leave_accepts_nothing_and_those_who_are_there_go_on_being_called(street: Street) -> None:
    street.leak(0)
    here = street.roll.folder.sites[SITE]
    with street.room.database.writing() as connection:
        leave = Absence(person="lin", from_ms=at(5), until_ms=at(3600), instead="chen")
        book.enter(connection, SITE, here, leave, actor="chief", now_ms=at(1))
    street.run(0, 10)
    with pytest.raises(ActionRefused, match="on-leave"):
        street.room.desk.accept(street.case(), actor="lin", at_ms=at(11))
    street.run(11, 25)
    assert {message.person for now_s, _, _, message in street.told if now_s >= 20} == {"chen"}
    taken = street.room.desk.accept(
        street.case(), actor="zhao", whose="lin", at_ms=at(30)
    )  # the desk has spoken to him
    assert (taken.state, taken.accepted_by) == (CaseState.ACCEPTED, "lin")


def test_leave_that_covers_the_whole_ladder_ends_at_the_desk_and_is_said(street: Street) -> None:
    here = street.roll.folder.sites[SITE]
    with street.room.database.writing() as connection:
        for person in here.people:
            leave = Absence(person=person, from_ms=at(0), until_ms=at(86_400))
            book.enter(connection, SITE, here, leave, actor="chief", now_ms=at(0))
    with street.room.database.reading() as connection:
        street.roll.changes = book.changes(connection, at(0))
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    street.run(0, 200)
    assert street.told == []
    assert {name.partition("/")[0] for name in street.states()} == {DESK.id}
    log = [(line.event, line.detail) for line in street.room.desk.log_of_case(street.case())]
    assert [detail for event, detail in log if event == "oncall.gap"][:3] == ["1", "2", "3"]
    assert set(street.states().values()) == {"handed_over"}  # on the pages


ROUTED = """
[[routes]]
first = ["person:lin", "owner"]
second = ["community"]
[owners.company]
name = { zh = "公司", en = "Company" }
people = ["chen"]
"""


def test_who_is_called_by_name_or_for_the_owner_may_be_on_leave_too(tmp_path: Path) -> None:
    here = site(tmp_path, ONE_POST % '{ people = ["wu"] }' + ROUTED)
    situation = Situation(kind="any", level="red", place=Place(grid="g1", text="x"), owner="company")

    def called(*absences: Absence) -> list[str]:
        first = steps(here, shipped_routes(), situation, 10, Changes(absences))[0]
        return [one.id for one in first.people]

    assert called() == ["lin", "chen"]
    lin = Absence(person="lin", from_ms=0, until_ms=20, instead="wu")
    assert called(lin) == ["wu", "chen"]
    assert called(lin, Absence(person="chen", from_ms=0, until_ms=20)) == ["wu"]


def nights(tmp_path: Path, change: str) -> Site:
    """Three people around the clock whose shifts begin and end in the hour that is left out, or comes twice."""
    shifts = ", ".join(
        f'{{ people = ["{name}"], from = "{begins}", until = "{ends}" }}'
        for name, begins, ends in (("lin", "22:00", change), ("chen", change, "10:00"), ("wu", "10:00", "22:00"))
    )
    return site(tmp_path, f'calendar = {{ zone = "Europe/Berlin" }}\n{ONE_POST % shifts}')


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-12-31", "2027-01-01"])
@pytest.mark.parametrize("change", ["02:00", "02:30", "03:00"])
def test_nobody_is_missing_and_nobody_comes_twice_in_a_night_with_an_hour_more_or_less(
    tmp_path: Path, day: str, change: str
) -> None:
    here = nights(tmp_path, change)
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN)
    from_ms = round((noon - timedelta(days=1)).timestamp() * 1000)
    until_ms = round((noon + timedelta(days=1)).timestamp() * 1000)
    found = [holders(here, "day", UNCHANGED, at_ms) for at_ms in range(from_ms, until_ms, MINUTE_MS)]
    assert {len(one) for one in found} == {1}
    turns = [one for one, before in zip(found[1:], found, strict=False) if one != before]
    assert turns == [["lin"], ["chen"], ["wu"]] * 2


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_between_two_moments_of_a_roster_nothing_changes_in_such_a_night_either(tmp_path: Path, day: str) -> None:
    here = nights(tmp_path, "02:30")
    noon_ms = round(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN).timestamp() * 1000)
    edges = edges_ms(here, here.posts.values(), UNCHANGED, noon_ms - 86_400_000, noon_ms)
    for begins, ends in pairwise(edges):
        there = {tuple(holders(here, "day", UNCHANGED, at_ms)) for at_ms in range(begins, ends, MINUTE_MS)}
        assert len(there) == 1


def test_a_week_that_goes_round_goes_round_over_the_years_end(tmp_path: Path) -> None:
    shifts = '{ people = ["lin", "chen", "wu"], rotate_days = 7, since = 2026-12-14 }'
    here = site(tmp_path, ONE_POST % shifts)
    zone = here.clock().zone

    def weeks() -> Iterator[str]:
        for week in range(6):
            day = datetime(2026, 12, 14, 9, tzinfo=zone) + timedelta(days=7 * week)
            (person,) = holders(here, "day", UNCHANGED, round(day.timestamp() * 1000))
            yield person

    assert list(weeks()) == ["lin", "chen", "wu"] * 2


def test_the_night_of_a_years_last_workday_reaches_into_the_new_year(tmp_path: Path) -> None:
    shifts = '{ people = ["lin"], days = "workdays", from = "20:00", until = "08:00" }'
    here = site(tmp_path, "calendar = { days_off = [2027-01-01] }\n" + ONE_POST % shifts)

    def there(text: str) -> list[str]:
        then = datetime.fromisoformat(text).replace(tzinfo=here.clock().zone)
        return holders(here, "day", UNCHANGED, round(then.timestamp() * 1000))

    assert there("2027-01-01T07:59") == ["lin"]
    assert there("2027-01-01T08:00") == []
    assert there("2027-01-01T20:00") == []  # a day off


def test_a_case_keeps_who_has_it_when_somebody_else_answers_late(street: Street) -> None:
    street.leak(0)
    case = street.room.desk.accept(street.case(), actor="lin", at_ms=at(5))
    with pytest.raises(ActionRefused, match="taken"):
        street.room.desk.accept(case.id, actor="chen", at_ms=at(5))
    assert street.room.desk.case(case.id) == case


def test_the_owner_of_a_device_that_only_the_sites_file_names_is_called(street: Street) -> None:
    file = street.folder / "sites" / "junmen.toml"
    owned = """
[[routes]]
first = ["owner"]
second = ["street"]
[owners.company]
name = { zh = "公司", en = "Company" }
people = ["chen"]
devices = ["gas-1"]
"""
    file.write_text(file.read_text(encoding="utf-8") + owned, encoding="utf-8")
    street.roll.folder.look()
    street.leak(0)
    street.run(20, 40)
    assert {message.person for _, _, _, message in street.told} == {"chen"}
