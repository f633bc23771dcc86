"""SIGKILL at 100 random moments under load: readings that are lost beyond the stated second, alarms lost, doubles stored.

Some 250 periodic and two alarm-class readings a second go through a real Mosquitto into a real collector with SQLite.
A periodic reading counts as lost if it was read more than a second before a kill and never stored; an alarm-class
one if it was said to be on disk. What a kill catches on its way to the disk is counted apart: a polled contact is read again,
and a message is acknowledged to its device only when it is on disk.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge.keeping.disk import Disk
from edge.link.uplink import Uplink
from tests import services
from tests.bench import _block
from tests.bench._block import ANNOUNCED, EDGE, SITE
from tests.bench._edge_load import LIMIT_BYTES, STEP
from tests.bench.figure import Figure, percentile

KILLS = 100
SECOND_MS = 1000


def run() -> Iterator[Figure]:
    dice = random.Random(9)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(services.mosquitto(folder / "broker"))
        database = stack.enter_context(_block.collector(folder / "collector", broker))
        truth, killed_ms = folder / "truth", []
        for life in range(KILLS):
            killed_ms.append(_one_life(folder, broker.port, truth, life, dice.uniform(0.05, 2.5)))
        asyncio.run(_drain(folder, broker))
        yield from _judge(truth, killed_ms, database)


def _start(folder: Path, port: int, truth: Path, life: int) -> subprocess.Popen[bytes]:
    with (folder / "edge.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.bench._edge_load", *map(str, (folder / "edge", port, truth, life))],
            cwd=services.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _one_life(folder: Path, port: int, truth: Path, life: int, after_s: float) -> int:
    """When it was killed: `after_s` after its first reading."""
    edge = _start(folder, port, truth, life)
    size, until = truth.stat().st_size if truth.exists() else 0, time.monotonic() + 30
    while not truth.exists() or truth.stat().st_size == size:
        assert edge.poll() is None, (folder / "edge.log").read_text()[-2000:]
        assert time.monotonic() < until, (folder / "edge.log").read_text()[-2000:]
        time.sleep(0.005)
    time.sleep(after_s)
    edge.kill()
    edge.wait()
    return time.time_ns() // 1_000_000


async def _drain(folder: Path, broker: services.MqttBroker) -> None:
    """A life that produces nothing, until the outbox is empty."""
    settings = broker.settings(f"{SITE}/{EDGE}")
    async with Disk(folder / "edge", EDGE, LIMIT_BYTES, lambda: 0) as disk:
        uplink = Uplink(SITE, EDGE, settings, ANNOUNCED, disk, lambda order: None, clock_ms=lambda: 0, software="bench")
        running = asyncio.create_task(uplink.run())
        async with asyncio.timeout(120):
            while (await disk.ledger()).figures.pending:
                await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        figures = (await disk.ledger()).figures
        assert (figures.dropped, figures.rejected_for) == (0, {})
        assert figures.produced == figures.receipted


def _judge(truth: Path, killed_ms: list[int], database: Path) -> Iterator[Figure]:
    said: dict[str, dict[int, int]] = {"p": {}, "a": {}, "kept": {}}
    for line in truth.read_text().splitlines():
        word, number, at_ms = line.split()
        said[word][int(number)] = int(at_ms)
    rows = [int(value) for (value,) in _block.ask(database, f"SELECT value FROM {_block.OUR_READINGS}")]
    stored = set(rows)

    def before_kill_ms(number: int, at_ms: int) -> int:
        return killed_ms[number // STEP] - at_ms

    missing = [before_kill_ms(number, at_ms) for number, at_ms in said["p"].items() if number not in stored]
    caught = [number for number in said["a"] if number not in stored]
    to_disk_ms = [at_ms - said["a"][number] for number, at_ms in said["kept"].items()]
    yield Figure("kills", len(killed_ms), "kills")
    yield Figure("periodic_read", len(said["p"]), "readings")
    yield Figure("periodic_lost_beyond_the_second", sum(age_ms > SECOND_MS for age_ms in missing), "readings")
    yield Figure("periodic_lost_at_worst", max(missing, default=0), "ms before the kill")
    yield Figure("alarms_kept", len(said["kept"]), "readings")
    yield Figure("alarms_lost", len(said["kept"].keys() - stored), "readings")
    yield Figure("alarms_caught_on_their_way_to_disk", len(caught), "readings")
    yield Figure("alarm_to_disk_p99", percentile(to_disk_ms, 0.99), "ms")
    yield Figure("doubles_in_the_store", len(rows) - len(stored), "readings")
    assert stored <= said["p"].keys() | said["a"].keys(), "the store holds what was never read"
