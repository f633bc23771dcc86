"""The whole chain on this machine: readings/s, wire-to-page delay, memory of each program.

Real Mosquitto, SQLite store, every program a process of its own, all on the same cores as the load. Devices speak JSON
on the local MQTT broker, since a serial line would be the limit. A run that lost a reading has no figure.
"""

import asyncio
import contextlib
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from messages.bus import Bus
from tests import services
from tests.bench.figure import Figure, percentile
from tests.system.plant import Plant, plant, wait_until

LEVELS, MESSAGES = 40, 20_000
ALARMS = 60
RUNS = 3

LEVEL_MODEL = """
protocol = "mqtt-json"
name = "Level probe of the bench"
source = "Gridcall's own"
kind = "sewer_level"
time = { path = "ts", unit = "ms" }
[channels.water_level]
path = "level"
"""
GAS_MODEL = """
protocol = "mqtt-json"
name = "Gas alarm of the bench"
source = "Gridcall's own"
kind = "gas_alarm"
[channels.gas_concentration]
path = "lel"
"""


def run() -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(services.mosquitto(folder / "broker"))
        block = stack.enter_context(plant(folder / "plant", broker_port=broker.port, scenario="calm"))
        _add_devices(block)
        block.add_account()
        block.start("collector", "rules", "block", "console", "edge")
        wait_until(lambda: _stored(block) > 0, "the chain carries readings")
        yield from _delays(block, broker)
        rates = [asyncio.run(_rate(block, broker, attempt)) for attempt in range(RUNS)]
        yield Figure("readings_through_the_chain", sorted(rates)[RUNS // 2], "readings/s")
        for name, program in block.programs.items():
            assert program.process is not None
            if name != "block":
                resident = psutil.Process(program.process.pid).memory_info().rss
                yield Figure(f"resident_memory_{name}", resident / 2**20, "MiB")


def _add_devices(block: Plant) -> None:
    models = block.folder / "models"
    models.mkdir()
    (models / "bench-level.toml").write_text(LEVEL_MODEL)
    (models / "bench-gas.toml").write_text(GAS_MODEL)
    devices = [
        f'[[devices]]\nid = "{name}-{number}"\nmodel = "{model}"\ntopic = "local/{name}-{number}"\n'
        f'place = {{ grid = "grid-1", text = "{name}-{number}." }}\n'
        for name, model, count in (("level", "bench-level", LEVELS), ("gas", "bench-gas", ALARMS))
        for number in range(count)
    ]
    path = block.folder / "edge.toml"
    path.write_text('models = ["models"]\n' + path.read_text() + "\n" + "\n".join(devices))


async def _rate(block: Plant, broker: services.MqttBroker, attempt: int) -> float:
    """Readings/s from the first publish until the store and the rules have them all."""
    stored, judged = _stored(block), _judged(block)
    async with Bus(broker.settings("devices"), f"bench-{attempt}") as bus:
        await bus.up()
        started, at_ms = time.perf_counter(), time.time_ns() // 1_000_000
        for first in range(0, MESSAGES, 200):
            await asyncio.gather(
                *(
                    bus.publish(
                        f"local/level-{number % LEVELS}",
                        json.dumps({"ts": at_ms + number // LEVELS, "level": 0.5 + (number // LEVELS % 2)}).encode(),
                    )
                    for number in range(first, first + 200)
                )
            )
    wait_until(lambda: _stored(block) - stored >= MESSAGES, "all are stored", limit_s=300)
    wait_until(lambda: _judged(block) - judged >= MESSAGES, "the rules have seen all", limit_s=300)
    return MESSAGES / (time.perf_counter() - started)


def _delays(block: Plant, broker: services.MqttBroker) -> Iterator[Figure]:
    """From the publish of a gas reading to its alarm in an open feed."""
    seen: dict[str, float] = {}
    stop = threading.Event()
    reader = threading.Thread(target=_read_feed, args=(block, seen, stop))
    reader.start()
    try:
        wait_until(lambda: "" in seen, "the feed is open")
        sent = asyncio.run(_leak(broker, seen))
    finally:
        stop.set()
        reader.join(30)
    delays = [(seen[name] - at) * 1000 for name, at in sent.items()]
    yield Figure("wire_to_page_p50", percentile(delays, 0.50), "ms")
    yield Figure("wire_to_page_p99", percentile(delays, 0.99), "ms")


async def _leak(broker: services.MqttBroker, seen: dict[str, float]) -> dict[str, float]:
    sent = {}
    async with Bus(broker.settings("devices"), "bench-gas") as bus:
        await bus.up()
        for number in range(ALARMS):
            name = f"gas-{number}"
            sent[name] = time.perf_counter()
            await bus.publish(f"local/{name}", b'{"lel": 28}')
            until = time.perf_counter() + 10
            while name not in seen:
                assert time.perf_counter() < until, f"{name} never reached the page"
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.05)
    return sent


def _read_feed(block: Plant, seen: dict[str, float], stop: threading.Event) -> None:
    """Note when each device's name first comes down the open feed."""
    with block.client() as client, client.stream("GET", "/feed", timeout=60) as answer:
        seen[""] = time.perf_counter()
        for line in answer.iter_lines():
            for number in range(ALARMS):
                if f"gas-{number}" not in seen and f"gas-{number}." in line:
                    seen[f"gas-{number}"] = time.perf_counter()
            if stop.is_set():
                return


def _stored(block: Plant) -> int:
    path = block.folder / "history.db"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM readings").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet
            return 0


def _judged(block: Plant) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{block.folder / 'rules.db'}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT readings FROM pulse").fetchone()
    return int(row[0]) if row else 0
