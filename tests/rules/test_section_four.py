"""The shipped rules, held against section 4 of the field notes row by row: the figures stand here once more, written from the notes by hand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from messages.reading import Value
from rules.alarms.figures import Chatter, Flood
from rules.language.library import COMMON, SHIPPED, rule_files
from rules.language.rule import Rule
from tests.rules.course import KINDS, RULES, rule

NOTES = Path(__file__).parent.parent.parent / "docs/field-notes.md"


@dataclass(frozen=True)
class Row:
    """What the notes say of a rule. Seconds; levels from its own to the gravest."""

    rule: str
    levels: str
    latch: bool = False
    delay_s: float = 0.0
    off_s: float = 0.0
    samples: int = 1
    settings: Mapping[str, Value] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    """What stands in its sentences."""


MIN, HOUR = 60.0, 3600.0
HEAT = {"hot_at": 60.0, "cool_at": 45.0, "warms_by": 10.0}
LIGHT = {"leaks_at": 30.0}
ROWS: dict[str, list[Row]] = {
    "gas, home or shop": [
        Row("gas_alarm.leak", "red", True, 0, 5 * MIN, 1, {"alarm_at": 10.0, "over_at": 5.0}, ("or alarm_contact",)),
    ],
    "gas, gallery or well": [
        Row("gas_well.leak", "red", True, 0, 5 * MIN, 1, {"alarm_at": 20.0, "over_at": 10.0}, ("or alarm_contact",)),
    ],
    "smoke, heat, call point": [
        Row("smoke_alarm.smoke", "red", True),
        Row("heat_alarm.heat", "red", True),
        Row("manual_call_point.pressed", "red", True),
    ],
    "SOS": [
        Row("sos_button.called", "red", True, settings={"joins_within": 60.0}),
        Row("sos_button.cord_pulled", "red", True),
        Row("bracelet.called", "red", True, settings={"joins_within": 60.0}),
    ],
    "bracelet, fall": [Row("bracelet.fall", "red", True, 30)],
    "bracelet, vitals": [
        Row("bracelet.heart_rate", "yellow", False, 5 * MIN, 5 * MIN, 1, {"heart_rate_high": 0.0, "heart_rate_low": 0.0}),
        Row("bracelet.blood_oxygen", "yellow", False, 5 * MIN, 5 * MIN, 1, {"blood_oxygen_low": 0.0}),
    ],
    "elderly, little water": [
        Row(
            "water_meter.no_use", "orange red", True, settings={"least_use": 0.01, "quiet_from": 23.0, "quiet_to": 8.0},
            says=('increase(volume, "12h") < least_use', 'increase(volume, "24h") < least_use', "not absent"),
        ),
    ],
    "much water, leak": [
        Row("water_meter.high_use", "yellow", settings={"most_use": 2.0}, says=('increase(volume, "24h") > most_use',)),
        Row("water_meter.leak", "yellow", False, 24 * HOUR, HOUR, says=('increase(volume, "30min") > 0',)),
    ],
    "elderly, door": [
        Row("elderly_door.not_opened", "yellow orange", says=('count(open, "24h") < 1', 'count(open, "48h") < 1')),
        Row(
            "elderly_door.opened_at_night", "yellow", settings={"night_openings": 3.0, "night_until": 5.0},
            says=('count(open, "since 00:00") >= night_openings',),
        ),
    ],
    "manhole moved": [
        Row("manhole_cover.moved", "orange red", True, 30, 60, 1, {"moved_at": 15.0, "back_at": 5.0, "in_road": False}),
    ],
    "manhole open": [Row("manhole_cover.open", "red", True, 0, 60, 1, {"open_at": 45.0, "back_at": 5.0})],
    "manhole and sewer water": [
        Row("manhole_cover.water_high", "yellow orange", False, 30, 10 * MIN, 2, {"high_part": 0.8, "low_part": 0.7}),
        Row("sewer_level.high", "yellow", False, 10, 10 * MIN, 1, {"high_part": 0.8, "low_part": 0.7}),
    ],
    "water lifts a cover": [
        Row("manhole_cover.surcharge", "red", True, 0, 10 * MIN, 2, {"moved_at": 15.0, "low_part": 0.7}, ("rim_switch",)),
    ],
    "sewer float": [Row("sewer_level.overflow", "orange", False, 2, 10 * MIN)],
    "road ponding": [
        Row(
            "road_ponding.water", "blue yellow orange", False, 0, 10 * MIN, 2,
            {"wet_at": 0.03, "deep_at": 0.10, "closed_at": 0.25, "dry_at": 0.01},
        ),
    ],
    "bin fill": [
        Row("waste_bin.nearly_full", "blue", False, 10 * MIN, 0, 2, {"nearly_full_at": 80.0, "emptied_at": 30.0}),
        Row("waste_bin.overflowing", "yellow", False, 60, 0, 2, {"full_at": 95.0, "emptied_at": 30.0}, ("overflow_seen",)),
    ],
    "bin, shed, pile: heat": [
        Row("waste_bin.heat", "red", True, 30, 10 * MIN, 1, {**HEAT, "warm_at": 40.0}),
        Row("charging_shed.heat", "red", True, 30, 10 * MIN, 1, {**HEAT, "warm_at": 40.0}),
        Row("charging_pile.heat", "red", True, 30, 10 * MIN, 1, {**HEAT, "warm_at": 45.0}),
    ],
    "shed, pile: smoke": [Row("charging_shed.smoke", "red", True), Row("charging_pile.smoke", "red", True)],
    "door held open": [
        Row("door_access.held_open", "blue", False, 60, 5, 1, {"held_after": 60.0}),
        Row("door_access.left_open", "yellow", False, 10 * MIN, 5, 1, {"left_after": 600.0}),
        Row("door_access.open_after_moving", "yellow", False, 30 * MIN, 5, 1, {"moved_after": 1800.0}),
    ],
    "forced door": [
        Row("door_access.forced", "yellow orange", True, 1, 10, says=('time_between("22:00", "06:00")',)),
        Row("door_access.opened_unasked", "yellow orange", True, 2, 10, 1, {"asked_within": 5.0}),
    ],
    "e-bike in a lift": [
        Row("lift_camera.ebike", "blue", False, 0, 10),
        Row("lift_camera.ebike_stays", "orange", False, 120, 10),
    ],
    "something thrown": [Row("facade_camera.thrown", "orange", True, settings={"joins_within": 60.0})],
    "lamp, pole": [
        Row("smart_lamp.off_at_night", "blue", False, 10 * MIN, 5 * MIN),
        Row("smart_lamp.leakage", "red", True, 0, 5 * MIN, 1, LIGHT),
        Row("charging_pile.leakage", "red", True, 0, 5 * MIN, 1, LIGHT),
        Row("smart_lamp.leaning", "orange", False, 60, 5 * MIN, 1, {"leans_at": 10.0}),
    ],
    "barrier, kiosk, locker, camera, recorder": [
        *(
            Row(f"{kind}.unreachable", "blue", False, 10 * MIN, 2 * MIN)
            for kind in ("barrier", "kiosk", "parcel_locker", "camera", "recorder")
        ),
        Row("barrier.stays_open", "blue", False, 5 * MIN, 10),
        Row("site.many_unreachable", "yellow", False, 10 * MIN, 2 * MIN, 1, {"part_away": 0.1, "least_unreachable": 3.0}),
    ],
    "pipe gallery": [
        Row("pipe_gallery.oxygen_low", "orange", samples=2, settings={"least_oxygen": 19.5, "good_oxygen": 20.0}),
        Row("pipe_gallery.sump_high", "orange", False, 10, 10 * MIN),
        Row("pipe_gallery.hot", "orange", samples=2, settings={"hot_at": 40.0, "cool_at": 36.0}),
    ],
    "water and heat pressure, heat": [
        Row("water_pressure.low", "orange", samples=2, settings={"low_part": 0.8, "good_part": 0.9}),
        Row("water_pressure.none", "orange", samples=2, settings={"least_pressure": 50.0}),
        Row("heat_supply.pressure_low", "orange", samples=2, settings={"low_part": 0.8, "good_part": 0.9}),
        Row("heat_supply.cold", "orange", samples=2, settings={"low_part": 0.8, "good_part": 0.9}),
    ],
    "silent device": [
        Row("device_link.guard_silent", "orange", False, 30, 10, says=("guards_lives",)),
        Row("device_link.silent", "blue", False, 60, 10, says=("not guards_lives",)),
    ],
    "silent gateway": [Row("edge_line.away", "orange", False, 60, 60)],
    "battery, clock": [
        Row(
            "smoke_alarm.battery_low", "blue yellow", samples=2,
            settings={"low_battery": 20.0, "empty_battery": 10.0, "good_battery": 30.0}, says=("or guards_lives",),
        ),
        Row("door_access.battery_runs_out", "blue yellow", says=("guards_lives",)),
        Row("camera.clock_wrong", "blue", samples=2, settings={"clock_may_be_off": 120.0}),
    ],
    "whoever isn't seen": [],  # rules/cases/policies.toml: the situation of the two rules above
    "residents' report": [Row("citizen_report.reported", "yellow", True, settings={"joins_within": 1800.0})],
    "storm": [
        Row(
            "site.storm", "orange", False, 0, 45 * MIN, settings={"storm_shafts": 5.0},
            says=('within="500m", window="15min") >= storm_shafts', 'window="15min") < 1'),
        ),
    ],
}  # fmt: skip
OURS = {"collector", "edge_agent", "edge_ledger", "edge_line", "edge_link", "reflex", "site"}
"""Gridcall itself: of it the notes have its gateways and a site's storm alone."""
BESIDES = {"sensor_faulty", "tampered"}
"""Section 2d names them, without figures."""


