"""Each store by itself: readings/s in batches of 5000 from three writers, plain and packed, on loopback and on a paced line.

The line is a relay of ours that lets 10 Mbit/s through to the database and answers at once. What was written is counted by
query, so that a store which lost something has no figure.
"""

import contextlib
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from collector.stores.base import Batch, Point, Store
from collector.stores.choose import open_store
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Reading
from tests import services
from tests.bench.figure import Figure

SITE = SiteId("bench")
BATCH, BATCHES, DEVICES = 5000, 40, 500
SLOW_BATCHES = 12
LINE_BYTES_S = 10_000_000 / 8
STEP_BYTES = 16 * 1024
NOW_MS = time.time_ns() // 1_000_000


def run() -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield from _measured("sqlite", open_store("sqlite:history.db", base=folder), BATCHES)
        influx = stack.enter_context(services.influxdb(folder / "influx"))
        victoria = stack.enter_context(services.victoria(folder / "victoria"))
        for name, port, address in (("influxdb", influx.port, "influxdb://127.0.0.1:{}/{}"),
                                    ("victoria", victoria.port, "victoria://127.0.0.1:{}")):  # fmt: skip
            slow = stack.enter_context(_line(port))
            for case, to, count in (("loopback", port, BATCHES), ("10 Mbit/s", slow, SLOW_BATCHES)):
                for packed in ("", "?gzip"):
                    database = f"{case}{packed}".translate({ord(c): None for c in " /?"})
                    store = open_store(address.format(to, database) + packed, base=folder)
                    yield from _measured(f"{name}, {case}, {'gzip' if packed else 'plain'}", store, count)


def _measured(case: str, store: Store, count: int) -> Iterator[Figure]:
    store.write([])
    edge = EdgeId("".join(character for character in case.lower() if character.isalnum()))
    batches = [_batch(edge, number) for number in range(count)]
    used_s = resource.getrusage(resource.RUSAGE_SELF)
    began_s = time.perf_counter()
    with ThreadPoolExecutor(store.writers) as writers:
        list(writers.map(lambda batch: store.write([batch]), batches))
    took_s = time.perf_counter() - began_s
    now_s = resource.getrusage(resource.RUSAGE_SELF)
    wanted = sum(len(batch.points) for batch in batches)
    found = sum(
        len(store.readings(SITE, edge, NOW_MS - 1_000_000 + start, NOW_MS - 1_000_000 + start + 9_999))
        for start in range(0, count * BATCH // DEVICES + 1, 10_000)
    )
    assert found == wanted, f"{case}: {found} of {wanted}"
    store.close()
    yield Figure(case, wanted / took_s, "readings/s")
    yield Figure(
        f"{case}: our processor", 1e6 * (now_s.ru_utime - used_s.ru_utime + now_s.ru_stime - used_s.ru_stime) / wanted,
        "µs/reading",
    )  # fmt: skip


def _batch(edge: EdgeId, number: int) -> Batch:
    points = [
        Point(
            reading=Reading(
                device=DeviceId(f"gas-{index % DEVICES}"),
                channel="gas_concentration",
                at_ms=NOW_MS - 1_000_000 + (number * BATCH + index) // DEVICES,
                value=(number * 7 + index) % 1000 / 10,
                unit="%LEL",
            ),
            kind="gas_alarm",
            model="modbus-gas-detector",
            building=f"{index % 20}号楼",
        )
        for index in range(BATCH)
    ]
    return Batch(site=SITE, edge=edge, points=points, packs=[])


@contextlib.contextmanager
def _line(port: int) -> Iterator[int]:
    """The port of a relay to `port` whose connections share LINE_BYTES_S towards it."""
    listening = socket.create_server(("127.0.0.1", 0))
    turn, free_at_s = threading.Lock(), [0.0]

    def paced(source: socket.socket, sink: socket.socket) -> None:
        while some := source.recv(STEP_BYTES):
            with turn:
                free_at_s[0] = max(free_at_s[0], time.perf_counter()) + len(some) / LINE_BYTES_S
                wait_s = free_at_s[0] - time.perf_counter()
            time.sleep(max(wait_s, 0))
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)

    def back(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := source.recv(65536):
                sink.sendall(some)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for work, ends in ((paced, (near, far)), (back, (far, near))):
                    threading.Thread(target=work, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
