"""SIGKILL 50 times under load, one collector and then two that share the work: packs lost, and stored twice, in InfluxDB."""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import _ingest
from tests.bench._ingest import finished
from tests.bench.figure import Figure

KILLS = 50
RATE, PER_PACK = 400, 10
BETWEEN_S = (0.2, 1.6)
"""After a start; a collector takes most of a second to be at work."""


def run() -> Iterator[Figure]:
    for collectors in (1, 2):
        yield from _killed(collectors)


def _killed(collectors: int) -> Iterator[Figure]:
    dice = random.Random(collectors)
    with tempfile.TemporaryDirectory() as name, _ingest.running(Path(name), collectors=collectors) as ingest:
        case = f"{collectors}_collector{'s' * (collectors > 1)}"
        began_at, loads = time.monotonic(), []
        rounds = KILLS // 10
        before = ingest.next_pack - 1
        for _ in range(rounds):
            loads.append(ingest.load(PER_PACK, RATE * 12, RATE))
            for _ in range(10):
                time.sleep(dice.uniform(*BETWEEN_S))
                victim = dice.randrange(collectors)
                ingest.collectors[victim].kill()
                ingest.collectors[victim].wait()
                ingest.restart(victim)
            finished(loads[-1])
        sent = ingest.next_pack - 1 - before
        under_load_s = time.monotonic() - began_at
        drained_s = ingest.stored(before + sent)
        time.sleep(1.0)  # whatever is still to come twice
        yield Figure(f"{case}_kills", KILLS, "kills")
        yield Figure(f"{case}_under_load", under_load_s, "s")
        yield Figure(f"{case}_packs_sent", sent, "packs")
        yield Figure(f"{case}_packs_lost", before + sent - ingest.packs(), "packs")
        yield Figure(f"{case}_readings_lost_or_doubled", abs(1 + sent * PER_PACK - ingest.readings()), "readings")
        yield Figure(f"{case}_drained_after", drained_s, "s")