def of(row: Row) -> Rule:
    return rule(*row.rule.split("."))


def rows() -> list[Row]:
    return [row for some in ROWS.values() for row in some]


def test_every_row_of_the_notes_has_its_rules_and_every_rule_its_row() -> None:
    table = NOTES.read_text(encoding="utf-8").partition("\n## 4 ")[2].partition("\n## ")[0]
    kinds = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    assert [kind for kind in kinds if kind != "kind"] == list(ROWS)
    of_kinds = {(kind, one.id) for kind, some in RULES.items() if kind not in OURS for one in some if one.about is None}
    named = {tuple(row.rule.split(".")) for row in rows()}
    assert of_kinds <= named
    common = {one.id for some in RULES.values() for one in some if one.about is not None}
    assert common <= {name for _, name in named} | BESIDES


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.rule)
def test_a_rule_has_the_figures_of_its_row(row: Row) -> None:
    found = of(row)
    levels = [found.level, *(level for level, _ in reversed(found.graver_when))]
    assert (" ".join(levels), found.latch) == (row.levels, row.latch)
    assert (found.raise_delay_ms, found.clear_delay_ms) == (row.delay_s * 1000, row.off_s * 1000)
    assert found.raise_samples == row.samples
    assert {name: found.settings[name] for name in row.settings} == row.settings
    sentences = (found.raise_when, found.clear_when, *(when for _, when in found.graver_when))
    spoken = {name for sentence in sentences for name in sentence.settings} | set(map(str, found.delays))
    assert row.settings.keys() <= spoken, "a figure of which no sentence speaks is none"
    for words in row.says:
        assert any(words in sentence.source for sentence in sentences)


