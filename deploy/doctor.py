"""`gridcall doctor`: what is missing or wrong on this machine, and how to mend it.

It changes nothing. What a machine needs depends on what it is to be: a Pi needs no database client, a server no
serial port; so only what every machine needs counts as wrong, unless `--as` says what this one is.
"""

import importlib.util
import os
import platform
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge.installer.access import may_use, user_meant
from messages.language import NOTHING, Phrase, phrase, why
from messages.settings import ConfigError
from messages.terminal import In, language_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ENOUGH_DISK_BYTES = 1024**3
SERVICE = Path("/var/lib/gridcall")
"""Where the services keep what they know."""
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


class Role(StrEnum):
    """What a machine is to be."""

    EDGE = "edge"
    SERVER = "server"
    DEMO = "demo"
    DEV = "dev"


class Verdict(Enum):
    """How a finding is marked, by shape as well as by word."""

    GOOD = phrase("ok")
    NOTE = phrase("note")
    WRONG = phrase("WRONG")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `mend` says what to do when it isn't good."""

    verdict: Verdict
    what: Phrase
    mend: Phrase = NOTHING


PACKAGES = {
    Role.EDGE: ("paho", "pydantic", "orjson", "pymodbus", "serial", "serial_asyncio_fast"),
    Role.SERVER: (
        "paho",
        "pydantic",
        "orjson",
        "fastapi",
        "httpx",
        "uvicorn",
        "jinja2",
        "sqlalchemy",
        "argon2",
        "influxdb_client",
    ),
    Role.DEMO: ("iotcore", "aiomqtt", "pymodbus", "fastapi", "httpx", "sqlalchemy"),
    Role.DEV: ("pytest", "hypothesis", "mypy", "ruff", "playwright"),
}
PROGRAMS = {
    "mosquitto": "mosquitto",
    "influxd": "influxdb",
    "victoria-metrics": "victoria-metrics",
    "psql": "postgresql",
    "mbpoll": "mbpoll",
    "chromium": "chromium",
}
"""Programs that only the tests and a server need, with their Debian packages."""


