"""Threshold, hysteresis and 60 s of duration for each of 1,000 and 100,000 devices: readings/s of one core, bytes for each (rule, device).

Values wander below the limit; one device in a thousand goes beyond it for as long as the run lasts, and must be raised, and no other.
"""

import random
import statistics
import sys
import tracemalloc
from collections.abc import Iterator

from messages.ids import DeviceId
from messages.reading import Reading
from rules.engine.work import Work
from rules.language.change import Raised
from rules.language.evaluation import step
from rules.language.state import NEW, State
from tests.bench import _rules
from tests.bench.figure import Figure

RULE = 'raise = "fill > 80"\nraise_delay = "60s"\nclear = "fill < 70"\nclear_delay = "60s"'
ROUNDS, EVERY_S, BATCH = 9, 10.0, 5_000


def run() -> Iterator[Figure]:
    for count in (1_000, 100_000):
        devices = _rules.bins(count)
        hot = devices[::1000]
        repeats = 20 if count < 10_000 else 1
        rounds = [_round(devices, hot, number) for number in range(ROUNDS * repeats)]
        yield Figure(f"step_{count}", statistics.median(_by_step(rounds, hot)), "readings/s")
        yield Figure(f"work_{count}", statistics.median(_by_work(rounds, devices, hot)), "readings/s")
        yield Figure(f"memory_{count}", _bytes(rounds[:2], count), "bytes a (rule, device)")


def _round(devices: list[DeviceId], hot: list[DeviceId], number: int) -> list[Reading]:
    chance = random.Random(number)
    readings = _rules.fills(devices, number * EVERY_S, chance, 20.0, 60.0)
    for index in range(0, len(readings), 1000):
        readings[index] = readings[index]._replace(value=95.0)
    assert [reading.device for reading in readings[::1000]] == hot
    return readings


def _by_step(rounds: list[list[Reading]], hot: list[DeviceId]) -> list[float]:
    """The function alone, its states in a dictionary: as a stream engine would call it."""
    rule, states, raised, rates = _rules.one_rule(RULE), dict[DeviceId, State](), list[DeviceId](), list[float]()
    for readings in rounds:

        def judge() -> None:
            for reading in readings:  # noqa: B023
                states[reading.device], changes, _ = step(rule, states.get(reading.device, NEW), reading, reading.at_ms)
                if changes:
                    raised.extend(reading.device for change in changes if isinstance(change, Raised))

        rates.append(len(readings) / _rules.cpu_s(judge))
    assert raised == hot, (len(raised), len(hot))
    return rates[2:]


def _by_work(rounds: list[list[Reading]], devices: list[DeviceId], hot: list[DeviceId]) -> list[float]:
    """The engine's whole way but the broker and the database: checks, silence, who listens, adopting."""
    facts, raised, rates = _rules.facts(_rules.rules(RULE), devices), list[DeviceId](), list[float]()
    for readings in rounds:

        def judge() -> None:
            for at in range(0, len(readings), BATCH):  # noqa: B023
                some = readings[at : at + BATCH]  # noqa: B023
                work = Work(facts)
                work.collect(_rules.SITE, _rules.EDGE, some)
                work.settle(some[-1].at_ms)
                facts.adopt(work)
                raised.extend(found.device.id for found in work.found if isinstance(found.change, Raised))

        rates.append(len(readings) / _rules.cpu_s(judge))
    assert raised == hot, (len(raised), len(hot))
    return rates[2:]


def _bytes(rounds: list[list[Reading]], count: int) -> float:
    rule, states = _rules.one_rule(RULE), dict[DeviceId, State]()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for readings in rounds:
        for reading in readings:
            states[reading.device], _, _ = step(rule, states.get(reading.device, NEW), reading, reading.at_ms)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before - sys.getsizeof(states)) / count
