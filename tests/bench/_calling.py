"""What the benches of calls share: an engine as a process that calls people by HTTP, their site, and devices that raise an alarm by each word.

A level probe of the bench has `RULES` rules, one for each tenth of a metre, and its cases have one call each: so every reading is an alarm, a
case, a call. An alarm's id follows from what was measured (rules.alarms.condition), so each hand-over is known by its key.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from sqlalchemy import func, select

from messages import announcement, pack, topics
from messages.announcement import Announcement, Place
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Reading
from rules.alarms.condition import alarm_id
from rules.notices.notice import WAITING, NoticeState
from rules.store import tables as db
from rules.store.database import Database
from tests import services

SITE, EDGE, STREAM = SiteId("junmen"), EdgeId("pi-1"), StreamId("s-1")
KIND = "sewer_level"
RULES = 20
GRIDS = 50
LIMIT_S = 120.0
CHANNEL = """[channels.gateway]
sort = "http"
url = "{url}/send"
body = '{{"to": "$to", "key": "$key", "text": "$title $place"}}'
ok_field = "code"
ok_values = ["OK"]
"""
ONE_CALL = """[levels.red]
accept = "1h"
call = ["0s"]
street = "2h"
department = "3h"
again = "24h"
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def rules(count: int = RULES, level: str = "red") -> str:
    return "".join(
        f'[rules.at_{number}]\nlevel = "{level}"\ntitle = {{ zh = "水位{number}", en = "Level {number}" }}\n'
        f'raise = "{number / 10 - 0.05:.2f} <= water_level < {number / 10 + 0.05:.2f}"\nclear = "water_level < 0"\n'
        for number in range(1, count + 1)
    )


def people(grids: int = GRIDS, channels: tuple[str, ...] = ("gateway",)) -> str:
    """A worker for each grid, and somebody at the desk."""
    lines = ['name = { zh = "军门社区", en = "Junmen" }']
    for number in range(grids):
        reach = ", ".join(f'"{channel}:w{number}"' for channel in channels)
        lines += [
            f'[grids.g{number}]\nname = {{ zh = "第{number}网格", en = "Grid {number}" }}',
            f'[people.w{number}]\nname = "网格员{number}"\nreach = [{reach}]',
            f'[posts.p{number}]\nrole = "grid_worker"\ngrids = ["g{number}"]\nshifts = [{{ people = ["w{number}"] }}]',
        ]
    reach = ", ".join(f'"{channel}:desk"' for channel in channels)
    lines.append(f'[people.chief]\nname = "值班长"\nreach = [{reach}]')
    lines.append('[posts.desk]\nrole = "community"\nshifts = [{ people = ["chief"] }]')
    return "\n".join(lines) + "\n"


def settings(url: str) -> str:
    """Of rules.toml: everybody is told by a provider at `url`."""
    return (
        'rules = ["own"]\nsite_files = "sites"\npolicies = "policies.toml"\npages = "https://pages.example"\n'
        + CHANNEL.format(url=url)
    )


def files() -> dict[str, str]:
    """What these settings name."""
    return {f"own/{KIND}.toml": rules(), f"sites/{SITE}.toml": people(), "policies.toml": ONE_CALL}


@dataclass
class Engine:
    """`gridcall rules run`; leaving it kills it."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.folder / "rules.log").open("ab") as log:
            command = [
                sys.executable,
                str(services.ROOT / "gridcall.py"),
                "rules",
                "run",
                str(self.folder / "rules.toml"),
            ]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self, words: str) -> int:
        """How often."""
        return (self.folder / "rules.log").read_text().count(words)

    def until_said(self, words: str, times: int = 1, limit_s: float = LIMIT_S) -> None:
        until_s = time.monotonic() + limit_s
        while self.said(words) < times:
            assert time.monotonic() < until_s, (self.folder / "rules.log").read_text()[-3000:]
            assert self.process
            assert self.process.poll() is None, (self.folder / "rules.log").read_text()[-3000:]
            time.sleep(0.05)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def cpu_s(self) -> float:
        assert self.process
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def memory_bytes(self) -> int:
        assert self.process
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextlib.contextmanager
def engine(folder: Path, url: str, broker: services.MqttBroker, more: str, files: dict[str, str]) -> Iterator[Engine]:
    """`files`: beside its settings, by their path. It is not started yet."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "rules.toml").write_text(
        f'name = "rules-1"\ndatabase = "{url}"\nstore = "sqlite:history.db"\n{more}\n'
        f'[broker]\nport = {broker.port}\nusername = "rules"\npassword = "{services.PASSWORD}"\n',
        encoding="utf-8",
    )
    ours = Engine(folder)
    try:
        yield ours
    finally:
        if ours.process and ours.process.poll() is None:
            ours.kill()


@contextlib.asynccontextmanager
async def edge(broker: services.MqttBroker) -> AsyncIterator[Bus]:
    async with Bus(broker.settings(f"{SITE}/{EDGE}"), "edge") as bus:
        await bus.up()
        yield bus


def probe(number: int) -> DeviceId:
    return DeviceId(f"probe-{number}")


async def announce(bus: Bus, devices: int, kind: str = KIND, grids: int = GRIDS, name: str = "probe") -> None:
    for first in range(0, devices, 100):
        said = [
            (
                number,
                Announcement(kind=kind, model="m", place=Place(grid=f"g{number % grids}", text=f"{name} {number}")),
            )
            for number in range(first, min(first + 100, devices))
        ]
        topic = partial(topics.announcement, SITE, EDGE)
        await asyncio.gather(
            *(
                bus.publish(topic(DeviceId(f"{name}-{number}")), announcement.encode(words), retain=True)
                for number, words in said
            )
        )


async def say(bus: Bus, pack_number: int, *readings: Reading) -> None:
    await bus.publish(topics.readings(SITE, EDGE), pack.encode(EDGE, STREAM, pack_number, readings))


def level(device: int, rule: int, at_ms: int) -> Reading:
    """What raises the rule of that number, and no other."""
    return Reading(device=probe(device), channel="water_level", at_ms=at_ms, value=rule / 10, unit="m")


def case_of(device: int, rule: int, at_ms: int) -> str:
    """The case that this reading opens: the beginning of its calls' keys."""
    return f"c-{alarm_id(SITE, probe(device), f'at_{rule}', at_ms)}"


def unsent(database: Database) -> tuple[int, int]:
    """How many calls there are, and how many of them nobody has taken yet."""
    with database.reading() as connection:
        every = connection.scalar(select(func.count()).select_from(db.notices)) or 0
        waiting = (*WAITING, NoticeState.SENDING)
        query = select(func.count()).select_from(db.notices).where(db.notices.c.state.in_(waiting))
        return every, connection.scalar(query) or 0
