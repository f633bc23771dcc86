import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.intake.judge import Accepted, PackId, Reason, Refused, grouped, judge
from collector.stores.base import PackRow
from messages.ids import DeviceId, StreamId
from messages.pack import LIMIT_BYTES, Fault
from messages.reading import Quality, Reading
from tests.collector.block import (
    BIN,
    EDGE,
    GAS,
    KINDS,
    KNOWN,
    NOW_MS,
    ORIGIN,
    OTHER_EDGE,
    SITE,
    STREAM,
    announcement,
    faults,
    packed,
    reading,
    senml,
)

DAY_MS = 86_400_000


def judged(payload: bytes, *, retention_ms: int | None = None) -> Accepted | Refused:
    return judge(payload, ORIGIN, KNOWN, KINDS, NOW_MS, retention_ms=retention_ms)


def accepted(payload: bytes) -> Accepted:
    verdict = judged(payload)
    assert isinstance(verdict, Accepted)
    return verdict


def refused(payload: bytes, *, retention_ms: int | None = None) -> Refused:
    verdict = judged(payload, retention_ms=retention_ms)
    assert isinstance(verdict, Refused)
    return verdict


def test_a_good_pack_becomes_points_with_what_is_known_of_the_device() -> None:
    verdict = accepted(packed(reading(unit="%LEL"), reading("alarm_contact", True), number=7))
    first, second = verdict.points
    assert (first.kind, first.model, first.building) == ("gas_alarm", "modbus-gas-detector", "3")
    assert first.reading == reading(unit="%LEL")
    assert second.reading == reading("alarm_contact", True)
    assert verdict.pack == PackRow(stream=STREAM, number=7, first_at_ms=NOW_MS, last_at_ms=NOW_MS, readings=2)
    assert not verdict.reasons


def test_a_number_without_a_unit_is_in_the_unit_of_its_kind_and_is_a_float() -> None:
    (point,) = accepted(senml({"bn": "gas-1/", "n": "gas_concentration", "v": 2, "t": NOW_MS / 1000})).points
    assert (point.reading.value, point.reading.unit) == (2.0, "%LEL")
    assert isinstance(point.reading.value, float)


def test_a_quality_is_kept() -> None:
    (point,) = accepted(packed(reading(quality=Quality.UNCERTAIN))).points
    assert point.reading.quality is Quality.UNCERTAIN


def test_the_span_of_a_pack_is_that_of_its_good_readings() -> None:
    early, late = reading(at_ms=NOW_MS - 5000), reading(at_ms=NOW_MS - 1000)
    bad = reading(value=1001.0, at_ms=NOW_MS)
    assert accepted(packed(early, late, bad)).pack == PackRow(
        stream=STREAM, number=1, first_at_ms=NOW_MS - 5000, last_at_ms=NOW_MS - 1000, readings=2
    )


def test_of_two_values_of_a_channel_at_one_time_the_last_one_counts() -> None:
    verdict = accepted(packed(reading(value=1.0), reading(value=2.0)))
    assert [point.reading.value for point in verdict.points] == [2.0]
    assert verdict.pack is not None
    assert verdict.pack.readings == 1


def test_a_pack_without_stream_and_number_is_stored_and_has_no_row() -> None:
    verdict = accepted(orjson.dumps([{"n": "gas-1/gas_concentration", "v": 2, "t": NOW_MS / 1000}]))
    assert len(verdict.points) == 1
    assert verdict.pack is None


@pytest.mark.parametrize(
    ("bad", "fault", "words"),
    [
        (reading(device=DeviceId("gas-2")), Fault.UNKNOWN_DEVICE, "pi-1 has not announced gas-2"),
        (reading("gas_concentratio"), Fault.UNKNOWN_CHANNEL, "did you mean `gas_concentration`?"),
        (reading(value=True), Fault.WRONG_TYPE, "gas_concentration: True, not a number"),
        (reading("alarm_contact", 1.0), Fault.WRONG_TYPE, "alarm_contact: 1.0, not a boolean"),
        (reading("alarm_contact", "on"), Fault.WRONG_TYPE, "alarm_contact: 'on', not a boolean"),
        (reading(unit="ppm"), Fault.WRONG_UNIT, "gas_concentration: ppm, not %LEL"),
        (reading(value=1000.5), Fault.OUT_OF_RANGE, "gas_concentration: 1000.5, not in [-10.0, 1000.0]"),
        (reading(value=-10.5), Fault.OUT_OF_RANGE, "gas_concentration: -10.5, not in [-10.0, 1000.0]"),
        (reading(at_ms=NOW_MS + 120_001), Fault.IN_THE_FUTURE, "gas_concentration: 120 s ahead"),
        (reading(device=DeviceId("Gas 1")), Fault.MALFORMED, "'Gas 1' is not the name of a device"),
    ],
)
def test_a_bad_record_is_refused_with_its_reason_and_costs_only_itself(bad: Reading, fault: Fault, words: str) -> None:
    good = reading("fill", 40.0, device=BIN)
    verdict = accepted(packed(good, bad))
    assert [point.reading.device for point in verdict.points] == [BIN]
    (reason,) = verdict.reasons
    assert reason.fault is fault
    assert words in reason.detail
    alone = refused(packed(bad, number=3))
    assert alone.fault is fault
    assert alone.pack == PackId(STREAM, 3)


def test_a_clock_may_be_two_minutes_ahead() -> None:
    assert len(accepted(packed(reading(at_ms=NOW_MS + 120_000))).points) == 1


