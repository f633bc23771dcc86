"""SIGKILL 50 times during 10,000 alarms, on SQLite and on PostgreSQL: missing, double and false alarms; how late timers fire, and after a restart.

Doors of one site open, one pack each; half are shut long before their delay is over and must raise nothing. A door that is left open is raised by its
timer alone, so the log's time less the alarm's own is the timer's error. How long overdue alarms take after a restart is told by the wall clock, and in
processor time, which other work on the machine doesn't move: that of the whole process until its first overdue alarm is written.

A part of it: GRIDCALL_KILL9=sqlite:1000:5 (a database, alarms, kills); several with commas between them.
"""

import asyncio
import bisect
import contextlib
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from collector.stores.choose import open_store
from messages import announcement, pack, topics
from messages.announcement import Announcement, Place
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading
from rules.desk import Desk
from rules.store.database import Database
from tests import services
from tests.bench.figure import Figure, percentile

SITE, STREAM = SiteId("junmen"), StreamId("s-1")
EDGES = 2
"""One announces no more than 10,000 devices."""
WHOLE = "sqlite:10000:50,postgresql:10000:50"
PER_SECOND = 120
DELAY_MS, SHUT_AFTER_MS = 5_000, 1_000
BETWEEN_S = (0.0, 3.0)
"""After it has read its state and goes to work."""
AT_ONCE = 20
"""Doors that are published together."""
RULES = f"""[rules.open]
level = "blue"
title = {{ zh = "门开", en = "Open" }}
raise = "door_open"
raise_delay = "{DELAY_MS // 1000}s"
clear = "not door_open"
"""
LIMIT_S = 1_200.0
SAID = announcement.encode(Announcement(kind="door_access", model="m", place=Place(grid="g1", text="1号楼")))


@dataclass(frozen=True)
class Part:
    """So many alarms and kills on a database."""

    database: str
    alarms: int
    kills: int

    @property
    def doors(self) -> int:
        return 2 * self.alarms


def run() -> Iterator[Figure]:
    for words in os.environ.get("GRIDCALL_KILL9", WHOLE).split(","):
        database, alarms, kills = words.split(":")
        part = Part(database, int(alarms), int(kills))
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder}/rules.db"
            if database == "postgresql":
                url = stack.enter_context(stack.enter_context(services.postgresql()).database())
            yield from asyncio.run(_killed(part, folder, url))


async def _killed(part: Part, folder: Path, url: str) -> list[Figure]:
    (folder / "own").mkdir()
    store = open_store("sqlite:history.db", base=folder)  # the collector has made it, and it has nothing to tell
    store.write([])
    store.close()
    (folder / "own/door_access.toml").write_text(RULES, encoding="utf-8")
    with services.mosquitto(folder / "broker") as broker, Engine(folder, url, broker) as engine:
        engine.start()
        while not engine.said("broker is there"):  # from then on the broker keeps its mail
            await asyncio.sleep(0.05)
        database = await asyncio.to_thread(Database, url)
        async with _edges(broker) as edges:
            starts = list[int]()
            loading = asyncio.create_task(_load(edges, part, starts))
            await _kill_again_and_again(engine, part.kills, starts)
            await loading
        began_s = time.monotonic()
        while _raised(database, part) < part.alarms and time.monotonic() - began_s < LIMIT_S:
            await asyncio.sleep(0.2)
        await asyncio.sleep(DELAY_MS / 1000 + 3)  # whatever is still to come twice, or wrongly
        return _figures(part, database, starts, engine.ready(), engine.meter)


