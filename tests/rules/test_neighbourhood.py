"""Questions about the neighbourhood: who counts, how far, how long, and what a restart makes of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from rules.engine.neighbourhood import around, largest
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.language.library import load_rules
from rules.language.neighbours import Whereabouts, distance_m, near
from tests.rules.course import ALL_RULES, KINDS, at, reading, write_rules
from tests.rules.room import EDGE, SITE, Room

HOME = (26.0850, 119.3000)
METRE = 1 / 111_195
"""Degrees of latitude."""


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def sewers(room: Room, *north_m: float) -> None:
    for index, metres in enumerate(north_m):
        lat = HOME[0] + metres * METRE
        room.announce(f"sewer-{index}", "sewer_level", lat=lat, lon=HOME[1], depth=2.0)


def rises(room: Room, index: int, at_s: float, level: float = 1.7) -> None:
    room.hear(reading(at_s, "water_level", level, device=f"sewer-{index}"))


def storms(room: Room) -> list[str]:
    return [alarm.state.value for alarm in room.desk.alarms() if alarm.rule == "storm"]


def test_five_shafts_that_fill_within_500_m_and_15_min_are_one_storm(room: Room) -> None:
    sewers(room, 0, 100, 200, 300, 400)
    for index in range(4):
        rises(room, index, index * 60)
    assert storms(room) == []
    rises(room, 4, 300)
    assert storms(room) == ["unack"]


def test_five_that_are_too_far_apart_are_none(room: Room) -> None:
    sewers(room, 0, 400, 800, 1200, 1600)
    for index in range(5):
        rises(room, index, index)
    assert storms(room) == []


def test_each_counts_by_its_own_depth(room: Room) -> None:
    sewers(room, 0, 1, 2, 3, 4)
    for index in range(5):
        rises(room, index, index, 1.5)
    assert storms(room) == []


def test_one_that_fell_again_counts_for_its_window_and_no_longer(room: Room) -> None:
    sewers(room, 0, 1, 2, 3, 4)
    rises(room, 0, 0)
    rises(room, 0, 60, 0.1)
    for index in range(1, 4):
        rises(room, index, 70)
    room.pass_time(60 + 15 * 60 + 1)
    rises(room, 4, 60 + 15 * 60 + 2)
    assert storms(room) == []
    rises(room, 0, 60 + 15 * 60 + 3)
    assert storms(room) == ["unack"]


def test_the_storm_is_over_an_hour_after_the_last_shaft(room: Room) -> None:
    sewers(room, 0, 1, 2, 3, 4)
    for index in range(5):
        rises(room, index, index)
    for index in range(5):
        rises(room, index, 600 + index, 0.1)
    room.pass_time(604 + 3600 - 1)
    assert storms(room) == ["unack"]
    room.pass_time(604 + 3600 + 1)
    assert storms(room) == ["rtn_unack"]


def test_a_restart_between_any_two_shafts_forgets_none(room: Room) -> None:
    sewers(room, 0, 1, 2, 3, 4)
    for index in range(5):
        rises(room, index, index)
        room.start()
    assert storms(room) == ["unack"]


def test_a_shaft_that_is_announced_elsewhere_counts_there(room: Room) -> None:
    sewers(room, 0, 1, 2, 3, 5000)
    for index in range(5):
        rises(room, index, index)
    assert storms(room) == []
    room.announce("sewer-4", "sewer_level", 10, lat=HOME[0], lon=HOME[1], depth=2.0)
    assert storms(room) == ["unack"]


def test_a_place_that_is_not_known_is_near_itself_alone() -> None:
    here, nowhere = Whereabouts("g1", "3", *HOME), Whereabouts("g1", "3")
    assert near(500.0, here, here)
    assert near(500.0, nowhere, nowhere)
    assert not near(500.0, here, nowhere)
    assert near("building", here, nowhere)
    assert not near("building", Whereabouts("g1", ""), Whereabouts("g1", ""))
    assert near("grid", here, Whereabouts("g1", "4"))
    assert not near("grid", here, Whereabouts("g2", "3"))


def test_a_degree_of_latitude_is_111_km_and_the_date_line_is_no_border() -> None:
    assert distance_m(0, 0, 1, 0) == pytest.approx(111_195, rel=1e-3)
    assert distance_m(26, 179.999, 26, -179.999) == pytest.approx(200, rel=0.01)


@given(st.lists(st.tuples(st.floats(25.9, 26.1), st.floats(119.2, 119.4)), max_size=12))
def test_the_largest_neighbourhood_is_that_of_one_of_them(places: list[tuple[float, float]]) -> None:
    counted = {f"d{index}": Whereabouts("g", "", *place) for index, place in enumerate(places)}
    counts = [around(counted, one, 500.0) for one in counted.values()]  # type: ignore[arg-type]
    assert largest(counted, 500.0) == max(counts, default=0)  # type: ignore[arg-type]


def test_a_file_of_the_users_that_drops_a_setting_does_not_break_the_shipped_questions(tmp_path: Path) -> None:
    rules = (
        '[rules.tilted]\nlevel = "yellow"\ntitle = { zh = "倾", en = "T" }\nraise = "tilt > 10"\nclear = "tilt < 5"\n'
    )
    (tmp_path / "manhole_cover.toml").write_text(rules, encoding="utf-8")
    every = with_answers(load_rules(KINDS, tmp_path), KINDS)
    (answer,) = (rule for rule in every["manhole_cover"] if rule.answers)
    assert answer.settings["depth"] == 3.0


def test_devices_of_one_circuit_are_neighbours_wherever_they_stand(room: Room) -> None:
    one = Whereabouts("g1", "3", circuit="3-L2")
    assert near("circuit", one, Whereabouts("g2", "9", circuit="3-L2"))
    assert not near("circuit", one, Whereabouts("g1", "3", circuit="3-L1"))
    assert not near("circuit", Whereabouts("g1", "3"), Whereabouts("g1", "3"))


def test_the_circuit_is_a_setting_of_the_device(tmp_path: Path) -> None:
    text = """[rules.dark]
