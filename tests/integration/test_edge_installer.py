"""What an installer types, against a slave that we did not write, with and without a running agent."""

import asyncio
import os
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.installer.tap import FILE, snapshots
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.test_edge_agent import agent, configure
from tests.services import ROOT, MqttBroker

pytestmark = pytest.mark.needs("mosquitto", "mbpoll")


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


def typed(*words: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "gridcall.py", "edge", *words],
        cwd=ROOT,
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LANG": "en_US.UTF-8", "COLUMNS": "200"},
    )


def walked(words: tuple[str, ...], log: Path, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Each answer is given, again and again, until what follows it is on the screen."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "gridcall.py", "edge", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env={**os.environ, "LANG": "en_US.UTF-8", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdin
    until = time.monotonic() + 60
    while "[Enter]" not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
    for answer, awaited in answers:
        while True:
            assert time.monotonic() < until, log.read_text()
            process.stdin.write(f"{answer}\n".encode())
            process.stdin.flush()
            time.sleep(0.6)
            if awaited in log.read_text() or process.poll() is not None:
                break
    process.stdin.close()
    return process.wait(30), log.read_text()


def test_a_scan_finds_the_device_and_says_what_to_write_down(libmodbus: Libmodbus) -> None:
    libmodbus.set("holding", 0, 253)
    ended = typed("scan", libmodbus.port, "--units", "10-12", "--baudrates", "9600", "--timeout", "700ms")
    assert ended.returncode == 0, ended.stderr
    assert "9600 Bd 8N1: 1 device\n  unit 11: holding register 0 is 253, 20 of 20 answers" in ended.stdout
    assert f'port = "{libmodbus.port}"\nbaudrate = 9600\n' in ended.stdout


def test_a_scan_is_compared_with_the_configuration(libmodbus: Libmodbus, tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(
        f"""
site = "junmen"
edge = "pi-1"
folder = "state"
[uplink]
[[lines]]
name = "rs485-1"
port = "{libmodbus.port}"
baudrate = 9600
timeout = "700ms"
[[devices]]
id = "level-1"
model = "modbus-level-probe"
line = "rs485-1"
unit = 11
place = {{ grid = "grid-1", text = "雨水井" }}
[[devices]]
id = "gas-1"
model = "modbus-gas-detector"
line = "rs485-1"
unit = 12
place = {{ grid = "grid-1", text = "厨房" }}
""",
        encoding="utf-8",
    )
    libmodbus.set("input", 0, 0)
    libmodbus.set("input", 1, 0x3FC0)  # 1.5, with its words the wrong way round
    words = ("scan", libmodbus.port, "--config", str(file), "--units", "11-12", "--timeout", "700ms")
    ended = typed(*words)
    assert ended.returncode == 1, ended.stderr
    assert "! unit 12, gas-1 in the configuration, does not answer" in ended.stdout
    assert 'with word_order = "little" in modbus-level-probe it is 1.5' in ended.stdout
    file.write_text(file.read_text(encoding="utf-8").rpartition("[[devices]]")[0], encoding="utf-8")
    libmodbus.set("input", 0, 0x3FC0)
    libmodbus.set("input", 1, 0)
    ended = typed(*words)
    assert (ended.returncode, "all is as it says" in ended.stdout) == (0, True), ended.stdout
    ended = typed("scan", "/dev/ttyNONE", "--config", str(file))
    assert ended.returncode != 0
    assert "no line has the port /dev/ttyNONE" in ended.stderr


def test_a_scan_of_an_empty_line_says_what_to_look_at() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    ended = typed("scan", os.ttyname(theirs), "--units", "1-3", "--baudrates", "9600,19200", "--parities", "N")
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 1
    assert "Nobody answered. Is the supply on" in ended.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--units", "0-3"), "--units: 0-3 is not in 1 to 247"),
        (("--units", "5-3"), "--units: 5-3 is not in 1 to 247"),
        (("--units", "a"), "--units: numbers such as 1-4,9 are wanted, not 'a'"),
        (("--parities", "X"), "--parities: N, E or O is wanted, not 'X'"),
        (("--timeout", "1"), "--timeout: a duration such as"),
        (("--units", "1", "--parities", "N"), "/nowhere: No such file or directory"),
    ],
)
def test_a_wrong_word_ends_with_one_line(words: tuple[str, ...], said: str) -> None:
    ended = typed("scan", "/nowhere", *words)
    assert ended.returncode == 2
    assert ended.stderr.strip().startswith(f"gridcall: {said}")


