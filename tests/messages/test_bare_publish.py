import pytest

from messages.bus import bare_publish

QOS_1, QOS_0 = 0x32, 0x30
USER_PROPERTY = b"\x26\x00\x01a\x00\x03\xef\xbb\xbf"  # "a" = U+FEFF, which paho refuses to read


def test_properties_are_taken_out_and_the_rest_stays() -> None:
    packet = b"\x00\x03t/x\x00\x07" + bytes([len(USER_PROPERTY)]) + USER_PROPERTY + b"payload"
    assert bare_publish(packet, QOS_1) == b"\x00\x03t/x\x00\x07\x00payload"


def test_a_message_of_quality_0_has_no_packet_id() -> None:
    assert bare_publish(b"\x00\x03t/x\x02\x01\x01payload", QOS_0) == b"\x00\x03t/x\x00payload"


def test_a_long_property_section_has_a_length_of_several_bytes() -> None:
    properties = b"\x26\x00\x01a\x00\xc8" + b"v" * 200
    length = len(properties)
    packet = b"\x00\x01t\x00\x07" + bytes([length & 0x7F | 0x80, length >> 7]) + properties + b"payload"
    assert bare_publish(packet, QOS_1) == b"\x00\x01t\x00\x07\x00payload"


@pytest.mark.parametrize(
    "torn", [b"", b"\x00", b"\x00\x09t", b"\x00\x01t\x00\x07\xff\xff\xff\xff", b"\x00\x01t\x00\x07\x05ab"]
)
def test_a_torn_packet_is_left_to_the_engine(torn: bytes) -> None:
    assert bare_publish(torn, QOS_1) == torn
