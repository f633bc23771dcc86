"""Every shipped rule in three scenes of the plant at least: what must raise it, what must not, and what flaps."""

from pathlib import Path

import pytest

from rules.language.rule import graver
from tests.rules.course import RULES, reading
from tests.rules.room import Room
from tests.rules.scenes import doors_and_people, fire_and_gas, limits, machines, streets, water
from tests.rules.scenes.scene import Scene, play
from tests.rules.scenes.signals import HOUR, MINUTE, Signal, rain_water, steady, swaying, total

SCENES = [
    *fire_and_gas.SCENES,
    *water.SCENES,
    *doors_and_people.SCENES,
    *streets.SCENES,
    *machines.SCENES,
    *limits.SCENES,
]
OF_A_SITE = {("site", "storm"), ("site", "many_unreachable")}
"""They ask about a neighbourhood, so they are played in an engine, below."""


def of(sort: str) -> pytest.MarkDecorator:
    scenes = [scene for scene in SCENES if scene.sort == sort]
    return pytest.mark.parametrize("scene", scenes, ids=[f"{one.kind}.{one.rule}: {one.says}" for one in scenes])


@pytest.mark.parametrize("sort", ["positive", "negative", "flapping"])
def test_no_shipped_rule_is_without_a_scene_of_each_sort(sort: str) -> None:
    shipped = {(kind, rule.id) for kind, rules in RULES.items() for rule in rules}
    assert {(scene.kind, scene.rule) for scene in SCENES if scene.sort == sort} == shipped - OF_A_SITE


@of("positive")
def test_what_happens_is_raised_once_in_time_and_is_over_in_the_end(scene: Scene) -> None:
    outcome = play(scene)
    assert len(outcome.raised_s) == 1
    first, last = scene.raised
    assert first <= outcome.raised_s[0] <= last
    assert outcome.level == (scene.level or scene.of.level)
    assert outcome.cleared is scene.clears
    if scene.over is not None:
        (over_s,) = outcome.cleared_s
        assert scene.over[0] <= over_s <= scene.over[1]


@of("negative")
def test_what_is_usual_or_a_nuisance_raises_nothing(scene: Scene) -> None:
    assert play(scene).raised_s == ()


@of("flapping")
def test_what_hovers_about_the_limit_is_no_more_alarms_than_it_may_be(scene: Scene) -> None:
    assert play(scene).alarms(scene.of) <= scene.most


@pytest.mark.parametrize("scene", SCENES[::9], ids=lambda one: f"{one.kind}.{one.rule}: {one.says}")
def test_a_restart_between_any_two_readings_changes_nothing(scene: Scene) -> None:
    assert play(scene, restart=True) == play(scene)


def test_a_level_of_a_scene_is_one_that_its_rule_can_have() -> None:
    for scene in SCENES:
        if scene.level is not None and scene.level != scene.of.level:
            assert graver(scene.level, scene.of.level)
            assert scene.level in {level for level, _ in scene.of.graver_when}


def room(folder: Path) -> Room:
    folder.mkdir()
    return Room(folder)


SHAFT = rain_water(0.3, 2.9, 2 * HOUR, HOUR)
DRIZZLE = rain_water(0.3, 1.2, 2 * HOUR, HOUR)
STORM_METRES = (0, 90, 180, 270, 360, 2500)
"""Where the shafts of a street lie, and one that is elsewhere."""


def rain(room: Room, level: Signal, *, shafts: int) -> list[str]:
    """Six hours of rain over a street: the states of the storm's alarms, one after the other."""
    for index in range(shafts):
        lat = 26.0850 + STORM_METRES[index] / 111_195
        room.announce(f"shaft-{index}", "sewer_level", lat=lat, lon=119.3, depth=3.0)
    for minute in range(0, 360, 10):
        for index in range(shafts):
            value = round(level((minute - index) * MINUTE), 3)
            room.hear(reading(minute * 60 + index, "water_level", value, device=f"shaft-{index}"))
        room.pass_time(minute * 60 + 599)
    room.pass_time(7 * HOUR)
    return [alarm.state.value for alarm in room.desk.alarms(open_only=False) if alarm.rule == "storm"]


def test_a_cloudburst_that_fills_five_shafts_of_a_street_is_one_storm_and_is_over(tmp_path: Path) -> None:
    assert rain(Room(tmp_path), SHAFT, shafts=6) == ["rtn_unack"]


def test_a_drizzle_or_four_shafts_are_no_storm(tmp_path: Path) -> None:
    assert rain(room(tmp_path / "a"), DRIZZLE, shafts=6) == []
    assert rain(room(tmp_path / "b"), SHAFT, shafts=4) == []


def test_shafts_that_swing_about_the_limit_are_one_storm(tmp_path: Path) -> None:
    assert rain(Room(tmp_path), total(steady(2.25), swaying(0, 0.3, 35 * MINUTE)), shafts=5) == ["rtn_unack"]


CAMERAS = 25


def cut(room: Room, *spans: tuple[float, float], gone: int) -> list[str]:
    """`gone` of a site's cameras are not reached in these spans of seconds."""
    for index in range(CAMERAS):
        room.announce(f"camera-{index}", ("camera", "barrier", "kiosk")[index % 3])
        room.hear(reading(0, "reachable", True, device=f"camera-{index}"))
    for begin, end in spans:
        for at_s, reached in ((begin, False), (end, True)):
            room.pass_time(at_s)
            for index in range(gone):
                room.hear(reading(at_s + index / 10, "reachable", reached, device=f"camera-{index}"))
    room.pass_time(3 * HOUR)
    return [alarm.state.value for alarm in room.desk.alarms(open_only=False) if alarm.rule == "many_unreachable"]


def test_a_switch_without_power_is_one_situation_of_the_site(tmp_path: Path) -> None:
    assert cut(Room(tmp_path), (600, 3600), gone=6) == ["rtn_unack"]


def test_a_tenth_of_the_devices_or_a_restart_of_the_switch_is_none(tmp_path: Path) -> None:
    assert cut(room(tmp_path / "a"), (600, 3600), gone=2) == []
    assert cut(room(tmp_path / "b"), (600, 1100), (2000, 2500), gone=20) == []


def test_a_switch_that_staggers_is_one_situation(tmp_path: Path) -> None:
    spans = [(600 + 760 * n, 600 + 760 * n + 680) for n in range(6)]
    assert cut(Room(tmp_path), *spans, gone=6) == ["rtn_unack"]
