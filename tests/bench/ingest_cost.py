"""Where the collector's time goes: processor time of each step between socket and database, by packs of 1 and 50, in µs a pack.

Nothing runs beside it, and nothing waits: the least of many runs over a batch of the size that the service takes, in processor time, so
that other programs count for little. What is not here is the kernel's share and the database's.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from collector.commands import GARBAGE
from collector.intake.delivery import Announced, Delivery, batches, fates, receipts
from collector.intake.devices import Devices
from collector.intake.judge import judge
from collector.intake.plain_pack import PlainPacks
from collector.intake.tally import tallied
from collector.stores.base import Batch
from collector.stores.bounded import Bounded
from collector.stores.line_protocol import requests
from collector.stores.sqlite import SqliteStore
from collector.watch.figures import Figures
from collector.watch.ledger import Ledger
from collector.watch.presence import Presence
from messages import receipt, topics
from messages.announcement import Announcement, Place
from messages.kind import load_kinds
from messages.mqtt.v5 import _published
from tests.bench._mqtt_load import DEVICES, EDGE, SITE, device, packet
from tests.bench.figure import Figure

BATCH = {1: 2000, 50: 180}
TURNS = 30
NOW_MS = 1_795_000_000_000
RETENTION_MS = 30 * 86_400_000
T = TypeVar("T")


def run() -> Iterator[Figure]:
    gc.set_threshold(*GARBAGE)
    for per_pack, count in BATCH.items():
        yield from _packs_of(per_pack, count)


def _packs_of(per_pack: int, count: int) -> Iterator[Figure]:
    kinds, devices = load_kinds(), Devices(Path("never opened"))
    place = Place(grid="grid-1", building="3", text="3号楼")
    for number in range(DEVICES):
        announced = Announcement(kind="gas_alarm", model="modbus-gas-detector", place=place)
        devices.hear(Announced((SITE, EDGE, device(number)), announced))
    plain, edge = PlainPacks(devices, kinds), (SITE, EDGE)
    stream = b"".join(packet(index, per_pack, 1, NOW_MS - 10**6) for index in range(count))
    ledger, presence, figures = Ledger(), Presence(), Figures()
    spent: dict[str, float] = {}

    def timed(step: str, work: Callable[[], T]) -> T:
        best = min(_took_s(work) for _ in range(TURNS))
        spent[step] = best / count * 10**6
        return work()

    def published() -> list[tuple[str, bytes]]:
        found, at = [], 0
        while at < len(stream):
            one = _published(stream, at)
            assert one
            found.append(one[:2])
            at = one[-1]
        return found

    def judged() -> list[Delivery]:
        deliveries = []
        for topic, payload in messages:
            origin = topics.origin(topic)
            assert origin
            verdict = plain.judge(payload, origin, NOW_MS, retention_ms=RETENTION_MS)
            assert verdict
            deliveries.append(Delivery(topic, payload, NOW_MS, origin, verdict))
        return deliveries

    def judged_slowly() -> None:
        for topic, payload in messages:
            origin = topics.origin(topic)
            assert origin
            judge(payload, origin, devices.known, kinds, NOW_MS, retention_ms=RETENTION_MS)

    def accounted() -> None:
        tally = tallied(deliveries)
        for edge, one in tally.edges.items():
            ledger.readings(edge, stored=one.stored, quarantined=one.quarantined, late=one.late)
            presence.took(edge, one)
        figures.settled(tally, 0.1)

    def receipted() -> None:
        for _, one in receipts(fates(deliveries)):
            ledger.settled(edge, one)
            receipt.encode(one)

    messages = timed("cut_from_the_stream", published)
    deliveries = timed("judged", judged)
    timed("line_protocol", lambda: requests(batches(deliveries)))
    with tempfile.TemporaryDirectory() as folder:
        bounded = Bounded(_Nowhere(), Path(folder) / "series.db", most=10**6)
        timed("series_bounded", lambda: bounded.write(batches(deliveries)))
    timed("accounted_for", accounted)
    timed("receipted", receipted)
    whole = sum(spent.values())
    timed("judged_by_the_slow_lane", judged_slowly)
    for step, cost in spent.items():
        yield Figure(f"{step}_packs_of_{per_pack}", cost, "us/pack")
    yield Figure(f"all_packs_of_{per_pack}", whole, "us/pack")
    yield Figure(f"one_core_could_packs_of_{per_pack}", 10**6 / whole * per_pack, "readings/s")


class _Nowhere(SqliteStore):
    """What is in front of the store alone is to be measured."""

    def __init__(self) -> None:
        super().__init__(Path("never opened"))

    def write(self, batches: Sequence[Batch]) -> None:
        pass


def _took_s(work: Callable[[], object]) -> float:
    began_at = time.process_time()
    work()
    return time.process_time() - began_at
