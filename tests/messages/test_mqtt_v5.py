"""How a PUBLISH of MQTT 5 is read (section 3.3), whatever stands in its properties and however it is torn."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.mqtt.v5 import _published

WHOLE = mqtt5.PublishPacket("a/b", b"payload", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7, retain=True).write()


def read(data: bytes) -> object:
    return _published(data, 0)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="+#\0"), min_size=1, max_size=300),
    st.binary(max_size=300),
    st.integers(1, 0xFFFF),
    st.booleans(),
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
    ),
)
def test_what_another_codec_wrote_is_read(
    topic: str, payload: bytes, mid: int, retain: bool, properties: list[tuple[str, str]]
) -> None:
    written = mqtt5.PublishPacket(
        topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid, retain=retain, user_properties=properties
    ).write()
    assert read(written) == (topic, payload, retain, mid, len(written))
    assert _published(b"??" + written + b"more", 2) == (topic, payload, retain, mid, len(written) + 2)


def test_without_acknowledgement_there_is_no_number() -> None:
    written = mqtt5.PublishPacket("t", b"x").write()
    assert read(written) == ("t", b"x", False, None, len(written))


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_packet_that_is_not_whole_is_waited_for(cut: int) -> None:
    assert cut == 0 or read(WHOLE[:cut]) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_nothing_yet_or_an_error(data: bytes) -> None:
    try:
        found = read(b"\x32" + data)
    except ValueError:
        return
    assert found is None or isinstance(found, tuple)


@pytest.mark.parametrize(
    "bad",
    [
        b"\x32\x00",
        b"\x32\x01\x00",
        b"\x32\x06\x00\x02\xff\xfe\x00\x01\x00",
        b"\x32\x05\x00\x01a\x00\x00",
        b"\x32\x06\x00\x01a\x00\x01\x7f",
        b"\x34\x06\x00\x01a\x00\x01\x00",
        b"\x32\xff\xff\xff\xff\x7f",
    ],
)
def test_nonsense_is_an_error(bad: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (UnicodeDecodeError is one too)
        read(bad)
