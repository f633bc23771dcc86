"""A configuration that changes while the agent runs, and what a service manager hears, on its real socket."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.installer.tap import snapshots
from messages.ids import DeviceId
from messages.reading import Value
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.test_edge_agent import configure, receipted, until
from tests.integration.test_edge_uplink import EDGE, Collector, collector
from tests.services import ROOT, MqttBroker

pytestmark = pytest.mark.needs("mosquitto", "mbpoll")

WATCHDOG_S = 2.0


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


class Manager:
    """systemd, as far as a service knows it: a socket of datagrams."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def close(self) -> None:
        self._socket.close()

    def hears(self, *, limit_s: float = 30.0, but: str = "WATCHDOG=1") -> str:
        """The next word that is not `but`. Raises TimeoutError."""
        ends = time.monotonic() + limit_s
        while True:
            self._socket.settimeout(max(ends - time.monotonic(), 0.001))
            if (said := self._socket.recv(4096).decode()) != but:
                return said

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with contextlib.closing(Manager(tmp_path)) as found:
        yield found


@contextlib.contextmanager
def service(manager: Manager, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=manager.environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


WRONG = {
    "a quote is missing": ('site = "junmen"', 'site = "junmen', r"edge\.toml:2: not TOML at column 15"),
    "no such product": ("modbus-gas-detector", "modbus-gas-detektor", r"edge\.toml:19: devices\.0\.model: no model"),
    "a folder of products is missing": (
        "[uplink]",
        'models = ["my-models"]\n[uplink]',
        r"edge\.toml:5: models: .*no such folder",
    ),
    "an id twice": (
        'id = "door-1"',
        'id = "gas-1"',
        r"edge\.toml:24: devices\.1\.id: the id gas-1 is taken by another",
    ),
    "a port twice": (
        "[[devices]]",
        '[[lines]]\nname = "again"\nport = "{port}"\nbaudrate = 9600\n[[devices]]',
        r"edge\.toml:19: lines\.1\.port: /dev/pts/\d+ is taken by line `rs485-1`",
    ),
    "no certificate": (
        "[uplink]",
        '[uplink]\nca_file = "ca.crt"',
        r"edge\.toml:6: uplink\.ca_file: .*ca\.crt: .*No such",
    ),
    "no password": (
        'username = "local"\npassword = "a-password-for-tests"',
        'username = "local"\npassword_file = "local.password"',
        r"edge\.toml:12: local\.password_file: .*No such file",
    ),
    "another edge": ('edge = "pi-1"', 'edge = "pi-2"', r"edge\.toml:3: edge: from pi-1 to pi-2 by a restart only"),
}


async def test_a_wrong_configuration_is_refused_with_its_place_and_said_everywhere_until_the_mended_one_is_taken(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path, manager: Manager
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    good = config.read_text()
    libmodbus.set("holding", 0, 1)
    async with collector(mosquitto) as heard:
        with service(manager, "gridcall.py", "edge", "run", str(config)) as process:
            assert manager.hears().startswith("EXTEND_TIMEOUT_USEC="), "an outbox may take longer than systemd waits"
            assert manager.hears() == "READY=1\nSTATUS=2 devices"
            for number, (name, (old, new, complaint)) in enumerate(WRONG.items(), 2):
                assert old in good, name
                config.write_text(good.replace(old, new.format(port=libmodbus.port), 1))
                process.send_signal(signal.SIGHUP)
                said = await asyncio.to_thread(manager.hears)
                assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", said), name
                assert abs(int(said.rpartition("=")[2]) / 1e6 - time.monotonic()) < 60, "CLOCK_MONOTONIC, for systemd"
                said = await asyncio.to_thread(manager.hears)
                assert said.startswith("READY=1\nSTATUS=2 devices; the new configuration is refused: "), name
                assert re.search(complaint, said), (name, said)
                libmodbus.set("holding", 0, number * 10)
                await until(heard, "gas_concentration", float(number))  # the last good one runs on
            now = await anext(snapshots(tmp_path / "state"))
            assert "edge: from pi-1 to pi-2 by a restart only" in now.refused["en"]
            assert "edge: 从 pi-1 改为 pi-2，须重启才行" in now.refused["zh"]
            assert await spoken(heard, "configuration_refused", True)
            config.write_text(f"deep = {'[' * 50_000}\n{good}")
            process.send_signal(signal.SIGHUP)
            assert (await asyncio.to_thread(manager.hears)).startswith("RELOADING=1")
            assert "too deep in one another" in await asyncio.to_thread(manager.hears)
            config.write_text(good.replace('id = "gas-1"', 'id = "gas-9"'))
            process.send_signal(signal.SIGHUP)
            assert (await asyncio.to_thread(manager.hears)).startswith("RELOADING=1")
            assert await asyncio.to_thread(manager.hears) == "READY=1\nSTATUS=2 devices"
            assert (await until(heard, "gas_concentration", float(number))).device == "gas-9"
            assert await spoken(heard, "configuration_refused", False)
            now = await anext(snapshots(tmp_path / "state"))
            assert (now.refused, process.poll()) == ({}, None), "no restart"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(manager.hears) == "STOPPING=1"
            assert await asyncio.to_thread(process.wait, 15) == 130


async def spoken(heard: Collector, channel: str, value: Value) -> bool:
    """By the edge itself: now, or in what has come meanwhile."""
    while heard.latest.get((DeviceId(EDGE), channel)) != value:
        await receipted(heard)
    return True


HUNG = """
import asyncio, os, signal, socket, sys, time
from pathlib import Path
from edge import run
from edge.clock import Clock
from edge.systemd import ServiceManager
from edge.timepiece import machine

def wall_ms(): return time.time_ns() // 1_000_000

def hang():  # something in the loop doesn't come back
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"hung", os.environ["NOTIFY_SOCKET"])
    time.sleep(60)

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hang)
    clock = Clock(wall_ms, lambda: time.monotonic_ns() // 1_000_000, lambda: machine(wall_ms()))
    await run.run(Path(sys.argv[1]), clock, software="test", manager=ServiceManager.of(os.environ))

asyncio.run(main())
"""


def test_a_loop_that_hangs_is_alive_no_more(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path, manager: Manager
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    with service(manager, "-c", HUNG, str(config)) as process:
        assert manager.hears().startswith("EXTEND_TIMEOUT_USEC=")
        assert manager.hears().startswith("READY=1")
        for _ in range(2):
            assert manager.hears(but="", limit_s=WATCHDOG_S) == "WATCHDOG=1", "twice in the time that it waits"
        process.send_signal(signal.SIGUSR1)
        assert manager.hears() == "hung"
        with pytest.raises(TimeoutError):
            manager.hears(but="", limit_s=2 * WATCHDOG_S)
        assert process.poll() is None, "it is there, and would be killed and started again"
