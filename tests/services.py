"""Real brokers and databases for tests: started on free loopback ports, stopped by pid, silent unless they fail."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from messages.broker import Broker
from tests import programs

ROOT = Path(__file__).parent.parent
PASSWORD = "a-password-for-tests"
START_S = 60.0
"""How long a program may take until it answers. It takes a second or two, and ten times that on a machine that is busy besides."""
USERS = (
    "collector",
    "rules",
    "devices",
    "local",
    "junmen/pi-1",
    "junmen/pi-2",
    "xinmin/pi-1",
    "hehua/pi-1",
    "dongjie/pi-1",
)


def _path() -> str:
    """Debian keeps daemons in sbin, and PostgreSQL's programs in a folder for each version: off a user's PATH."""
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return ":".join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *versions))


def missing_programs(wanted: tuple[str, ...]) -> list[str]:
    """Those of `wanted` that this machine does not have."""
    return [program for program in wanted if shutil.which(program, path=_path()) is None]


def program(name: str) -> str:
    found = shutil.which(name, path=_path())
    assert found, f"{name} is not on this machine"
    return found


_GIVEN = deque[int](maxlen=50)
"""The ports of late."""


def free_port() -> int:
    """Below those that Linux gives to outgoing connections (32768 up): a program that is killed finds its port free again. Of tests
    that run beside each other, each has a range of its own."""
    beside = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    for port in random.SystemRandom().sample(range(20000 + 3000 * beside, 23000 + 3000 * beside), 100):
        if port in _GIVEN:  # whoever was given it may not have begun to listen
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            _GIVEN.append(port)
            return port
    raise AssertionError("a hundred ports are all taken")


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, *, limit_s: float = START_S) -> None:
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
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with contextlib.closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0, f"port {self.port} is taken: a left-over answers"
        self.process = self.begin()
        try:
            wait_for_port(self.port, self.process, self.log)
        except BaseException:
            self.kill()  # nobody else would: whoever starts it has nothing yet to stop
            raise

    def begin(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, user=self.user
            )

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

    protocol: str = "5"
    """Which one `settings` asks for, unless told."""

    def settings(self, user: str, **more: object) -> Broker:
        """How `user` connects."""
        ours = {"host": "127.0.0.1", "port": self.port, "protocol": self.protocol}
        return Broker.model_validate({**ours, "username": user, "password": PASSWORD, **more})


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of our own with what it signed, PEM files all: a server "127.0.0.1" and a client."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def client_named(self, name: str) -> tuple[Path, Path]:
        """One more client's certificate and key; `name` is its common name."""
        file = self.authority.with_name(name.replace("/", "-"))
        made, made_key = file.with_suffix(".crt"), file.with_suffix(".key")
        by_us = ("-CA", self.authority, "-CAkey", self.authority.with_suffix(".key"))
        named = ("-subj", "/CN=" + name.replace("/", "\\/"), "-addext", "extendedKeyUsage=clientAuth")
        words = ("req", "-x509", *NEW_KEY, *by_us, *named, "-keyout", made_key, "-out", made)
        subprocess.run([program("openssl"), *words], check=True, capture_output=True)
        return made, made_key


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
"""Of openssl req."""


