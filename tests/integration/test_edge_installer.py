"""What an installer types, against a slave that we did not write, with and without a running agent."""

import asyncio
import fcntl
import os
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edge.installer.tap import FILE, snapshots
from tests import programs
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.pty_user import at_a_terminal
from tests.integration.test_edge_agent import agent, configure
from tests.integration.wired_line import Slave, wire
from tests.services import MqttBroker

NOTHING_THERE = """
site = "junmen"
edge = "pi-1"
folder = "{folder}/state"
uplink = {{ host = "127.0.0.1", port = 1 }}
local = {{ host = "127.0.0.1", port = 1 }}
lines = [{{ name = "rs485-1", port = "{folder}/ttyUSB9", baudrate = 9600 }}]

[[devices]]
id = "gas-1"
model = "modbus-gas-detector"
line = "rs485-1"
unit = 1
place = {{ grid = "grid-1", text = "3号楼" }}

[[devices]]
id = "door-1"
model = "json-door-controller"
topic = "doors/1"
place = {{ grid = "grid-1", text = "3号楼" }}
"""

pytestmark = pytest.mark.needs("mosquitto", "mbpoll")


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


def typed(*words: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    return programs.run(
        "edge", *words, given=answers, environment={**os.environ, "LANG": "en_US.UTF-8", "COLUMNS": "200"}
    )


async def heard(state: Path) -> None:
    """Until the agent there has heard a device."""
    async with asyncio.timeout(60):
        while not (state / FILE).exists():
            await asyncio.sleep(0.02)
        async for now in snapshots(state):
            if any(device.channels for device in now.devices):
                return


async def looked_into(process: subprocess.Popen[bytes], state: Path) -> None:
    """Until somebody is at the agent's socket, beside the agent itself, and has been told something."""
    socket = str(state / FILE)
    async with asyncio.timeout(50):
        while sum(str(one.laddr) == socket for one in psutil.Process(process.pid).net_connections("unix")) < 2:
            await asyncio.sleep(0.05)
        async for _ in snapshots(state):  # who came before us has been told before us
            return


def walk_at_a_terminal(words: tuple[str, ...]) -> None:
    with at_a_terminal(*words) as user:
        at = user.sees("[Enter] passed")
        user.types("q\n")
        at = user.sees("'q' is no answer", after=at)
        user.types("\n")
        at = user.sees("-> passed", after=at)
        at = user.sees("door-1", after=at)
        user.types("\n")  # nobody has heard of it
        at = user.sees("not heard since its turn began: Door", after=at)
        user.types("fx\x7f\n")
        at = user.sees("Note:", after=at)
        user.types("还没有门 no door yet\n")
        at = user.sees("-> failed 还没有门 no door yet", after=at)
        code, shown = user.ends()
        assert (code, "1 passed, 1 failed, 0 skipped" in shown) == (1, True), shown


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


def scanned(
    *slaves: Slave, words: tuple[str, ...] = ("--units", "1-4", "--baudrates", "9600", "--parities", "N")
) -> str:
    with wire(*slaves) as port:
        ended = typed("scan", port, *words)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("thinks_s", [0.005, 0.009, 0.014, 0.028, 0.06, 0.09])
def test_two_devices_with_one_address_are_suspected_whichever_of_them_is_slower(thinks_s: float) -> None:
    """The time-out is what a busy machine may be late by, on top of what a device thinks."""
    words = ("--units", "2-3", "--baudrates", "9600", "--parities", "N", "--timeout", "600ms")
    said = scanned(Slave(2, 5), Slave(3, 1000), Slave(3, 1007, thinks_s=thinks_s), words=words)
    alone, both = said.split("unit 3: ")
    assert ("unit 2: holding register 0 is 5" in alone, "!" in alone) == (True, False), said
    assert "two devices with this address" in both
    if thinks_s > 0.02:  # it does not run into the other's
        assert "answers twice to one question" in both


def test_a_device_whose_answers_are_disturbed_is_told_from_those_that_are_not() -> None:
    said = scanned(Slave(2, 5), Slave(3, 10, loses=0.25))
    alone, _ = said.split("unit 3: ")
    assert ("unit 2: holding register 0 is 5" in alone, "!" in alone) == (True, False), said
    assert "answers lost: termination (120 ohm at both ends), bias, or a loose screw?" in said
    assert "two devices" not in said


def test_a_scan_that_is_broken_off_says_who_has_answered_so_far() -> None:
    with (
        wire(Slave(2), Slave(5)) as port,
        at_a_terminal("scan", port, "--baudrates", "9600", "--parities", "N") as user,
    ):
        user.sees("6%")  # some fifteen of 247 units
        user.types("\x03")
        code, shown = user.ends()
    assert (code, "broken off; so far answered: 2, 5" in shown) == (130, True), shown


def test_a_scan_finds_the_speed_and_goes_past_what_the_port_cannot_do() -> None:
    said = scanned(Slave(2, 5, baudrate=19200), words=("--units", "1-4", "--parities", "N,O"))
    assert "9600 Bd 8O1: this port can't speak so\n19200 Bd 8N1: 1 device" in said
    assert "baudrate = 19200\n" in said


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
        (
            ("--units", "1", "--parities", "N"),
            "/nowhere: there is no such port; which there are: ls /dev/serial/by-id/",
        ),
    ],
)
def test_a_wrong_word_ends_with_one_line(words: tuple[str, ...], said: str) -> None:
    ended = typed("scan", "/nowhere", *words)
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1].startswith(f"gridcall: {said}")


def test_a_port_that_the_agent_has_is_said_with_the_way_out() -> None:
    with wire(Slave(2)) as port, Path(port).open("rb+", buffering=0) as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        ended = typed("scan", port, "--units", "1-4", "--language", "zh")
    assert (ended.returncode, "systemctl stop gridcall@edge" in ended.stderr) == (2, True)
    assert "Resource temporarily" not in ended.stderr


