"""The database refuses, hangs, resets, answers 503; the broker is restarted; the link is cut: packs lost, peak memory, drain time.

GRIDCALL_BENCH_OUTAGE_MINUTES says how long each of it lasts (0.25 if it doesn't; 10 is the full form). Packs of ten come all the while.
Real Mosquitto, real InfluxDB 1.6 behind what spoils its answers. The collector's memory may grow by BOUND_MB over what it was at
work before the first outage: its window of 4 MiB, three batches of 512 KiB that are being written, as readings and as lines,
and what Python's allocator keeps beside them. A run that lost or doubled anything, or went past the bound, has no figure.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests import faulty_database, services
from tests.bench import _cut_link, _ingest
from tests.bench._ingest import Ingest, finished
from tests.bench.figure import Figure
from tests.faulty_database import HANG, PASS, REFUSE, RESET, FaultyDatabase

MINUTES = float(os.environ.get("GRIDCALL_BENCH_OUTAGE_MINUTES", "0.25"))
RATE, PER_PACK = 200, 10
SOUND_S = 2.0
"""Before each outage."""
BOUND_MB = 32.0
MEGABYTE = 1024 * 1024
LOOK_S, CUT_EVERY_S = 0.1, 0.7
DRAIN_LIMIT_S = 600.0


def run() -> Iterator[Figure]:
    with _running() as (ingest, faulty, link):
        finished(ingest.load(PER_PACK, RATE * 10, 0))  # warm: caches, pools, the first large batches
        ingest.stored(ingest.next_pack - 1)
        memory = psutil.Process(ingest.collectors[0].pid).memory_info().rss
        for name, mode in (("refuses", REFUSE), ("hangs", HANG), ("resets", RESET), ("503", 503)):
            yield from _while(ingest, faulty, f"database_{name}", mode, memory)
        yield from _broker_restart(ingest, faulty)
        yield from _cut(ingest, link)
        sent = ingest.next_pack - 1
        assert ingest.packs() == sent, f"{sent - ingest.packs()} packs lost"
        # the first pack, with which the bench begins, holds one reading
        assert ingest.readings() == 1 + (sent - 1) * PER_PACK, "readings lost or doubled"
        yield Figure("packs_sent", sent, "packs")
        yield Figure("packs_lost", sent - ingest.packs(), "packs")
        yield Figure("memory_bound", BOUND_MB, "MiB")


def _while(ingest: Ingest, faulty: FaultyDatabase, case: str, mode: str | int, memory_before: int) -> Iterator[Figure]:
    before = ingest.next_pack - 1
    load = ingest.load(PER_PACK, round(RATE * (SOUND_S + MINUTES * 60)), RATE)
    ingest.stored(before + 1, after=before)
    time.sleep(SOUND_S)
    faulty.mode = mode
    until, peak = time.monotonic() + MINUTES * 60, memory_before
    process = psutil.Process(ingest.collectors[0].pid)
    while time.monotonic() < until:
        peak = max(peak, process.memory_info().rss)
        time.sleep(LOOK_S)
    finished(load)
    waiting = ingest.next_pack - 1 - before - _stored_behind(ingest, before)
    faulty.mode = PASS
    drained_s = ingest.stored(ingest.next_pack - 1, after=before, limit_s=DRAIN_LIMIT_S)
    peak = max(peak, process.memory_info().rss)
    grown_mb = (peak - memory_before) / MEGABYTE
    assert grown_mb <= BOUND_MB, f"{case}: {grown_mb:.1f} MiB"
    yield Figure(f"{case}_lasted", MINUTES * 60, "s")
    yield Figure(f"{case}_waited", waiting, "packs")
    yield Figure(f"{case}_memory_grown", grown_mb, "MiB")
    yield Figure(f"{case}_drained_after", drained_s, "s")


def _stored_behind(ingest: Ingest, before: int) -> int:
    return ingest.packs(before)


def _broker_restart(ingest: Ingest, faulty: FaultyDatabase) -> Iterator[Figure]:
    """With a queue, since the database is away."""
    before = ingest.next_pack - 1
    faulty.mode = 503
    finished(ingest.load(PER_PACK, RATE * 20))
    began_at = time.monotonic()
    ingest.broker.stop()
    ingest.broker.start()
    faulty.mode = PASS
    ingest.stored(ingest.next_pack - 1, after=before, limit_s=DRAIN_LIMIT_S)
    yield Figure("broker_restarted_drained_after", time.monotonic() - began_at, "s")


def _cut(ingest: Ingest, link: _cut_link.CutLink) -> Iterator[Figure]:
    before = ingest.next_pack - 1
    load = ingest.load(PER_PACK, round(RATE * MINUTES * 60), RATE)
    while load.poll() is None:
        time.sleep(CUT_EVERY_S)
        link.cut()
    finished(load)
    drained_s = ingest.stored(ingest.next_pack - 1, after=before, limit_s=DRAIN_LIMIT_S)
    yield Figure("link_cut", link.cuts, "times")
    yield Figure("link_cut_drained_after", drained_s, "s")


@contextlib.contextmanager
def _running() -> Iterator[tuple[Ingest, FaultyDatabase, _cut_link.CutLink]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        influx = stack.enter_context(services.influxdb(folder / "influx"))
        faulty = stack.enter_context(faulty_database.before(influx.port, retry_after_s=2))
        store = f"influxdb://127.0.0.1:{faulty.port}/{_ingest.DATABASE}"
        broker = stack.enter_context(services.mosquitto(folder / "broker"))
        link = stack.enter_context(_cut_link.cuttable(broker.port))
        yield stack.enter_context(_ingest.at_work(folder, broker, influx, store, by_port=link.port)), faulty, link
