"""The block that the edge's benches share: 200 devices with four periodic channels and a contact; a real collector."""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kinds, load_kinds
from messages.reading import Reading
from tests import services

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
DEVICES, EVERY_S = 200, 10
KIND = """
name = { zh = "测试探头", en = "Bench probe" }
[channels.contact]
name = { zh = "触点", en = "Contact" }
meaning = "Its value counts up, so that every reading can be told from all others"
type = "number"
alarm_class = true
interval = "10s"
[channels.seen]
name = { zh = "计数", en = "Count" }
meaning = "Counts up"
type = "number"
interval = "10s"
"""
CHANNELS = {
    "water_level": ("m", 0.0, 3.0, 3),
    "temperature": ("Cel", -5, 35, 1),
    "flow": ("m3/s", 0, 2, 3),
    "supply": ("V", 2, 4, 2),
}
DEVICE_IDS = [DeviceId(f"probe-{number:03}") for number in range(DEVICES)]
PLACE = Place(grid="grid-1", text="bench")
ANNOUNCED = {device: Announcement(kind="bench_probe", model="bench", place=PLACE) for device in DEVICE_IDS}


def kinds(folder: Path) -> Kinds:
    """The shipped ones and the probe's."""
    text = KIND + "".join(
        f'[channels.{name}]\nname = {{ zh = "{name}", en = "{name}" }}\nmeaning = "moves"\ntype = "number"\n'
        f'unit = "{unit}"\nrange = [-100, 100]\ninterval = "10s"\n'
        for name, (unit, *_) in CHANNELS.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench_probe.toml").write_text(text, encoding="utf-8")
    return load_kinds(folder)


def second(number: int, now_ms: int, dice: random.Random) -> list[Reading]:
    """What a tenth of the devices say in one second: all four channels, and all of them have moved."""
    readings = []
    for device in DEVICE_IDS[number % EVERY_S :: EVERY_S]:
        at_ms = now_ms - dice.randrange(1000)
        for channel, (unit, low, high, digits) in CHANNELS.items():
            value = round(low + (high - low) * dice.random(), digits)
            readings.append(Reading(device=device, channel=channel, at_ms=at_ms, value=value, unit=unit))
    return readings


@contextlib.contextmanager
def collector(folder: Path, broker: services.MqttBroker) -> Iterator[Path]:
    """`gridcall collector run` with a SQLite store, whose file this is."""
    kinds(folder / "kinds")
    settings = {"name": "collector-1", "store": "sqlite:history.db", "folder": "state", "kinds": ["kinds"]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += ["[broker]", f"port = {broker.port}", 'username = "collector"', f'password = "{services.PASSWORD}"', ""]
    (folder / "collector.toml").write_text("\n".join(lines))
    with (folder / "collector.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gridcall", "collector", "run", str(folder / "collector.toml")],
            cwd=services.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 20
        while (folder / "collector.log").read_text().count("broker is there") < 2:  # one link to hear, one to receipt
            assert time.monotonic() < until, (folder / "collector.log").read_text()
            time.sleep(0.05)
        yield folder / "history.db"
    finally:
        process.kill()
        process.wait()


OUR_READINGS = "series JOIN readings ON series = id WHERE kind = 'bench_probe'"
"""In the collector's database; beside them the collector stores readings of its own."""


def ask(database: Path, question: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as opened:
        return opened.execute(question).fetchall()


def written_bytes() -> int:
    """What this process has had written to the disk so far (proc(5): write_bytes)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
