"""Real brokers and databases for tests: started on free loopback ports, stopped by pid, silent unless they fail."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from messages.bus import Broker

ROOT = Path(__file__).parent.parent
PASSWORD = "a-password-for-tests"
USERS = ("collector", "rules", "devices", "local", "junmen/pi-1", "junmen/pi-2")


def missing_programs(wanted: tuple[str, ...]) -> list[str]:
    """Those of `wanted` that this machine does not have. Debian keeps daemons in sbin, off a user's PATH."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return [program for program in wanted if shutil.which(program, path=path) is None]


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not on this machine"
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, *, limit_s: float = 20) -> None:
    """Until something listens. Fails with the program's own words if it ends instead."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port} after {limit_s} s: {log.read_text(errors='replace')[-2000:]}")


@dataclass
class Service:
    """A running program; `kill` is SIGKILL, `start` runs the same command again on the same port and files."""

    command: list[str]
    port: int
    log: Path
    environment: Mapping[str, str] | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with contextlib.closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0, f"port {self.port} is taken: a left-over answers"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )
        wait_for_port(self.port, self.process, self.log)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class MqttBroker(Service):
    """A broker whose users are `USERS`, all with the password `PASSWORD`."""

    def settings(self, user: str, **more: object) -> Broker:
        """How `user` connects."""
        return Broker.model_validate(
            {"host": "127.0.0.1", "port": self.port, "username": user, "password": PASSWORD, **more}
        )


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[MqttBroker]:
    """Debian's Mosquitto with the shipped access rules and the shipped limits, its own files under `folder`."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    passwords, access, config = folder / "passwd", folder / "acl", folder / "mosquitto.conf"
    passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in USERS))
    subprocess.run([program("mosquitto_passwd"), "-U", str(passwords)], check=True)
    shutil.copy(ROOT / "deploy/mosquitto/acl", access)
    shipped = (ROOT / "deploy/mosquitto/gridcall.conf").read_text()
    config.write_text(
        shipped.replace("listener 1883", f"listener {port}")
        .replace("/etc/mosquitto/gridcall.passwd", str(passwords))
        .replace("/etc/mosquitto/gridcall.acl", str(access))
        + f"persistence_location {folder}/\nlog_dest stderr\nuser {os.environ.get('USER') or 'root'}\n"
    )
    broker = MqttBroker([program("mosquitto"), "-c", str(config)], port, folder / "mosquitto.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass
class Influx(Service):
    """InfluxDB 1.x, empty."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def influxdb(folder: Path) -> Iterator[Influx]:
    """Debian's InfluxDB 1.6 with its files under `folder`."""
    port, rpc_port = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "influxdb.conf"
    config.write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""
    )
    server = Influx([program("influxd"), "-config", str(config)], port, folder / "influxd.log")
    server.start()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{server.url}/ping", timeout=1).close()
            break
        time.sleep(0.05)
    try:
        yield server
    finally:
        server.stop()
