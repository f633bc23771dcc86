"""F5: 1,000 alarms of bins and shafts in a minute by the shipped rules, and two calls for help in the midst of them.

500 shafts fill to the rim within a minute (orange), 500 bins overflow within it and are believed a minute later (yellow). A button is pressed in the
midst of either. All workers are told by one robot of WeCom and, where that has no room, one of DingTalk; the provider limits both as they do. How
long until a robot has taken the call for help, how many messages the busiest worker gets (red apart), and how often a robot says "too often".

FLOOD_ALARMS, FLOOD_GRIDS change it. It takes five minutes, since yellow waits two for company.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from messages.bus import Bus
from messages.ids import DeviceId
from messages.reading import Reading, Value
from rules.store import tables as db
from rules.store.database import Database
from tests import services
from tests.bench import _calling, _provider
from tests.bench.figure import Figure

ALARMS = int(os.environ.get("FLOOD_ALARMS", "1000"))
GRIDS = int(os.environ.get("FLOOD_GRIDS", "20"))
FLOOD_S = 60.0
PRESSED_AT_S = (30.0, 95.0)
WATCHED_S = 270.0
ANSWER_MS = 50
ROBOTS = """[channels.wecom]
sort = "wecom-robot"
base = "{url}"
secret = "robot-1"
[channels.dingtalk]
sort = "dingtalk-robot"
base = "{url}"
token = "robot-2"
"""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        yield from asyncio.run(_flooded(Path(name), f"sqlite:///{name}/rules.db"))


async def _flooded(folder: Path, url: str) -> list[Figure]:
    with (
        services.mosquitto(folder / "broker") as broker,
        _provider.provider(folder, ANSWER_MS) as provider,
        _calling.engine(
            folder,
            url,
            broker,
            f'site_files = "sites"\n{ROBOTS.format(url=provider.url)}',
            {f"sites/{_calling.SITE}.toml": _people()},
        ) as engine,
    ):
        engine.start()
        engine.until_said("broker is there")
        async with _calling.edge(broker) as bus:
            await _calling.announce(bus, ALARMS // 2, "manhole_cover", GRIDS, "cover")
            await _calling.announce(bus, ALARMS // 2, "waste_bin", GRIDS, "bin")
            await _calling.announce(bus, len(PRESSED_AT_S), "sos_button", GRIDS, "button")
            began_cpu_s = engine.cpu_s()
            pressed_s = await _load(bus)
        database = Database(url)
        with database.reading() as connection:
            ours = db.alarms.c.kind.in_(("manhole_cover", "waste_bin"))
            raised = connection.scalar(select(func.count()).select_from(db.alarms).where(ours)) or 0
        database.close()
        cpu_s, handed = engine.cpu_s() - began_cpu_s, provider.finish()
    assert raised >= ALARMS, f"{raised} of {ALARMS} alarms: {(folder / 'rules.log').read_text()[-3000:]}"
    helped = [one for one in handed if one.taken and "求助" in one.text]
    quiet = Counter(one.to for one in handed if one.taken and "求助" not in one.text)
    waits = [
        min((one.at_s for one in helped if f"button {number}" in one.text), default=float("inf")) - at_s
        for number, at_s in enumerate(pressed_s)
    ]
    return [
        Figure("alarms", raised, "alarms"),
        *(Figure(f"sos_handed_over_{number + 1}", wait_s, "s") for number, wait_s in enumerate(waits)),
        Figure("messages_but_red", quiet.total(), "messages"),
        Figure("messages_to_the_busiest_worker", max(quiet.values(), default=0), "messages"),
        Figure("told_too_often", sum(not one.taken for one in handed), "answers"),
        Figure("engine", cpu_s, "s of processor time"),
    ]


def _people() -> str:
    """Workers who are found by two robots, by their numbers."""
    lines = ['name = { zh = "军门社区", en = "Junmen" }']
    for number in range(GRIDS):
        reach = ", ".join(f'"{robot}:138{number:08}"' for robot in ("wecom", "dingtalk"))
        lines += [
            f'[grids.g{number}]\nname = {{ zh = "第{number}网格", en = "Grid {number}" }}',
            f'[people.w{number}]\nname = "网格员{number}"\nreach = [{reach}]',
            f'[posts.p{number}]\nrole = "grid_worker"\ngrids = ["g{number}"]\nshifts = [{{ people = ["w{number}"] }}]',
        ]
    return "\n".join(lines) + "\n"


async def _load(bus: Bus) -> list[float]:
    """When the buttons were pressed (s, monotonic)."""
    began_s, pressed_s, packs = time.monotonic(), list[float](), iter(range(1, 10**9))

    async def say(device: str, channel: str, *values: Value) -> None:
        for value in values:
            at_ms = _calling.now_ms()
            reading = Reading(device=DeviceId(device), channel=channel, at_ms=at_ms, value=value)
            await _calling.say(bus, next(packs), reading)
            await asyncio.sleep(0.002)  # two samples have two times

    async def press() -> None:
        for number, at_s in enumerate(PRESSED_AT_S):
            await asyncio.sleep(max(0.0, began_s + at_s - time.monotonic()))
            pressed_s.append(time.monotonic())
            await say(f"button-{number}", "pressed", True)

    pressing = asyncio.create_task(press())
    for number in range(ALARMS // 2):
        await say(f"cover-{number}", "rim_switch", True, True)
        await say(f"bin-{number}", "overflow_seen", True, True)
        await asyncio.sleep(max(0.0, began_s + (number + 1) * FLOOD_S / (ALARMS // 2) - time.monotonic()))
    await pressing
    await asyncio.sleep(max(0.0, began_s + WATCHED_S - time.monotonic()))
    return pressed_s
