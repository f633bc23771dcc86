"""Two edges that announce one device and disagree about it: each is believed for what it hears, and that they disagree is said."""

from pathlib import Path

import pytest

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, is_identifier
from messages.reading import Reading
from messages.settings import ConfigError
from rules.alarms.overlays import chatter
from rules.checking.report import examine
from rules.drills import drill
from rules.engine import contested
from rules.engine.found import Audited
from rules.engine.work import Work
from rules.language import rule_text
from rules.language.calendar import CHINA
from rules.language.library import load_file, load_rules
from rules.records import AlarmState
from tests.rules.course import KINDS, at, reading, write_rules
from tests.rules.room import EDGE, SITE, Room

OTHER = EdgeId("pi-2")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def announce(room: Room, edge: EdgeId, kind: str, building: str = "3") -> None:
    place = Place(grid="g1", building=building, text=f"{building}号楼")
    work = Work(room.facts)
    work.announce(SITE, edge, DeviceId("d-1"), Announcement(kind=kind, model="m", place=place, settings={}), at(0))
    room.write(work, 0)


def test_two_that_agree_are_one_device_and_no_matter(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "smoke_alarm")
    assert room.facts.disputed(SITE) == []
    room.hear(reading(1, "smoke", True, device="d-1"))
    room.hear(reading(2, "smoke", True, device="d-1"), edge=OTHER)
    assert len(room.desk.alarms()) == 1


def test_the_edge_that_hears_it_is_believed_about_where_it_is(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm", "3")
    announce(room, OTHER, "smoke_alarm", "7")
    assert room.facts.disputed(SITE) == ["d-1"]
    room.hear(reading(2, "smoke", True, device="d-1"), edge=OTHER)
    assert room.the_alarm().place.building == "7"


@pytest.mark.parametrize("edge", [EDGE, OTHER])
def test_red_of_either_rings_by_its_own_kind(room: Room, edge: EdgeId) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "gas_alarm")
    assert room.facts.disputed(SITE) == ["d-1"]
    if edge == EDGE:
        room.hear(reading(1, "smoke", True, device="d-1"))
    else:
        room.hear(reading(1, "gas_concentration", 30.0, device="d-1"), edge=OTHER)
    alarm = room.the_alarm()
    assert (alarm.edge, alarm.level, alarm.case is not None) == (edge, "red", True)


def test_what_one_kind_has_raised_no_rule_of_another_kind_ends(room: Room) -> None:
    """Both kinds have a rule `pressed` or `called` of that name: a bracelet and a button at the bed."""
    announce(room, EDGE, "sos_button")
    announce(room, OTHER, "bracelet")
    room.hear(reading(0, "pressed", True, device="d-1"))
    assert room.the_alarm().state is AlarmState.UNACK
    room.hear(reading(90, "pressed", False, device="d-1"), edge=OTHER)
    assert room.the_alarm().state is AlarmState.UNACK
    room.pass_time(91)
    assert room.the_alarm().state is AlarmState.LATCH_UNACK  # by its own rule: a person must look
    assert room.the_alarm().kind == "sos_button"


def test_one_that_is_taken_out_of_an_edge_is_disputed_no_longer(room: Room) -> None:
    announce(room, EDGE, "smoke_alarm")
    announce(room, OTHER, "gas_alarm")
    work = Work(room.facts)
    work.withdraw(SITE, OTHER, DeviceId("d-1"), at(5))
    room.write(work, 5)
    assert room.facts.disputed(SITE) == []


def test_that_two_disagree_is_an_alarm_of_the_site_after_ten_minutes(room: Room) -> None:
    work = Work(room.facts)
    work.audited(SITE, Audited(disputed=1), at(0))
    room.write(work, 0)
    room.pass_time(599)
    assert room.desk.alarms() == []
    room.pass_time(600)
    assert [(alarm.rule, alarm.level) for alarm in room.desk.alarms()] == [("disputed", "yellow")]


