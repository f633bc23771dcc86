"""The Pi acts alone: a gas register rises on a foreign slave, its relay's coil is switched, and no broker is anywhere."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.installer.tap import snapshots
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.test_edge_agent import agent
from tests.services import free_port

LIMIT_S = 40.0

pytestmark = pytest.mark.needs("mbpoll")

MODEL = """protocol = "modbus"
name = "A gas detector with a relay of its own"
source = "none"
kind = "our_gas_alarm"
poll_every = "100ms"
[channels.gas_concentration]
holding = 0
scale = 0.1
[channels.alarm_contact]
discrete = 0
type = "bit"
[channels.relay]
coil = 3
type = "bit"
[commands.sound]
coil = 3
"""


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


def configure(folder: Path, port: str) -> Path:
    gas = Path("messages/kinds/gas_alarm.toml").read_text(encoding="utf-8")
    relay = """
[channels.relay]
name = { zh = "继电器", en = "Relay" }
meaning = "The relay is switched"
type = "boolean"
interval = "1h"
[commands.sound]
name = { zh = "响", en = "Sound" }
meaning = "Switch the relay"
type = "boolean"
"""
    for name in ("kinds", "models", "rules"):
        (folder / name).mkdir()
    (folder / "kinds/our_gas_alarm.toml").write_text(gas + relay, encoding="utf-8")
    (folder / "models/our-gas.toml").write_text(MODEL)
    rules = (
        Path("rules/library/gas_alarm.toml")
        .read_text(encoding="utf-8")
        .replace('clear_delay = "5min"', 'clear_delay = "1s"')
    )
    (folder / "rules/our_gas_alarm.toml").write_text(rules, encoding="utf-8")
    path = folder / "edge.toml"
    path.write_text(
        f"""
site = "junmen"
edge = "pi-1"
folder = "state"
kinds = ["kinds"]
models = ["models"]
rules = ["rules"]
[uplink]
port = {free_port()}
[[lines]]
name = "rs485-1"
port = "{port}"
baudrate = 9600
[[devices]]
id = "gas-1"
model = "our-gas"
line = "rs485-1"
unit = 11
place = {{ grid = "grid-1", text = "厨房" }}
[[reflexes]]
id = "kitchen"
rule = "our_gas_alarm/leak"
devices = ["gas-1"]
raised = [{{ device = "gas-1", command = "sound", value = true }}]
cleared = [{{ device = "gas-1", command = "sound", value = false }}]
""",
        encoding="utf-8",
    )
    return path


async def relay_is(folder: Path, wanted: bool) -> None:
    async for now in snapshots(folder / "state"):
        channels = now.devices[0].channels
        if "relay" in channels and channels["relay"].value is wanted:
            return


async def test_gas_sounds_the_relay_without_any_network_and_its_end_stops_it(
    libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, libmodbus.port)
    libmodbus.set("holding", 0, 0)
    with agent(config):
        async with asyncio.timeout(LIMIT_S):
            while not (tmp_path / "state/tap.sock").exists():
                await asyncio.sleep(0.02)
            await relay_is(tmp_path, False)
            libmodbus.set("holding", 0, 250)
            await relay_is(tmp_path, True)
            libmodbus.set("holding", 0, 10)
            await relay_is(tmp_path, False)
            log = (tmp_path / "log").read_text()
    assert "reflex acts" in log
    assert "gas_concentration 25.0" in log


async def test_a_kill_while_it_sounds_forgets_nothing(libmodbus: Libmodbus, tmp_path: Path) -> None:
    config = configure(tmp_path, libmodbus.port)
    libmodbus.set("holding", 0, 250)
    async with asyncio.timeout(LIMIT_S):
        with agent(config) as process:
            while "reflex done" not in (tmp_path / "log").read_text():
                await asyncio.sleep(0.02)
            process.kill()
            process.wait()
        libmodbus.set("holding", 0, 10)
        (tmp_path / "state/tap.sock").unlink(missing_ok=True)
        with agent(config):
            while not (tmp_path / "state/tap.sock").exists():
                await asyncio.sleep(0.02)
            await relay_is(tmp_path, False)
