"""The pack's codec: what goes in comes out, and nothing that comes in harms."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages.ids import IDENTIFIER, DeviceId, EdgeId, StreamId
from messages.pack import (
    LIMIT_BYTES,
    NUMBER_LIMIT,
    RECORD_LIMIT,
    TEXT_LIMIT,
    Fault,
    Pack,
    PackError,
    decode,
    encode,
    moved,
)
from messages.reading import Quality, Reading

EDGE, STREAM = EdgeId("pi-1"), StreamId("s1")
AT_MS = 1_793_000_000_123
HEAD: list[dict[str, Any]] = [{"bn": "pi-1/", "n": "stream", "vs": "s1"}, {"n": "pack", "v": 7}]
GOOD: dict[str, Any] = {"bn": "gas-1/", "bt": AT_MS / 1000, "n": "gas_concentration", "v": 4.5, "u": "%LEL"}

identifiers = st.from_regex(IDENTIFIER, fullmatch=True).map(lambda text: text.rstrip("\n"))
texts = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c in "\t\n" or (c >= " " and c != "\x7f")), max_size=80
)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    value: float | bool | str = draw(numbers | st.booleans() | texts)
    is_number = isinstance(value, float)
    return Reading(
        device=DeviceId(draw(identifiers)),
        channel=draw(identifiers),
        at_ms=draw(st.integers(min_value=2**28 * 1000, max_value=253_402_300_799_999)),
        value=value,
        unit=draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=32)) if is_number else None,
        quality=draw(st.sampled_from(Quality)),
    )


def packed(*records: Any, head: Sequence[Any] = HEAD) -> bytes:
    return json.dumps([*head, *records]).encode()


def refused(payload: bytes) -> PackError:
    with pytest.raises(PackError) as caught:
        decode(payload)
    return caught.value


def only_bad(record: Any) -> str:
    """Why `record` is no reading, where the record after it is one."""
    pack = decode(packed(record, GOOD))
    assert [reading.channel for reading in pack.readings] == ["gas_concentration"]
    (bad,) = pack.bad
    assert (bad.index, bad.fault) == (2, Fault.MALFORMED)
    return bad.detail


@settings(deadline=None)
@given(identifiers, identifiers, st.integers(1, NUMBER_LIMIT), st.lists(readings(), max_size=20))
def test_what_is_encoded_is_decoded_again(edge: str, stream: str, number: int, sent: list[Reading]) -> None:
    pack = decode(encode(EdgeId(edge), StreamId(stream), number, sent))
    assert pack == Pack(edge=EdgeId(edge), stream=StreamId(stream), number=number, readings=sent)
    assert [type(reading.value) for reading in pack.readings] == [type(reading.value) for reading in sent]


@given(st.integers(min_value=2**28 * 1000, max_value=253_402_300_799_999))
def test_milliseconds_survive_the_seconds_of_the_wire(at_ms: int) -> None:
    sent = Reading(device=DeviceId("d"), channel="c", at_ms=at_ms, value=True)
    assert decode(encode(EDGE, STREAM, 1, [sent])).readings == [sent]


def test_name_and_time_are_written_once_for_readings_that_share_them() -> None:
    sent = [
        Reading(device=DeviceId(device), channel=channel, at_ms=AT_MS, value=1.0)
        for device in ("a", "b")
        for channel in ("x", "y", "z")
    ]
    assert encode(EDGE, STREAM, 1, sent).count(b'"bn"') == 3


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_a_pack_or_an_error_of_ours(payload: bytes) -> None:
    harmless(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
labels = st.sampled_from(["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "q", "x_"])
likely = st.sampled_from(["gas-1/", "pi-1/", "stream", "pack", "pi-1/pack", "s1", 1e308, -1e308, 2**60, AT_MS / 1000])
records = st.dictionaries(labels | st.text(max_size=3), likely | json_values, max_size=6)


@settings(max_examples=500, deadline=None)
@given(st.lists(records | json_values, max_size=6), st.booleans())
def test_json_of_any_kind_is_a_pack_or_an_error_of_ours(content: list[Any], with_head: bool) -> None:
    harmless(json.dumps(HEAD + content if with_head else content).encode())


@settings(max_examples=500, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=5), st.data())
def test_a_pack_with_bytes_changed_is_a_pack_or_an_error_of_ours(sent: list[Reading], data: st.DataObject) -> None:
    payload = bytearray(encode(EDGE, STREAM, 1, sent))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not payload:
            break
    harmless(bytes(payload))


def harmless(payload: bytes) -> None:
    """Decodes it; whatever comes out may go to a store."""
    try:
        pack = decode(payload)
    except PackError as error:
        said = str(error)
    else:
        harmless_pack(pack)
        said = "fine"
    assert 0 < len(said) < 1000


def harmless_pack(pack: Pack) -> None:
    for reading in pack.readings:
        for name in (reading.device, reading.channel):
            assert 1 <= len(name) <= 63
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert 2**28 * 1000 <= reading.at_ms < 253_402_300_800_000
        assert isinstance(reading.value, bool | float | str)
        assert not (isinstance(reading.value, str) and ("\x00" in reading.value or len(reading.value) > TEXT_LIMIT))
        assert reading.unit is None or len(reading.unit) <= 32
    if pack.stream is not None:
        assert pack.number is not None
        assert 1 <= pack.number <= NUMBER_LIMIT
        assert pack.edge
    for bad in pack.bad:
        assert len(bad.detail) < 1000


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 250_000,
        b'[{"n":' * 40_000,
        b'[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b'[{"n":"c","v":' + b"9" * 250_000 + b"}]",
        b'[{"n":"c","v":1e' + b"9" * 250_000 + b"}]",
        b'[{"n":"c","bver":' + b"9" * 250_000 + b"}]",
        b'[{"n":"c","bver":' + b"9" * 400 + b',"v":1}]',
        b'[{"n":"c","x":' + b"9" * 250_000 + b"}]",
        b"[" + b"{}," * 80_000 + b"{}]",
        b"[" + b"1," * 100_000 + b"1]",
        b'[{"n":"' + b"n" * 250_000 + b'"}]',
        b'[{"' + b"k" * 250_000 + b'_":1}]',
        b'[{"bn":"' + b"\\u0000" * 40_000 + b'"}]',
        b"[" + b'{"v":[]},' * 4000 + b'{"v":1}]',
        b'[{"n":"c",' + b'"v":1,' * 40_000 + b'"v":1}]',
    ],
    ids=lambda payload: payload[:16].decode(),
)
def test_a_bomb_is_defused_at_once(payload: bytes) -> None:
    before_s = time.process_time()
    harmless(payload)
    assert time.process_time() - before_s < 1.0


def test_too_many_bytes_are_not_even_looked_at() -> None:
    assert refused(b" " * (LIMIT_BYTES + 1)).fault is Fault.OVERSIZED
    assert decode(packed(GOOD) + b" " * (LIMIT_BYTES - len(packed(GOOD)))).number == 7
    with pytest.raises(PackError, match="oversized: 300 bytes, more than 299"):
        decode(b" " * 300, limit_bytes=299)


@pytest.mark.parametrize("last", [{}, {"v": []}])
def test_too_many_records_are_refused(last: object) -> None:
    error = refused(packed(*[{}] * (RECORD_LIMIT - 2), last))
    assert (error.fault, error.detail) == (Fault.OVERSIZED, f"{RECORD_LIMIT + 1} records, more than {RECORD_LIMIT}")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"\x00", "not JSON"),
        (b"{}", "not an array of records"),
        (b"null", "not an array of records"),
        (b'"[]"', "not an array of records"),
        (b"[1]", "record 0, on which others lean"),
        (b"[[]]", "record 0, on which others lean"),
        (b"[null]", "record 0, on which others lean"),
        (b'[{"n":"c","v":NaN}]', "not JSON"),
        (b'[{"n":"c","v":1}] trailing', "not JSON"),
        (b'\xef\xbb\xbf[{"n":"c","v":NaN}]', "not JSON"),
        (b'[{"n":"\\ud800","v":1}]', "not JSON"),
    ],
)
def test_what_is_no_array_of_records_is_refused_whole(payload: bytes, words: str) -> None:
    error = refused(payload)
    assert error.fault is Fault.MALFORMED
    assert words in error.detail


def test_an_empty_array_is_an_empty_pack_of_nobody() -> None:
    assert decode(b"[]") == Pack(edge=None, stream=None, number=None, readings=[])


@pytest.mark.parametrize("number", [0, -1, 1.5, 2**53 + 2, 2**60, 1e300])
def test_a_pack_number_that_can_not_be_counted_to_is_refused(number: float) -> None:
    payload = json.dumps([HEAD[0], {"n": "pack", "v": number}, GOOD]).encode()
    assert "pack number" in refused(payload).detail


@pytest.mark.parametrize("number", [True, "7", None, [7]])
def test_a_pack_number_that_is_no_number_is_refused(number: object) -> None:
    payload = json.dumps([HEAD[0], {"n": "pack", "v": number}, GOOD]).encode()
    assert refused(payload).detail == "a stream without a pack number"


def test_the_highest_and_the_lowest_pack_number() -> None:
    for number in (1, 7.0, 2**53):
        payload = json.dumps([HEAD[0], {"n": "pack", "v": number}, GOOD]).encode()
        assert decode(payload).number == number


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ([HEAD[0]], "a stream without a pack number"),
        ([HEAD[0], GOOD], "a stream without a pack number"),
        ([HEAD[0], {"bn": "pi-2/", "n": "pack", "v": 1}], "a stream without a pack number"),
        ([{"n": "stream", "vs": "s1"}], "can't be names"),
        ([{"bn": "Pi 1/", "n": "stream", "vs": "s1"}], "can't be names"),
        ([{"bn": "pi-1/", "n": "stream", "vs": ""}], "can't be names"),
        ([{"bn": "pi-1/", "n": "stream", "vs": "S\u00e9"}], "can't be names"),
        ([{"bn": "pi-1/", "n": "stream", "vs": "s1\n"}], "can't be names"),
        ([{"bn": "pi-1/", "n": "stream", "vs": "s" * 64}], "can't be names"),
    ],
)
def test_a_head_that_is_not_ours_is_refused_whole(head: list[Any], words: str) -> None:
    assert words in refused(packed(head=head)).detail


def test_a_device_may_have_channels_named_stream_and_pack() -> None:
    device = {"bn": "cam-1/", "bt": AT_MS / 1000}
    pack = decode(packed({**device, "n": "stream", "vs": "rtsp"}, {"n": "pack", "v": 3}))
    assert (pack.edge, pack.stream, pack.number) == ("pi-1", "s1", 7)
    assert [(reading.channel, reading.value) for reading in pack.readings] == [("stream", "rtsp"), ("pack", 3.0)]


def test_a_pack_of_a_foreign_publisher_has_no_number_and_counts() -> None:
    pack = decode(packed(GOOD, head=[]))
    assert (pack.edge, pack.stream, pack.number) == (None, None, None)
    assert len(pack.readings) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"v": "4.5"}, "v: Input should be a valid number"),
        ({"v": True}, "v: Input should be a valid number"),
        ({"vb": 1}, "vb: Input should be a valid boolean"),
        ({"vs": 1}, "vs: Input should be a valid string"),
        ({"vs": "x" * (TEXT_LIMIT + 1)}, "vs: String should have at most 4096 characters"),
        ({"vs": "a\x00b"}, "vs: String should match pattern"),
        ({"vs": "a\x1bb"}, "vs: String should match pattern"),
        ({"v": 1, "u": "x" * 33}, "u: String should have at most 32 characters"),
        ({"v": 1, "q": 1}, "q: Input should be a valid string"),
        ({"v": 1, "t": "now"}, "t: Input should be a valid number"),
        ({"v": 1, "n": 3}, "n: Input should be a valid string"),
        ({}, "0 values"),
        ({"v": 1, "vb": True}, "2 values"),
        ({"v": 1, "s": 2}, "field 's' is not understood"),
        ({"vd": "aGkgCg"}, "field 'vd' is not understood"),
        ({"v": 1, "ping_": 1}, "field 'ping_' is not understood"),
        ({"v": 1, "t": -1.7e9}, "is relative to now, and now is over"),
        ({"v": 1, "t": 1e300}, "time 1e+300 s is not a date"),
        ({"v": 1, "t": 253402300800 - AT_MS / 1000 + 1}, "is not a date"),
    ],
)
def test_a_bad_record_costs_only_itself(fault: dict[str, Any], words: str) -> None:
    first = {"bn": "gas-1/", "bt": AT_MS / 1000, "n": "alarm_contact", "vb": False}
    pack = decode(packed(first, {"n": "level", **fault}, {"n": "fill", "v": 1}))
    assert [reading.channel for reading in pack.readings] == ["alarm_contact", "fill"]
    (bad,) = pack.bad
    assert (bad.index, bad.fault) == (3, Fault.MALFORMED)
    assert words in bad.detail


@pytest.mark.parametrize(
    "fault",
    [
        {"v": "4.5"},
        {"bt": "now"},
        {"bt": None},
        {"bn": 1},
        {"bn": "x" * 131},
        {"bu": "x" * 33},
        {"bv": 20},
        {"bs": 1},
        {"bver": 11},
        {"bver": 10.5},
        {"bver": 10**40},
        {"ping_": 1},
    ],
)
def test_a_bad_record_with_base_fields_costs_the_pack(fault: dict[str, Any]) -> None:
    """What comes after it would mean something else: a base value of 20 makes every 1 a 21."""
    error = refused(packed({**GOOD, **fault}, {"n": "fill", "v": 1}))
    assert error.fault is Fault.MALFORMED
    assert error.detail.startswith("record 2, on which others lean: ")


@pytest.mark.parametrize("label", ["bx_", "bver_"])
def test_a_mandatory_base_field_that_is_not_known_costs_the_pack(label: str) -> None:
    assert "on which others lean" in refused(packed(GOOD, {"n": "c", "v": 1, label: 1})).detail


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gas_concentration", "the name 'gas_concentration' is not a device's and a channel's"),
        ("", "the name '' is not a device's"),
        ("gas-1/", "'' is not the name of a channel"),
        ("/c", "'' is not the name of a device"),
        ("Gas-1/c", "'Gas-1' is not the name of a device"),
        ("gas 1/c", "'gas 1' is not the name of a device"),
        ("a/b/c", "'a/b' is not the name of a device"),
        ("gas-1/c\n", "'c\\n' is not the name of a channel"),
        ("gas-1\n/c", "'gas-1\\n' is not the name of a device"),
        ("gas-1/c\x00", "'c\\x00' is not the name of a channel"),
        ("gas-1/c,site=x y=1", "'c,site=x y=1' is not the name of a channel"),
        ("gas-1/'; DROP TABLE readings", "is not the name of a channel"),
        ("gas-1/气", "'气' is not the name of a channel"),
        ("gas-1/..", "'..' is not the name of a channel"),
        ("+/#", "'+' is not the name of a device"),
        ("gas-1/" + "c" * 64, "is not the name of a channel"),
    ],
)
def test_no_name_that_is_not_an_identifier_gets_through(name: str, words: str) -> None:
    assert words in only_bad({"bt": AT_MS / 1000, "bn": "", "n": name, "v": 1})


def test_fields_that_are_not_known_are_ignored() -> None:
    """RFC 8428 section 4.4: unless they end with "_"."""
    pack = decode(packed({**GOOD, "ut": 60, "l": [1, {"deep": None}], "x_y": 1, "": 2}))
    assert pack.bad == ()
    assert len(pack.readings) == 1


def test_the_last_of_two_equal_fields_counts_whether_or_not_another_record_is_bad() -> None:
    twice = b'{"bn":"gas-1/","bt":1793000000,"n":"c","v":1,"v":2}'
    for other in (b'{"n":"d","v":3}', b'{"n":"d","v":"3"}'):
        assert decode(b"[" + twice + b"," + other + b"]").readings[0].value == 2.0


def test_a_number_is_a_float_whether_or_not_another_record_is_bad() -> None:
    for other in ({"n": "d", "v": 3}, {"n": "d", "v": "3"}):
        value = decode(packed({**GOOD, "v": 5}, other)).readings[0].value
        assert (value, type(value)) == (5.0, float)


def test_a_quality_that_is_not_known_is_uncertain() -> None:
    for said, meant in (
        ("bad", Quality.BAD),
        ("good", Quality.GOOD),
        ("GOOD", Quality.UNCERTAIN),
        ("", Quality.UNCERTAIN),
    ):
        assert decode(packed({**GOOD, "q": said})).readings[0].quality is meant


def test_only_numbers_have_a_unit() -> None:
    pack = decode(
        packed({**GOOD, "bu": "m"}, {"n": "a", "v": 1}, {"n": "b", "vb": True, "u": "m"}, {"n": "c", "vs": ""})
    )
    assert [reading.unit for reading in pack.readings] == ["%LEL", "m", None, None]


def test_a_record_of_base_fields_alone_says_nothing_and_is_not_bad() -> None:
    pack = decode(packed({"bn": "gas-1/", "bt": AT_MS / 1000, "bver": 10}, {"n": "c", "v": 1}))
    assert (len(pack.readings), pack.bad) == (1, ())


def test_bad_records_are_told_in_their_order() -> None:
    pack = decode(packed(GOOD, {"n": "a"}, {"n": "b", "v": "x"}, {"n": "c", "vd": ""}, {"n": "d", "t": -1.7e9, "v": 1}))
    assert [bad.index for bad in pack.bad] == [3, 4, 5, 6]


def test_a_pack_without_a_trusted_clock_says_so_and_none_of_its_readings_is_better_than_uncertain() -> None:
    some = [
        Reading(device=DeviceId("gas-1"), channel="a", at_ms=AT_MS, value=1.0, quality=quality) for quality in Quality
    ]
    payload = encode(EDGE, STREAM, 7, some, clock_trusted=False)
    assert json.loads(payload)[2] == {"n": "clock", "vs": "untrusted"}
    pack = decode(payload)
    assert (pack.stream, pack.number, pack.clock_trusted, pack.bad) == (STREAM, 7, False, ())
    assert [reading.quality for reading in pack.readings] == [Quality.UNCERTAIN, Quality.UNCERTAIN, Quality.BAD]
    assert decode(encode(EDGE, STREAM, 7, some)).clock_trusted


@given(st.lists(readings(), max_size=8), st.integers(-(10**9), 10**9))
def test_a_pack_that_is_moved_has_the_same_readings_later_and_no_mark(some: list[Reading], by_ms: int) -> None:
    some = [reading._replace(at_ms=max(reading.at_ms % 10**13, 10**12)) for reading in some]
    shifted = moved(encode(EDGE, STREAM, 7, some, clock_trusted=False), by_ms)
    assert shifted is not None
    assert shifted == encode(EDGE, STREAM, 7, [each._replace(at_ms=each.at_ms + by_ms) for each in some])
    assert moved(shifted, by_ms) is None


def test_a_device_may_have_a_channel_named_clock() -> None:
    (reading,) = decode(packed({"bn": "d-1/", "bt": AT_MS / 1000, "n": "clock", "vs": "untrusted"})).readings
    assert (reading.device, reading.channel, reading.quality) == ("d-1", "clock", Quality.GOOD)


@pytest.mark.parametrize("mark", [{"n": "clock"}, {"n": "clock", "v": 1}])
def test_a_mark_of_another_shape_is_a_bad_record(mark: dict[str, Any]) -> None:
    pack = decode(packed(mark, GOOD))
    assert pack.clock_trusted
    assert [bad.index for bad in pack.bad] == [2]
    assert len(pack.readings) == 1
