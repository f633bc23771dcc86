"""What network servers say that is no uplink, or nonsense; and what codecs may do, and may not."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.models.lorawan import LorawanModel
from edge.models.product import load_models
from edge.protocols.lorawan import CodecError, Server, Uplink, UplinkError, channels, topics, uplink
from edge.sources.codec import Sandbox
from edge.sources.codec_process import RESULT_LIMIT
from messages.kind import load_kinds

NOW_MS = 1_763_700_002_000
EUI = "24e124713b123456"
KINDS = load_kinds()
MODELS = load_models(KINDS)
SERVERS: tuple[Server, ...] = ("chirpstack", "things-stack")
Decode = Callable[[str, bytes, int, int], Mapping[str, Any]]


@pytest.fixture(scope="module")
def decode() -> Iterator[Decode]:
    with asyncio.Runner() as runner:
        sandbox = Sandbox()
        yield lambda *message: runner.run(sandbox.decode(*message))
        runner.run(sandbox.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("chirpstack", {"deviceInfo": {"devEui": EUI}, "devAddr": "00189440"}),
        ("things-stack", {"end_device_ids": {"dev_eui": EUI}, "join_accept": {}}),
    ],
)
def test_a_join_is_no_uplink(server: Server, message: dict[str, object]) -> None:
    assert uplink(orjson.dumps(message), server, NOW_MS) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"data": "", "deviceInfo": {"devEui": %s}}' % (b"[" * 1000 + b"]" * 1000), "no DevEUI: an array"),
        (b'{"data": ""}', "no deviceInfo"),
        (b'{"data": "", "deviceInfo": {"devEui": "x"}}', "no DevEUI: 'x'"),
        (b'{"data": "*", "deviceInfo": {"devEui": "24e124713b123456"}}', "no base64"),
        (b'{"data": "", "fPort": "1", "deviceInfo": {"devEui": "24e124713b123456"}}', "fPort: '1' is no count"),
    ],
)
def test_nonsense_is_called_by_its_name(message: bytes, said: str) -> None:
    with pytest.raises(UplinkError, match=said):
        uplink(message, "chirpstack", NOW_MS)


@pytest.mark.parametrize("time", ["", "yesterday", "2020-01-01", "2031-01-01T00:00:00Z", "9999-12-31T23:59:59.9Z", 5])
def test_a_time_that_cannot_be_true_is_none(time: object) -> None:
    message = {"data": "AQ==", "time": time, "deviceInfo": {"devEui": EUI}}
    found = uplink(orjson.dumps(message), "chirpstack", NOW_MS)
    assert found
    assert found.at_ms is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["chirpstack", "things-stack"]),
    st.dictionaries(
        st.sampled_from(
            ["data", "object", "deviceInfo", "time", "fPort", "fCnt", "rxInfo", "uplink_message", "end_device_ids"]
        ),
        JSON | st.just({"devEui": EUI, "dev_eui": EUI, "frm_payload": "AQ=="}),
    ),
)
def test_whatever_comes_is_an_uplink_or_none_or_named(server: Server, message: dict[str, object]) -> None:
    try:
        found = uplink(orjson.dumps(message), server, NOW_MS)
    except UplinkError:
        return
    assert found is None or isinstance(found, Uplink)


def test_each_server_has_its_topic() -> None:
    assert topics("chirpstack", EUI) == [f"application/+/device/{EUI}/event/up"]
    assert topics("things-stack", EUI) == ["v3/+/devices/+/up"]


MAKERS = {
    "decodeUplink": """
/**
 * Payload Decoder
 */
function decodeUplink(input) {
    var decoded = milesightLike(input.bytes);
    console.log("decoded", decoded);
    return { data: decoded, warnings: [] };
}
function milesightLike(bytes) {
    var decoded = {};
    for (var i = 0; i < bytes.length;) {
        var channel_id = bytes[i++], channel_type = bytes[i++];
        if (channel_id === 0x01 && channel_type === 0x75) { decoded.battery = bytes[i]; i += 1; }
        else if (channel_id === 0x03 && channel_type === 0x82) { decoded.distance = (bytes[i + 1] << 8) | bytes[i]; i += 2; }
        else break;
    }
    return decoded;
}
""",
    "Decode": """
// ChirpStack v3
function Decode(fPort, bytes, variables) {
  var distance = (bytes[6] << 8 | bytes[5]);
  return { battery: bytes[2], distance: distance };
}
""",
    "Decoder": """
function Decoder(bytes, port) {
    return { battery: bytes[2], distance: bytes[5] + bytes[6] * 256 };
}
""",
    "a module": """
