"""What other systems bring in and read, on each sort of database: tickets once, pages whole, nothing of other sites."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text
from rules.cases.case import Situation
from rules.desk import Desk
from rules.outside.reading import Wanted
from rules.outside.tickets import TicketRefused, plain_code
from rules.records import Photo
from rules.store.database import Database
from tests.backups import back_up, restore

NOON_MS = 1_795_233_600_000


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    database = Database(database_url)
    yield Desk(database)
    database.close()


def about(kind: str = "citizen_report", site: str = "junmen", **more: Any) -> Situation:
    plain: dict[str, Any] = {
        "site": SiteId(site),
        "place": Place(grid="g1", text="东街口"),
        "kind": kind,
        "subject": "",
        "title": Text(zh="井盖松动", en="A loose cover"),
        "level": "yellow",
        "origin": "ticket",
    }
    return Situation(**plain | more)


def bring(desk: Desk, reference: str, what: Situation, **more: Any) -> Any:
    return desk.take_ticket("12345", reference, what, words="x", actor="api:12345", at_ms=NOON_MS, **more)


def test_a_ticket_is_taken_once_and_found_by_its_number_and_its_code(desk: Desk) -> None:
    photo = Photo("0" * 64, 9, "image/jpeg")
    ticket, case, new = bring(desk, "1", about(), photo=photo)
    again, same, second = bring(desk, "1", about("waste_bin"))
    assert (new, second) == (True, False)
    assert (ticket, case.id) == (again, same.id)
    assert desk.ticket("12345", "1") == (ticket, case)
    assert desk.ticket("other", "1") is None
    assert desk.ticket_by_code("-".join((ticket.code[:8].lower(), ticket.code[8:]))) == (ticket, case)
    assert desk.photo_of(("junmen",), case.id, photo.sha256) == photo
    assert desk.photo_of(("xicheng",), case.id, photo.sha256) is None
    with pytest.raises(TicketRefused, match="other-site"):
        bring(desk, "1", about(site="xicheng"))


def test_a_ticket_whose_case_was_merged_is_with_the_case_that_goes_on(desk: Desk) -> None:
    _, one, _ = bring(desk, "1", about())
    _, other, _ = bring(desk, "2", about("waste_bin"))
    desk.merge(one.id, actor="chen", at_ms=NOON_MS, into=other.id)
    found = desk.ticket("12345", "1")
    assert found
    assert found[1].id == other.id
    whole = desk.whole_case(None, other.id)
    assert whole
    assert [ticket.reference for ticket in whole.tickets] == ["1", "2"]


def test_pages_and_changes_are_of_the_sites_that_are_asked_for(desk: Desk) -> None:
    begin = desk.changes_for(None, None, 9).position
    cases = [bring(desk, str(n), about(kind))[1] for n, kind in enumerate(("siren", "waste_bin", "manhole_cover"))]
    bring(desk, "far", about(site="xicheng"))
    seen, after = list[str](), None
    while page := desk.cases_for(Wanted(sites=("junmen",), open=True), after, 2):
        seen += [case.id for case in page]
        after = (page[-1].opened_at_ms, page[-1].id)
    assert sorted(seen) == sorted(case.id for case in cases)
    assert len(desk.cases_for(Wanted(), None, 9)) == 4
    assert desk.cases_for(Wanted(open=False), None, 9) == []
    assert desk.alarms_for(Wanted(open=True, sites=("junmen",)), (NOON_MS, "a"), 9) == []
    end = desk.changes_for(("junmen",), None, 9).position
    every = desk.changes_for(("junmen",), begin, 99)
    assert {change.site for change in every.changes} == {"junmen"}
    assert (every.position, every.anew) == (end, False)
    some = desk.changes_for(("junmen",), begin, 2)
    rest = desk.changes_for(("junmen",), some.position, 99)
    assert ((*some.changes, *rest.changes), rest.position) == (every.changes, end)


def test_who_knows_a_line_that_the_log_no_longer_holds_is_told_so_however_far_it_has_grown(tmp_path: Path) -> None:
    file = tmp_path / "rules.db"
    desk = Desk(Database(f"sqlite:///{file}", follow=True))
    bring(desk, "1", about())
    at_the_copy = desk.changes_for(None, None, 9).position
    back_up(file, tmp_path / "copy.db")
    bring(desk, "lost", about("waste_bin"))
    lost = desk.changes_for(None, at_the_copy, 9)
    assert (lost.position.seq > at_the_copy.seq, lost.anew) == (True, False)
    restore(tmp_path / "copy.db", file)
    ahead = desk.changes_for(None, lost.position, 9)
    assert (ahead.changes, ahead.anew) == ((), True)
    for number in range(3):
        bring(desk, f"after-{number}", about("siren"))
    behind = desk.changes_for(None, lost.position, 99)
    assert (behind.changes, behind.anew, behind.position.seq > lost.position.seq) == ((), True, True)
    assert desk.changes_for(None, at_the_copy, 99).position == behind.position


def test_a_code_is_read_however_a_person_has_typed_it() -> None:
    assert plain_code("o1li-abcd ") == "0111ABCD"
