"""What a sensor and its edge make of a signal: samples, noise, steps, and the edge's own report by exception."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from edge.report import Reporter
from messages.ids import DeviceId
from messages.kind import Kind
from messages.reading import Reading, Value
from tests.rules.scenes.signals import Signal, State

DEVICE = DeviceId("it")


@dataclass(frozen=True, slots=True)
class Moments:
    """Something that happens at these times, and is nothing between them: a press, a card, a report."""

    at_s: tuple[float, ...]
    value: Value = True


@dataclass(frozen=True, slots=True)
class Sampled:
    """How a channel is measured: every so many seconds, give or take `noise`, in steps of `step`."""

    every_s: float
    noise: float = 0.0
    step: float = 0.0


COMMONLY = {
    "gas_concentration": Sampled(5, 0.3, 0.1),
    "tilt": Sampled(1, 0.3, 0.1),
    "water_level": Sampled(5, 0.004, 0.001),
    "water_depth": Sampled(30, 0.002, 0.001),
    "temperature": Sampled(20, 0.3, 0.1),
    "fill": Sampled(900, 1.5, 1),
    "volume": Sampled(1800, 0, 0.001),
    "battery": Sampled(6 * 3600, 0.5, 1),
    "clock_off": Sampled(6 * 3600, 1, 0.1),
    "pressure": Sampled(300, 2, 1),
    "supply_temperature": Sampled(600, 0.3, 0.1),
    "oxygen": Sampled(60, 0.05, 0.1),
    "leakage": Sampled(5, 0.5, 0.1),
    "heart_rate": Sampled(60, 2, 1),
    "blood_oxygen": Sampled(60, 0.5, 1),
    "forced": Sampled(0.25),
    "door_open": Sampled(1),
    "error_rate": Sampled(300, 0.5, 0.1),
    "outbox_used": Sampled(60, 0, 0.1),
    "disk_free": Sampled(300, 0, 0.1),
    "edges_away": Sampled(5),
    "stuck": Sampled(10),
    "quarantine_used": Sampled(600, 0, 0.1),
}
"""As the products in edge/models and their like do it."""


def readings(
    kind: Kind, signals: Mapping[str, Signal | State | Moments | Value], begins_s: float, ends_s: float, seed: str
) -> list[Reading]:
    """What leaves the edge between the two times, in order. `at_ms` counts from midnight."""
    every: list[Reading] = []
    for name, signal in signals.items():
        every += _sampled(kind, name, signal, begins_s, ends_s, random.Random(f"{seed}/{name}"))
    every.sort(key=lambda one: one.at_ms)
    return [reported.reading for reported in Reporter({DEVICE: kind}).select(every)]


def _sampled(
    kind: Kind, name: str, signal: Signal | State | Moments | Value, begins_s: float, ends_s: float, dice: random.Random
) -> list[Reading]:
    channel = kind.channels[name]
    if isinstance(signal, Moments):
        return [_reading(name, t, signal.value) for t in signal.at_s]
    how = COMMONLY.get(name, Sampled(max(1.0, (ends_s - begins_s) / 5000)))
    found, t = [], begins_s + how.every_s * dice.random() * 0.5
    while t < ends_s:
        value: Value = signal(t) if callable(signal) else signal
        if not isinstance(value, bool | str):
            value = value + how.noise * (2 * dice.random() - 1)
            value = round(value / how.step) * how.step if how.step else value
            low, high = channel.range or (value, value)
            value = round(min(max(value, low), high), 6)
        found.append(_reading(name, t, value))
        t += how.every_s * (0.97 + 0.06 * dice.random())
    return found


def _reading(name: str, t: float, value: Value) -> Reading:
    return Reading(device=DEVICE, channel=name, at_ms=round(t * 1000), value=value)
