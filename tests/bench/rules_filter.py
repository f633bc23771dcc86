"""One rule of one threshold over readings of two channels, nine in ten of which it needn't say anything about: readings/s of one core."""

import random
import statistics
from collections.abc import Iterator

from messages import pack
from messages.ids import StreamId
from messages.reading import Reading
from rules.language.change import Raised
from rules.language.evaluation import step
from rules.language.state import NEW, State
from tests.bench import _rules
from tests.bench.figure import Figure

READINGS, PER_PACK, RUNS = 200_000, 100, 5


def run() -> Iterator[Figure]:
    rule, (device,), chance = (
        _rules.one_rule('raise = "fill > 90"\nclear = "fill <= 90"'),
        _rules.bins(1),
        random.Random(1),
    )
    readings = [
        reading._replace(channel=channel)
        for number in range(READINGS // 2)
        for channel, high in (("fill", 100.0), ("temperature", 60.0))
        for reading in _rules.fills([device], number / 10, chance, 0.0, high)
    ]
    stream = StreamId("s-1")
    packs = [
        pack.encode(
            _rules.EDGE, stream, at // PER_PACK + 1, [one._replace(unit=None) for one in readings[at : at + PER_PACK]]
        )
        for at in range(0, READINGS, PER_PACK)
    ]
    expected = _turns(readings)

    def judge(some: list[Reading], state: State) -> tuple[State, int]:
        raised = 0
        for reading in some:
            state, changes, _ = step(rule, state, reading, reading.at_ms)
            raised += sum(isinstance(change, Raised) for change in changes)
        return state, raised

    def from_bytes() -> None:
        state, raised = NEW, 0
        for payload in packs:
            state, more = judge(list(pack.decode(payload).readings), state)
            raised += more
        assert raised == expected, (raised, expected)

    def from_readings() -> None:
        assert judge(readings, NEW)[1] == expected

    for case, act in (("step", from_readings), ("pack_and_step", from_bytes)):
        yield Figure(case, READINGS / statistics.median(_rules.cpu_s(act) for _ in range(RUNS)), "readings/s")
    yield Figure("turned", expected / READINGS, "alarms a reading")


def _turns(readings: list[Reading]) -> int:
    above, turns = False, 0
    for reading in readings:
        if reading.channel == "fill":
            turns += not above and float(reading.value) > 90
            above = float(reading.value) > 90
    return turns