def names(room: Room) -> dict[str, tuple[str, str, str]]:
    """Open alarms of the device by rule: kind, level and state."""
    return {one.rule: (one.kind, one.level, str(one.state)) for one in room.desk.alarms() if one.device == "d-1"}


def gas(at_s: float, value: float) -> Reading:
    return reading(at_s, "gas_concentration", value, device="d-1")


@pytest.mark.parametrize("restarts", [False, True])
def test_what_one_kind_has_raised_swallows_no_red_of_another_kind_with_a_rule_of_that_name(
    room: Room, restarts: bool
) -> None:
    """Both a kitchen's and a well's gas have a rule `leak`."""
    announce(room, EDGE, "gas_alarm")
    announce(room, OTHER, "gas_well")
    room.hear(gas(1, 25.0), edge=OTHER)
    assert [(kind, state) for kind, _, state in names(room).values()] == [("gas_well", "unack")]
    if restarts:
        room.start()
    room.hear(gas(2, 30.0))
    assert sorted(kind for kind, _, _ in names(room).values()) == ["gas_alarm", "gas_well"]
    assert {one.kind: one.level for one in room.desk.alarms()}["gas_alarm"] == "red"
    assert all(one.case for one in room.desk.alarms())
    if restarts:
        room.start()
    room.hear(gas(10, 0.0), edge=OTHER)
    room.pass_time(1000)
    states = {kind: state for kind, _, state in names(room).values()}
    assert states["gas_alarm"] == "unack", "the kitchen still leaks"
    room.hear(gas(1001, 0.0))
    room.pass_time(2000)
    assert {kind: state for kind, _, state in names(room).values()}["gas_alarm"] == "latch_unack"


def test_in_the_very_work_in_which_they_begin_to_disagree_nothing_is_swallowed(room: Room) -> None:
    announce(room, OTHER, "gas_well")
    room.hear(gas(1, 25.0), edge=OTHER)
    work = Work(room.facts)
    place = Place(grid="g1", building="3", text="3号楼")
    said = Announcement(kind="gas_alarm", model="m", place=place, settings={})
    work.announce(SITE, EDGE, DeviceId("d-1"), said, at(2))
    work.hear(SITE, EDGE, [gas(2, 30.0)], at(2))
    room.write(work, 2)
    assert names(room) == {"leak": ("gas_well", "red", "unack"), "leak@gas_alarm": ("gas_alarm", "red", "unack")} | {
        name: found for name, found in names(room).items() if not name.startswith("leak")
    }


def test_a_word_of_one_kind_ends_no_delay_of_another(room: Room) -> None:
    """Somebody has fallen: the bracelet waits for thirty seconds, and what the other edge takes for another thing goes on talking."""
    write = 'raise = "pressed"\nraise_delay = "30s"\nclear = "not pressed"\n'
    title = 'level = "red"\nadvice = { zh = "a", en = "b" }\ntitle = { zh = "x", en = "y" }\n'
    for kind in ("sos_button", "bracelet"):
        write_rules(room.folder / "own", kind, f"[rules.called]\n{title}{write}")
    room.known = load_rules(KINDS, room.folder / "own")
    room.start()
    announce(room, EDGE, "sos_button")
    announce(room, OTHER, "bracelet")
    room.hear(reading(0, "pressed", True, device="d-1"))
    for at_s in (5, 10, 20, 29):
        room.hear(reading(at_s, "pressed", False, device="d-1"), edge=OTHER)
    room.pass_time(31)
    (alarm,) = [one for one in room.desk.alarms() if one.device == "d-1"]
    assert (alarm.kind, alarm.raised_at_ms) == ("sos_button", at(30))


def test_who_is_taken_out_ends_its_own_alarm_and_no_others(room: Room) -> None:
    announce(room, EDGE, "gas_alarm")
    announce(room, OTHER, "gas_well")
    room.hear(gas(1, 30.0))
    room.hear(gas(2, 25.0), edge=OTHER)
    work = Work(room.facts)
    work.withdraw(SITE, OTHER, DeviceId("d-1"), at(5))
    room.write(work, 5)
    states = {kind: state for kind, _, state in names(room).values()}
    assert states["gas_alarm"] == "unack"
    assert states.get("gas_well") != "unack"
    room.hear(gas(10, 0.0), gas(300, 0.0))
    room.pass_time(320)
    assert {kind: state for kind, _, state in names(room).values()}["gas_alarm"] == "latch_unack"


