"""The fast lane gives the verdict of the slow one, or none."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.intake.delivery import Announced
from collector.intake.devices import Devices
from collector.intake.judge import Accepted, judge
from collector.intake.plain_pack import PlainPacks
from messages.ids import DeviceId
from messages.pack import LIMIT_BYTES
from messages.reading import Quality
from tests.collector.block import BIN, EDGE, GAS, KINDS, KNOWN, NOW_MS, ORIGIN, SITE, announcement, packed, reading

RETENTION_MS = 86_400_000
NOW_S = NOW_MS / 1000
HEAD: list[Any] = [{"bn": f"{EDGE}/", "n": "stream", "vs": "s1"}, {"n": "pack", "v": 7}]


def lane() -> PlainPacks:
    devices = Devices(Path("never opened"))
    for key, announced in KNOWN.items():
        devices.hear(Announced(key, announced))
    return PlainPacks(devices, KINDS)


LANE = lane()


def fast(payload: bytes, retention_ms: int | None = RETENTION_MS) -> Accepted | None:
    verdict = LANE.judge(payload, ORIGIN, NOW_MS, retention_ms=retention_ms)
    return verdict and verdict._replace(points=tuple(verdict.points))


def slow(payload: bytes, retention_ms: int | None = RETENTION_MS) -> object:
    """Its points are a tuple, and so are those of `fast`."""
    return judge(payload, ORIGIN, KNOWN, KINDS, NOW_MS, retention_ms=retention_ms)


def test_what_an_edge_sends_on_a_good_day_is_plain() -> None:
    ours = packed(
        reading(unit="%LEL"),
        reading(value=2.0, quality=Quality.BAD, at_ms=NOW_MS - 1),
        reading("alarm_contact", True, at_ms=NOW_MS - 5),
        reading("fill", 40.0, device=BIN, at_ms=NOW_MS - 7000),
        number=12,
    )
    verdict = fast(ours)
    assert verdict is not None
    assert verdict == slow(ours)
    assert len(verdict.points) == 4


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([{"bn": "gas-1/", "bt": NOW_S, "n": "gas_concentration", "v": value}], id=str(value))
        for value in (True, "1", None, [1], {"v": 1}, 1000.5, -11, 2**63)
    ]
    + [
        pytest.param([{"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": value}], id=f"boolean {value}")
        for value in (1, "true", None)
    ]
    + [
        pytest.param([{"bn": "gas-1/", "bt": time_s, "n": "alarm_contact", "vb": True}], id=f"at {time_s}")
        for time_s in (0, 2.0**28, NOW_S + 121, NOW_S - 86401, 1e308, -1e308, True, "now")
    ]
    + [
        pytest.param(records, id=words)
        for words, records in {
            "no time": [{"bn": "gas-1/", "n": "alarm_contact", "vb": True}],
            "time after the first": [
                {"bn": "gas-1/", "n": "alarm_contact", "vb": True},
                {"bt": NOW_S, "n": "alarm_contact", "vb": False},
            ],
            "time of its own": [{"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": True, "t": 1}],
            "two values": [{"bn": "gas-1/", "bt": NOW_S, "n": "gas_concentration", "v": 1, "vb": True}],
            "unknown label": [{"bn": "gas-1/", "bt": NOW_S, "n": "gas_concentration", "v": 1, "x": 1}],
            "label that must be understood": [{"bn": "gas-1/", "bt": NOW_S, "n": "gas_concentration", "v": 1, "x_": 1}],
            "base unit": [{"bn": "gas-1/", "bt": NOW_S, "bu": "ppm", "n": "gas_concentration", "v": 1}],
            "unit of a boolean": [{"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": True, "u": "1"}],
            "quality nobody knows": [{"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": True, "q": "poor"}],
            "null for a quality": [{"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": True, "q": None}],
            "bases alone": [{"bn": "gas-1/", "bt": NOW_S}, {"n": "alarm_contact", "vb": True}],
            "longer base": [{"bn": "gas-1/a", "bt": NOW_S, "n": "larm_contact", "vb": True}],
            "no record": [],
            "no object": [7],
            "own device without base": [{"bt": NOW_S, "n": "uptime", "v": 1}],
            "clock mark": [
                {"n": "clock", "vs": "untrusted"},
                {"bn": "gas-1/", "bt": NOW_S, "n": "alarm_contact", "vb": True},
            ],
        }.items()
    ],
)
def test_what_is_odd_is_left_to_the_slow_lane(records: list[Any]) -> None:
    assert fast(orjson.dumps([*HEAD, *records])) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"[1, 2]",
        b"null",
        b"[" * 100_000,
        b'\xff["',
        packed(reading(), edge="pi-2"),  # type: ignore[arg-type]
        packed(reading(), number=2**53 + 1),
        packed(reading(), stream="S 1"),  # type: ignore[arg-type]
        packed(reading()) + b" " * LIMIT_BYTES,
        packed(reading()).replace(b"1.5", b"NaN"),
        packed(reading()).replace(b"1.5", b"1e999"),
    ],
)
def test_bytes_of_any_kind_are_no_harm(payload: bytes) -> None:
    assert fast(payload) is None


def test_of_two_values_at_one_time_the_last_counts_here_too_and_so_does_the_last_of_two_labels() -> None:
    twice = packed(reading(value=1.0), reading("alarm_contact", False), reading(value=2.0))
    assert fast(twice) == slow(twice)
    doubled = packed(reading(value=1.0)).replace(b'"v":1.0', b'"v":1.0,"v":2.0')
    assert fast(doubled) == slow(doubled)


def test_a_device_that_is_announced_anew_is_judged_anew() -> None:
    devices = Devices(Path("never opened"))
    plain = PlainPacks(devices, KINDS)
    one = packed(reading())
    assert plain.judge(one, ORIGIN, NOW_MS) is None
    key = (SITE, EDGE, GAS)
    for announced, building in ((announcement("gas_alarm"), "3"), (announcement("gas_alarm", building="4"), "4")):
        devices.hear(Announced(key, announced))
        verdict = plain.judge(one, ORIGIN, NOW_MS)
        assert verdict is not None
        assert verdict.points[0].building == building
    devices.hear(Announced(key, announcement("waste_bin")))
    assert plain.judge(one, ORIGIN, NOW_MS) is None
    devices.hear(Announced(key, None))
    assert plain.judge(one, ORIGIN, NOW_MS) is None


def test_the_same_announcement_again_changes_nothing() -> None:
    devices = Devices(Path("never opened"))
    for _ in range(3):
        devices.hear(Announced((SITE, EDGE, GAS), announcement("gas_alarm")))
    assert devices.changes == 1


scalars = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**64 - 1)
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
    | st.sampled_from([NOW_S, NOW_S - 1, NOW_S + 120, NOW_S + 120.001, 2.0**28, 268435456.0004, -10.0, 1000.0])
)
labels = st.sampled_from(["bn", "bt", "bu", "bv", "bver", "n", "u", "v", "vb", "vs", "t", "q", "x", "x_", "bx_"])


@st.composite
def almost_plain(draw: st.DrawFn) -> list[Any]:
    """Records as an edge writes them, of which one or the other is changed."""
    records: list[Any] = []
    base_s = 0.0
    for _ in range(draw(st.integers(1, 6))):
        device, channels = draw(
            st.sampled_from(
                [
                    (GAS, ("gas_concentration", "alarm_contact")),
                    (BIN, ("fill", "temperature")),
                    (DeviceId("gas-9"), ("x",)),
                ]
            )
        )
        at_s = draw(st.sampled_from([NOW_S, NOW_S - 1, round(NOW_S) - 60, NOW_S - 0.5]))
        record: dict[str, Any] = {"bn": f"{device}/", "bt": at_s}
        base_s = at_s
        record["n"] = draw(st.sampled_from(channels))
        if record["n"] == "alarm_contact":
            record["vb"] = draw(st.booleans())
        else:
            record["v"] = draw(st.sampled_from([1, 2.5, 0, 99.0, -0.0]))
        if draw(st.booleans()):
            record["q"] = draw(st.sampled_from(["good", "bad", "uncertain", "poor"]))
        if draw(st.integers(0, 5)) == 0:
            record[draw(labels)] = draw(scalars)
        if draw(st.integers(0, 5)) == 0:
            record.pop(draw(labels), None)
        records.append(record)
    assert base_s
    return records


@settings(max_examples=400)
@given(almost_plain(), st.none() | st.just(RETENTION_MS))
def test_a_verdict_of_the_fast_lane_is_that_of_the_slow_one(records: list[Any], retention_ms: int | None) -> None:
    payload = orjson.dumps([*HEAD, *records])
    verdict = fast(payload, retention_ms)
    assert verdict is None or verdict == slow(payload, retention_ms)


@given(
    st.binary(max_size=200)
    | st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(labels, inner)).map(orjson.dumps)
)
def test_whatever_comes_nothing_is_raised(payload: bytes) -> None:
    assert fast(payload) is None
