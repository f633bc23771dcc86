"""Shipped rules at their very limits and delays, by hand-made numbers. What happens in the plant: tests/rules/scenes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from messages.kind import mismatch
from messages.reading import Reading, Value
from rules.duty.routing import shipped_routes
from rules.language.change import Cleared, Raised
from rules.language.library import COMMON, SHIPPED
from rules.language.rule import Rule
from rules.language.seen import NEVER, Seen
from tests.rules.course import KINDS, RULES, at, course, live, raised, reading, replay, rule

END_S = 4 * 3600


@dataclass(frozen=True)
class Case:
    """A value below the raise limit and one at it; how long it must last; a value that clears, and how long."""

    kind: str
    rule: str
    channel: str
    calm: Value
    grave: Value
    delay_s: float
    back: Value
    off_delay_s: float
    others: dict[str, Value] = field(default_factory=dict)
    """Other channels of its sentences, which stay as they are; or what the channel itself was before."""
    settings: dict[str, Value] = field(default_factory=dict)
    """The device's own."""

    @property
    def of(self) -> Rule:
        return rule(self.kind, self.rule).for_device(self.settings)

    def readings(self, *points: tuple[float, Value]) -> list[Reading]:
        return [*(reading(-1, name, value) for name, value in self.others.items()), *course(self.channel, *points)]


CARDS: dict[str, Value] = {"reads_cards": True}
CASES = [
    Case("gas_alarm", "leak", "gas_concentration", 9.9, 10.0, 0, 4.9, 300, {"alarm_contact": False}),
    Case("gas_alarm", "leak", "alarm_contact", False, True, 0, False, 300, {"gas_concentration": 0.0}),
    Case("manhole_cover", "moved", "tilt", 14.9, 15.0, 30, 4.9, 60),
    Case("manhole_cover", "open", "tilt", 44.9, 45.0, 0, 4.9, 60),
    Case("gas_well", "leak", "gas_concentration", 19.9, 20.0, 0, 9.9, 300),
    Case("smoke_alarm", "smoke", "smoke", False, True, 0, False, 0),
    Case("bracelet", "fall", "fall", False, True, 30, False, 0),
    Case("bracelet", "heart_rate", "heart_rate", 120.0, 121.0, 300, 60.0, 300, {}, {"heart_rate_high": 120.0}),
    Case("lift_camera", "ebike_stays", "ebike", False, True, 120, False, 10),
    Case("smart_lamp", "leakage", "leakage", 29.9, 30.0, 0, 14.9, 300),
    Case("smart_lamp", "leaning", "tilt", 9.9, 10.0, 60, 4.9, 300),
    Case("barrier", "stays_open", "open", False, True, 300, False, 10),
    Case("barrier", "unreachable", "reachable", True, False, 600, True, 120),
    Case("pipe_gallery", "sump_high", "sump_high", False, True, 10, False, 600),
    Case("charging_shed", "smoke", "smoke", False, True, 0, False, 0),
    Case("sewer_level", "high", "water_level", 2.39, 2.41, 10, 2.09, 600),
    Case("sewer_level", "overflow", "float_switch", False, True, 2, False, 600),
    Case("door_access", "held_open", "door_open", False, True, 60, False, 5),
    Case("door_access", "held_open", "door_open", False, True, 30, False, 5, {}, {"held_after": 30.0}),
    Case("door_access", "left_open", "door_open", False, True, 600, False, 5),
    Case("door_access", "open_after_moving", "door_open", False, True, 1800, False, 5, {}, {"moving": True}),
    Case("door_access", "forced", "forced", False, True, 1, False, 10, {"door_open": False}),
    Case("door_access", "opened_unasked", "door_open", False, True, 2, False, 10, {"door_open": False}, CARDS),
    Case("device_link", "silent", "answering", True, False, 60, True, 10, {"line_open": True, "guards_lives": False}),
    Case(
        "device_link", "guard_silent", "answering", True, False, 30, True, 10, {"line_open": True, "guards_lives": True}
    ),
    Case("edge_line", "away", "open", True, False, 60, True, 60),
    Case("edge_line", "disturbed", "error_rate", 9.9, 10.0, 1800, 4.9, 1800),
    Case("edge_agent", "disk_refuses", "disk_refuses", False, True, 60, False, 60),
    Case("edge_agent", "outbox_filling", "outbox_used", 69.9, 70.0, 0, 49.9, 600),
    Case("edge_agent", "hot", "temperature", 79.9, 80.0, 600, 69.9, 600, {"throttled": False}),
    Case("edge_agent", "hot", "throttled", False, True, 600, False, 600, {"temperature": 50.0}),
    Case("edge_agent", "disk_full", "disk_free", 5.0, 4.9, 600, 10.0, 600),
    Case("edge_agent", "clock", "clock_trusted", True, False, 3600, True, 60),
    Case("edge_agent", "configuration_refused", "configuration_refused", False, True, 300, False, 60),
    Case("reflex", "failed", "failed", False, True, 0, False, 0),
    Case("reflex", "acting", "raised", False, True, 0, False, 0),
    Case("site", "edges_away", "edges_away", 2.0, 3.0, 120, 1.0, 120),
    Case("edge_ledger", "breach", "balanced", True, False, 60, True, 600),
    Case("collector", "locked_out", "locked_out", False, True, 0, False, 60),
    Case("collector", "store_away", "store_takes", True, False, 300, True, 60, {"locked_out": False}),
    Case("collector", "broker_too_small", "broker_fits", True, False, 0, True, 60),
    Case("collector", "quarantine_full", "quarantine_used", 79.9, 80.0, 0, 59.9, 600),
]


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", list(cases), ids=lambda case: f"{case.kind}-{case.rule}-{case.channel}")


