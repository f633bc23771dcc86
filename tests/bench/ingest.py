"""Readings/s from the broker into InfluxDB, by packs of 1, 10 and 50, beside what database and broker do by themselves.

A rate ladder to the knee: the highest rate at which the last pack is stored within a second of its acknowledgement by
the broker. A run that lost a reading has no figure: what is stored is counted by query. Publisher, broker, database and
collector share the machine's cores.
"""

import select
import socket
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mqtt5

from messages import topics
from tests.bench import _ingest
from tests.bench._ingest import DATABASE, Ingest, finished
from tests.bench._mqtt_load import EDGE, SITE, connected, packet, send
from tests.bench.figure import Figure

STEP_S = 4.0
LATE_S = 1.0
RUNGS = (0.7, 0.85, 1.0, 1.15, 1.3)
"""Of what one closed-loop run has shown."""
SAMPLE = {1: 60_000, 10: 20_000, 50: 8_000}
BODY_LINES = 5000
BULK_LINES = 400_000
WRITERS = 2


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, _ingest.running(Path(folder)) as ingest:
        for per_pack, sample in SAMPLE.items():
            yield from _packs_of(ingest, per_pack, sample)
        counted = ingest.readings()
        expected = ingest.next_pack - 1
        assert ingest.packs() == expected, f"{ingest.packs()} of {expected} packs"
        yield Figure("stored_by_query", counted, "readings")
        for collector in ingest.collectors:
            _ingest.stop(collector)
        yield Figure("database_alone_bulk", _bulk(ingest), "lines/s")
        for per_pack in (1, 50):
            rate = _forwarded(ingest, per_pack, SAMPLE[per_pack])
            yield Figure(f"broker_alone_packs_of_{per_pack}", rate, "packs/s")


def _packs_of(ingest: Ingest, per_pack: int, sample: int) -> Iterator[Figure]:
    before = ingest.next_pack - 1
    took_s = finished(ingest.load(per_pack, sample))
    closed_loop = sample / (took_s + ingest.stored(before + sample, after=before))
    yield Figure(f"as_fast_as_it_goes_packs_of_{per_pack}", closed_loop * per_pack, "readings/s")
    knee = 0.0
    for share in RUNGS:
        rate = closed_loop * share
        count = int(rate * STEP_S)
        before = ingest.next_pack - 1
        took_s = finished(ingest.load(per_pack, count, rate))
        late_s = ingest.stored(before + count, after=before)
        if late_s > LATE_S or took_s > STEP_S * 1.1:
            break
        knee = rate
    yield Figure(f"knee_packs_of_{per_pack}", knee * per_pack, "readings/s")
    yield Figure(f"knee_packs_of_{per_pack}", knee, "packs/s")


def _bulk(ingest: Ingest) -> float:
    """The same lines, ready made, in bodies of BODY_LINES by two writers."""
    tags = "building=3,edge=pi-1,model=modbus-gas-detector,site=junmen"
    at_ms = ingest.base_ms - 10**9
    bodies = []
    for start in range(0, BULK_LINES, BODY_LINES):
        lines = []
        for number in range(start, start + BODY_LINES):
            device, at = f"gas-{number % 200}", (at_ms + number // 400) * 10**6
            if number // 200 % 2:
                lines.append(
                    f"gas_alarm,{tags.replace(',edge', f',device={device},edge')},unit=%LEL gas_concentration=1.5 {at}"
                )
            else:
                lines.append(f"gas_alarm,{tags.replace(',edge', f',device={device},edge')} alarm_contact=f {at}")
        bodies.append("\n".join(lines).encode())
    url = f"{ingest.influx.url}/write?db={DATABASE}&precision=ns"

    def write(mine: list[bytes]) -> None:
        for body in mine:
            urllib.request.urlopen(urllib.request.Request(url, body), timeout=60).close()

    writers = [threading.Thread(target=write, args=(bodies[place::WRITERS],)) for place in range(WRITERS)]
    began_at = time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return BULK_LINES / (time.monotonic() - began_at)


def _forwarded(ingest: Ingest, per_pack: int, count: int) -> float:
    """Packs/s from a publisher through the broker to a bare subscriber that acknowledges at once: median of three."""
    return statistics.median(_forwarded_once(ingest, per_pack, count, turn) for turn in range(3))


def _forwarded_once(ingest: Ingest, per_pack: int, count: int, turn: int) -> float:
    packets = [packet(index, per_pack, 10**9, 10**12) for index in range(count)]
    with (
        connected(ingest.broker.port, f"subscriber-{per_pack}-{turn}", "rules") as subscriber,
        connected(ingest.broker.port, "publisher") as publisher,
    ):
        wanted = mqtt5.TopicFilter(topics.readings(SITE, EDGE), max_qos=mqtt5.QoS.AT_LEAST_ONCE)
        subscriber.sendall(mqtt5.SubscribePacket(1, [wanted]).write())
        subscriber.recv(4096)
        publisher.setblocking(False)
        reader = threading.Thread(target=_acknowledge, args=(subscriber, count))
        reader.start()
        began_at = time.monotonic()
        send(publisher, packets, 0)
        reader.join()
        return count / (time.monotonic() - began_at)


def _acknowledge(sock: socket.socket, count: int) -> None:
    held = bytearray()
    while count:
        select.select([sock], [], [])
        held += sock.recv(262_144)
        view, at, answers = memoryview(held), 0, bytearray()
        while at < len(view):
            try:
                found, length = mqtt5.read(view[at:])
            except IndexError:
                break
            at += length
            if isinstance(found, mqtt5.PublishPacket):
                answers += b"\x40\x02" + (found.packet_id or 0).to_bytes(2, "big")
                count -= 1
        view.release()
        del held[:at]
        sock.sendall(answers)
