"""The plant: the true value of every channel at a time. Pure: same block, scenario, time and sample, same answer.

Times are seconds since the scenario began. `sample` numbers the answers in which a channel was asked for: noise
belongs to a measurement, not to a moment, so two answers differ however fast they follow each other.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from messages.ids import DeviceId
from simulators.block import Block, Device, Level
from simulators.scenario import Fault, Scenario, Step

LEAST_ALTERNATION = 0.6
"""Part of an alternation's amplitude that every sample has: two in a row differ by twice that at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One channel from `step.at_s` until its next step."""

    step: Step | None
    start_s: float
    start: Level
    """The level at `start_s`."""
    end: Level | None
    """The level after `step.over_s`; None: no value."""
    noise: float

    def level(self, at_s: float) -> Level | None:
        """The level, without what swings about it."""
        over_s = self.step.over_s if self.step else 0.0
        if self.end is None or at_s >= self.start_s + over_s:
            return self.end
        return self.start + (self.end - self.start) * (at_s - self.start_s) / over_s

    def reached_s(self, threshold: float) -> float | None:
        """When the level passes `threshold` on its way from `start` to `end`; None: it doesn't."""
        if self.end is None or not min(self.start, self.end) <= threshold <= max(self.start, self.end):
            return None
        if self.step is None or self.start == self.end:
            return None
        return self.start_s + self.step.over_s * (threshold - self.start) / (self.end - self.start)


class Plant:
    """One block in one scenario."""

    def __init__(self, block: Block, scenario: Scenario) -> None:
        self._seed = block.seed
        self._period_s = scenario.period_s
        self._faults = scenario.faults
        self._devices = {device.id: device for device in block.devices}
        self.signals = {
            (device.id, channel): _signals(device, channel, scenario.steps)
            for device in block.devices
            for channel in device.normal
        }
        """By device and channel: what a channel does, one signal after the other."""

    def value(self, device: DeviceId, channel: str, at_s: float, sample: int) -> Level | None:
        """What the device measures; None: it has no value."""
        at_s = self._within(at_s)
        signals = self.signals[device, channel]
        signal = signals[bisect_right(signals, at_s, key=lambda signal: signal.start_s) - 1]
        level = signal.level(at_s)
        if level is None:
            return None
        if signal.step and signal.step.pulse:
            pulse = signal.step.pulse
            level = pulse.to if (at_s - signal.start_s) % pulse.period_s < pulse.width_s else level
        if isinstance(level, bool):
            return level != (sample % 2 == 1) if signal.step and signal.step.alternate else level
        swing = _swing(signal, at_s) + self._deviation(signal, device, channel, sample)
        low, high = self._devices[device].kind.channels[channel].range or (-math.inf, math.inf)
        # What swings stays within what can be true; a level that a scenario asks for need not.
        return min(max(level + swing, min(low, level)), max(high, level))

    def fault(self, device: DeviceId, at_s: float) -> Fault | None:
        at_s = self._within(at_s)
        running = (
            fault
            for owner, fault in self._faults
            if owner.id == device and fault.at_s <= at_s < fault.at_s + fault.for_s
        )
        return next(running, None)

    def _within(self, at_s: float) -> float:
        return at_s % self._period_s if self._period_s else at_s

    def _deviation(self, signal: Signal, device: DeviceId, channel: str, sample: int) -> float:
        alternate = float(signal.step.alternate or 0) if signal.step else 0.0
        if not (alternate or signal.noise):
            return 0.0
        chance = _chance(self._seed, device, channel, sample)
        side = 1 if sample % 2 else -1
        return signal.noise * (2 * chance - 1) + side * alternate * (
            LEAST_ALTERNATION + (1 - LEAST_ALTERNATION) * chance
        )


def _signals(device: Device, channel: str, steps: Iterable[tuple[Device, Step]]) -> tuple[Signal, ...]:
    normal = device.normal[channel]
    signals = [Signal(step=None, start_s=0.0, start=normal, end=normal, noise=0.0)]
    for owner, step in steps:
        if owner.id != device.id or step.channel != channel:
            continue
        before = signals[-1].level(step.at_s)
        start = normal if before is None else before
        ends: dict[object, Level | None] = {None: before, "normal": normal, "not_available": None}
        end = ends[step.to] if step.to is None or isinstance(step.to, str) else step.to
        noise = signals[-1].noise if step.noise is None else step.noise
        signals.append(Signal(step=step, start_s=step.at_s, start=start, end=end, noise=noise))
    return tuple(signals)


def _swing(signal: Signal, at_s: float) -> float:
    if signal.step is None or signal.step.sine is None:
        return 0.0
    sine = signal.step.sine
    return sine.amplitude * math.sin(2 * math.pi * (at_s - signal.start_s) / sine.period_s)


def _chance(seed: int, device: DeviceId, channel: str, sample: int) -> float:
    """A number in [0, 1) that looks drawn and is not: a hash, so that no order of calls can change it."""
    digest = hashlib.blake2b(f"{seed}/{device}/{channel}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
