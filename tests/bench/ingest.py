"""Readings/s from the broker into InfluxDB, by packs of 1, 10 and 50, beside what database and broker do by themselves.

"Alone" are the same lines, ready made, in as large writes, into an empty database beside it. A rate ladder to the knee: the highest rate at which the last pack is stored within a second of its acknowledgement by
the broker. A run that lost a reading has no figure: what is stored is counted by query. Publisher, broker, database and
collector share the machine's cores.
"""

import http.client
import select
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mqtt5
import psutil

from collector.intake.delivery import Announced, Delivery, batches
from collector.intake.devices import Devices
from collector.intake.plain_pack import PlainPacks
from collector.stores.base import WRITERS
from collector.stores.line_protocol import requests
from messages import topics
from messages.announcement import Announcement, Place
from messages.kind import load_kinds
from tests.bench import _ingest
from tests.bench._ingest import Ingest, finished
from tests.bench._mqtt_load import DEVICES, EDGE, SITE, connected, device, packet, send
from tests.bench.figure import Figure

STEP_S = 4.0
LATE_S = 1.0
RUNGS = (0.7, 0.85, 1.0, 1.15, 1.3)
"""Of what one closed-loop run has shown."""
SAMPLE = {1: 60_000, 10: 20_000, 50: 8_000}
BULK_PACKS = 180
"""In one write: what the collector makes of a batch."""
ALONE = "alone"


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, _ingest.running(Path(folder)) as ingest:
        best: dict[int, float] = {}
        for per_pack, sample in SAMPLE.items():
            for figure in _packs_of(ingest, per_pack, sample):
                if figure.unit == "readings/s":
                    best[per_pack] = max(best.get(per_pack, 0.0), figure.value)
                yield figure
        counted = ingest.readings()
        expected = ingest.next_pack - 1
        assert ingest.packs() == expected, f"{ingest.packs()} of {expected} packs"
        yield Figure("stored_by_query", counted, "readings")
        for collector in ingest.collectors:
            _ingest.stop(collector)
        for figure in _bulk(ingest):
            yield figure
            if figure.case == "database_alone_same_lines":
                yield Figure("collector_of_database_alone_packs_of_50", 100 * best[50] / figure.value, "%")
        for per_pack in (1, 50):
            rate = _forwarded(ingest, per_pack, SAMPLE[per_pack])
            yield Figure(f"broker_alone_packs_of_{per_pack}", rate, "packs/s")


def _packs_of(ingest: Ingest, per_pack: int, sample: int) -> Iterator[Figure]:
    before = ingest.next_pack - 1
    programs = {
        "collector": ingest.collectors[0],
        "database": ingest.influx.process,
        "broker": ingest.broker.process,
    }
    used_s = {name: _processor_s(process) for name, process in programs.items()}
    took_s = finished(ingest.load(per_pack, sample))
    closed_loop = sample / (took_s + ingest.stored(before + sample, after=before))
    for name, process in programs.items():
        spent_s = _processor_s(process) - used_s[name]
        yield Figure(f"processor_of_{name}_packs_of_{per_pack}", spent_s / sample * 10**6, "us/pack")
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


def _bulk(ingest: Ingest) -> Iterator[Figure]:
    """The lines of as many packs of 50 as were sent at once, ready made, by as many writers as the collector has."""
    sent, place = SAMPLE[50], Place(grid="grid-1", building="3", text="3号楼")
    devices = Devices(ingest.folder / "never opened")
    for number in range(DEVICES):
        announced = Announcement(kind="gas_alarm", model="modbus-gas-detector", place=place)
        devices.hear(Announced((SITE, EDGE, device(number)), announced))
    plain, origin, bodies = PlainPacks(devices, load_kinds()), topics.origin(topics.readings(SITE, EDGE)), list[bytes]()
    assert origin
    for first in range(0, sent, BULK_PACKS):
        deliveries = []
        for index in range(first, first + BULK_PACKS):
            published = mqtt5.read(memoryview(packet(index, 50, 1, ingest.base_ms - 10**8)))[0]
            assert isinstance(published, mqtt5.PublishPacket)
            payload = bytes(published.payload or b"")
            verdict = plain.judge(payload, origin, ingest.base_ms)
            assert verdict
            deliveries.append(Delivery(published.topic, payload, ingest.base_ms, origin, verdict))
        bodies += requests(batches(deliveries))
    ingest.ask(f"CREATE DATABASE {ALONE}", posts=True)

    def write(mine: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", ingest.influx.port, timeout=60)
        for body in mine:
            connection.request("POST", f"/write?db={ALONE}&precision=ns", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 204, answer.status
        connection.close()

    writers = [threading.Thread(target=write, args=(bodies[start::WRITERS],)) for start in range(WRITERS)]
    before_s, began_at = _processor_s(ingest.influx.process), time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    took_s = time.monotonic() - began_at
    yield Figure("database_alone_same_lines", sent * 50 / took_s, "readings/s")
    used_s = _processor_s(ingest.influx.process) - before_s
    yield Figure("database_alone_processor", used_s / sent / 50 * 10**6, "us/reading")


def _processor_s(process: subprocess.Popen[bytes] | None) -> float:
    assert process
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


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