def test_a_look_without_an_agent_ends_where_a_line_can_t_be_opened_and_says_why_in_the_language_chosen(
    tmp_path: Path,
) -> None:
    """It waited for devices that nobody can hear, for ever."""
    config = tmp_path / "edge.toml"
    config.write_text(NOTHING_THERE.format(folder=tmp_path), encoding="utf-8")
    ended = typed("monitor", str(config), "--once", "--language", "zh")
    assert ended.stdout.splitlines()[-2:] == [
        "rs485-1: 断开 (没有这个文件或文件夹)",
        "local: 断开 (代理 127.0.0.1:1 断开)",
    ]


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
        await heard(tmp_path / "state")
        shown = await asyncio.to_thread(typed, "monitor", str(config), "--once")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "\tgas-1\t3号楼2单元101厨房\tGas concentration\t25.3 %LEL\t" in shown.stdout
        assert "!\tdoor-1\t2单元门口\tDoor\t–\tnever" in shown.stdout
        chinese = await asyncio.to_thread(typed, "monitor", str(config), "--once", "--bad", "--language", "zh")
        assert "门状态" in chinese.stdout
        assert "燃气浓度" not in chinese.stdout
        words = ("accept", str(config), "--by", "Lin", "--sheet", f"{tmp_path}/a.html")
        await asyncio.to_thread(walk_at_a_terminal, words)
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
    port = tmp_path / "port"
    port.symlink_to(libmodbus.port)
    config = configure(tmp_path, mosquitto, str(port))
    libmodbus.set("holding", 0, 253)
    with agent(config):
        await heard(tmp_path / "state")
        async with asyncio.timeout(60):
            port.unlink()  # the kernel gives the number of a terminal that has gone to the next that is opened
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
        async with asyncio.timeout(60):
            while not (tmp_path / "state" / FILE).exists():
                await asyncio.sleep(0.02)
        words = ("accept", str(config), "--by", "Lin", "--watch", "50s", "--sheet", f"{tmp_path}/c.md")
        watching = asyncio.create_task(asyncio.to_thread(typed, *words))
        await looked_into(process, tmp_path / "state")
        process.kill()
        ended = await watching
    assert ended.returncode == 2
    assert "the agent has ended; what was seen before does not count" in ended.stderr
    assert not (tmp_path / "c.md").exists()


@pytest.mark.parametrize(
    ("answers", "code", "said", "on_the_sheet"),
    [
        ("\nf no door yet\n", 1, "", "合格 passed 1, 不合格 failed 1, 未验收 skipped 0"),
        ("\ns\n", 0, "", "合格 passed 1, 不合格 failed 0, 未验收 skipped 1"),
        ("\n", 1, "the input has ended, at device 2/2 (door-1)", "合格 passed 1, 不合格 failed 0, 未验收 skipped 1"),
        ("\nq\n", 1, "'q' is no answer, at device 2/2", "合格 passed 1, 不合格 failed 0, 未验收 skipped 1"),
        ("\ns\nf\n", 1, "there are more answers than devices", "合格 passed 1, 不合格 failed 0, 未验收 skipped 1"),
        ("", 1, "the input has ended, at device 1/2 (gas-1)", None),
    ],
)
async def test_answers_may_stand_in_a_file_a_line_for_a_device_and_their_end_loses_nothing(
    mosquitto: MqttBroker,
    libmodbus: Libmodbus,
    tmp_path: Path,
    answers: str,
    code: int,
    said: str,
    on_the_sheet: str | None,
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    libmodbus.set("holding", 0, 253)
    sheet = tmp_path / "a.md"
    words = ("accept", str(config), "--by", "Lin", "--sheet", str(sheet))
    with agent(config):
        await heard(tmp_path / "state")
        ended = await asyncio.to_thread(typed, *words, answers=answers)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert sheet.exists() == bool(on_the_sheet)
    if on_the_sheet:
        assert on_the_sheet in sheet.read_text()
        assert ("no door yet" in sheet.read_text()) == ("no door yet" in answers)


async def test_an_enter_that_was_written_down_before_waits_until_the_device_is_heard_and_fails_one_that_is_not(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    words = ("accept", str(config), "--by", "Lin", "--device", "gas-1", "--sheet", f"{tmp_path}/a.md")
    ended = await asyncio.to_thread(typed, *words, answers="\n")  # no agent runs: the line is opened first
    assert (ended.returncode, "-> passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    libmodbus.stop()
    words = (*words[:-1], f"{tmp_path}/b.md")
    ended = await asyncio.to_thread(typed, *words, answers="\n")
    assert (ended.returncode, "-> failed" in ended.stdout) == (1, True), ended.stdout + ended.stderr
    assert "not heard since its turn began: Gas concentration" in ended.stdout
    ended = await asyncio.to_thread(typed, *words[:-1], f"{tmp_path}/c.md")
    assert (ended.returncode, "nothing was walked: no sheet is written" in ended.stdout) == (1, True), ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_connection_that_breaks_on_the_ladder_costs_no_work(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    sheet = tmp_path / "a.md"

    def walks() -> None:
        with at_a_terminal("accept", str(config), "--by", "Lin", "--sheet", str(sheet)) as user:
            user.sees("[Enter] passed")
            user.types("\n")
            user.sees("door-1")
            user.hangs_up()
            user.process.wait(20)

    with agent(config):
        await heard(tmp_path / "state")
        await asyncio.to_thread(walks)
    assert "合格 passed 1, 不合格 failed 0, 未验收 skipped 1" in sheet.read_text()
