"""`gridcall rules backtest` over a day of 200 shipped devices in SQLite: readings judged a second on one core, and memory.

Fifty each of gas alarms, covers, shafts and bins, each channel every 10 s, with alarms in between. A run that missed a
reading, or raised another number of alarms than was put in, has no figure. Time is the processor's, start and imports included.

RULES_BACKTEST_S shortens the day.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from collector.stores.base import Batch, Point
from collector.stores.choose import open_store
from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import load_kinds
from messages.reading import Reading
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.store import facts
from rules.store.database import Database
from tests import services
from tests.bench.figure import Figure

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
DEVICES, SPAN_S, EVERY_S = 50, int(os.environ.get("RULES_BACKTEST_S", "86400")), 10
COURSES = {
    "gas_alarm": ("gas_concentration", 1.0, 30.0, "%LEL"),
    "manhole_cover": ("tilt", 0.0, 60.0, "deg"),
    "sewer_level": ("water_level", 0.5, 2.8, "m"),
    "waste_bin": ("fill", 20.0, 99.0, "%"),
}
"""The leading channel of a kind, what it usually says, what raises an alarm, its unit."""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        end_ms = time.time_ns() // 1_000_000
        readings = _fill(folder, end_ms - SPAN_S * 1000)
        began_s = _children_s()
        peer = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(folder / "rules.toml")],
            cwd=services.ROOT,
            capture_output=True,
            check=True,
        )
        took_s = _children_s() - began_s
        content, peak_kib = peer.stdout.splitlines()
        found = orjson.loads(content)
        raised = found["courses"][1]["alarms"]
        if found["readings"] != readings or raised != DEVICES * len(COURSES):
            raise AssertionError(f"{found['readings']} of {readings} readings, {raised} alarms")
    yield Figure("readings of 200 devices", readings, "readings")
    yield Figure("judged", readings / took_s, "readings/s")
    yield Figure("a month of it would take", took_s * 30 / 60 * 86_400 / SPAN_S, "min")
    yield Figure("peak memory", int(peak_kib) / 1024, "MiB")


_PROGRAM = """
import resource, sys
from rules.commands import app
try:
    app(["backtest", sys.argv[1], "--since", "25h", "--json"])
except SystemExit:
    sys.stdout.flush()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fill(folder: Path, from_ms: int) -> int:
    """A database with the devices, and a history with their day. How many readings it holds."""
    database = Database(f"sqlite:///{folder}/rules.db")
    work, chance, count = Work(Facts(load_kinds(), {})), random.Random(5), 0
    store = open_store("sqlite:history.db", base=folder)
    for kind, (channel, usual, alarming, unit) in COURSES.items():
        for index in range(DEVICES):
            device = DeviceId(f"{kind}-{index}")
            place = Place(grid=f"g{index % 2}", building=str(index % 9), text=device)
            said = Announcement(kind=kind, model="m", place=place, settings={"depth": 3.0})
            work.announce(SITE, EDGE, device, said, from_ms)
            alarm_s = chance.randrange(3600, SPAN_S - 7200)
            points = [
                Point(
                    reading=Reading(
                        device=device,
                        channel=channel,
                        at_ms=from_ms + second * 1000 + index,
                        value=(alarming if alarm_s <= second < alarm_s + 900 else usual) + chance.uniform(-0.2, 0.2),
                        unit=unit,
                    ),
                    kind=kind,
                    model="m",
                    building="3",
                )
                for second in range(0, SPAN_S, EVERY_S)
            ]
            store.write([Batch(site=SITE, edge=EDGE, points=points, packs=())])
            count += len(points)
    facts.commit(database, work, from_ms)
    database.close()
    store.close()
    (folder / "rules.toml").write_text(
        'name = "bench"\ndatabase = "sqlite:///rules.db"\nstore = "sqlite:history.db"\n'
        '[broker]\nusername = "rules"\npassword = "x"\n'
    )
    return count
