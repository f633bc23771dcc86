"""1 % and 10 % of the packs wrong in every way that validation names: all good ones stored, all bad ones in quarantine, no stall.

Every other bad pack carries good readings too, where its fault costs only a record. Real Mosquitto, real InfluxDB 1.6. Beside it the
same number of packs without a bad one. A run in which anything is missing, or lies under a wrong reason, has no figure.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mqtt5

from collector.quarantine.kept import Quarantine
from messages import topics
from messages.pack import Fault
from tests.bench import _ingest
from tests.bench._bad_packs import WAYS
from tests.bench._ingest import Ingest
from tests.bench._mqtt_load import EDGE, SITE, connected, packet, send
from tests.bench.figure import Figure

PACKS, PER_PACK = 12_000, 10
SHARES = (0.0, 0.01, 0.10)
COSTS_A_RECORD = {
    Fault.UNKNOWN_DEVICE,
    Fault.UNKNOWN_CHANNEL,
    Fault.WRONG_TYPE,
    Fault.WRONG_UNIT,
    Fault.OUT_OF_RANGE,
    Fault.IN_THE_FUTURE,
    Fault.TOO_OLD,
}
LIMIT_S = 120.0


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, _ingest.running(Path(folder)) as ingest:
        wanted = Counter[Fault]()
        for share in SHARES:
            yield from _mixed(ingest, share, wanted)


def _mixed(ingest: Ingest, share: float, wanted: Counter[Fault]) -> Iterator[Figure]:
    """`wanted`: records in quarantine by reason, so far; this run's come to it."""
    dice = random.Random(round(share * 100))
    before, readings_before = ingest.next_pack - 1, ingest.readings()
    packets, good_readings, bad, torn = [], 0, 0, 0
    ways = list(WAYS.values())
    for index in range(PACKS):
        if dice.random() >= share:
            number = ingest.next_pack
            packets.append(packet(number - before - 1, PER_PACK, before + 1, ingest.base_ms))
            ingest.next_pack += 1
            good_readings += PER_PACK
            continue
        fault, make = ways[bad % len(ways)]
        number = round(share * 10**6) + index + 1
        payload = make(number, ingest.base_ms - 10**7 + number)
        bad += 1
        wanted[fault] += 1
        if fault in COSTS_A_RECORD and bad % 2:
            # a good record behind the bad one
            good = b',{"bn":"gas-2/","bt":%.3f,"n":"gas_concentration","v":1}]' % (
                (ingest.base_ms - 10**7 + number) / 1000
            )
            payload = payload[:-1] + good
            good_readings += 1
            torn += 1
        packets.append(_published(index, payload))
    dice.shuffle(packets)
    with connected(ingest.broker.port, f"mix-{share}") as sock:
        sock.setblocking(False)
        began_at = time.monotonic()
        send(sock, packets, 0)
    until = time.monotonic() + LIMIT_S
    while (there := ingest.readings() - readings_before) < good_readings:
        assert time.monotonic() < until, f"{there} of {good_readings} good readings"
        time.sleep(0.05)
    took_s = time.monotonic() - began_at
    held = _held(ingest, sum(wanted.values()))
    assert held == dict(wanted), f"{held}, not {dict(wanted)}"
    there = ingest.readings() - readings_before
    assert there == good_readings, f"{there} readings stored, {good_readings} are good"
    case = f"{share:.0%}_bad"
    yield Figure(f"{case}_good_readings_stored", good_readings, "readings")
    yield Figure(f"{case}_in_quarantine_with_the_right_reason", bad, "records")
    yield Figure(f"{case}_packs_that_were_good_in_part", torn, "packs")
    yield Figure(f"{case}_rate", PACKS / took_s, "packs/s")


def _held(ingest: Ingest, records: int) -> dict[Fault, int]:
    """Records in quarantine by reason, when there are so many."""
    quarantine = Quarantine(ingest.folder / "state-0" / "quarantine.db")
    until = time.monotonic() + LIMIT_S
    while True:
        held = Counter[Fault]()
        for count in quarantine.counts():
            held[count.reason] += count.records
        if held.total() >= records or time.monotonic() > until:
            quarantine.close()
            return dict(held)
        time.sleep(0.1)


def _published(index: int, payload: bytes) -> bytes:
    topic = topics.readings(SITE, EDGE)
    return mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=index % 0xFFFF + 1).write()