def test_after_the_dispute_what_ran_beside_goes_on_until_it_is_over_and_then_has_its_own_name(room: Room) -> None:
    announce(room, EDGE, "gas_alarm")
    announce(room, OTHER, "gas_well")
    room.hear(gas(1, 30.0))
    room.hear(gas(2, 25.0), edge=OTHER)
    beside = next(one for one in names(room) if "@" in one)
    kept = EDGE if beside.endswith("gas_alarm") else OTHER
    work = Work(room.facts)
    work.withdraw(SITE, OTHER if kept == EDGE else EDGE, DeviceId("d-1"), at(5))
    room.write(work, 5)
    room.start()
    room.hear(gas(10, 0.0), edge=kept)
    room.pass_time(500)
    assert names(room)[beside][2] == "latch_unack"
    room.hear(gas(600, 30.0), edge=kept)
    assert "leak" in names(room)


def test_a_device_that_is_called_as_its_site_takes_nothing_from_it(room: Room) -> None:
    """The engine speaks of the site as a device of that name."""
    place = Place(grid="g1", text="x")
    work = Work(room.facts)
    for kind, edge in (("gas_alarm", EDGE), ("gas_well", OTHER)):
        said = Announcement(kind=kind, model="m", place=place, settings={})
        work.announce(SITE, edge, DeviceId(SITE), said, at(0))
    work.audited(SITE, Audited(stuck=1), at(0))
    room.write(work, 0)
    room.hear(reading(1, "gas_concentration", 30.0, device=SITE))
    room.hear(reading(2, "gas_concentration", 30.0, device=SITE), edge=OTHER)
    assert {"site", "gas_alarm", "gas_well"} == {one.kind for one in room.desk.alarms()}


def test_a_name_beside_another_has_room_and_can_stand_in_no_file() -> None:
    long = "r" * 63
    found = {contested.aside(long, kind) for kind in ("gas_alarm", "gas_well")}
    assert len(found) == 2
    assert all(len(one) == 63 for one in found)
    assert not is_identifier(contested.aside("leak", "gas_well"))


@pytest.mark.parametrize(
    ("name", "more"), [("drill-full", ""), ("chattering", ""), ("full", 'situation = "drill-flood"')]
)
def test_a_rule_that_is_called_as_practice_or_as_the_engines_own_is_refused(
    tmp_path: Path, name: str, more: str
) -> None:
    """It would call nobody, or share an alarm."""
    path = write_rules(
        tmp_path,
        "waste_bin",
        f"""[rules.{name}]
level = "blue"
{more}
title = {{ zh = "x", en = "y" }}
raise = "fill >= 80"
clear = "fill < 30"
""",
    )
    with pytest.raises(ConfigError, match=rf"waste_bin\.toml:\d+:\d+: rules\.{name}.*(drills|too fast)"):
        load_file(path, KINDS)
    assert (drill.PREFIX, chatter.RULE) == (rule_text.PRACTICE, rule_text.CHATTERING)


def test_two_files_about_channels_that_give_a_kind_one_name_are_refused_with_the_place(tmp_path: Path) -> None:
    text = """[rules.battery_low]
level = "blue"
title = { zh = "x", en = "y" }
raise = "tamper"
clear = "not tamper"
"""
    path = write_rules(tmp_path / "common", "tamper", text)
    with pytest.raises(ConfigError, match=r"tamper\.toml:1:1: rules\.battery_low: .*battery\.toml too"):
        load_rules(KINDS, tmp_path)
    report = examine([path], KINDS, calendar=CHINA, retention_s=None, year=2026)
    assert any("tamper.toml:1" in str(one) for one in report.mistakes)
