"""`gridcall edge run` with 200 devices of four channels every 10 s: resident memory, processor time, bytes written.

Fifty are Modbus slaves on two simulated lines (pseudo-terminals at the pace of 19200 baud), 150 publish JSON on the local
broker. Mosquitto and a collector that receipts are real. Readings are counted, so that an idle agent has no figure.
"""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from messages.bus import Bus
from tests import services
from tests.bench import _block
from tests.bench._block import CHANNELS, EDGE, SITE
from tests.bench.figure import Figure

LINES, SLAVES, PUBLISHERS = 2, 25, 150
SETTLE_S, MEASURE_S = 30, 90
CPU_GOAL_PERCENT, MEMORY_GOAL_MB = 5, 60

MODBUS = """
protocol = "modbus"
name = "Bench probe"
source = "Gridcall's own"
kind = "bench_probe"
poll_every = "10s"
"""
JSON = """
protocol = "mqtt-json"
name = "Bench probe"
source = "Gridcall's own"
kind = "bench_probe"
"""


def run() -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(services.mosquitto(folder / "broker"))
        database = stack.enter_context(_block.collector(folder / "collector", broker))
        _write(folder, broker)
        for line in range(LINES):
            words = ("simulate", "run", f"block-{line}.toml", "--scenario", "scenario.toml")
            stack.enter_context(_program(folder, f"block-{line}", *words))
        edge = psutil.Process(stack.enter_context(_program(folder, "edge", "edge", "run", "edge.toml")))
        yield from asyncio.run(_measure(edge, broker, database, folder / "edge.log"))


async def _measure(edge: psutil.Process, broker: services.MqttBroker, database: Path, log: Path) -> list[Figure]:
    async with Bus(broker.settings("devices"), "bench-devices") as bus:
        publishing = asyncio.create_task(_publish(bus))
        await asyncio.sleep(SETTLE_S)
        stored, cpu, written, at_s = (
            _stored(database),
            edge.cpu_times(),
            edge.io_counters().write_bytes,
            time.monotonic(),
        )
        await asyncio.sleep(MEASURE_S)
        took_s = time.monotonic() - at_s
        after = edge.cpu_times()
        readings = (_stored(database) - stored) / took_s
        publishing.cancel()
    assert readings > 0.8 * 4 * (LINES * SLAVES + PUBLISHERS) / 10, (
        f"only {readings:.0f} readings/s: {log.read_text()[-1000:]}"
    )
    busy_s = after.user + after.system - cpu.user - cpu.system
    return [
        Figure("readings", readings, "readings/s"),
        Figure("resident_memory", edge.memory_info().rss / 1e6, f"MB, goal {MEMORY_GOAL_MB}"),
        Figure("memory_of_its_own", edge.memory_full_info().uss / 1e6, "MB"),
        Figure("cpu", 100 * busy_s / took_s, f"% of one core, goal {CPU_GOAL_PERCENT}"),
        Figure("written", (edge.io_counters().write_bytes - written) / took_s * 86400 / 1e6, "MB/day"),
    ]


async def _publish(bus: Bus) -> None:
    """Fifteen of the 150 devices every second."""
    dice, loop = random.Random(2), asyncio.get_running_loop()
    await bus.up()
    for second in range(10**9):
        due_s = loop.time() + 1
        for number in range(second % 10, PUBLISHERS, 10):
            said = {name: round(low + (high - low) * dice.random(), 3) for name, (_, low, high, _) in CHANNELS.items()}
            await bus.publish(f"local/mqtt-{number}", json.dumps(said).encode())
        await asyncio.sleep(max(due_s - loop.time(), 0))


def _stored(database: Path) -> int:
    ((count,),) = _block.ask(database, f"SELECT count(*) FROM {_block.OUR_READINGS}")
    assert isinstance(count, int)
    return count


@contextlib.contextmanager
def _program(folder: Path, name: str, *words: str) -> Iterator[int]:
    """Its process id."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gridcall", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _write(folder: Path, broker: services.MqttBroker) -> None:
    """Kind, models, scenario, and the settings of the edge and of the simulated lines."""
    _block.kinds(folder / "kinds")
    models = folder / "models"
    models.mkdir()
    registers = "".join(
        f'[channels.{name}]\nholding = {number}\ntype = "int16"\nscale = 0.01\n' for number, name in enumerate(CHANNELS)
    )
    (models / "bench-modbus.toml").write_text(MODBUS + registers)
    (models / "bench-json.toml").write_text(
        JSON + "".join(f'[channels.{name}]\npath = "{name}"\n' for name in CHANNELS)
    )
    (folder / "scenario.toml").write_text(
        'summary = "everything moves"\n'
        + "".join(f'[[steps]]\nat = "0s"\nkind = "bench_probe"\nchannel = "{name}"\nnoise = 1.0\n' for name in CHANNELS)
    )
    own = 'kinds = ["kinds"]\nmodels = ["models"]\n'
    who = f'port = {broker.port}\npassword = "{services.PASSWORD}"\n'
    edge = f'site = "{SITE}"\nedge = "{EDGE}"\nfolder = "edge"\n{own}[uplink]\nusername = "{SITE}/{EDGE}"\n{who}'
    edge += f'[local]\nusername = "local"\n{who}'
    for line in range(LINES):
        edge += f'[[lines]]\nname = "rs485-{line}"\nport = "{folder}/line-{line}"\nbaudrate = 19200\n'
        block = f'seed = {line}\n{own}[line]\nlink = "line-{line}"\nbaudrate = 19200\n'
        for unit in range(1, SLAVES + 1):
            name = f'[[devices]]\nid = "modbus-{line}-{unit}"\nmodel = "bench-modbus"\nunit = {unit}\n'
            block += name
            edge += name + f'line = "rs485-{line}"\nplace = {{ grid = "grid-1", text = "bench" }}\n'
        (folder / f"block-{line}.toml").write_text(block)
    for number in range(PUBLISHERS):
        edge += f'[[devices]]\nid = "mqtt-{number}"\nmodel = "bench-json"\ntopic = "local/mqtt-{number}"\n'
        edge += 'place = { grid = "grid-1", text = "bench" }\n'
    (folder / "edge.toml").write_text(edge)
