"""What the collector's benches share: broker, database and collector as processes of their own, and the load."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from messages import announcement, topics
from messages.announcement import Announcement, Place
from messages.bus import Bus
from tests import services
from tests.bench._mqtt_load import DEVICES, EDGE, SITE, device
from tests.services import ROOT, Influx, MqttBroker

DATABASE = "gridcall"
LIMIT_S = 120.0


@dataclass
class Ingest:
    """All of it running."""

    folder: Path
    broker: MqttBroker
    influx: Influx
    collectors: list[subprocess.Popen[bytes]]
    next_pack: int = 1
    base_ms: int = 0

    def load(self, per_pack: int, count: int, rate: float = 0) -> subprocess.Popen[bytes]:
        """`count` packs that nobody has sent yet, by a process of their own."""
        first, self.next_pack = self.next_pack, self.next_pack + count
        words = map(str, (self.broker.port, per_pack, count, rate, first, self.base_ms))
        command = [sys.executable, "-m", "tests.bench._mqtt_load", *words]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def restart(self, number: int) -> None:
        self.collectors[number] = start(self.folder, self.folder / f"collector-{number}.toml")

    def packs(self, after: int = 0) -> int:
        """Of all that are stored, those with a number above `after`. A load's pack has the time of its number; asked by it, the
        database need not count what was there before, and the question costs the run little."""
        past = f" WHERE time >= {self.base_ms + after + 1}ms" if after else ""
        return self.count(f"SELECT count(number) FROM gridcall_packs{past}")

    def readings(self) -> int:
        fields = ("gas_concentration", "alarm_contact")
        return sum(self.count(f'SELECT count("{field}") FROM gas_alarm') for field in fields)

    def count(self, question: str) -> int:
        found = self.ask(question)
        return int(found[0]["values"][0][1]) if found else 0

    def ask(self, question: str, *, posts: bool = False) -> list[dict[str, list[list[int]]]]:
        words = urllib.parse.urlencode({"db": DATABASE, "q": question})
        with urllib.request.urlopen(f"{self.influx.url}/query?{words}", b"" if posts else None, timeout=60) as answer:
            return list(json.load(answer)["results"][0].get("series", ()))

    def stored(self, packs: int, *, after: int = 0, limit_s: float = LIMIT_S) -> float:
        """Seconds until the database has all packs above `after` up to the number `packs`. Fails when it has not after `limit_s`."""
        began_at = time.monotonic()
        while (there := self.packs(after)) < packs - after:
            assert time.monotonic() - began_at < limit_s, f"{there} of {packs - after} packs"
            for collector in self.collectors:
                assert collector.poll() is None, (self.folder / "collector.log").read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - began_at


def finished(load: subprocess.Popen[bytes]) -> float:
    """Seconds that it took from its first byte to its last acknowledgement."""
    out, _ = load.communicate(timeout=LIMIT_S)
    assert load.returncode == 0
    return float(json.loads(out)["took_s"])


@contextlib.contextmanager
def running(folder: Path, *, collectors: int = 1, store: str | None = None) -> Iterator[Ingest]:
    """With its devices announced. `store`: another address than that of the InfluxDB which runs."""
    with services.mosquitto(folder / "broker") as broker, services.influxdb(folder / "influx") as influx:
        store = store or f"influxdb://127.0.0.1:{influx.port}/{DATABASE}"
        with at_work(folder, broker, influx, store, collectors=collectors) as ingest:
            yield ingest


@contextlib.contextmanager
def at_work(
    folder: Path, broker: MqttBroker, influx: Influx, store: str, *, collectors: int = 1, by_port: int | None = None
) -> Iterator[Ingest]:
    """Collectors between a broker and a database that run already. `by_port`: where they find the broker, if not at its own."""
    with contextlib.ExitStack() as stack:
        asyncio.run(announce(broker))
        ingest = Ingest(folder, broker, influx, [])
        ingest.base_ms = time.time_ns() // 1_000_000 - 3_600_000
        for number in range(collectors):
            config = configure(folder, by_port or broker.port, store, number, group=collectors > 1)
            ingest.collectors.append(start(folder, config))
            stack.callback(lambda number: stop(ingest.collectors[number]), number)
            subscribed(folder, number)
        first = ingest.load(1, 1)
        finished(first)
        ingest.stored(1)
        yield ingest


def configure(folder: Path, port: int, store: str, number: int = 0, *, group: bool = False) -> Path:
    config = folder / f"collector-{number}.toml"
    config.write_text(
        f"""name = "collector-{number}"
store = "{store}"
folder = "state-{number}"
{'group = "collectors"' if group else ""}
retention = "30d"
[broker]
port = {port}
username = "collector"
password = "{services.PASSWORD}"
"""
    )
    return config


def start(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    with (folder / "collector.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "gridcall.py", "collector", "run", str(config)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def subscribed(folder: Path, number: int) -> None:
    """Until the collector has its session: what is published before has no reader."""
    until = time.monotonic() + LIMIT_S
    while f"client=gridcall-collector-{number}\n" not in (folder / "collector.log").read_text():
        assert time.monotonic() < until, (folder / "collector.log").read_text()[-3000:]
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def announce(broker: MqttBroker) -> None:
    async with Bus(broker.settings(f"{SITE}/{EDGE}"), "announcer") as bus:
        await bus.up()
        said = announcement.encode(
            Announcement(
                kind="gas_alarm", model="modbus-gas-detector", place=Place(grid="grid-1", building="3", text="3号楼")
            )
        )
        await asyncio.gather(
            *(bus.publish(topics.announcement(SITE, EDGE, device(n)), said, retain=True) for n in range(DEVICES))
        )
