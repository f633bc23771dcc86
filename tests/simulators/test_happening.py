from itertools import islice
from pathlib import Path

import pytest

from simulators.happening import Happening, happenings
from simulators.plant import Plant
from tests.simulators import stage

LEAK = """
[[steps]]
at = "20s"
device = "gas-1"
channel = "gas_concentration"
to = 20.4
over = "10s"
marks = [5.4, 10.4, 99]
say = "gas leak"
"""


def schedule(folder: Path, text: str, most: int = 20) -> list[Happening]:
    block = stage.block(folder)
    scenario = stage.scenario(folder, block, text)
    return list(islice(happenings(block, Plant(block, scenario), scenario), most))


def test_a_ramp_is_marked_at_its_start_at_each_threshold_that_it_passes_and_at_its_end(tmp_path: Path) -> None:
    events = schedule(tmp_path, LEAK)
    assert [event.mark for event in events] == [
        "gas-1.gas_concentration -> 20.4",
        "gas-1.gas_concentration >= 5.4",
        "gas-1.gas_concentration >= 10.4",
        "gas-1.gas_concentration = 20.4",
    ]
    assert [event.at_s for event in events] == pytest.approx([20, 22.5, 25, 30])
    assert [event.say for event in events] == ["gas-1: gas leak, to 20.4 %LEL in 10 s", "", "", ""]


def test_a_fall_is_marked_from_above(tmp_path: Path) -> None:
    back = LEAK.replace("20s", "40s").replace("20.4", '"normal"').replace("gas leak", "aired")
    events = [event for event in schedule(tmp_path, LEAK + back) if event.at_s >= 40]
    assert [event.mark for event in events[:2]] == ["gas-1.gas_concentration -> 0.4", "gas-1.gas_concentration <= 10.4"]
    assert events[0].say == "gas-1: aired, to 0.4 %LEL in 10 s"
    assert [event.at_s for event in events] == pytest.approx([40, 45, 47.5, 50])


def test_a_cut_and_a_fault_have_an_end(tmp_path: Path) -> None:
    fault = '[[faults]]\nat="1s"\ndevice="gas-1"\nfault="silent"\nfor="9s"\nsay="says nothing"\n'
    events = schedule(tmp_path, fault + '[[cuts]]\nat="2s"\nfor="30s"\n')
    assert [(event.at_s, event.mark, event.say, event.uplink) for event in events] == [
        (1, "gas-1 silent", "gas-1: says nothing", None),
        (2, "uplink cut", "uplink: cut for 30 s", "cut"),
        (10, "gas-1 well", "gas-1: well again", None),
        (32, "uplink restored", "uplink: restored", "restored"),
    ]


def test_a_repeating_scenario_has_no_end(tmp_path: Path) -> None:
    text = 'repeat = true\nperiod = "60s"\n' + LEAK.replace("marks = [5.4, 10.4, 99]", "")
    assert [(event.at_s, event.mark) for event in schedule(tmp_path, text, most=7)] == [
        (20, "gas-1.gas_concentration -> 20.4"),
        (30, "gas-1.gas_concentration = 20.4"),
        (60, "scenario from the start"),
        (80, "gas-1.gas_concentration -> 20.4"),
        (90, "gas-1.gas_concentration = 20.4"),
        (120, "scenario from the start"),
        (140, "gas-1.gas_concentration -> 20.4"),
    ]


def test_a_boolean_step_is_told_without_a_level(tmp_path: Path) -> None:
    events = schedule(tmp_path, '[[steps]]\nat="1s"\ndevice="door-1"\nchannel="door_open"\nto=true\nsay="held open"')
    assert [(event.mark, event.say) for event in events] == [("door-1.door_open -> true", "door-1: held open")]
