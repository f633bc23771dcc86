"""A scan against the configuration: who is missing, who is a stranger, whose words are the wrong way round."""

import struct
from collections.abc import Sequence

import pytest

from edge.configuration.config import Device
from edge.installer.scanning.compare import strangers, suspects
from edge.models.modbus import ModbusModel
from edge.models.product import load_models
from edge.sources.schedule import polls
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import load_kinds

KINDS = load_kinds()
MODELS = load_models(KINDS)


def slave(model_name: str, unit: int = 12) -> Device[ModbusModel]:
    model = MODELS[model_name]
    assert isinstance(model, ModbusModel)
    announcement = Announcement(kind=model.kind, model=model_name, place=Place(grid="g", text=""))
    return Device(
        id=DeviceId(f"device-{unit}"), kind=KINDS[model.kind], model=model, announcement=announcement, unit=unit
    )


def words(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def said(device: Device[ModbusModel], raw: Sequence[int]) -> list[str]:
    poll = next(poll for poll in polls(device.id, device.unit, device.model) if not poll.request.of_bits)
    return list(suspects(device, poll, raw))


@pytest.mark.parametrize("metres", [0.0, 0.05, 1.5, 7.25])
def test_a_level_that_can_be_true_is_no_suspect(metres: float) -> None:
    assert said(slave("modbus-level-probe"), words(metres)) == []


def test_swapped_words_of_a_float_are_named_with_what_mends_them() -> None:
    assert said(slave("modbus-level-probe"), words(1.5)[::-1]) == [
        'water_level is 2.28692e-41, which can\'t be; with word_order = "little" in modbus-level-probe it is 1.5'
    ]


def test_swapped_bytes_too() -> None:
    swapped = [word >> 8 | word << 8 & 0xFF00 for word in words(1.57)]
    (why,) = said(slave("modbus-level-probe"), swapped)
    assert 'with byte_order = "little" in modbus-level-probe it is 1.57' in why


def test_a_value_that_no_order_makes_true_is_the_devices_own_trouble() -> None:
    assert said(slave("modbus-level-probe"), words(-3e38)) == []


def test_units_on_one_side_only_are_said() -> None:
    configured = [slave("modbus-level-probe", 12), slave("modbus-gas-detector", 13)]
    assert list(strangers({12, 40}, [12, 40], configured)) == ["unit 40 is not in the configuration"]
    assert list(strangers({12, 40}, range(1, 248), configured)) == [
        "unit 13, device-13 in the configuration, does not answer",
        "unit 40 is not in the configuration",
    ]