def test_a_reading_older_than_the_retention_is_too_old_and_without_a_retention_nothing_is() -> None:
    payload = packed(reading(at_ms=NOW_MS - 10 * DAY_MS))
    assert faults(refused(payload, retention_ms=9 * DAY_MS).reasons) == ["too-old"]
    assert isinstance(judged(payload, retention_ms=10 * DAY_MS), Accepted)
    assert isinstance(judged(payload), Accepted)


def test_a_record_that_is_no_reading_is_malformed_and_costs_only_itself() -> None:
    good = {"bn": "gas-1/", "n": "gas_concentration", "v": 2, "t": NOW_MS / 1000}
    for bad in ({"n": 3}, {"n": "gas_concentration", "t": NOW_MS / 1000}, {"n": "fill", "v": 1}, good | {"t": 5}):
        verdict = accepted(senml(good, bad))
        assert faults(verdict.reasons) == ["malformed"]
        assert "record 3" in verdict.reasons[0].detail


def test_a_device_announced_by_another_edge_is_unknown_here() -> None:
    known = {(SITE, OTHER_EDGE, GAS): announcement("gas_alarm")}
    verdict = judge(packed(reading()), ORIGIN, known, KINDS, NOW_MS)
    assert isinstance(verdict, Refused)
    assert verdict.fault is Fault.UNKNOWN_DEVICE


def test_a_device_of_a_kind_that_we_do_not_have_is_unknown_with_a_suggestion() -> None:
    known = {(SITE, EDGE, GAS): announcement("gas_alarms")}
    verdict = judge(packed(reading()), ORIGIN, known, KINDS, NOW_MS)
    assert isinstance(verdict, Refused)
    assert verdict.fault is Fault.UNKNOWN_DEVICE
    assert "did you mean `gas_alarm`?" in verdict.reasons[0].detail


def test_a_pack_that_another_edge_signed_is_refused_whole() -> None:
    verdict = refused(packed(reading(), edge=OTHER_EDGE, number=9))
    assert verdict.fault is Fault.WRONG_EDGE
    assert verdict.pack == PackId(STREAM, 9)


def test_a_pack_without_a_reading_is_refused() -> None:
    assert refused(packed()).fault is Fault.MALFORMED


def test_what_is_no_pack_is_malformed_and_has_no_number() -> None:
    for payload in (b"", b"null", b"{}", b"[1]", b"\xff\xfe", b"[" * 100_000, b"hello", b'[{"bver": 99}]'):
        verdict = refused(payload)
        assert verdict.fault is Fault.MALFORMED
        assert verdict.pack is None


def test_a_pack_that_breaks_off_behind_its_head_still_has_its_number() -> None:
    verdict = refused(senml({"bn": 5}, number=12))
    assert verdict.fault is Fault.MALFORMED
    assert verdict.pack == PackId(STREAM, 12)


def test_an_oversized_payload_is_refused_unread() -> None:
    verdict = refused(packed(reading()) + b" " * LIMIT_BYTES)
    assert verdict.fault is Fault.OVERSIZED
    assert verdict.pack is None


def test_a_stream_or_a_number_that_no_store_could_hold_makes_the_pack_malformed() -> None:
    assert refused(senml(number=1e300)).fault is Fault.MALFORMED
    assert refused(packed(reading(), stream=StreamId("s" * 65))).fault is Fault.MALFORMED
    assert refused(packed(reading(), stream=StreamId("a\nb"))).fault is Fault.MALFORMED
    assert refused(packed(reading(), stream=StreamId(""))).fault is Fault.MALFORMED


def test_reasons_are_counted_by_fault_and_device_and_quote_little() -> None:
    reasons = [
        Reason(Fault.WRONG_UNIT, "first", GAS),
        Reason(Fault.WRONG_UNIT, "second", GAS),
        Reason(Fault.WRONG_UNIT, "x" * 1000, BIN),
    ]
    one, other = grouped(reasons)
    assert (one.detail, one.records) == ("first", 2)
    assert (len(other.detail), other.records) == (300, 1)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
_record = st.fixed_dictionaries(
    {},
    optional={
        "bn": st.sampled_from(["pi-1/", "gas-1/", "bin-1/", ""]) | _json,
        "bt": st.sampled_from([0, NOW_MS / 1000, 1e308, -1e308, 2**28]) | _json,
        "n": st.sampled_from(["stream", "pack", "gas_concentration", "gas-1/gas_concentration", "fill"]) | _json,
        "t": st.sampled_from([0, NOW_MS / 1000, 1e308]) | _json,
        "v": st.floats(allow_nan=False, allow_infinity=False) | _json,
        "vb": st.booleans() | _json,
        "vs": st.text() | _json,
        "u": st.sampled_from(["%LEL", "m"]) | _json,
        "q": st.sampled_from(["bad", "uncertain"]) | _json,
    },
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_record, max_size=6), st.booleans())
def test_no_pack_whatever_is_in_it_raises_anything(records: list[dict[str, object]], with_head: bool) -> None:
    import json

    head: list[dict[str, object]] = [{"bn": "pi-1/", "n": "stream", "vs": "s"}, {"n": "pack", "v": 1}]
    payload = json.dumps([*(head if with_head else ()), *records]).encode("utf-8", "surrogatepass")
    verdict = judged(payload)
    if isinstance(verdict, Accepted):
        assert verdict.points
    else:
        assert verdict.reasons


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything(payload: bytes) -> None:
    assert isinstance(judged(payload), Refused)