def test_without_an_agent_the_devices_are_read_and_nothing_is_stored(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    libmodbus.set("holding", 0, 253)
    ended = typed(
        "accept", str(config), "--by", "Lin", "--watch", "3s", "--device", "gas-1", "--sheet", f"{tmp_path}/a.md"
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, f"{tmp_path}/a.md: 1 passed, 0 failed, 0 skipped"), (
        ended.stderr
    )
    assert "25.3 %LEL" in (tmp_path / "a.md").read_text()
    assert not (tmp_path / "state").exists()


async def test_a_running_agent_is_looked_into_and_a_failed_device_stands_on_the_sheet(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    libmodbus.set("holding", 0, 253)
    with agent(config):
        async with asyncio.timeout(30):
            while not (tmp_path / "state" / FILE).exists():
                await asyncio.sleep(0.02)
            async for now in snapshots(tmp_path / "state"):
                if any(device.channels for device in now.devices):
                    break
        shown = await asyncio.to_thread(typed, "monitor", str(config), "--once")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "\tgas-1\t3号楼2单元101厨房\tGas concentration\t25.3 %LEL\t" in shown.stdout
        assert "!\tdoor-1\t2单元门口\tDoor\t–\tnever" in shown.stdout
        chinese = await asyncio.to_thread(typed, "monitor", str(config), "--once", "--bad", "--language", "zh")
        assert "门状态" in chinese.stdout
        assert "燃气浓度" not in chinese.stdout
        words = ("accept", str(config), "--by", "Lin", "--sheet", f"{tmp_path}/a.html")
        code, shown_ = await asyncio.to_thread(
            walked, words, tmp_path / "walk.log", [("q", "gas-1"), ("", "door-1"), ("f", "Note:"), ("no door yet", "")]
        )
        assert code == 1, shown_
        assert shown_.count("[Enter] passed") >= 3, "q is no answer"
        again = await asyncio.to_thread(typed, *words, "--watch", "2s")
        assert (again.returncode, "is there already, perhaps signed" in again.stderr) == (2, True)
    page = (tmp_path / "a.html").read_text()
    assert '<section class="passed"><h2>gas-1</h2>' in page
    assert '<section class="failed"><h2>door-1</h2>' in page
    assert "no door yet" in page
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o077 == 0


async def test_a_device_that_died_before_the_acceptance_does_not_pass_on_what_the_agent_had_heard(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    libmodbus.set("holding", 0, 253)
    with agent(config):
        async with asyncio.timeout(60):
            while not (tmp_path / "state" / FILE).exists():
                await asyncio.sleep(0.02)
            async for now in snapshots(tmp_path / "state"):
                if any(device.channels for device in now.devices):
                    break
            libmodbus.stop()
            async for now in snapshots(tmp_path / "state"):
                if not next(line for line in now.lines if line.name == "rs485-1").open:
                    break
        watched = await asyncio.to_thread(
            typed,
            "accept",
            str(config),
            "--device",
            "gas-1",
            "--by",
            "Lin",
            "--watch",
            "3s",
            "--sheet",
            f"{tmp_path}/b.md",
        )
    assert watched.returncode == 1, watched.stdout
    assert "0 passed, 1 failed" in watched.stdout
    assert "未收到 Not heard: 燃气浓度" in (tmp_path / "b.md").read_text().replace("**", "")


async def test_an_acceptance_whose_agent_dies_says_so_and_writes_no_sheet(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    with agent(config) as process:
        async with asyncio.timeout(30):
            while not (tmp_path / "state" / FILE).exists():
                await asyncio.sleep(0.02)
        words = ("accept", str(config), "--by", "Lin", "--watch", "50s", "--sheet", f"{tmp_path}/c.md")
        watching = asyncio.create_task(asyncio.to_thread(typed, *words))
        await asyncio.sleep(4)
        process.kill()
        ended = await watching
    assert ended.returncode == 2
    assert "the agent has ended; what was seen before does not count" in ended.stderr
    assert not (tmp_path / "c.md").exists()
