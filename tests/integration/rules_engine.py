"""The rules engine as a process, and an edge that speaks to it: for tests with a real broker and a real database."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from collector.stores.base import Batch, PackRow, Point
from collector.stores.choose import open_store
from messages import announcement, pack, topics
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading, Value
from rules.desk import Desk
from rules.records import Alarm
from rules.store.database import Database
from tests import programs, services
from tests.rules.room import announced

SITE, EDGE, STREAM = SiteId("junmen"), EdgeId("pi-1"), StreamId("s-1")
LIMIT_S = 30.0
START_LIMIT_S = 120.0
"""A start is two seconds of processor time: on a machine with much else to do, a minute."""
R = TypeVar("R")


@dataclass
class Engine:
    """`gridcall rules run` in a folder of its own."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = programs.start("rules", "run", str(self.folder / "rules.toml"), log=self.folder / "rules.log")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def said(self) -> str:
        return (self.folder / "rules.log").read_text()

    @cached_property
    def database(self) -> Database:
        return Database(self.url)

    @property
    def desk(self) -> Desk:
        """What the console has."""
        return Desk(self.database)


@contextlib.contextmanager
def engine(
    broker: services.MqttBroker, folder: Path, more: str = "", url: str = "", name: str = "rules-1"
) -> Iterator[Engine]:
    """`url`: its database, if not SQLite in `folder`."""
    folder.mkdir(exist_ok=True)
    url = url or f"sqlite:///{folder}/rules.db"
    (folder / "rules.toml").write_text(
        f"""name = "{name}"
database = "{url}"
store = "sqlite:history.db"
{more}
[broker]
port = {broker.port}
username = "rules"
password = "{services.PASSWORD}"
"""
    )
    ours = Engine(folder, url)
    try:
        yield ours
    finally:
        if ours.process and ours.process.poll() is None:
            ours.kill()
        ours.database.close()


@contextlib.asynccontextmanager
async def edge(broker: services.MqttBroker, site: SiteId = SITE) -> AsyncIterator[Bus]:
    async with Bus(broker.settings(f"{site}/{EDGE}"), f"edge-{site}-{EDGE}") as bus:
        await bus.up()
        yield bus


async def until(true: Callable[[], R | None], what: str, engine: Engine, limit_s: float = LIMIT_S) -> R:
    """The first answer that is one. Fails with what the engine said."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while True:
                if answer := true():
                    return answer
                await asyncio.sleep(0.02)
    raise AssertionError(f"not within {limit_s} s: {what}\n{engine.said()}")


async def hearing(engine: Engine) -> None:
    """The engine's first connection: from then on the broker keeps for it what it misses."""
    await until(lambda: "broker is there" in engine.said() or None, "the engine hears", engine, START_LIMIT_S)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def reading(device: str, channel: str, value: Value, at_ms: int) -> Reading:
    return Reading(device=DeviceId(device), channel=channel, at_ms=at_ms, value=value)


async def announce(bus: Bus, device: str, kind: str, site: SiteId = SITE) -> None:
    topic = topics.announcement(site, EDGE, DeviceId(device))
    await bus.publish(topic, announcement.encode(announced(kind)), retain=True)


async def send(bus: Bus, number: int, *readings: Reading, site: SiteId = SITE) -> None:
    await bus.publish(topics.readings(site, EDGE), pack.encode(EDGE, STREAM, number, readings))


def store(folder: Path, number: int, *readings: Reading) -> None:
    """What the collector does with a pack."""
    history = open_store("sqlite:history.db", base=folder)
    times = [one.at_ms for one in readings]
    row = PackRow(stream=STREAM, number=number, first_at_ms=min(times), last_at_ms=max(times), readings=len(readings))
    points = [Point(reading=one, kind="k", model="m", building="3") for one in readings]
    history.write([Batch(site=SITE, edge=EDGE, points=points, packs=[row])])
    history.close()


def alarms(engine: Engine) -> list[Alarm]:
    return engine.desk.alarms(open_only=False, limit=1000)
