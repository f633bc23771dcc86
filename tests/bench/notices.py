"""F1: 100 red alarms/s, each with a case and a call: from the reading to the provider's yes, on SQLite and PostgreSQL.

Broker, engine, database and provider are processes of their own; the provider takes NOTICES_ANSWER_MS to answer. Nobody accepts anything, so all
cases stay open. The time begins when the edge publishes the reading, so it is longer than that from the raise. A run that lost a call, or
made one twice, has no figure.

NOTICES_S (seconds; 60, the promise holds for 600), NOTICES_RATE, NOTICES_DATABASES ("sqlite postgresql") change it.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from messages.bus import Bus
from rules.store.database import Database
from tests import services
from tests.bench import _calling, _provider
from tests.bench.figure import Figure, percentile

SECONDS = int(os.environ.get("NOTICES_S", "60"))
RATE = int(os.environ.get("NOTICES_RATE", "100"))
ANSWER_MS = int(os.environ.get("NOTICES_ANSWER_MS", "50"))
DATABASES = os.environ.get("NOTICES_DATABASES", "sqlite postgresql").split()
TICK_S = 0.1
LIMIT_S = 60.0


def run() -> Iterator[Figure]:
    if "sqlite" in DATABASES:
        with tempfile.TemporaryDirectory() as name:
            yield from asyncio.run(_called("sqlite", Path(name), f"sqlite:///{name}/rules.db"))
    if "postgresql" in DATABASES:
        with tempfile.TemporaryDirectory() as name, services.postgresql() as server, server.database() as url:
            yield from asyncio.run(_called("postgresql", Path(name), url))


async def _called(case: str, folder: Path, url: str) -> list[Figure]:
    with (
        services.mosquitto(folder / "broker") as broker,
        _provider.provider(folder, ANSWER_MS) as provider,
        _calling.engine(folder, url, broker, _calling.settings(provider.url), _calling.files()) as engine,
    ):
        engine.start()
        engine.until_said("broker is there")
        devices = -(-SECONDS * RATE // _calling.RULES)
        async with _calling.edge(broker) as bus:
            await _calling.announce(bus, devices)
            began_s, began_cpu_s = time.monotonic(), engine.cpu_s()
            sent = await _load(bus, devices)
            took_s = time.monotonic() - began_s
            loaded_cpu_s = engine.cpu_s() - began_cpu_s
        handed = await _all_handed(provider, url, len(sent))
        whole_cpu_s, memory = engine.cpu_s() - began_cpu_s, engine.memory_bytes()
    first_s = dict[str, float]()
    for one in handed:
        first_s.setdefault(one.key.partition("/")[0], one.at_s)
    lost = [name for name in sent if name not in first_s]
    log = (folder / "rules.log").read_text()[-3000:]
    assert not lost, f"{len(lost)} of {len(sent)} alarms were never handed over: {log}"
    delays = [first_s[name] - at_s for name, at_s in sent.items()]
    halves = len(delays) // 2
    return [
        Figure(f"{case}_alarms", len(sent), "alarms"),
        Figure(f"{case}_rate", len(sent) / took_s, "alarms/s"),
        Figure(f"{case}_handed_over_p50", percentile(delays, 0.5), "s"),
        Figure(f"{case}_handed_over_p99", percentile(delays, 0.99), "s"),
        Figure(f"{case}_handed_over_p99_of_the_second_half", percentile(delays[halves:], 0.99), "s"),
        Figure(f"{case}_handed_over_max", max(delays), "s"),
        Figure(f"{case}_hand_overs_beyond_the_first", len(handed) - len(first_s), "messages"),
        Figure(f"{case}_engine", loaded_cpu_s / took_s, "cores"),
        Figure(f"{case}_engine_for_an_alarm", whole_cpu_s / len(sent) * 1000, "ms"),
        Figure(f"{case}_engine_memory", memory / 2**20, "MiB"),
    ]


async def _load(bus: Bus, devices: int) -> dict[str, float]:
    """The cases that are opened, and when their readings left (s, monotonic)."""
    sent, began_s, number = dict[str, float](), time.monotonic(), 0
    while number < SECONDS * RATE:
        at_ms, now_s = _calling.now_ms(), time.monotonic()
        due = min(SECONDS * RATE, int((now_s - began_s + TICK_S) * RATE))
        said = []
        for one in range(number, due):
            rule, device = divmod(one, devices)
            sent[_calling.case_of(device, rule + 1, at_ms)] = now_s
            said.append(_calling.say(bus, one + 1, _calling.level(device, rule + 1, at_ms)))
        await asyncio.gather(*said)
        number = due
        await asyncio.sleep(max(0.0, began_s + number / RATE - time.monotonic()))
    return sent


async def _all_handed(provider: _provider.Running, url: str, wanted: int) -> list[_provider.Handed]:
    """What the provider has, when nothing waits to be sent any more."""
    database = await asyncio.to_thread(Database, url)
    until_s = time.monotonic() + LIMIT_S + SECONDS
    try:
        while time.monotonic() < until_s and await asyncio.to_thread(_calling.unsent, database) != (wanted, 0):
            await asyncio.sleep(0.5)
    finally:
        database.close()
    return provider.finish()