@app.command()
def doctor(
    role: Annotated[
        Role | None, typer.Option("--as", help="What this machine is to be; without it all are noted.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help=f"Where data would be kept: its disk is looked at; without it {SERVICE}, or here."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="An engine's rules.toml: whether its sites' files can be used.")
    ] = None,
    wanted: In = "",
) -> None:
    """Say what is missing or wrong on this machine, and how to mend it. Changes nothing; exit code 1 if it can't work."""
    spoken = language_of(wanted, os.environ)
    if folder is None:
        folder = SERVICE if role in (Role.EDGE, Role.SERVER) and SERVICE.is_dir() else Path()
    findings = [finding for check in CHECKS for finding in check(role, folder)]
    findings += _rosters(rules) if rules is not None else ()
    for finding in findings:
        print(f"{finding.verdict.value.said(spoken):<5} {finding.what.said(spoken)}")
        if finding.mend and finding.verdict is not Verdict.GOOD:
            print(f"      -> {finding.mend.said(spoken)}")
    wrong = sum(finding.verdict is Verdict.WRONG for finding in findings)
    end = phrase("{n} thing(s) to mend.", n=wrong) if wrong else phrase("Nothing stands in the way.")
    print(f"\n{end.said(spoken)}")
    raise typer.Exit(1 if wrong else 0)


def _python(role: Role | None, folder: Path) -> Iterator[Finding]:
    version = phrase(
        "Python {version} on {system} {machine}",
        version=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
    )
    if sys.maxsize < 2**32:
        yield Finding(
            Verdict.NOTE,
            phrase("{version}, 32 bits", version=version),
            phrase("use the 64-bit Raspberry Pi OS: some packages have no 32-bit build"),
        )
    else:
        yield Finding(Verdict.GOOD, version)
    if sqlite3.sqlite_version_info < (3, 35):
        yield Finding(
            Verdict.WRONG,
            Phrase(f"SQLite {sqlite3.sqlite_version}"),
            phrase("3.35 or newer is needed: upgrade the system"),
        )


def _packages(role: Role | None, folder: Path) -> Iterator[Finding]:
    for part, modules in PACKAGES.items():
        if role not in (None, part, Role.DEV):
            continue
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        lacking = phrase("packages for `{part}`: no {missing}", part=part, missing=Phrase(", ".join(missing)))
        if not missing:
            yield Finding(Verdict.GOOD, phrase("packages for `{part}`", part=part))
        elif role is not None:
            yield Finding(Verdict.WRONG, lacking, _install(part))
        elif role is None:
            yield Finding(
                Verdict.NOTE,
                lacking,
                phrase("only if it is to be one: {install}", install=_install(part)),
            )


def _install(part: Role) -> Phrase:
    return Phrase(f"{sys.prefix}/bin/pip install --require-hashes -r requirements/{part}.txt")


def _serial(role: Role | None, folder: Path) -> Iterator[Finding]:
    if role not in (None, Role.EDGE):
        return
    ports, user = serial_ports(Path("/dev")), user_meant(os.geteuid())
    if not ports:
        yield Finding(
            Verdict.NOTE,
            phrase("no serial port"),
            phrase("plug in the RS-485 adapter; on a Pi's own UART: raspi-config, Interface Options, Serial Port"),
        )
    for port in ports:
        if may_use(port, user):
            yield Finding(Verdict.GOOD, phrase("serial port {port}", port=port))
        else:
            yield Finding(
                Verdict.WRONG if role else Verdict.NOTE,
                phrase(
                    "serial port {port}: no permission{whose}",
                    port=port,
                    whose=phrase(" for the service's user {user}", user=user) if user else NOTHING,
                ),
                phrase("sudo usermod -aG dialout {user}, then restart the service", user=user)
                if user
                else phrase("sudo usermod -aG dialout $USER, then log in again"),
            )


def serial_ports(devices: Path) -> list[Path]:
    """Adapters, by the names that survive replugging where they have one, and a Pi's own UARTs."""
    by_id = sorted(devices.glob("serial/by-id/*"))
    named = {port.resolve() for port in by_id}
    others = (port for name in ("ttyUSB*", "ttyACM*", "ttyAMA*") for port in sorted(devices.glob(name)))
    return [*by_id, *(port for port in others if port.resolve() not in named)]


def _clock(role: Role | None, folder: Path) -> Iterator[Finding]:
    if not Path("/run/systemd/timesync").is_dir():
        yield Finding(
            Verdict.NOTE,
            phrase("whether the clock is set by the network can't be seen"),
            phrase("on a server or Pi: sudo timedatectl set-ntp true"),
        )
    elif SYNCHRONISED.exists():
        yield Finding(Verdict.GOOD, phrase("clock set by the network"))
    else:
        yield Finding(
            Verdict.WRONG if role else Verdict.NOTE,
            phrase("the clock is not set by the network"),
            Phrase("sudo timedatectl set-ntp true"),
        )


def _disk(role: Role | None, folder: Path) -> Iterator[Finding]:
    folder = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    said = phrase("{free:.1f} GiB free in {folder}", free=free / 1024**3, folder=folder)
    if free < ENOUGH_DISK_BYTES:
        yield Finding(Verdict.WRONG, said, phrase("make room: an outbox that can't grow loses its oldest readings"))
    elif not os.access(folder, os.W_OK):
        yield Finding(
            Verdict.WRONG,
            phrase("{folder}: no permission to write", folder=folder),
            phrase("choose a folder of yours with --folder"),
        )
    else:
        yield Finding(Verdict.GOOD, said)


def _loopback(role: Role | None, folder: Path) -> Iterator[Finding]:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:
            yield Finding(
                Verdict.WRONG, phrase("no address 127.0.0.1: {why}", why=why(error)), Phrase("sudo ip link set lo up")
            )
    for port, whose in ((1883, phrase("an MQTT broker")), (8080, phrase("Gridcall's pages"))):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                yield Finding(
                    Verdict.NOTE,
                    phrase("port {port} is in use", port=port),
                    phrase("fine if it is {whose}; the demo takes another port by itself", whose=whose)
                    if role in (None, Role.DEMO)
                    else phrase("fine if it is {whose}", whose=whose),
                )


def _pseudo_terminals(role: Role | None, folder: Path) -> Iterator[Finding]:
    if role not in (None, Role.DEMO, Role.DEV):
        return
    try:
        for descriptor in os.openpty():
            os.close(descriptor)
        yield Finding(Verdict.GOOD, phrase("pseudo-terminals, which the simulated serial line needs"))
    except OSError as error:
        yield Finding(
            Verdict.WRONG, phrase("no pseudo-terminals: {why}", why=why(error)), phrase("mount devpts on /dev/pts")
        )


def _programs(role: Role | None, folder: Path) -> Iterator[Finding]:
    if role not in (None, Role.DEV, Role.SERVER):
        return
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    wanted = {"mosquitto": "mosquitto"} if role is Role.SERVER else PROGRAMS
    missing = [package for program, package in wanted.items() if shutil.which(program, path=path) is None]
    if not missing:
        yield Finding(Verdict.GOOD, phrase("programs: {names}", names=", ".join(wanted)))
    else:
        verdict = Verdict.WRONG if role is Role.SERVER else Verdict.NOTE
        yield Finding(
            verdict,
            phrase("programs of Debian: no {names}", names=", ".join(missing)),
            Phrase(f"sudo apt install {' '.join(missing)}"),
        )


def _rosters(path: Path) -> Iterator[Finding]:
    """Whether calls go by the sites' files as they lie on disk. Only a server has what this needs."""
    from rules.config import load
    from rules.duty.last_good import LastGood
    from rules.store.database import Database, DatabaseAway, is_there

    try:
        engine = load(path, rules_may_fail=True)
        if engine.site_files.folder is None:
            yield Finding(
                Verdict.NOTE if engine.desk else Verdict.WRONG,
                phrase("no rosters: every call goes to the desk"),
                phrase("set `site_files` in {path}", path=path),
            )
            yield from _desk(engine.desk, path)
            return
        if not is_there(engine.database):
            faults = {name: (Phrase(said), phrase("mend it")) for name, said in engine.site_files.faults.items()}
        else:
            database = Database(engine.database)
            known = LastGood(database, engine.site_files)
            known.read()
            faults = {name: (Phrase(fault.why), _mended(fault.since_ms)) for name, fault in known.faults.items()}
            database.close()
    except (ConfigError, DatabaseAway) as error:
        yield Finding(
            Verdict.WRONG,
            error.phrase if isinstance(error, ConfigError) else Phrase(str(error)),
            phrase("mend it: `gridcall rules check` says more"),
        )
        return
    for name, (said, mend) in faults.items():
        yield Finding(Verdict.WRONG, phrase("roster of {name}: {why}", name=name, why=said), mend)
    if not faults:
        yield Finding(Verdict.GOOD, phrase("rosters of {n} site(s)", n=len(engine.site_files.sites)))
    for nobody in engine.unreached:
        yield Finding(
            Verdict.WRONG,
            nobody,
            phrase("write the channel into {path}: until then such a call can't be made", path=path),
        )
    yield from _desk(engine.desk, path)


def _desk(addresses: Collection[object], path: Path) -> Iterator[Finding]:
    if not addresses:
        yield Finding(
            Verdict.NOTE,
            phrase("the desk is told by the pages alone"),
            phrase('set `desk` in {path}, e.g. ["sms:13…"]', path=path),
        )


def _mended(since_ms: int | None) -> Phrase:
    if since_ms is None:
        return phrase("put it in place: until then every call goes to the desk alone")
    day = datetime.fromtimestamp(since_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    return phrase("mend it: until then calls go by the last good file, of {day}", day=day)


CHECKS: tuple[Callable[[Role | None, Path], Iterator[Finding]], ...] = (
    _python, _packages, _pseudo_terminals, _serial, _clock, _disk, _loopback, _programs,
)  # fmt: skip
