"""What is told and marked while a scenario runs, and when. Pure: a schedule, from the plant's own signals.

A mark goes into the record, so that a test can read when a register passed a threshold; a saying goes to whoever
watches. Marks stand for levels, without the noise about them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from simulators.block import Block, Device
from simulators.plant import Plant, Signal
from simulators.scenario import Cut, Fault, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """At `at_s` of the scenario: a mark, words for whoever watches ("" for none), and what becomes of the uplink."""

    at_s: float
    mark: str
    say: str = ""
    uplink: Literal["cut", "restored"] | None = None


def happenings(block: Block, plant: Plant, scenario: Scenario) -> Iterator[Happening]:
    """In order of time; without end if the scenario repeats."""
    once = sorted(_once(block, plant, scenario), key=lambda happening: happening.at_s)
    yield from once
    if scenario.period_s is None:
        return
    start_s = 0.0
    while True:
        start_s += scenario.period_s
        yield Happening(at_s=start_s, mark=f"{scenario.name} from the start", say="The scenario starts again.")
        for event in once:
            yield Happening(at_s=start_s + event.at_s, mark=event.mark, say=event.say, uplink=event.uplink)


def _once(block: Block, plant: Plant, scenario: Scenario) -> Iterator[Happening]:
    devices = {device.id: device for device in block.devices}
    for (device_id, channel), signals in plant.signals.items():
        for signal in signals[1:]:
            yield from _of_step(devices[device_id], channel, signal)
    for device, fault in scenario.faults:
        yield from _of_fault(device, fault)
    for cut in scenario.cuts:
        yield from _of_cut(cut)


def _of_step(device: Device, channel: str, signal: Signal) -> Iterator[Happening]:
    step, name = signal.step, f"{device.id}.{channel}"
    assert step is not None
    unit = device.kind.channels[channel].unit or ""
    whither = "" if step.to is None or isinstance(signal.end, bool) else f"to {_written(signal.end)}"
    way = f"{whither} {unit} in {step.over_s:g} s" if step.over_s else f"{whither} {unit}"
    say = f"{device.id}: {step.say}" + (f", {way}" if whither and signal.end is not None else "")
    yield Happening(at_s=step.at_s, mark=f"{name} -> {_written(signal.end)}", say=say.rstrip() if step.say else "")
    if step.over_s:
        yield Happening(at_s=step.at_s + step.over_s, mark=f"{name} = {_written(signal.end)}")
    for threshold in step.marks:
        if (at_s := signal.reached_s(threshold)) is not None and signal.end is not None:
            side = ">=" if signal.end > signal.start else "<="
            yield Happening(at_s=at_s, mark=f"{name} {side} {_written(threshold)}")


def _of_fault(device: Device, fault: Fault) -> Iterator[Happening]:
    say = f"{device.id}: {fault.say}" if fault.say else ""
    yield Happening(at_s=fault.at_s, mark=f"{device.id} {fault.fault}", say=say)
    over = f"{device.id}: well again" if fault.say else ""
    yield Happening(at_s=fault.at_s + fault.for_s, mark=f"{device.id} well", say=over)


def _of_cut(cut: Cut) -> Iterator[Happening]:
    say = f"uplink: cut for {cut.for_s:g} s"
    yield Happening(at_s=cut.at_s, mark="uplink cut", say=say, uplink="cut")
    yield Happening(at_s=cut.at_s + cut.for_s, mark="uplink restored", say="uplink: restored", uplink="restored")


def _written(level: float | bool | None) -> str:
    if level is None:
        return "not available"
    return str(level).lower() if isinstance(level, bool) else f"{level:g}"