level = "yellow"
title = { zh = "回路失电", en = "A circuit is dead" }
raise = 'count_devices("sewer_level", "float_switch", within="circuit", window="1min") >= 2'
clear = 'count_devices("sewer_level", "float_switch", within="circuit", window="1min") < 2'
"""
    write_rules(tmp_path, "waste_bin", text)
    room = Room(tmp_path)
    room.facts.rules = with_answers(load_rules(KINDS, tmp_path), KINDS)
    for index, circuit in enumerate(("L1", "L1", "L2")):
        room.announce(f"s-{index}", "sewer_level", circuit=circuit)
    room.announce("bin-1", "waste_bin", circuit="L1")
    room.announce("bin-2", "waste_bin", circuit="L2")
    for index in range(3):
        room.hear(reading(index, "float_switch", True, device=f"s-{index}"))
    assert [(alarm.device, alarm.rule) for alarm in room.desk.alarms() if alarm.rule == "dark"] == [("bin-1", "dark")]


def test_a_question_that_is_asked_no_more_takes_nobody_out_of_the_others(tmp_path: Path) -> None:
    wet = 'count_devices("sewer_level", "float_switch", within="site") >= 2'
    text = f"""[rules.wet]
level = "yellow"
title = {{ zh = "水", en = "Wet" }}
raise = '{wet}'
clear = 'not ({wet})'
"""
    write_rules(tmp_path, "waste_bin", text)
    room = Room(tmp_path, known=with_answers(load_rules(KINDS, tmp_path), KINDS))
    sewers(room, 0, 1, 2, 3, 4)
    for index in range(4):
        room.hear(reading(index, "float_switch", True, device=f"sewer-{index}"))
        rises(room, index, index + 0.5)
    room.facts.replace_rules(ALL_RULES)
    work = Work(room.facts)
    work.renew(at(5))
    room.write(work, 5)
    rises(room, 4, 6)
    assert storms(room) == ["unack"]


@pytest.mark.parametrize(
    ("within", "asking"),
    [
        ("building", {"bin-0"}),
        ("grid", {"bin-0", "bin-1"}),
        ("site", {"bin-0", "bin-1", "bin-2"}),
        ("500m", set[str]()),
    ],
)
def test_whoever_asks_counts_its_own_building_grid_or_site(tmp_path: Path, within: str, asking: set[str]) -> None:
    question = f'count_devices("sewer_level", "float_switch", within="{within}", window="1min")'
    text = f"""[rules.wet]
level = "yellow"
title = {{ zh = "水", en = "Wet" }}
raise = '{question} >= 2'
clear = '{question} < 2'
"""
    write_rules(tmp_path, "waste_bin", text)
    room = Room(tmp_path, known=with_answers(load_rules(KINDS, tmp_path), KINDS))

    def stands(device: str, kind: str, grid: str, building: str) -> None:
        work = Work(room.facts)
        place = Place(grid=grid, building=building, text=device)
        work.announce(SITE, EDGE, DeviceId(device), Announcement(kind=kind, model="m", place=place), at(0))
        room.write(work, 0)

    for index, (grid, building) in enumerate((("g1", "3"), ("g1", "7"), ("g2", "3"))):
        stands(f"bin-{index}", "waste_bin", grid, building)
    for index in range(2):
        stands(f"s-{index}", "sewer_level", "g1", "3")
        room.hear(reading(index, "float_switch", True, device=f"s-{index}"))
    assert {str(one.device) for one in room.desk.alarms() if one.rule == "wet"} == asking
