from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.ids import DeviceId
from simulators.plant import Plant
from simulators.scenario import load_scenario, scenario_path
from tests.simulators import stage

GAS, COVER, DOOR, BIN = DeviceId("gas-1"), DeviceId("cover-1"), DeviceId("door-1"), DeviceId("bin-1")


def plant(folder: Path, text: str) -> Plant:
    block = stage.block(folder)
    return Plant(block, stage.scenario(folder, block, text))


def gas(fields: str, at: str = "10s") -> str:
    return f'[[steps]]\nat = "{at}"\ndevice = "gas-1"\nchannel = "gas_concentration"\n{fields}\n'


def levels(of: Plant, *times_s: float, channel: str = "gas_concentration", device: DeviceId = GAS) -> list[object]:
    return [of.value(device, channel, at_s, 0) for at_s in times_s]


def test_without_a_step_a_channel_says_its_normal_value(tmp_path: Path) -> None:
    assert levels(plant(tmp_path, ""), 0, 1e6) == [0.4, 0.4]


def test_a_ramp_starts_where_the_level_is_and_stays_where_it_ends(tmp_path: Path) -> None:
    of = plant(tmp_path, gas('to = 20.4\nover = "10s"') + gas('to = "normal"\nover = "20s"', at="30s"))
    assert levels(of, 9, 10, 15, 20, 29, 30, 40, 50, 99) == pytest.approx(
        [0.4, 0.4, 10.4, 20.4, 20.4, 20.4, 10.4, 0.4, 0.4]
    )


def test_a_step_in_the_middle_of_a_ramp_goes_on_from_there(tmp_path: Path) -> None:
    of = plant(
        tmp_path, gas('to = 20.4\nover = "10s"') + gas('to = 0.4\nover = "5s"', at="15s") + gas("noise = 0", at="16s")
    )
    assert levels(of, 14.999999, 15, 16, 90) == pytest.approx([10.4, 10.4, 8.4, 8.4], abs=1e-4)


def test_no_value_is_none_until_a_step_gives_one(tmp_path: Path) -> None:
    step = '[[steps]]\nat = "{}"\ndevice = "bin-1"\nchannel = "temperature"\n{}\n'
    text = step.format("1s", 'to = "not_available"') + step.format("3s", 'to = 7.5\nover = "10s"')
    assert levels(plant(tmp_path, text), 0, 1, 2, 8, channel="temperature", device=BIN) == [-12.5, None, None, -2.5]


def test_a_pulse_comes_every_period(tmp_path: Path) -> None:
    text = '[[steps]]\nat="10s"\ndevice="door-1"\nchannel="door_open"\npulse={to=true, width="1s", period="3s"}'
    seen = levels(plant(tmp_path, text), 9.5, 10, 10.9, 11, 12.9, 13, 13.5, 14, channel="door_open", device=DOOR)
    assert seen == [False, True, True, False, False, True, True, False]


def test_a_sine_swings_about_the_level_and_not_out_of_what_can_be_true(tmp_path: Path) -> None:
    of = plant(tmp_path, gas('to = 5\nsine = {amplitude = 18, period = "4s"}'))
    assert levels(of, 10, 11, 12, 13) == pytest.approx([5, 23, 5, -10])


def test_a_level_that_is_asked_for_may_lie_outside_what_can_be_true(tmp_path: Path) -> None:
    assert levels(plant(tmp_path, gas("to = 130\nnoise = 1")), 11)[0] == pytest.approx(130, abs=1)


def test_a_repeating_scenario_starts_from_normal_again(tmp_path: Path) -> None:
    of = plant(tmp_path, 'repeat = true\nperiod = "20s"\n' + gas("to = 9"))
    assert levels(of, 5, 15, 25, 35, 20 * 1000 + 5) == [0.4, 9, 0.4, 9, 0.4]


def test_a_fault_lasts_as_long_as_the_scenario_says(tmp_path: Path) -> None:
    of = plant(tmp_path, '[[faults]]\nat="5s"\nkind="manhole_cover"\nfault="bad_crc"\nfor="2s"')
    seen = [of.fault(COVER, at_s) for at_s in (4.9, 5, 6.9, 7)]
    assert [fault.fault if fault else None for fault in seen] == [None, "bad_crc", "bad_crc", None]
    assert of.fault(GAS, 6) is None


@given(samples=st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True))
def test_noise_depends_on_nothing_but_the_sample(tmp_path_factory: pytest.TempPathFactory, samples: list[int]) -> None:
    of = plant(tmp_path_factory.getbasetemp(), gas("to = 50\nnoise = 2"))
    seen = {sample: of.value(GAS, "gas_concentration", 20, sample) for sample in samples}
    assert all(48 <= float(value or 0) <= 52 for value in seen.values())
    assert len(set(seen.values())) == len(seen)
    assert seen == {sample: of.value(GAS, "gas_concentration", 60, sample) for sample in reversed(samples)}, (
        "neither time nor order of asking matters"
    )


def test_two_channels_two_devices_and_two_seeds_have_noise_of_their_own(tmp_path: Path) -> None:
    text = '[[steps]]\nat="0s"\nkind="manhole_cover"\nchannel="{}"\nto=10\nnoise=1\n'
    text = text.format("tilt") + text.format("water_level")
    of, other = plant(tmp_path, text), stage.block(tmp_path, text=stage.BLOCK.replace("seed = 7", "seed = 8"))
    seen = [
        of.value(DeviceId(cover), channel, 1, 0)
        for cover in ("cover-1", "cover-2")
        for channel in ("tilt", "water_level")
    ]
    seen.append(Plant(other, stage.scenario(tmp_path, other, text)).value(COVER, "tilt", 1, 0))
    assert len(set(seen)) == 5


def test_in_the_outage_every_answer_differs_by_more_than_the_deadband(tmp_path: Path) -> None:
    block = stage.block(tmp_path)
    of = Plant(block, load_scenario(scenario_path("outage"), block))
    for device in block.devices:
        for channel in device.normal if device.unit else ():
            deadband = device.kind.channels[channel].deadband
            seen = [of.value(device.id, channel, sample * 1.0, sample) for sample in range(200)]
            for one, next_one in pairwise(seen):
                assert one is not None
                assert next_one is not None
                assert abs(next_one - one) > 1.5 * deadband, (device.id, channel)
