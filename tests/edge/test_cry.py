from messages.ids import DeviceId
from messages.pack import decode, encode_unnumbered
from messages.reading import Quality, Reading


def test_a_pack_without_stream_and_number_holds_its_readings() -> None:
    readings = [
        Reading(
            device=DeviceId("gas-1"), channel="gas_concentration", at_ms=1_763_700_000_000, value=28.0, unit="%LEL"
        ),
        Reading(device=DeviceId("gas-1"), channel="alarm_contact", at_ms=1_763_700_000_000, value=True),
        Reading(device=DeviceId("sos-1"), channel="button", at_ms=1_763_700_000_001, value=1.0, quality=Quality.BAD),
    ]
    pack = decode(encode_unnumbered(readings))
    assert (pack.edge, pack.stream, pack.number, pack.bad) == (None, None, None, ())
    assert list(pack.readings) == readings