def certificates(folder: Path) -> Certificates:
    """Made by openssl, valid for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, authority_key = folder / "authority.crt", folder / "authority.key"

    def openssl(*words: str | Path) -> None:
        subprocess.run([program("openssl"), *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *NEW_KEY, "-subj", "/CN=test authority", "-keyout", authority_key, "-out", authority)
    signed = []
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        made, made_key = folder / f"{name}.crt", folder / f"{name}.key"
        by_us = ("-CA", authority, "-CAkey", authority_key, "-addext", extension)
        openssl("req", "-x509", *NEW_KEY, *by_us, "-subj", f"/CN={name}", "-keyout", made_key, "-out", made)
        signed += [made, made_key]
    return Certificates(authority, *signed)


@contextlib.contextmanager
def mosquitto(
    folder: Path, *, tls: Certificates | None = None, client_certificate: bool = False, identity: bool = False
) -> Iterator[MqttBroker]:
    """Debian's Mosquitto with the shipped access rules and the shipped limits, its own files under `folder`.

    `client_certificate`: it wants one; `identity`: and takes its common name for the user's.
    """
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
        + (f"cafile {tls.authority}\ncertfile {tls.server}\nkeyfile {tls.server_key}\n" if tls else "")
        + ("require_certificate true\n" if client_certificate else "")
        + ("use_identity_as_username true\n" if identity else "")
    )
    broker = MqttBroker([program("mosquitto"), "-c", str(config)], port, folder / "mosquitto.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass
class IotCore(MqttBroker):
    """rumqttd: MQTT 5 on `port`, 3.1.1 on another, sharing their topics; no access rules, and a kill forgets all."""

    v4_port: int = 0

    def begin(self) -> subprocess.Popen[bytes]:
        return programs.start(*self.command, log=self.log)

    def start(self) -> None:
        super().start()
        assert self.process
        wait_for_port(self.v4_port, self.process, self.log)

    def settings(self, user: str, **more: object) -> Broker:
        port = self.v4_port if more.get("protocol", self.protocol) == "3.1.1" else self.port
        return super().settings(user, **{"port": port, **more})


@contextlib.contextmanager
def iotcore(folder: Path) -> Iterator[IotCore]:
    """The broker in a wheel, on loopback and with passwords (it has neither by itself)."""
    v4_port, v5_port = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rumqttd.toml"
    config.write_text(
        """id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 1000
max_segment_size = 104857600
max_segment_count = 10
"""
        + "".join(
            f"""[{version}.1]
name = "{version}-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 1000
dynamic_filters = true
[{version}.1.connections.auth]
"""
            + "".join(f'"{user}" = "{PASSWORD}"\n' for user in USERS)
            for version, port in (("v4", v4_port), ("v5", v5_port))
        )
    )
    broker = IotCore([programs.BROKER, str(config)], v5_port, folder / "iotcore.log", v4_port=v4_port)
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
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{server.url}/ping", timeout=1).close()
            break
        time.sleep(0.05)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def victoria(folder: Path, *flags: str) -> Iterator[Service]:
    """Debian's VictoriaMetrics with its files under `folder`, started as Gridcall wants it, and with `flags`."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    ours = (f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}")
    wanted = flags or ("-dedup.minScrapeInterval=1ms", "-retentionPeriod=100y")
    server = Service([program("victoria-metrics"), *ours, *wanted], port, folder / "victoria.log")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class PostgreSql(Service):
    """Its superuser is `postgres`, with the password `PASSWORD`. SIGINT is its quick way to end; SIGTERM waits for clients."""

    made: int = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Until it lets clients in: it listens a little earlier."""
        super().start()
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):
                return self._run("SELECT 1")
            time.sleep(0.02)
        raise AssertionError(f"it lets nobody in: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)

    @contextlib.contextmanager
    def database(self, like: str = "") -> Iterator[str]:
        """The address of a new, empty one, which goes with its connections afterwards. `like`: a copy of the one at that address, to which nobody
        is connected."""
        self.made += 1
        name = f"test_{self.made}"
        template = f" TEMPLATE {like.rpartition('/')[2]}" if like else ""
        self._run(f"CREATE DATABASE {name}{template}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """Debian's PostgreSQL, empty. It won't run as root, so root lends it to another user, who needs a folder outside root's own.

    It doesn't wait for the disk: a test kills programs, not the machine.
    """
    user = ("postgres" if _exists("postgres") else "nobody") if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="gridcall-postgresql-") as name:
        folder, port = Path(name), free_port()
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        access = ("-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))
        texts = ("-E", "UTF8", "--locale", "C.UTF-8")
        made = (program("initdb"), "--no-sync", *access, *texts, "-D", str(folder / "data"))
        subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = [program("postgres"), "-D", str(folder / "data"), "-p", str(port), *words]
        server = PostgreSql(command, port, folder / "postgresql.log", user=user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
