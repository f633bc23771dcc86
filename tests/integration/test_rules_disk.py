"""A disk that is full, and a database that may only be read, while alarms come: the engine says so, waits, and goes on by itself."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from messages.bus import Bus
from tests import services
from tests.integration.rules_engine import (
    Engine,
    alarms,
    announce,
    edge,
    engine,
    hearing,
    now_ms,
    reading,
    send,
    until,
)

DEVICES = 40


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "12m") -> Iterator[Path]:
    """A disk of its own. Left out where nobody may mount one."""
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root mounts a disk")
    if subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


async def leak(bus: Bus, number: int) -> None:
    await send(bus, number + 1, reading(f"gas-{number}", "gas_concentration", 30.0, now_ms()))


async def leak_until_it_is_away(ours: Engine, bus: Bus) -> int:
    """How many leaks it took until the engine could not write an alarm."""
    for number in range(1, DEVICES):
        await leak(bus, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while not outages(ours)["rules-database"]:
                    await asyncio.sleep(0.05)
                return number
    raise AssertionError(f"it has never been away\n{ours.said()}")


def raised(ours: Engine) -> Counter[str]:
    """How often each device's leak is in the log, whose numbers have no gap."""
    log = ours.desk.log_after(0, limit=10_000)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    found = {one.id: str(one.device) for one in alarms(ours) if one.rule == "leak"}
    return Counter(found[entry.alarm] for entry in log if entry.event == "alarm.raised" and entry.alarm in found)


def outages(ours: Engine) -> Counter[str]:
    """How many each of its clerks has told the beginning of and not the end: who has nothing to write meanwhile misses nothing. A slow
    machine may see a full disk take a write in between."""
    told = re.findall(r"database is (away|back).*?clerk=(\S+)", ours.said())
    open_ones = Counter(clerk for what, clerk in told if what == "away")
    open_ones.subtract(clerk for what, clerk in told if what == "back")
    return +open_ones


async def goes_on(ours: Engine, bus: Bus, leaks: int) -> None:
    await leak(bus, leaks + 1)
    wanted = Counter({f"gas-{number}": 1 for number in range(leaks + 2)})
    await until(lambda: raised(ours) == wanted or None, "every leak once", ours)
    await until(lambda: not outages(ours) or None, "it says so", ours)
    assert ours.said().count("ready") == 1, "by itself"
    assert ours.process
    assert ours.process.poll() is None


@contextlib.asynccontextmanager
async def begun(ours: Engine, broker: services.MqttBroker) -> AsyncIterator[Bus]:
    ours.start()
    await hearing(ours)
    async with edge(broker) as bus:
        for number in range(DEVICES):
            await announce(bus, f"gas-{number}", "gas_alarm")
        await leak(bus, 0)
        await until(lambda: raised(ours), "the first leak", ours)
        yield bus


@pytest.mark.needs("mosquitto")
async def test_a_disk_that_is_full_while_alarms_come_loses_none_and_doubles_none(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        engine(mosquitto, tmp_path / "rules", url=f"sqlite:///{disk}/rules.db") as ours,
    ):
        async with begun(ours, mosquitto) as bus:
            ballast = fill(disk)
            leaks = await leak_until_it_is_away(ours, bus)
            assert "full" in ours.said()
            assert outages(ours)["rules-database"] == 1, "said once, however often it was tried"
            assert set(outages(ours).values()) == {1}
            ballast.unlink()
            await goes_on(ours, bus, leaks)


@pytest.mark.needs("mosquitto", "postgres", "initdb")
async def test_a_database_that_may_only_be_read_for_a_while_loses_no_alarm_and_doubles_none(
    mosquitto: services.MqttBroker, postgresql: str, tmp_path: Path
) -> None:
    server = create_engine(make_url(postgresql), isolation_level="AUTOCOMMIT")
    name = make_url(postgresql).database

    def only_read(on: str) -> None:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        with server.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {on}'))
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))

    with contextlib.ExitStack() as over, engine(mosquitto, tmp_path / "rules", url=postgresql) as ours:
        over.callback(server.dispose)
        async with begun(ours, mosquitto) as bus:
            only_read("on")
            leaks = await leak_until_it_is_away(ours, bus)
            await until(lambda: ours.desk.pulse(), "it can still be read", ours)
            only_read("off")
            await goes_on(ours, bus, leaks)
