"""300 rules of different limits over one channel of one device: evaluations/s of one core, by the engine's work on a batch."""

import random
import statistics
from collections.abc import Iterator

from rules.engine.work import Work
from tests.bench import _rules
from tests.bench.figure import Figure

RULES, READINGS, BATCH, RUNS = 300, 5_000, 500, 5


def run() -> Iterator[Figure]:
    limits = [50 + number / 10 for number in range(RULES)]
    known = _rules.rules(*(f'raise = "fill > {limit}"\nclear = "fill < {limit - 5}"' for limit in limits))
    devices, chance = _rules.bins(1), random.Random(1)
    facts = _rules.facts(known, devices)
    for case, low, high in (("calm", 0.0, 50.0), ("one_in_ten_readings_turns_some", 0.0, 55.5)):
        rates = []
        for number in range(RUNS):
            from_s = (number + 1) * 1e5 + (high > 50) * 1e7
            readings = [
                one for at in range(READINGS) for one in _rules.fills(devices, from_s + at / 10, chance, low, high)
            ]
            found = 0

            def judge() -> None:
                nonlocal found
                for at in range(0, READINGS, BATCH):
                    some = readings[at : at + BATCH]  # noqa: B023
                    work = Work(facts)
                    work.collect(_rules.SITE, _rules.EDGE, some)
                    work.settle(some[-1].at_ms)
                    facts.adopt(work)
                    found += len(work.found)

            rates.append(RULES * READINGS / _rules.cpu_s(judge))
            assert (found > 0) == (high > 50), found
        yield Figure(case, statistics.median(rates), "evaluations/s")
