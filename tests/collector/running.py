"""A collector as a process of its own, and an edge that talks to it through the broker."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from collector.config import load
from collector.quarantine.kept import Entry, Quarantine
from collector.stores.base import Store
from messages import announcement as announcements
from messages import pack, receipt, topics
from messages.announcement import Announcement
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading
from tests import programs, services
from tests.collector.block import SITE, STREAM

LIMIT_S = 30.0


@dataclass
class CollectorProcess:
    """`gridcall collector run`, with its configuration under `folder`."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "collector.toml"

    @property
    def log(self) -> str:
        path = self.folder / "collector.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        self.process = programs.start("collector", "run", str(self.config), log=self.folder / "collector.log")

    async def linked(self) -> None:
        """Until the broker keeps messages for it."""
        await until(lambda: self.log.count("broker is there") >= 2)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(LIMIT_S)

    def stop(self) -> int:
        """Exit code after SIGTERM."""
        assert self.process
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(LIMIT_S)

    def store(self) -> Store:
        return load(self.config).store

    def quarantined(self) -> list[Entry]:
        quarantine = Quarantine(self.folder / "state" / "quarantine.db")
        entries = quarantine.entries(0, 10_000)
        quarantine.close()
        return entries


def configured(folder: Path, broker: services.MqttBroker, *, store: str = "sqlite:history.db", **more: str) -> Path:
    """A collector.toml in `folder`; `more` are settings beside those of every test."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"name": "collector-1", "store": store, "folder": "state", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += ["[broker]", f"port = {broker.port}", 'username = "collector"', f'password = "{services.PASSWORD}"']
    (folder / "collector.toml").write_text("\n".join([*lines, 'keepalive = "5s"', ""]))
    return folder / "collector.toml"


@dataclass
class Edge:
    """What an edge does that has an outbox of its own: publish, and remember the receipts."""

    bus: Bus
    edge: EdgeId
    fates: dict[int, str | None] = field(default_factory=dict)
    """By pack number: None for stored, otherwise the reason of the rejection. The last word counts."""
    site: SiteId = SITE

    async def announce(self, device: DeviceId, announced: Announcement | None) -> None:
        payload = b"" if announced is None else announcements.encode(announced)
        await self.bus.publish(topics.announcement(self.site, self.edge, device), payload, retain=True)

    async def send(self, number: int, *readings: Reading, stream: StreamId = STREAM) -> None:
        await self.send_bytes(pack.encode(self.edge, stream, number, readings))

    async def send_bytes(self, payload: bytes) -> None:
        await self.bus.publish(topics.readings(self.site, self.edge), payload)

    async def listen(self) -> None:
        async for message in self.bus.messages():
            word = receipt.decode(message.payload)
            for first, last in word.stored:
                self.fates.update(dict.fromkeys(range(first, last + 1)))
            for one in word.rejected:
                self.fates.update(dict.fromkeys(range(one.first, one.last + 1), one.reason))
            message.ack()

    async def receipted(self, *numbers: int) -> dict[int, str | None]:
        """The fates of `numbers`, once all are known."""
        await until(lambda: all(number in self.fates for number in numbers))
        return {number: self.fates[number] for number in numbers}


@asynccontextmanager
async def an_edge(broker: services.MqttBroker, edge: EdgeId) -> AsyncIterator[Edge]:
    settings = broker.settings(f"{SITE}/{edge}")
    async with Bus(settings, f"edge-{edge}", subscribe=[topics.receipts(SITE, edge)]) as bus:
        await bus.up()
        one = Edge(bus, edge)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()


async def until(happened: Callable[[], bool], *, limit_s: float = LIMIT_S) -> None:
    """Wait for something that gives no sign of its own: another process's file or log."""
    last = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < last, "it has not happened in time"
        await asyncio.sleep(0.02)