class Engine:
    """`gridcall rules run`; leaving it kills it."""

    def __init__(self, folder: Path, url: str, broker: services.MqttBroker) -> None:
        self._folder = folder
        (folder / "rules.toml").write_text(
            f'name = "rules-1"\ndatabase = "{url}"\nstore = "sqlite:history.db"\nrules = ["own"]\n[broker]\n'
            f'port = {broker.port}\nusername = "rules"\npassword = "{services.PASSWORD}"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.meter = Meter()

    def start(self) -> None:
        with (self._folder / "rules.log").open("ab") as log:
            command = [
                sys.executable,
                str(services.ROOT / "gridcall.py"),
                "rules",
                "run",
                str(self._folder / "rules.toml"),
            ]
            # what is installed has been compiled; so has this, at the first start
            compiled = {**os.environ, "PYTHONPYCACHEPREFIX": str(self._folder / "compiled")}
            compiled.pop("PYTHONDONTWRITEBYTECODE", None)
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=compiled)
        self.meter.watch(self.process.pid)

    def said(self, words: str) -> int:
        """How often."""
        return (self._folder / "rules.log").read_text().count(words)

    def ready(self) -> list[int]:
        """When it was, each time; UTC ms."""
        lines = (self._folder / "rules.log").read_text().splitlines()
        said = [line.split(" ", 1)[0] for line in lines if "] ready " in line]
        return [round(datetime.fromisoformat(time_of).timestamp() * 1000) for time_of in said]

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Meter:
    """How much processor time an engine had used at a moment of its life."""

    def __init__(self) -> None:
        self.used: list[tuple[int, float]] = []
        """UTC ms, and seconds of the life that was watched then."""

    def watch(self, pid: int) -> None:
        threading.Thread(target=self._watch, args=(psutil.Process(pid),), daemon=True).start()

    def _watch(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            while process.status() != psutil.STATUS_ZOMBIE:
                times = process.cpu_times()
                self.used.append((time.time_ns() // 1_000_000, times.user + times.system))
                time.sleep(0.02)

    def at(self, from_ms: int, at_ms: int) -> float | None:
        """What a life that began at `from_ms` had used at `at_ms`."""
        first = bisect.bisect_left(self.used, (from_ms, 0.0))
        last = bisect.bisect_right(self.used, (at_ms, math.inf)) - 1
        return self.used[last][1] if first <= last else None


@contextlib.asynccontextmanager
async def _edges(broker: services.MqttBroker) -> AsyncIterator[list["Speaker"]]:
    async with contextlib.AsyncExitStack() as stack:
        speakers = []
        for number in range(1, EDGES + 1):
            bus = await stack.enter_async_context(Bus(broker.settings(f"{SITE}/pi-{number}"), f"edge-{number}"))
            await bus.up()
            speakers.append(Speaker(bus, EdgeId(f"pi-{number}")))
        yield speakers


@dataclass
class Speaker:
    """An edge."""

    bus: Bus
    name: EdgeId
    packs: int = 0

    async def announce(self, door: int) -> None:
        await self.bus.publish(topics.announcement(SITE, self.name, _door(door)), SAID)

    async def say(self, door: int, at_ms: int, *, is_open: bool) -> None:
        self.packs += 1
        reading = Reading(device=_door(door), channel="door_open", at_ms=at_ms, value=is_open)
        await self.bus.publish(topics.readings(SITE, self.name), pack.encode(self.name, STREAM, self.packs, [reading]))


def _door(number: int) -> DeviceId:
    return DeviceId(f"door-{number}")


async def _load(edges: list[Speaker], part: Part, starts: list[int]) -> None:
    """Every even door is left open; every odd one is shut again. No faster than the engine is killed: on a slow machine the kills would come
    after the alarms."""
    began_s, to_shut = time.monotonic(), deque[tuple[int, int]]()
    for first in range(0, part.doors, AT_ONCE):
        doors = range(first, first + AT_ONCE)
        await asyncio.gather(*(edges[door % EDGES].announce(door) for door in doors))
        now_ms = time.time_ns() // 1_000_000
        opened = [edges[door % EDGES].say(door, now_ms, is_open=True) for door in doors]
        to_shut.extend((door, now_ms + SHUT_AFTER_MS) for door in doors if door % 2)
        shut = list[Coroutine[Any, Any, None]]()
        while to_shut and (to_shut[0][1] <= now_ms or doors[-1] == part.doors - 1):
            door, at_ms = to_shut.popleft()
            shut.append(edges[door % EDGES].say(door, at_ms, is_open=False))
        await asyncio.gather(*opened, *shut)
        await asyncio.sleep(max(0.0, began_s + doors[-1] / PER_SECOND - time.monotonic()))
        while doors[-1] / part.doors > (len(starts) + 1) / part.kills:
            await asyncio.sleep(0.05)


async def _kill_again_and_again(engine: Engine, kills: int, starts: list[int]) -> None:
    """`starts`: when it was started again, in UTC ms."""
    dice = random.Random(1)
    while len(starts) < kills:
        while engine.said("ready") <= len(starts):
            await asyncio.sleep(0.05)
        await asyncio.sleep(dice.uniform(*BETWEEN_S))
        engine.kill()
        starts.append(time.time_ns() // 1_000_000)
        engine.start()


def _raised(database: Database, part: Part) -> int:
    return sum(alarm.rule == "open" for alarm in Desk(database).alarms(open_only=False, limit=4 * part.alarms))


def _figures(part: Part, database: Database, starts: list[int], ready: list[int], meter: Meter) -> list[Figure]:
    """`starts`, `ready`: when engines were started, and when they had read their state; UTC ms. What was due before an engine was ready is overdue."""
    case, desk = part.database, Desk(database)
    alarms = {alarm.id: alarm for alarm in desk.alarms(open_only=False, limit=4 * part.alarms) if alarm.rule == "open"}
    log, seq = list[tuple[int, str]](), 0
    while lines := desk.log_after(seq, 5_000):
        seq = lines[-1].seq
        log += [(line.at_ms, line.alarm) for line in lines if line.event == "alarm.raised" and line.alarm in alarms]
    found = Counter(int(alarm.device.removeprefix("door-")) for alarm in alarms.values())
    told = Counter(alarm for _, alarm in log)
    wanted = set(range(0, part.doors, 2))
    errors, overdue, order = list[float](), list[float](), 0
    last_due_ms: dict[int, int] = {}
    first_ms: dict[int, int] = {}
    """By start: when the first overdue alarm was written."""
    for at_ms, alarm in log:
        due_ms = alarms[alarm].raised_at_ms
        start_ms = max((one for one in starts if one <= at_ms), default=0)
        if due_ms > next((one for one in ready if one >= start_ms), math.inf):
            errors.append((at_ms - due_ms) / 1000)
        else:
            overdue.append((at_ms - start_ms) / 1000)
            order += due_ms < last_due_ms.get(at_ms, 0)
            last_due_ms[at_ms] = due_ms
            first_ms.setdefault(start_ms, at_ms)
    used = [took for start_ms, at_ms in first_ms.items() if (took := meter.at(start_ms, at_ms)) is not None]
    first = [(at_ms - start_ms) / 1000 for start_ms, at_ms in first_ms.items()]
    return [
        Figure(f"{case}_kills", len(starts), "kills"),
        Figure(f"{case}_missing", len(wanted - set(found)), "alarms"),
        Figure(f"{case}_double", sum(n - 1 for n in found.values()) + sum(n - 1 for n in told.values()), "alarms"),
        Figure(f"{case}_false", len(set(found) - wanted), "alarms"),
        Figure(f"{case}_timer_error_p99", percentile(errors, 0.99) if errors else 0.0, "s"),
        Figure(f"{case}_overdue", len(overdue), "alarms"),
        Figure(f"{case}_overdue_after_restart_p99", percentile(overdue, 0.99) if overdue else 0.0, "s"),
        Figure(f"{case}_overdue_out_of_order", order, "alarms"),
        Figure(f"{case}_first_overdue_after_restart_median", statistics.median(first) if first else 0.0, "s"),
        Figure(f"{case}_processor_until_first_overdue_median", statistics.median(used) if used else 0.0, "s"),
        Figure(f"{case}_processor_until_first_overdue_least", min(used, default=0.0), "s"),
    ]