const read = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);
function decodeUplink({ bytes, fPort }) {
  if (fPort !== 85) return { errors: ["unknown FPort"] };
  return { data: { battery: bytes[2], distance: read(bytes, 5) } };
}
module.exports = { decodeUplink };
""",
}


@pytest.mark.parametrize("form", MAKERS)
def test_makers_codecs_of_every_form_run_as_they_are(form: str, decode: Decode) -> None:
    assert decode(MAKERS[form], bytes.fromhex("01756403822c01"), 85, NOW_MS) == {"battery": 100, "distance": 300}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("function decodeUplink(i) { while (true) {} }", "interrupted"),
        ("while (true) {}", "interrupted"),
        ("function decodeUplink(i) { return /^(a+)+$/.test('a'.repeat(40) + 'b') }", "interrupted"),
        ("function decodeUplink(i) { return { get data() { while (true) {} } } }", "interrupted"),
        (
            "Object.prototype.toJSON = function () { while (1) {} }; function decodeUplink() { return {} }",
            "interrupted",
        ),
        ("function decodeUplink(i) { let a = []; while (1) a.push(new Array(1e5).fill(1)) }", "out of memory"),
        ("function decodeUplink(i) { return decodeUplink(i) }", "call stack"),
        ("function decodeUplink(i) { const o = {}; o.o = o; return o }", "circular"),
        (f"function decodeUplink(i) {{ return {{ data: 'x'.repeat({RESULT_LIMIT}) }} }}", "characters"),
        ("function decodeUplink(i) { return { errors: ['too short'] } }", "too short"),
        ("function decodeUplink(i) { return { data: { n: 10n } } }", "BigInt"),
        ("function decodeUplink(i) { return { errors: ['too short', [[]]] } }", "an array"),
        ("function decodeUplink(i) { return { errors: " + "[" * 200 + "]" * 200 + " } }", "an array"),
        ("function decodeUplink(i) { return null }", "no data"),
        ("function decodeUplink(i) { }", "returned nothing"),
        ("function decodeUplink(i) { return new Promise(() => {}) }", "no data"),
        ("var nothing = 1", "no decodeUplink, Decode or Decoder"),
        ("function decodeUplink(i) { require('fs') }", "require"),
        ("function decodeUplink(i) { fetch('x') }", "fetch"),
        ("function (", "SyntaxError"),
        ("function decodeUplink(i) { throw new Error('\\ud800 half a character') }", "half a character"),
        # what follows asks no time limit: the process has to be ended
        ("function decodeUplink(i) { return { data: { x: new Array(3e9).join('x') } } }", "was stopped"),
        ("function decodeUplink(i) { const a = []; a.length = 4294967295; a.reverse() }", "was stopped"),
        (
            "function decodeUplink(i) { 'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b') }",
            "was stopped",
        ),
    ],
)
def test_a_codec_that_misbehaves_costs_its_message(script: str, said: str, decode: Decode) -> None:
    with pytest.raises(CodecError, match=said):
        decode(script, b"\x01", 1, NOW_MS)


def test_after_a_codec_that_was_stopped_the_next_message_is_read_by_a_new_process() -> None:
    hostile = "function decodeUplink(i) { if (i.bytes[0]) new Array(3e9).join('x'); return { data: { n: 1 } } }"

    async def course() -> None:
        async with Sandbox() as sandbox:
            endless = asyncio.create_task(sandbox.decode(hostile, b"\x01", 1, NOW_MS))
            waits = asyncio.create_task(sandbox.decode(hostile, b"\x00", 1, NOW_MS))
            with pytest.raises(CodecError, match="was stopped"):
                await endless
            assert await waits == {"n": 1}

    asyncio.run(course())


def test_a_process_that_something_else_has_ended_costs_no_message() -> None:
    script = "function decodeUplink(i) { return { data: { n: i.bytes[0] } } }"

    async def course() -> None:
        async with Sandbox() as sandbox:
            assert await sandbox.decode(script, b"\x01", 1, NOW_MS) == {"n": 1}
            assert sandbox.pid
            os.kill(sandbox.pid, 9)
            assert await sandbox.decode(script, b"\x02", 1, NOW_MS) == {"n": 2}
            pid = sandbox.pid
        assert pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(course())


def test_a_message_that_nobody_waits_for_any_more_answers_no_other() -> None:
    script = (
        "function decodeUplink(i) { for (let n = 0; n < 1e5 * i.bytes[0]; n++); return { data: { n: i.bytes[0] } } }"
    )

    async def course() -> None:
        async with Sandbox() as sandbox:
            await sandbox.decode(script, b"\x00", 1, NOW_MS)
            left = asyncio.create_task(sandbox.decode(script, b"\x08", 1, NOW_MS))
            await asyncio.sleep(0.005)
            left.cancel()
            assert await sandbox.decode(script, b"\x01", 1, NOW_MS) == {"n": 1}

    asyncio.run(course())


def test_nothing_is_kept_between_two_messages(decode: Decode) -> None:
    script = "var count = 0; function decodeUplink(i) { globalThis.kept = (globalThis.kept || 0) + 1; return { data: { n: kept + count++ } } }"
    assert [decode(script, b"", 1, NOW_MS) for _ in range(2)] == [{"n": 1}] * 2


def test_what_is_no_number_is_nothing(decode: Decode) -> None:
    assert decode("function decodeUplink() { return { data: { a: NaN, b: undefined, c: 1 } } }", b"", 1, NOW_MS) == {
        "a": None,
        "c": 1,
    }


def test_what_a_codec_nests_deeply_costs_its_channel(decode: Decode) -> None:
    nested = decode(
        "function decodeUplink() { let a = 0; for (let n = 0; n < 1000; n++) a = [a]; return { data: { fill: a } } }",
        b"",
        1,
        0,
    )
    model = MODELS["lorawan-bin-milesight-em310-udl"]
    assert isinstance(model, LorawanModel)
    said = channels({"distance": nested["fill"]}, model.channels, KINDS["waste_bin"])
    assert (said.values, said.unread) == ({}, ("fill: an array",))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_nonsense(message: bytes) -> None:
    for server in SERVERS:
        with contextlib.suppress(UplinkError):
            uplink(message, server, NOW_MS)


@settings(max_examples=50)
@given(script=st.text(max_size=60))
def test_whatever_a_codec_is_it_ends_with_data_or_a_word(decode: Decode, script: str) -> None:
    with pytest.raises(CodecError):
        decode(script, b"\x01", 1, NOW_MS)
