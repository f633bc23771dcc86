from dataclasses import replace
from pathlib import Path

import pytest

from deploy.example import Example, write
from messages.settings import ConfigError
from simulators.block import load_block
from simulators.scenario import SHIPPED, load_scenario, scenario_path, shipped
from tests.simulators import stage

STEP = '[[steps]]\nat = "1s"\n'
GAS = STEP + 'device = "gas-1"\nchannel = "gas_concentration"\n'
CONTACT = STEP + 'device = "gas-1"\nchannel = "alarm_contact"\n'
DOOR = STEP + 'device = "door-1"\nchannel = "door_open"\n'


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        (GAS.replace("gas-1", "gas-2") + "to = 1", 4, "steps.0.device: no `gas-2` in the block; did you mean `gas-1`?"),
        (GAS.replace("gas_con", "gas_cen") + "to = 1", 5, "did you mean `gas_concentration`?"),
        (STEP + 'kind = "gas_alram"\nchannel = "x"', 4, "steps.0.kind: no kind `gas_alram`; did you mean `gas_alarm`?"),
        (
            STEP + 'kind = "gas_alarm"\nchannel = "alarm_c"',
            5,
            "`gas-1` has no `alarm_c`; did you mean `alarm_contact`?",
        ),
        (STEP + 'channel = "x"', 2, "steps.0: exactly one of device, kind is wanted"),
        (GAS + "number = 1", 2, "`number` belongs to `kind`"),
        (GAS + 'to = "high"', 6, "steps.0.to: a number, true, false"),
        (GAS + "to = true", 6, "steps.0.to: `gas_concentration` is a number, and true is none"),
        (GAS + "alternate = true", 6, "steps.0.alternate: `gas_concentration` is a number"),
        (GAS + "alternate = 1\nsine = {amplitude = 1, period = '1s'}", 2, "at most one of sine, pulse, alternate"),
        (GAS + 'to = 1\nover = "15"', 7, "a duration such as"),
        (GAS + 'to = "not_available"', 6, "no not_available code for `gas_concentration`"),
        (CONTACT + "to = 1", 6, "`alarm_contact` is a boolean: true or false is wanted, not 1"),
        (CONTACT + 'to = true\nover = "1s"', 7, "steps.0.over: `alarm_contact` is a boolean and has none"),
        (DOOR + "alternate = true", 6, "`door-1` publishes its changes"),
        ("[[faults]]\nat='1s'\ndevice='door-1'\nfault='late'\nfor='1s'", 5, "it can only be silent"),
        ("[[faults]]\nat='1s'\ndevice='gas-1'\nfault='lazy'\nfor='1s'", 5, "faults.0.fault: should be 'silent'"),
        ("repeat = true\n" + GAS + "to = 1", 1, "`repeat = true` and `period` belong together"),
        ("repeat = true\nperiod = '9s'\n" + GAS + "to = 1\nover = '8s'", 5, "steps.0.at: lasts to 9 s"),
    ],
)
def test_a_mistake_names_file_line_and_field(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stage.scenario(tmp_path, stage.block(tmp_path), text)
    assert str(caught.value).startswith(f"{tmp_path}/scenario.toml:{line}: ")
    assert complaint in str(caught.value)


def test_a_cut_needs_an_uplink(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scenario.toml:2: cuts.0: the block file has no \[uplink\]"):
        stage.scenario(tmp_path, replace(stage.block(tmp_path), uplink=None), '[[cuts]]\nat = "1s"\nfor = "1s"')


def test_a_kind_means_all_its_devices_and_a_number_one_of_them(tmp_path: Path) -> None:
    block = stage.block(tmp_path)
    step = STEP + 'kind = "manhole_cover"\nchannel = "tilt"\nto = 9\n'
    for text, meant in (
        (step, ["cover-1", "cover-2"]),
        (step + "number = 2", ["cover-2"]),
        (step + "number = 3", []),
    ):
        assert [device.id for device, _ in stage.scenario(tmp_path, block, text).steps] == meant


def test_the_shipped_scenarios_suit_the_example_block_and_the_outage_touches_every_channel(tmp_path: Path) -> None:
    write(Example(password="x", broker_port=1, uplink_port=2, console_port=3, collector_port=4), tmp_path)
    block = load_block(tmp_path / "block.toml")
    assert shipped().keys() >= {"calm", "evening", "outage"}
    played = {name: load_scenario(scenario_path(name), block) for name in shipped()}
    touched = {(device.id, step.channel) for device, step in played["outage"].steps}
    assert touched == {(device.id, channel) for device in block.devices for channel in device.normal}


def test_a_scenario_is_found_by_name_or_by_path() -> None:
    assert scenario_path("evening") == SHIPPED / "evening.toml"
    assert scenario_path("mine/night.toml") == Path("mine/night.toml")
    with pytest.raises(ConfigError, match="no scenario `evning`; did you mean `evening`"):
        scenario_path("evning")
