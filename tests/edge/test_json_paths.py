import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models.message import JsonModel
from edge.models.product import load_models
from edge.models.zigbee import ZigbeeModel
from edge.protocols import zigbee2mqtt
from edge.protocols.json_paths import AHEAD_MS, JsonError, Message, decode
from messages.kind import load_kinds

NOW_MS = 1_763_700_000_000
KINDS = load_kinds()
MODELS = load_models(KINDS)
DOOR = KINDS["door_access"]
BIN = KINDS["waste_bin"]


def door() -> JsonModel:
    model = MODELS["json-door-controller"]
    assert isinstance(model, JsonModel)
    return model


def bin_model(**time: object) -> JsonModel:
    return JsonModel.model_validate(
        {
            "protocol": "mqtt-json",
            "name": "",
            "source": "",
            "kind": "waste_bin",
            "channels": {"fill": {"path": "data.fill", "scale": 0.1, "offset": 1}},
            **({"time": time} if time else {}),
        }
    )


def test_the_shipped_door_controller_is_read() -> None:
    payload = b'{"door": "open", "forced": false, "tamper": true, "ts": 1763699999000, "battery": 4}'
    assert decode(payload, door(), DOOR, NOW_MS) == Message(
        {"door_open": True, "forced": False, "tamper": True}, 1_763_699_999_000
    )


def test_a_message_need_not_hold_every_channel() -> None:
    assert decode(b'{"tamper": false, "forced": null}', door(), DOOR, NOW_MS) == Message({"tamper": False}, None)


def test_unknown_words_and_other_types_make_no_reading_and_are_named() -> None:
    said = decode(b'{"door": "ajar", "forced": 1, "tamper": "no"}', door(), DOOR, NOW_MS)
    assert said.values == {}
    assert said.unread == ("door_open: 'ajar'", "forced: '1'", "tamper: 'no'")


def test_a_path_leads_into_objects_and_numbers_are_scaled() -> None:
    assert decode(b'{"data": {"fill": 503}}', bin_model(), BIN, NOW_MS).values == {"fill": 51.3}
    assert decode(b'{"data": [1]}', bin_model(), BIN, NOW_MS).values == {}
    assert decode(b'{"data": {"fill": true}}', bin_model(), BIN, NOW_MS).values == {}


def test_a_number_that_scaling_makes_infinite_makes_no_reading() -> None:
    huge = bin_model()
    channels = {"fill": huge.channels["fill"].model_copy(update={"scale": 1e300})}
    said = decode(b'{"data": {"fill": 1e300}}', huge.model_copy(update={"channels": channels}), BIN, NOW_MS)
    assert said.values == {}


@pytest.mark.parametrize(
    "payload", [b"", b"open", b"[1]", b"null", b'{"door": NaN}', b"\xff\xfe", b'{"a":1' + b" " * 70000]
)
def test_what_is_no_json_object_is_nonsense(payload: bytes) -> None:
    with pytest.raises(JsonError):
        decode(payload, door(), DOOR, NOW_MS)


@pytest.mark.parametrize(
    ("said", "at_ms"),
    [(1_763_699_990.5, 1_763_699_990_500), (1_763_700_059, 1_763_700_059_000)],
)
def test_a_time_in_seconds_is_taken(said: float, at_ms: int) -> None:
    payload = b'{"t": %s}' % str(said).encode()
    assert decode(payload, bin_model(path="t", unit="s"), BIN, NOW_MS) == Message({}, at_ms)


@pytest.mark.parametrize("said", [b"0", b"-5", b"1e308", b"true", b'"now"', b"%d" % (NOW_MS + AHEAD_MS + 1)])
def test_a_time_that_cannot_be_true_is_not_believed(said: bytes) -> None:
    assert decode(b'{"t": %s}' % said, bin_model(path="t", unit="ms"), BIN, NOW_MS) == Message({}, None, True)


@given(st.binary(max_size=200) | st.text().map(lambda text: f'{{"door": "{text}", "ts": 1}}'.encode()))
def test_no_bytes_do_more_than_be_nonsense(payload: bytes) -> None:
    try:
        decode(payload, door(), DOOR, NOW_MS)
    except JsonError:
        pass


@pytest.mark.parametrize("depth", [300, 1000, 100_000])
@pytest.mark.parametrize("key", ["door", "forced", "ts"])
def test_what_is_nested_too_deeply_to_be_printed_is_nonsense_like_any_other(depth: int, key: str) -> None:
    payload = b'{"%s": %s%s}' % (
        key.encode(),
        b"[" * (depth // 2) + b'{"a":' * (depth // 2),
        b"0" + b"}" * (depth // 2),
    )
    payload = payload[:-1] + b"]" * (depth // 2) + b"}"
    try:
        said = decode(payload, door(), DOOR, NOW_MS)
    except JsonError:
        assert depth > 1000
    else:
        assert (said.values, list(said.unread)) == ({}, [] if key == "ts" else [f"{_OF[key]}: an array"])


_OF = {"door": "door_open", "forced": "forced"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("open"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["door", "forced", "tamper", "ts", "state", "data"]), JSON))
def test_whatever_a_device_says_is_a_value_of_its_channel_or_named(content: dict[str, object]) -> None:
    try:
        payload = orjson.dumps(content)
    except orjson.JSONEncodeError:
        return
    said = decode(payload, door(), DOOR, NOW_MS)
    assert all(isinstance(value, bool) for value in said.values.values())
    assert {name.partition(":")[0] for name in said.unread}.isdisjoint(said.values)
    siren = MODELS["zigbee-switched-siren"]
    assert isinstance(siren, ZigbeeModel)
    assert set(decode(payload, siren, KINDS["siren"], NOW_MS).values) <= {"sounding"}


@given(st.binary(max_size=100) | JSON.filter(lambda it: it == it).map(str).map(str.encode), st.booleans())
def test_whatever_zigbee2mqtt_says_confirms_nothing_else(payload: bytes, on: bool) -> None:
    siren = MODELS["zigbee-switched-siren"]
    assert isinstance(siren, ZigbeeModel)
    how = siren.commands["sound"]
    wanted = zigbee2mqtt.wanted(how, on)
    assert not zigbee2mqtt.says(payload, how.key, wanted)
    assert not zigbee2mqtt.is_offline(payload) or payload == b"offline"
    assert zigbee2mqtt.says(zigbee2mqtt.setting(how, wanted), how.key, wanted)
