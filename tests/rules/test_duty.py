"""Who is on duty, who is called for what, and where a roster has holes."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import ConfigError
from rules.commands import app
from rules.duty import book
from rules.duty.folder import SiteFolder, load_sites, put_sheet
from rules.duty.gaps import gaps
from rules.duty.roster import UNCHANGED, Absence, Changes, Extra, holders
from rules.duty.routing import Situation, shipped_routes, steps
from rules.duty.sheets import SheetError, from_sheet, sheet
from rules.duty.site import Site, load_site
from rules.store.database import Database

DEPLOYED = Path(__file__).parent.parent.parent / "deploy" / "sites"
JUNMEN = load_site(DEPLOYED / "junmen.toml")
ROUTES = shipped_routes()
CHINA = ZoneInfo("Asia/Shanghai")
WEEK_MS = 7 * 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1000)


def called(
    kind: str, at: str, level: Level = "red", grid: str = "grid-1", building: str = "", **more: str
) -> list[list[str]]:
    situation = Situation(kind=kind, level=level, place=Place(grid=grid, building=building, text="x"), **more)
    return [[one.id for one in step.people] for step in steps(JUNMEN, ROUTES, situation, ms(at))]


def site(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "here.toml"
    path.write_text('name = { zh = "此", en = "Here" }\n' + text, encoding="utf-8")
    return load_site(path)


ONE_POST = """
[grids.g1]
name = { zh = "一", en = "One" }
[people.lin]
name = "林"
[people.chen]
name = "陈"
[people.wu]
name = "吴"
[posts.day]
role = "grid_worker"
grids = ["g1"]
shifts = [%s]
"""


def on_duty(tmp_path: Path, shift: str, at: str, changes: Changes = UNCHANGED) -> list[str]:
    return holders(site(tmp_path, ONE_POST % shift), "day", changes, ms(at))


def test_gas_by_day_calls_the_grid_its_helpers_and_building_then_the_desks_then_the_gas_company() -> None:
    assert called("gas_alarm", "2026-11-25T10:00", building="3") == [
        ["lin", "wu", "zheng", "he", "property-desk"],
        ["community-desk", "street-desk"],
        ["gas-desk"],
    ]


def test_at_night_the_one_whose_week_it_is_is_called() -> None:
    assert called("gas_alarm", "2026-01-06T23:00")[0] == ["wu", "property-desk"]
    assert called("gas_alarm", "2026-01-13T23:00")[0] == ["zheng", "property-desk"]
    assert called("gas_alarm", "2026-01-12T03:00")[0][0] == "wu"  # Sunday's night is still the first week's


def test_a_cover_goes_to_its_owner_too_and_a_person_stands_on_one_step_only() -> None:
    found = called("manhole_cover", "2026-11-25T10:00", owner="drainage")
    assert found == [["lin", "wu", "zheng", "property-desk", "water-desk"], ["community-desk", "street-desk"], []]


def test_a_grid_that_the_file_does_not_know_is_the_whole_sites_affair() -> None:
    assert called("gas_alarm", "2026-11-25T10:00", grid="elsewhere")[1] == ["community-desk", "street-desk"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [("2026-11-25T07:59", []), ("2026-11-25T08:00", ["lin"]), ("2026-11-25T19:59", ["lin"]), ("2026-11-25T20:00", [])],
)
def test_a_shift_begins_and_ends_to_the_minute(tmp_path: Path, at: str, expected: list[str]) -> None:
    assert on_duty(tmp_path, '{ people = ["lin"], from = "08:00", until = "20:00" }', at) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-27T22:00", ["lin"]),  # Friday night
        ("2026-11-28T05:59", ["lin"]),  # reaches into Saturday
        ("2026-11-28T22:00", []),
        ("2026-11-30T05:00", []),  # Sunday's night was none
    ],
)
def test_a_night_shift_belongs_to_the_day_on_which_it_begins(tmp_path: Path, at: str, expected: list[str]) -> None:
    shift = '{ people = ["lin"], days = "workdays", from = "20:00", until = "06:00" }'
    assert on_duty(tmp_path, shift, at) == expected


def test_without_times_a_shift_is_around_the_clock(tmp_path: Path) -> None:
    for hour in range(24):
        assert on_duty(tmp_path, '{ people = ["lin"] }', f"2026-11-25T{hour:02}:00") == ["lin"]


def test_holidays_and_worked_weekends_are_those_of_the_site(tmp_path: Path) -> None:
    text = "[calendar]\ndays_off = [2026-10-01]\ndays_worked = [2026-10-10]\n" + ONE_POST % (
        '{ people = ["lin"], days = "workdays" }, { people = ["chen"], days = "holidays" }'
    )
    here = site(tmp_path, text)
    assert holders(here, "day", UNCHANGED, ms("2026-10-01T10:00")) == ["chen"]
    assert holders(here, "day", UNCHANGED, ms("2026-10-10T10:00")) == ["lin"]
    assert holders(here, "day", UNCHANGED, ms("2026-10-11T10:00")) == ["chen"]


def test_leave_without_a_stand_in_leaves_the_post_empty_and_with_one_he_is_there(tmp_path: Path) -> None:
    away = Absence(person="lin", from_ms=ms("2026-11-25T00:00"), until_ms=ms("2026-11-26T00:00"))
    shift = '{ people = ["lin"] }'
    assert on_duty(tmp_path, shift, "2026-11-25T10:00", Changes((away,))) == []
    assert on_duty(tmp_path, shift, "2026-11-26T00:00", Changes((away,))) == ["lin"]
    stands_in = Absence(person="lin", from_ms=away.from_ms, until_ms=away.until_ms, instead="chen")
    assert on_duty(tmp_path, shift, "2026-11-25T10:00", Changes((stands_in,))) == ["chen"]


def test_a_stand_in_who_is_away_himself_is_replaced_and_a_circle_ends(tmp_path: Path) -> None:
    span: dict[str, Any] = {"from_ms": ms("2026-11-25T00:00"), "until_ms": ms("2026-11-26T00:00")}
    chain = Changes((Absence(person="lin", instead="chen", **span), Absence(person="chen", instead="wu", **span)))
    assert on_duty(tmp_path, '{ people = ["lin"] }', "2026-11-25T10:00", chain) == ["wu"]
    circle = Changes((Absence(person="lin", instead="chen", **span), Absence(person="chen", instead="lin", **span)))
    assert on_duty(tmp_path, '{ people = ["lin", "wu"] }', "2026-11-25T10:00", circle) == ["wu"]


def test_extra_duty_adds_to_a_post(tmp_path: Path) -> None:
    extra = Extra(person="chen", post="day", from_ms=ms("2026-11-25T20:00"), until_ms=ms("2026-11-25T22:00"))
    shift = '{ people = ["lin"], from = "08:00", until = "20:00" }'
    assert on_duty(tmp_path, shift, "2026-11-25T21:00", Changes((), (extra,))) == ["chen"]


def test_the_deployed_sites_have_no_gap_in_a_month() -> None:
    for here in load_sites(DEPLOYED).values():
        assert gaps(here, ROUTES, ms("2026-11-25T00:00"), ms("2026-12-25T00:00")) == []


def test_a_gap_is_found_with_its_span_and_who_is_missing(tmp_path: Path) -> None:
    here = site(tmp_path, ONE_POST % '{ people = ["lin"], from = "08:00", until = "20:00" }')
    first, *_ = [gap for gap in gaps(here, ROUTES, ms("2026-11-25T12:00"), ms("2026-11-26T12:00")) if gap.step == 1]
    assert (first.from_ms, first.until_ms) == (ms("2026-11-25T20:00"), ms("2026-11-26T08:00"))
    assert "grid_worker" in first.wanted
    everybody = [gap for gap in gaps(here, ROUTES, ms("2026-11-25T12:00"), ms("2026-11-26T12:00")) if gap.step == 2]
    assert [(gap.from_ms, gap.until_ms) for gap in everybody] == [(ms("2026-11-25T12:00"), ms("2026-11-26T12:00"))]


def test_leave_makes_a_gap(tmp_path: Path) -> None:
    here = site(tmp_path, ONE_POST % '{ people = ["lin"] }')
    away = Changes((Absence(person="lin", from_ms=ms("2026-11-25T09:30"), until_ms=ms("2026-11-25T11:00")),))
    found = [gap for gap in gaps(here, ROUTES, ms("2026-11-25T00:00"), ms("2026-11-26T00:00"), away) if gap.step == 1]
    assert {(gap.from_ms, gap.until_ms) for gap in found} == {(ms("2026-11-25T09:30"), ms("2026-11-25T11:00"))}


@settings(deadline=None)
@given(at=st.integers(ms("2026-01-01T00:00"), ms("2027-01-01T00:00")))
def test_what_gaps_says_is_what_a_call_would_find(at: int) -> None:
    away = Changes((Absence(person="community-desk", from_ms=at, until_ms=at + 3_600_000),))
    also = Changes((*away.absences, Absence(person="street-desk", from_ms=at, until_ms=at + 3_600_000)))
    assert not [gap for gap in gaps(JUNMEN, ROUTES, at, at + 7_200_000, away) if gap.step == 2]
    found = [gap for gap in gaps(JUNMEN, ROUTES, at, at + 7_200_000, also) if gap.step == 2]
    assert {(gap.from_ms, gap.until_ms) for gap in found} == {(at, at + 3_600_000)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[grids.g1]\nname = { zh = "一", en = "One" }\n[buildings.3]\ngrid = "g2"\n', "no grid `g2`"),
        (ONE_POST % '{ people = ["lim"] }', "no person `lim`; did you mean `lin`?"),
        (ONE_POST % '{ people = ["lin"], from = "25:00" }', "a time of day from"),
        (ONE_POST % '{ people = ["lin"], rotate_days = 7 }', "a rotation needs `since`"),
        (ONE_POST % '{ people = ["lin"] }' + '[[routes]]\nfirst = ["grid_wroker"]\n', "did you mean `grid_worker`?"),
        (ONE_POST % '{ people = ["lin"] }' + '[[routes]]\nfirst = ["department:gaz"]\n', "did you mean `gas`?"),
        (ONE_POST % '{ people = ["lin"] }' + '[calendar]\nzone = "Asia/Shanghia"\n', "no time zone"),
        (
            ONE_POST % '{ people = ["lin"] }' + '[posts.x]\nrole = "department"\nshifts = [{people = ["lin"]}]\n',
            "which one",
        ),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"here\.toml:\d+: ") as error:
        site(tmp_path, text)
    assert why in str(error.value)


@pytest.mark.parametrize("chinese", [True, False])
def test_a_sheet_that_went_out_comes_in_as_it_was(chinese: bool) -> None:
    back = from_sheet(sheet(JUNMEN, chinese=chinese), JUNMEN)
    assert back == JUNMEN


def test_a_sheet_may_have_its_columns_in_any_order_and_some_left_out() -> None:
    text = "姓名,编号,岗位,角色,网格\n林小梅,lin,g1,grid_worker,grid-1\n陈,chen,,,\n"
    bare = JUNMEN.model_copy(update={"owners": {}, "routes": []})
    found = from_sheet(text, bare)
    assert list(found.people) == ["lin", "chen"]
    assert holders(found, "g1", UNCHANGED, ms("2026-11-25T03:00")) == ["lin"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1, 编号 person: the column is missing"),
        ("person,nmae\n", "line 1, nmae: no such column; did you mean `name`?"),
        ("person,name,post,role\nlin,林,g1,grid_wroker\n", "line 2, 角色 role:"),
        ("person,name,post,role,from\nlin,林,g1,helper,8h\n", "line 2, 上班 from: a time of day"),
        ("person,name,post,role,since\nlin,林,g1,helper,1.2.26\n", "line 2, 起始日 since: a day such as"),
        ("person,name,phone\nlin,林,call me\n", "line 2, 电话 phone:"),
        ("person,name\n,林\n", "line 2, 编号 person: who is it"),
        ("person,name\nlin,林,x,y\n", "line 2: 4 cells for 2 columns"),
        ("person,name\nlin,林\nlin,李\n", "line 3, 编号 person: `lin` stands in another line"),
        ("person,name,post,role,grids\nlin,林,p,helper,grid-9\n", "no grid `grid-9`"),
        ('person,name\nlin,"林\n', "no CSV"),
    ],
)
def test_a_wrong_sheet_is_refused_with_line_and_column(text: str, why: str) -> None:
    with pytest.raises(SheetError) as error:
        from_sheet(text, JUNMEN.model_copy(update={"owners": {}, "routes": []}))
    assert why in str(error.value)


def test_a_cell_that_a_spreadsheet_would_compute_goes_out_as_text() -> None:
    people = {**JUNMEN.people, "lin": JUNMEN.people["lin"].model_copy(update={"name": "=1+1"})}
    hostile = JUNMEN.model_copy(update={"people": people})
    assert ",'=1+1," in sheet(hostile)
    assert from_sheet(sheet(hostile), hostile).people["lin"].name == "=1+1"


@given(st.text(max_size=300))
def test_any_text_is_a_sheet_or_refused(text: str) -> None:
    try:
        from_sheet("person,name,post,role\n" + text, JUNMEN)
    except SheetError:
        pass


def test_a_sheet_beside_the_file_takes_the_place_of_its_people_and_is_seen_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text(
        'name = { zh = "此", en = "Here" }\n' + ONE_POST % '{ people = ["lin"] }', encoding="utf-8"
    )
    folder = SiteFolder(tmp_path)
    assert folder.look()
    assert not folder.look()
    assert list(folder.sites["here"].people) == ["lin", "chen", "wu"]  # type: ignore[index]
    put_sheet(tmp_path, "here", "person,name,post,role\nzhou,周,desk,community\n")  # type: ignore[arg-type]
    assert folder.look()
    assert list(folder.sites["here"].people) == ["zhou"]  # type: ignore[index]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which root alone can")
def test_a_sheet_that_root_brings_in_is_read_by_whoever_reads_the_sites_file(tmp_path: Path) -> None:
    site = tmp_path / "here.toml"
    site.write_text('name = { zh = "此", en = "Here" }\n' + ONE_POST % '{ people = ["lin"] }', encoding="utf-8")
    site.chmod(0o600)
    os.chown(site, 4321, 1234)
    put_sheet(tmp_path, SiteId("here"), "person,name,post,role\nzhou,周,desk,community\n")
    kept = (tmp_path / "here.people.csv").stat()
    assert (kept.st_uid, kept.st_gid, kept.st_mode & 0o777) == (4321, 1234, 0o600)


def test_a_wrong_sheet_is_refused_and_the_last_good_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text(
        'name = { zh = "此", en = "Here" }\n' + ONE_POST % '{ people = ["lin"] }', encoding="utf-8"
    )
    folder = SiteFolder(tmp_path)
    folder.look()
    with pytest.raises(SheetError):
        put_sheet(tmp_path, "here", "person\n")  # type: ignore[arg-type]
    assert not folder.look()
    (tmp_path / "here.people.csv").write_text("person,nmae\n", encoding="utf-8")
    assert folder.look()
    assert "here.people.csv:1: line 1, nmae: no such column" in folder.complaint
    assert list(folder.sites["here"].people) == ["lin", "chen", "wu"]  # type: ignore[index]
    (tmp_path / "here.people.csv").unlink()
    assert folder.look()
    assert folder.complaint == ""


def test_a_site_by_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no site"):
        put_sheet(tmp_path, "../here", "person,name\nlin,林\n")  # type: ignore[arg-type]


def test_rules_check_finds_the_night_without_anybody_and_the_leave_without_a_stand_in(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    shifts = '{ people = ["lin"], from = "08:00", until = "24:00" }'
    desk = '[posts.desk]\nrole = "community"\nshifts = [{ people = ["wu"] }]\n'
    text = 'name = { zh = "此", en = "Here" }\n' + ONE_POST % shifts + desk
    (tmp_path / "sites" / "here.toml").write_text(text, encoding="utf-8")
    config = tmp_path / "rules.toml"
    config.write_text(
        'name = "r"\ndatabase = "sqlite:///rules.db"\nstore = "sqlite:history.db"\nsite_files = "sites"\n'
        '[broker]\nusername = "rules"\npassword = "x"\n'
    )
    said = CliRunner().invoke(app, ["check", "--config", str(config)]).output
    assert said.count("warning: here: g1, step 1") in (14, 15)  # one more when it is run at night
    assert "step 2" not in said
    assert not (tmp_path / "rules.db").exists()
    database, now_ms = Database(f"sqlite:///{tmp_path}/rules.db"), time.time_ns() // 1_000_000
    away = Absence(person="wu", from_ms=now_ms + 3_600_000, until_ms=now_ms + 7_200_000)
    with database.writing() as connection:
        book.enter(
            connection, SiteId("here"), load_site(tmp_path / "sites/here.toml"), away, actor="zhao", now_ms=now_ms
        )
    database.close()
    assert "here: g1, step 2" in CliRunner().invoke(app, ["check", "--config", str(config)]).output


def test_a_household_of_which_nobody_can_be_asked_is_named_by_both_checks(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    house = """[households.{name}]
building = "3"
resident = "陈阿婆"
consent = 2026-03-01
devices = ["door-{name}"]
{more}
"""
    several = [("a", ""), ("b", 'phone = "059100000031"'), ("c", 'contacts = [{ name = "李", phone = "13800000032" }]')]
    text = 'name = { zh = "此", en = "Here" }\n' + ONE_POST % '{ people = ["lin"] }'
    text += '[buildings.3]\ngrid = "g1"\n' + "".join(house.format(name=name, more=more) for name, more in several)
    (tmp_path / "sites" / "here.toml").write_text(text, encoding="utf-8")
    config = tmp_path / "rules.toml"
    config.write_text(
        'name = "r"\ndatabase = "sqlite:///rules.db"\nstore = "sqlite:history.db"\nsite_files = "sites"\n'
        '[broker]\nusername = "rules"\npassword = "x"\n'
    )
    for asked in (["roster", "check", str(tmp_path / "sites")], ["check", "--config", str(config)]):
        said = CliRunner().invoke(app, asked).output
        assert "household a: neither a phone nor a contact" in said
        assert "household b" not in said
        assert "household c" not in said
    assert "without `pages` who is asked how all is has no link" in said


def test_a_file_that_is_wrong_costs_no_other_site_its_people_not_even_at_start(tmp_path: Path) -> None:
    good = 'name = { zh = "此", en = "Here" }\n' + ONE_POST % '{ people = ["lin"] }'
    (tmp_path / "here.toml").write_text(good, encoding="utf-8")
    (tmp_path / "there.toml").write_text("", encoding="utf-8")
    folder = SiteFolder(tmp_path)
    assert folder.look()
    assert list(folder.sites) == ["here"]
    assert "there.toml" in folder.complaint
    (tmp_path / "there.toml").write_text(good, encoding="utf-8")
    (tmp_path / "here.toml").write_text("people = [", encoding="utf-8")
    assert folder.look()
    assert sorted(folder.sites) == ["here", "there"]
    assert "here.toml" in folder.complaint


def test_a_copy_of_a_site_calls_by_its_own_posts_and_not_by_those_that_were_asked_for_before() -> None:
    place = Place(grid="grid-1", text="here")
    before = JUNMEN.in_charge("grid_worker", None, place)
    assert before
    changed = JUNMEN.model_copy(
        update={"posts": {name: one for name, one in JUNMEN.posts.items() if name != before[0]}}
    )
    assert changed.in_charge("grid_worker", None, place) == before[1:]
    assert JUNMEN.in_charge("grid_worker", None, place) == before


def test_who_says_for_which_kinds_it_speaks_and_where_a_call_goes_that_finds_nobody() -> None:
    def said(*words: str) -> str:
        shown = CliRunner().invoke(app, ["roster", "who", str(DEPLOYED), "junmen", "--at", "2026-10-14T10:00", *words])
        assert shown.exit_code == 0, shown.output
        return shown.output

    general, gas = said(), said("--kind", "gas_alarm")
    assert "For a kind without a route of its own; --kind for one of: barrier" in general
    assert "NOBODY on duty (department:facilities): the call goes to the desk\n" in general
    assert f'a post in {DEPLOYED}/junmen.toml with role = "department", department = "facilities"' in general
    assert ("燃气公司抢修" in gas, "NOBODY" in gas, "For a kind" in gas) == (True, False, False)
    assert "no shipped kind and no route is called `gas_alrm`; did you mean `gas_alarm`?" in said("--kind", "gas_alrm")


def test_a_call_that_finds_the_street_empty_goes_on_to_the_department(tmp_path: Path) -> None:
    text = (DEPLOYED / "junmen.toml").read_text(encoding="utf-8")
    for post in ("community", "street"):
        text = text.replace(f'role = "{post}"', 'role = "helper"')
    (tmp_path / "junmen.toml").write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(app, ["roster", "who", str(tmp_path), "junmen", "--kind", "gas_alarm"]).output
    assert "NOBODY on duty (community, street): the call goes on to step 3 at once" in shown
    assert 'with role = "community" or role = "street"' in shown
