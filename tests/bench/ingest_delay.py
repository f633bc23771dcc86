"""From publish to queryable in InfluxDB, at half the knee: a marker twenty times a second among packs of 10.

The knee is that of `bench ingest`, found here by one closed-loop run. A marker counts as queryable when a query that began after
it was published holds it.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mqtt5

from messages import pack, topics
from messages.ids import DeviceId, StreamId
from messages.reading import Reading
from tests.bench import _ingest
from tests.bench._ingest import Ingest, finished
from tests.bench._mqtt_load import EDGE, SITE, connected
from tests.bench.figure import Figure, percentile

PER_PACK, SAMPLE = 10, 15_000
LASTS_S, MARKERS_PER_S = 15.0, 20
MARKER = DeviceId("gas-0")
"""Its alarm contact stays false in the load, so the marker's own channel is asked for: the concentration of a device that the load
does not reach with this time."""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, _ingest.running(Path(folder)) as ingest:
        before = ingest.next_pack - 1
        took_s = finished(ingest.load(PER_PACK, SAMPLE))
        knee = SAMPLE / (took_s + ingest.stored(before + SAMPLE, after=before))
        rate = knee / 2
        count = int(rate * LASTS_S)
        load = ingest.load(PER_PACK, count, rate)
        time.sleep(2.0)  # the load encodes first
        delays_s = _markers(ingest)
        finished(load)
        yield Figure("rate", rate * PER_PACK, "readings/s")
        yield Figure("publish_to_queryable_p50", percentile(delays_s, 0.50) * 1000, "ms")
        yield Figure("publish_to_queryable_p99", percentile(delays_s, 0.99) * 1000, "ms")
        yield Figure("markers", len(delays_s), "packs")


def _markers(ingest: Ingest) -> list[float]:
    """The time of each marker is its number, so that one query sees all that are there."""
    published: dict[int, float] = {}
    base_ms = ingest.base_ms - 10**8
    wanted = int((LASTS_S - 4) * MARKERS_PER_S)

    def publish() -> None:
        with connected(ingest.broker.port, "marker") as sock:
            for number in range(1, wanted + 1):
                one = Reading(
                    device=MARKER, channel="gas_concentration", at_ms=base_ms + number, value=1.0, unit="%LEL"
                )
                payload = pack.encode(EDGE, StreamId("marker"), number, [one])
                packet = mqtt5.PublishPacket(
                    topics.readings(SITE, EDGE), payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number
                ).write()
                published[number] = time.monotonic()
                sock.sendall(packet)
                sock.recv(64)
                time.sleep(1 / MARKERS_PER_S)

    publisher = threading.Thread(target=publish)
    publisher.start()
    delays_s: list[float] = []
    seen = 0
    until = time.monotonic() + _ingest.LIMIT_S
    where = f"\"device\" = '{MARKER}' AND time > {base_ms}ms AND time <= {base_ms + wanted}ms"
    while seen < wanted:
        assert time.monotonic() < until, f"{seen} of {wanted} markers"
        asked_at = time.monotonic()
        there = ingest.count(f'SELECT count("gas_concentration") FROM gas_alarm WHERE {where}')
        answered_at = time.monotonic()
        # in the order of publishing: so many are there, and they are the first ones
        delays_s += [answered_at - published[number] for number in range(seen + 1, there + 1)]
        seen = max(seen, there)
        time.sleep(max(0.0, 0.005 - (time.monotonic() - asked_at)))
    publisher.join()
    return delays_s