def test_a_flood_and_what_chatters_are_as_the_notes_have_them() -> None:
    assert Chatter() == Chatter.model_validate({"times": 3, "within": "60s", "quiet": "30min"})
    assert Flood() == Flood.model_validate({"window": "10min", "begins_above": 10, "ends_below": 5})


def test_every_file_is_about_a_kind_or_a_channel() -> None:
    channels = {channel for kind in KINDS.values() for channel in kind.channels}
    for path in rule_files(SHIPPED):
        assert path.stem in (channels if path.parent.name == COMMON else KINDS)


SOURCE = re.compile(r"section \d|\[[VER]\]|GB \d|Raspberry Pi documentation")
FIGURE = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?:ms|s|min|h|d|m|km)?(?![\w.])")
SAYS_FIGURES = re.compile(r"(?:raise|clear|levels|raise_delay|clear_delay|raise_samples|clear_samples)\s*=|.*\bvalue =")
NONE = ("0", "0s", "0.0")


@pytest.mark.parametrize("path", rule_files(SHIPPED), ids=lambda path: path.stem)
def test_every_figure_of_a_rule_names_its_source(path: Path) -> None:
    """Behind it, or in the comment above."""
    unsourced, above = [], ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        code, _, comment = re.sub(r"\s#", "\0", line, count=1).partition("\0")
        if line.startswith("#"):
            above += line
            continue
        figures = [one for one in FIGURE.findall(code) if one not in NONE] if SAYS_FIGURES.match(code) else []
        if [one for one in figures if one != "1"] and not SOURCE.search(comment + above):
            unsourced.append(f"{number}: {line}")
        above = ""
    assert unsourced == []


@pytest.mark.parametrize(
    "one", [one for some in RULES.values() for one in some], ids=lambda one: f"{one.kind}-{one.id}"
)
def test_what_a_channel_is_compared_with_is_a_setting(one: Rule) -> None:
    """So that a device may have its own. Of a counter, nothing is 0, and once is 1."""
    for sentence in (one.raise_when, one.clear_when, *(when for _, when in one.graver_when)):
        bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", sentence.source)
        compared = re.findall(r"[<>=]=?\s*([0-9.]+)\b(?!\s*\*)", bare)
        assert [figure for figure in compared if float(figure) > 1] == []
