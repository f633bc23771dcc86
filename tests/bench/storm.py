"""20,000 readings/s from a real broker into the rules, and calls for help in the midst of them: how long until each is handed over, and what is shed.

The load is a process that sends packs of 50 over one socket; nothing in them raises an alarm. Every few seconds a button is pressed, and a provider,
a process as well, is asked to send. What the engine has judged is its own count; what is missing at the end was shed by the broker's
queue, which gridcall.conf bounds, and would be read from the history, which is empty here.

STORM_RATE (readings/s), STORM_S change it.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from messages.bus import Bus
from messages.ids import DeviceId
from messages.reading import Reading
from rules.desk import Desk
from rules.store.database import Database
from tests import services
from tests.bench import _calling, _mqtt_load, _provider
from tests.bench.figure import Figure, percentile
from tests.services import ROOT

RATE = int(os.environ.get("STORM_RATE", "20000"))
SECONDS = int(os.environ.get("STORM_S", "60"))
PER_PACK = 50
PRESS_EVERY_S = 5.0
ANSWER_MS = 50
QUIET_S, LIMIT_S = 10.0, 180.0


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        yield from asyncio.run(_stormed(Path(name), f"sqlite:///{name}/rules.db"))


async def _stormed(folder: Path, url: str) -> list[Figure]:
    presses = int(SECONDS / PRESS_EVERY_S) - 1
    settings = f'site_files = "sites"\n{_calling.CHANNEL}'
    with (
        services.mosquitto(folder / "broker") as broker,
        _provider.provider(folder, ANSWER_MS) as provider,
        _calling.engine(
            folder,
            url,
            broker,
            settings.format(url=provider.url),
            {f"sites/{_calling.SITE}.toml": _calling.people()},
        ) as engine,
    ):
        engine.start()
        engine.until_said("broker is there")
        async with _calling.edge(broker) as bus:
            await _calling.announce(bus, _mqtt_load.DEVICES, "gas_alarm", name="gas")
            await _calling.announce(bus, presses, "sos_button", name="button")
            count = RATE * SECONDS // PER_PACK
            words = map(str, (broker.port, PER_PACK, count, RATE / PER_PACK, 1, _calling.now_ms()))
            command = [sys.executable, "-m", "tests.bench._mqtt_load", *words]
            began_cpu_s = engine.cpu_s()
            load = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            database = Database(url)
            while _judged(database) < PER_PACK:  # it encodes before it sends
                await asyncio.sleep(0.1)
            pressed_s = await _press(bus, presses)
            out = (await asyncio.to_thread(load.communicate, timeout=LIMIT_S))[0]
            ended_s, took_s = time.monotonic(), float(json.loads(out)["took_s"])
        judged, at_s = _judged(database), time.monotonic()
        while time.monotonic() - at_s < QUIET_S and time.monotonic() - ended_s < LIMIT_S:
            await asyncio.sleep(0.5)
            if (now := _judged(database)) > judged:
                judged, at_s = now, time.monotonic()
        database.close()
        cpu_s, handed = engine.cpu_s() - began_cpu_s, provider.finish()
        said = engine.said("no room") + engine.said("given up")
    waits = [
        min((one.at_s for one in handed if f"button {number}" in one.text), default=float("inf")) - button_s
        for number, button_s in enumerate(pressed_s)
    ]
    return [
        Figure("sent", count * PER_PACK / took_s, "readings/s"),
        Figure("calls_for_help", len(waits), "calls"),
        Figure("handed_over_p50", percentile(waits, 0.5), "s"),
        Figure("handed_over_max", max(waits), "s"),
        Figure("judged", judged / (count * PER_PACK + presses) * 100, "%"),
        Figure("judged_after_the_load", max(0.0, at_s - ended_s), "s"),
        Figure("said_of_what_was_shed", said, "lines"),
        Figure("engine_for_a_reading", cpu_s / judged * 1e6, "us"),
    ]


def _judged(database: Database) -> int:
    pulse = Desk(database).pulse()
    return pulse.readings if pulse else 0


async def _press(bus: Bus, presses: int) -> list[float]:
    """When each button was pressed (s, monotonic)."""
    began_s, pressed_s = time.monotonic(), list[float]()
    for number in range(presses):
        await asyncio.sleep(max(0.0, began_s + number * PRESS_EVERY_S - time.monotonic()))
        pressed_s.append(time.monotonic())
        device, at_ms = DeviceId(f"button-{number}"), _calling.now_ms()
        await _calling.say(bus, number + 1, Reading(device=device, channel="pressed", at_ms=at_ms, value=True))
    return pressed_s
