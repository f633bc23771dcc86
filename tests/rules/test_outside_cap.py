"""Alarms and cases as CAP messages: whatever they hold, the message is valid, and its chain is whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as some

from messages.announcement import Place
from messages.settings import Text
from rules.cases.case import Situation, opened
from rules.duty.site import Site, load_site
from rules.outside import cap
from rules.outside.area import area
from rules.outside.cap import NAMESPACE, Issuer, Step
from rules.records import Alarm, AlarmState, Case, CaseState, LogEntry
from tests.services import ROOT

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent.parent / "golden/cap/cap12.xsd")
JUNMEN = load_site(ROOT / "deploy/sites/junmen.toml")
ISSUER = Issuer(site="junmen", site_name=Text(zh="军门社区", en="Junmen"), life="1f2e", addressee="city")
NOON_MS = 1_795_233_600_000

texts = some.text(max_size=60)
lines_of_text = some.text(some.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)
levels = some.sampled_from(["red", "orange", "yellow", "blue"])
kinds = some.sampled_from(["gas_alarm", "manhole_cover", "sos_button", "facade_camera", "waste_bin", "something_new"])
places = some.builds(
    Place,
    grid=some.sampled_from(["grid-1", "grid-9"]),
    building=some.sampled_from(["", "1", "99"]),
    text=some.one_of(some.just(""), lines_of_text),
)
EVENTS = [
    "alarm.raised",
    "alarm.severity_changed",
    "alarm.acknowledged",
    "alarm.shelved",
    "alarm.cleared",
    "alarm.latched",
    "alarm.reset",
    "case.registered",
    "case.accepted",
    "case.on_site",
    "case.note",
    "case.closed",
    "case.reopened",
    "case.archived",
]


def log(*events: str) -> list[LogEntry]:
    return [
        LogEntry(seq=n, at_ms=NOON_MS + n * 1000, event=event, alarm="a", case="c", actor="rules")
        for n, event in enumerate(events, start=7)
    ]


def alarm(**more: Any) -> Alarm:
    plain: dict[str, Any] = {
        "id": "a1b2",
        "site": "junmen",
        "edge": "pi-1",
        "device": "gas-1",
        "kind": "gas_alarm",
        "rule": "leak",
        "level": "red",
        "state": AlarmState.UNACK,
        "title": Text(zh="燃气泄漏", en="Gas leak"),
        "advice": Text(zh="开窗，勿动开关", en="Open the windows, touch no switch"),
        "place": Place(grid="grid-1", building="1", text="1号楼2单元101厨房"),
        "raised_at_ms": NOON_MS,
        "changed_at_ms": NOON_MS,
        "known_at_ms": NOON_MS,
        "late": False,
        "evidence": {"gas_concentration": 23.4},
    }
    return Alarm(**plain | more)


def case(**more: Any) -> Case:
    about: dict[str, Any] = {
        "site": "junmen",
        "place": Place(grid="grid-1", text="东街口"),
        "kind": "manhole_cover",
        "subject": "cover-1",
        "title": Text(zh="井盖移位", en="Cover moved"),
        "level": "orange",
        "origin": "alarm",
    }
    return opened("c-1", Situation(**about | more), NOON_MS)


def read(message: bytes) -> ElementTree.Element:
    """Valid, and what a reader finds."""
    SCHEMA.validate(message)
    return ElementTree.fromstring(message)


def texts_of(message: ElementTree.Element, path: str) -> list[str | None]:
    steps = "/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/"))
    return [found.text for found in message.findall(steps)]


@given(
    title=texts,
    advice=some.none() | texts,
    level=levels,
    kind=kinds,
    place=places,
    state=some.sampled_from(AlarmState),
    evidence=some.dictionaries(some.sampled_from(["a", "b"]), some.one_of(some.floats(), some.booleans(), texts)),
    spot=some.none() | some.tuples(some.floats(-89, 89), some.floats(-180, 180)),
    events=some.lists(some.sampled_from(EVENTS), min_size=1, max_size=8),
    site=some.sampled_from([JUNMEN, None]),
)
def test_whatever_an_alarm_holds_its_messages_are_valid(
    title: str,
    advice: str | None,
    level: Any,
    kind: str,
    place: Place,
    state: AlarmState,
    evidence: Any,
    spot: tuple[float, float] | None,
    events: list[str],
    site: Site | None,
) -> None:
    advised = None if advice is None else Text(zh=advice, en=advice)
    about = alarm(
        title=Text(zh=title, en=title),
        advice=advised,
        level=level,
        kind=kind,
        place=place,
        state=state,
        evidence=evidence,
    )
    where = area("junmen", site, place, *(spot or (None, None)))
    for step in cap.steps(log(*events)):
        found = read(cap.of_alarm(about, step, ISSUER, where))
        assert texts_of(found, "info/language") == ["zh-CN", "en-US"]
        assert len(texts_of(found, "references")) == (step.msg_type != "Alert")


@given(
    level=levels,
    kind=kinds,
    place=places,
    reason=texts,
    state=some.sampled_from(CaseState),
    devices=some.integers(0, 3),
    events=some.lists(some.sampled_from(EVENTS), min_size=1, max_size=8),
)
def test_whatever_a_case_holds_its_messages_are_valid(
    level: Any, kind: str, place: Place, reason: str, state: CaseState, devices: int, events: list[str]
) -> None:
    about = replace(case(level=level, kind=kind, place=place), reason=reason, state=state)
    for step in cap.steps(log(*events)):
        read(cap.of_case(about, devices, step, ISSUER, area("junmen", JUNMEN, place, None, None)))


@given(some.lists(some.sampled_from(EVENTS), max_size=80))
def test_a_chain_begins_with_an_alert_and_everything_after_it_names_what_was_before(events: list[str]) -> None:
    chain: list[int] = []
    for step in cap.steps(log(*events)):
        if step.msg_type == "Alert":
            chain = []
        assert [line.seq for line in step.before] == chain[-cap.MOST_REFERENCES :]
        assert (step.msg_type == "Alert") == (not chain)
        chain.append(step.line.seq)
        if step.msg_type == "Cancel":
            chain = []


def test_a_life_of_an_alarm_is_alert_update_cancel_and_again_an_alert() -> None:
    found = cap.steps(log("alarm.raised", "alarm.acknowledged", "alarm.cleared", "alarm.acknowledged", "alarm.raised"))
    assert [step.msg_type for step in found] == ["Alert", "Update", "Cancel", "Alert"]


def test_the_mapping_is_that_of_the_field_notes() -> None:
    step = cap.steps(log("alarm.raised", "alarm.severity_changed"))[1]
    where = area("junmen", JUNMEN, alarm().place, 26.0851, 119.3002)
    found = read(cap.of_alarm(alarm(), step, ISSUER, where))
    assert {name: texts_of(found, name) for name in ("identifier", "sender", "sent", "status", "msgType", "scope")} == {
        "identifier": ["junmen.1f2e.8"],
        "sender": ["gridcall.junmen.1f2e"],
        "sent": ["2026-11-21T04:00:08-00:00"],
        "status": ["Actual"],
        "msgType": ["Update"],
        "scope": ["Private"],
    }
    assert texts_of(found, "addresses") == ["city"]
    assert texts_of(found, "references") == ["gridcall.junmen.1f2e,junmen.1f2e.7,2026-11-21T04:00:07-00:00"]
    words = ("severity", "urgency", "certainty", "responseType", "event")
    assert [texts_of(found, f"info/{word}") for word in words] == [
        ["Extreme"] * 2,
        ["Immediate"] * 2,
        ["Likely"] * 2,
        ["Evacuate"] * 2,
        ["燃气泄漏", "Gas leak"],
    ]
    assert texts_of(found, "info/area/circle")[0] == "26.085100,119.300200 0.03"
    assert texts_of(found, "info/area/geocode/value")[:2] == ["junmen/grid-1", "junmen/1"]


def test_the_outline_of_a_building_is_a_closed_ring_in_degrees() -> None:
    (ring,) = area("junmen", JUNMEN, Place(grid="grid-1", building="1", text="x"), None, None).polygons
    assert ring[0] == ring[-1]
    assert len(ring) == 5
    south = min(lat for lat, _ in ring)
    assert pytest.approx(south, abs=2e-6) == 26.0850 + 20 / 111_200


@pytest.mark.parametrize(
    ("about", "devices", "certainty"),
    [
        (case(), 1, "Likely"),
        (case(), 2, "Observed"),
        (case(origin="ticket"), 0, "Observed"),
        (case(kind="lift_camera"), 1, "Possible"),
    ],
)
def test_how_certain_a_case_is_follows_from_who_saw_it(about: Case, devices: int, certainty: str) -> None:
    (step,) = cap.steps(log("case.registered"))
    found = read(cap.of_case(about, devices, step, ISSUER, area("junmen", None, about.place, None, None)))
    assert set(texts_of(found, "info/certainty")) == {certainty}


def test_what_is_over_is_past_and_all_clear_and_a_drill_is_an_exercise() -> None:
    step = cap.steps(log("case.registered", "case.closed"))[-1]
    drill, issuer = case(situation="drill-1"), replace(ISSUER, addressee="two words")
    found = read(cap.of_case(drill, 1, step, issuer, area("junmen", None, drill.place, None, None)))
    assert texts_of(found, "status") == ["Exercise"]
    assert texts_of(found, "addresses") == ['"two words"']
    alert = cap.of_alarm(alarm(rule="drill-leak"), step, ISSUER, area("junmen", None, drill.place, None, None))
    assert texts_of(read(alert), "status") == ["Exercise"]
    assert set(texts_of(found, "info/urgency")) == {"Past"}
    assert set(texts_of(found, "info/responseType")) == {"AllClear"}


def test_the_checker_refuses_what_the_standard_refuses() -> None:
    good = cap.of_alarm(alarm(), Step(log("alarm.raised")[0], "Alert"), ISSUER, area("s", None, alarm().place, 1, 2))
    SCHEMA.validate(good)
    for wrong in (
        (b"<scope>Private", b"<scope>Secret"),
        (b"-00:00</sent>", b"Z</sent>"),
        (b"<identifier>", b"<identifier>a b"),
        (b"<status>Actual</status>", b""),
        (b"1.000000,2.000000 0.03", b"1.0 2.0 0.03"),
    ):
        assert wrong[0] in good
        assert not SCHEMA.is_valid(good.replace(*wrong)), wrong