@each(CASES)
def test_it_is_raised_after_its_delay_and_cleared_after_the_other(case: Case) -> None:
    gone_s = case.delay_s + 100
    found = live(case.of, case.readings((0, case.grave), (gone_s, case.back)), END_S)
    assert [(type(change), change.at_ms) for change in found] == [
        (Raised, at(case.delay_s)),
        (Cleared, at(gone_s + case.off_delay_s)),
    ]


@each(CASES)
def test_just_below_its_limit_nothing_is_raised(case: Case) -> None:
    assert live(case.of, case.readings((0, case.calm), (600, case.calm)), END_S) == []


@each(case for case in CASES if case.delay_s)
def test_what_is_shorter_than_its_delay_raises_nothing_however_often(case: Case) -> None:
    step_s = case.delay_s * 0.9
    found = live(case.of, case.readings(*_turns(case.grave, case.calm, step_s, 40)), END_S)
    assert found == []


@each(case for case in CASES if case.off_delay_s)
def test_what_flaps_within_its_off_delay_is_one_alarm(case: Case) -> None:
    raised_s = case.delay_s + 1
    flapping = _turns(case.back, case.grave, case.off_delay_s * 0.9, 10, since_s=raised_s)
    found = live(case.of, case.readings((0, case.grave), *flapping), raised_s + case.off_delay_s * 9)
    assert [type(change) for change in found] == [Raised]


@each(case for case in CASES if not isinstance(case.grave, bool))
def test_between_its_limits_it_stays_raised(case: Case) -> None:
    found = live(case.of, case.readings((0, case.grave), (case.delay_s + 1, case.calm)), END_S)
    assert [type(change) for change in found] == [Raised]


EVERY_RULE = [rule for rules in RULES.values() for rule in rules]


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: f"{rule.kind}-{rule.id}")
def test_it_is_said_in_both_languages_and_what_is_grave_says_what_to_do(rule: Rule) -> None:
    for text in (rule.title, *([rule.advice] if rule.advice else [])):
        assert text.zh.strip()
        assert text.en.strip()
        assert text.zh != text.en
    assert len(rule.title.zh) <= 20, "it has to fit a phone's first line"
    if "red" in levels(rule) or "orange" in levels(rule):
        assert rule.advice


def levels(rule: Rule) -> set[str]:
    return {rule.level, *(level for level, _ in rule.levels)}


def test_life_safety_is_gas_fire_a_call_for_help_a_fall_and_a_failed_reflex() -> None:
    assert {f"{rule.kind}.{rule.id}" for rule in EVERY_RULE if rule.life_safety} == {
        "bracelet.called",
        "bracelet.fall",
        "charging_pile.smoke",
        "charging_shed.smoke",
        "gas_alarm.leak",
        "gas_well.leak",
        "heat_alarm.heat",
        "manual_call_point.pressed",
        "reflex.failed",
        "smoke_alarm.smoke",
        "sos_button.called",
        "sos_button.cord_pulled",
    }


def test_what_is_red_is_held_until_a_person_has_looked() -> None:
    unheld = [f"{rule.kind}.{rule.id}" for rule in EVERY_RULE if "red" in levels(rule) and not rule.latch]
    assert unheld == ["site.stalled", "site.unstaffed"]  # what the engine sees mended needs nobody to check it
    held = {f"{rule.kind}.{rule.id}" for rule in EVERY_RULE if rule.latch and "red" not in levels(rule)}
    assert held == {
        "citizen_report.reported",
        "door_access.forced",
        "door_access.opened_unasked",
        "edge_ledger.breach",
        "facade_camera.thrown",
    }


@pytest.mark.parametrize(("kind", "level"), [("smoke_alarm", "yellow"), ("waste_bin", "blue")])
def test_a_battery_of_what_guards_lives_is_graver(kind: str, level: str) -> None:
    (found,) = live(rule(kind, "battery_low"), course("battery", (0, 19.0), (60, 18.0)), 100)
    assert isinstance(found, Raised)
    assert (found.level or rule(kind, "battery_low").level) == level


