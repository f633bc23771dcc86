from pathlib import Path

import pytest

from messages.settings import ConfigError
from simulators.block import load_block
from tests.simulators import stage

DOOR = '[[devices]]\nid = "door-1"\nmodel = "json-door-controller"\n'
GAS = '[[devices]]\nid = "gas-1"\nmodel = "modbus-gas-detector"\nunit = 11\n'
LINE = '[line]\nlink = "/tmp/x"\n'


def test_a_device_says_its_normal_values_and_for_the_rest_false_or_the_least_its_kind_allows(tmp_path: Path) -> None:
    normal = {str(device.id): device.normal for device in stage.block(tmp_path).devices}
    assert normal["gas-1"] == {"gas_concentration": 0.4, "alarm_contact": False, "sensor_fault": False}
    assert normal["cover-2"] == {"tilt": 0, "water_level": 0, "battery": 0}
    assert normal["bin-1"] == {"fill": 0, "temperature": -12.5}


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        (LINE + GAS.replace("gas-detector", "gas-detectr"), 5, "did you mean `modbus-gas-detector`?"),
        (LINE + GAS + GAS, 8, "devices.1.id: `gas-1` is there twice"),
        (LINE + GAS + GAS.replace("gas-1", "gas-2"), 10, "devices.1.unit: 11 is another device's"),
        (LINE + GAS.replace("unit = 11", ""), 3, "`unit` is missing"),
        (LINE + GAS.replace("11", "248"), 6, "devices.0.unit: should be less than or equal to 247"),
        (LINE + GAS + 'topic = "a"', 7, "devices.0.topic: a modbus device has none"),
        (GAS, 1, "the file has no [line]"),
        (DOOR + 'topic = "local/door-1"', 1, "the file has no [broker]"),
        (DOOR, 1, "`topic` is missing"),
        (LINE + GAS + "normal = { gas_level = 1 }", 7, "no such channel; known: alarm_contact, gas_"),
        (LINE + GAS + "normal = { alarm_contact = 1 }", 7, "a boolean is wanted, not 1"),
        (LINE + GAS + 'normal = { alarm_contact = "on" }', 7, "a number, true or false is wanted, not 'on'"),
        (LINE + GAS + "units = 11", 7, "devices.0.units: is not known here; did you mean `unit`?"),
        (LINE, 1, "devices: is missing"),
        ("[line", 1, "not TOML"),
    ],
)
def test_a_mistake_names_file_line_and_field(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = tmp_path / "block.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_block(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert complaint in str(caught.value)


def test_a_model_in_a_folder_of_the_users_can_be_played(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shipped = Path("edge/models/modbus-gas-detector.toml").read_text()
    (tmp_path / "models" / "my-detector.toml").write_text(shipped)
    path = tmp_path / "block.toml"
    path.write_text(f'models = ["{tmp_path}/models"]\n{LINE}{GAS.replace("modbus-gas-detector", "my-detector")}')
    assert load_block(path).devices[0].model.kind == "gas_alarm"