def test_a_rule_about_a_channel_is_there_for_every_kind_that_has_it() -> None:
    for path in (SHIPPED / COMMON).glob("*.toml"):
        having = {name for name, kind in KINDS.items() if path.stem in kind.channels}
        ruled = {name for name, rules in RULES.items() if any(path.stem in rule.channels for rule in rules)}
        assert having
        assert having <= ruled


def test_every_kind_that_measures_has_rules() -> None:
    assert set(KINDS) - set(RULES) == {"gas_valve", "lift_control", "sewer_quality", "siren"}


def test_a_cover_that_was_installed_aslant_is_measured_from_there() -> None:
    aslant = rule("manhole_cover", "open").for_device({"installed_tilt": 50.0})
    assert live(aslant, course("tilt", (0, 50.0), (10, 60.0)), END_S) == []
    assert len(live(aslant, course("tilt", (0, 50.0), (10, 5.0)), END_S)) == 1


def test_a_cover_is_either_moved_or_open() -> None:
    for degrees in range(181):
        holds = [
            name
            for name in ("moved", "open")
            if rule("manhole_cover", name).raises({"tilt": Seen(0, float(degrees), 0, 0)}, NEVER)
        ]
        assert len(holds) == (degrees >= 15)


def test_a_gas_leak_with_a_contact_that_never_spoke_is_raised_all_the_same() -> None:
    assert len(live(rule("gas_alarm", "leak"), course("gas_concentration", (0, 10.0)), 1)) == 1
    assert len(live(rule("gas_alarm", "leak"), course("alarm_contact", (0, True)), 1)) == 1


def _turns(
    first: Value, second: Value, step_s: float, count: int, *, since_s: float = 0
) -> Iterable[tuple[float, Value]]:
    return [(since_s + math.floor(index * step_s * 1000) / 1000, (first, second)[index % 2]) for index in range(count)]


@pytest.mark.parametrize("concentration", [100.1, 250.0, 999.0])
def test_a_saturated_gas_sensor_is_believed(concentration: float) -> None:
    # Above 100 %LEL no sensor measures, and no leak is worse: the reading must reach the rule, and raise.
    channel = KINDS["gas_alarm"].channels["gas_concentration"]
    assert mismatch(channel, concentration, "%LEL") is None
    leak = rule("gas_alarm", "leak")
    assert raised(0, replay(leak, [reading(0, "gas_concentration", concentration)]))


CARD = "0123456789abcdef0123"
DOOR = rule("door_access", "opened_unasked").for_device(CARDS)
Moment = tuple[float, str, Value]


def door(*moments: Moment) -> list[str]:
    """What a door's events raise, the door being shut at first."""
    readings = [reading(-100, "door_open", False), *(reading(at_s, name, value) for at_s, name, value in moments)]
    return [type(change).__name__ for change in live(DOOR, readings, END_S)]


@pytest.mark.parametrize(
    ("moments", "raised_"),
    [
        ([(0, "door_open", True)], True),
        ([(0, "card", CARD), (3, "door_open", True)], False),
        ([(0, "exit_request", True), (0.2, "exit_request", False), (3, "door_open", True)], False),
        ([(0, "released", True), (4, "door_open", True)], False),
        ([(0, "card", CARD), (6, "door_open", True)], True),
        ([(0, "door_open", True), (0.9, "card", CARD)], False),
        ([(0, "door_open", True), (0, "card", CARD)], False),
        ([(0, "card", CARD), (2, "door_open", True), (600, "door_open", True)], False),
        ([(0, "card", CARD), (2, "door_open", True), (8, "door_open", False), (60, "door_open", True)], True),
        ([(0, "card", CARD), (50, "card", CARD), (55, "door_open", True)], False),
        ([(0, "exit_request", False), (3600, "exit_request", False), (3602, "door_open", True)], True),
    ],
    ids=[
        "nobody asked",
        "card, then door",
        "exit button, then door",
        "released by a command",
        "a card long before",
        "the contact is faster than the card",
        "both in one millisecond",
        "it stays open for long",
        "it is opened again without a card",
        "the same card twice",
        "a repetition of the button at rest is no request",
    ],
)
def test_a_door_is_forced_when_nobody_was_let_in(moments: list[Moment], raised_: bool) -> None:
    assert ("Raised" in door(*moments)) is raised_


def test_a_door_that_stands_open_when_it_is_first_heard_of_is_not_forced() -> None:
    readings = [reading(0, "door_open", True), reading(60, "door_open", True)]
    assert live(DOOR, readings, END_S) == []


def test_a_controller_without_cards_is_not_judged_by_them() -> None:
    plain = rule("door_access", "opened_unasked")
    assert live(plain, [reading(-1, "door_open", False), reading(0, "door_open", True)], END_S) == []


def test_every_kind_that_a_shipped_route_names_is_there() -> None:
    assert {kind for route in shipped_routes() for kind in route.kinds or ()} <= set(KINDS)
