"""`gridcall edge` as its user runs it: a foreign slave on one side, a real broker on the other."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from messages import topics
from messages.bus import Bus
from messages.ids import DeviceId
from messages.pack import Pack
from messages.reading import Reading, Value
from tests import programs, services
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.test_edge_listener import TOPIC, device
from tests.integration.test_edge_uplink import EDGE, SITE, Collector, collector
from tests.services import PASSWORD, MqttBroker

pytestmark = pytest.mark.needs("mosquitto", "mbpoll")


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


def configure(folder: Path, broker: MqttBroker, port: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f"""
site = "junmen"
edge = "pi-1"
folder = "state"
[uplink]
port = {broker.port}
username = "junmen/pi-1"
password = "{PASSWORD}"
[local]
port = {broker.port}
username = "local"
password = "{PASSWORD}"
[[lines]]
name = "rs485-1"
port = "{port}"
baudrate = 9600
[[devices]]
id = "gas-1"
model = "modbus-gas-detector"
line = "rs485-1"
unit = 11
place = {{ grid = "grid-1", text = "3号楼2单元101厨房" }}
[[devices]]
id = "door-1"
model = "json-door-controller"
topic = "local/door-1"
place = {{ grid = "grid-1", text = "2单元门口" }}
""",
        encoding="utf-8",
    )
    return path


@contextlib.contextmanager
def agent(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = programs.start("edge", "run", str(config), log=config.parent / "log")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(heard: Collector, channel: str, value: Value) -> Reading:
    while True:
        for reading in (await receipted(heard)).readings:
            if (reading.channel, reading.value) == (channel, value):
                return reading


async def receipted(heard: Collector) -> Pack:
    """The next one."""
    pack = await heard.pack()
    assert pack.number
    await heard.say(pack, stored=[(pack.number, pack.number)])
    return pack


async def test_a_register_and_a_message_arrive_as_readings_and_a_restart_goes_on(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    async with collector(mosquitto) as heard:
        with agent(config) as process:
            libmodbus.set("holding", 0, 0)
            await until(heard, "gas_concentration", 0.0)
            libmodbus.set("holding", 0, 253)
            assert (await until(heard, "gas_concentration", 25.3)).unit == "%LEL"
            async with device(mosquitto) as door:
                await door.publish(TOPIC, b'{"door": "open"}', retain=True)
            assert (await until(heard, "door_open", True)).device == "door-1"
            process.kill()
            gone = await heard.status_until(lambda status: not status.online)
            assert gone.at_ms is None  # the broker's word, not the edge's
        with agent(config) as process:
            libmodbus.set("holding", 0, 111)
            await until(heard, "gas_concentration", 11.1)
            process.terminate()
            assert process.wait(10) == 130
            gone = await heard.status_until(lambda status: not status.online and status.at_ms is not None)
    streams = {status.stream for status in heard.statuses if status.stream}
    assert len(streams) == 2  # one for each run
    assert gone.outbox
    assert gone.outbox.produced == gone.outbox.receipted + gone.outbox.pending
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_wrong_configuration_ends_with_one_line_and_code_2(
    mosquitto: MqttBroker, tmp_path: Path, command: str
) -> None:
    config = configure(tmp_path, mosquitto, "/dev/null")
    config.write_text(config.read_text().replace("unit = 11", "unti = 11"))
    ended = programs.run("edge", command, str(config))
    assert ended.returncode == 2
    assert ended.stderr == f"gridcall: {config}:21: devices.0.unti: is not known here; did you mean `unit`?\n"


def turn(process: subprocess.Popen[bytes], config: Path, *changes: tuple[str, str]) -> None:
    """Change the configuration and say so."""
    text = config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    process.send_signal(signal.SIGHUP)


async def logged(config: Path, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in (config.parent / "log").read_text():
            await asyncio.sleep(0.02)


async def test_a_new_configuration_is_turned_to_and_a_wrong_one_refused(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    async with collector(mosquitto) as heard:
        with agent(config) as process:
            libmodbus.set("holding", 0, 253)
            assert (await until(heard, "gas_concentration", 25.3)).device == "gas-1"
            turn(process, config, ("unit = 11", "unti = 11"))
            await logged(config, "is refused, the last good one runs on")
            libmodbus.set("holding", 0, 300)
            assert (await until(heard, "gas_concentration", 30.0)).device == "gas-1"
            turn(process, config, ("unti = 11", "unit = 11"), ('site = "junmen"', 'site = "elsewhere"'))
            await logged(config, "by a restart only")
            gone = topics.announcement(SITE, EDGE, DeviceId("gas-1"))
            async with Bus(mosquitto.settings("rules"), "watch", subscribe=[gone]) as watch:
                announced = watch.messages()
                assert (await anext(announced)).payload, "it is announced as long as it is there"
                turn(process, config, ('site = "elsewhere"', 'site = "junmen"'), ('id = "gas-1"', 'id = "gas-9"'))
                assert (await until(heard, "gas_concentration", 30.0)).device == "gas-9"
                receipting = asyncio.create_task(until(heard, "gas_concentration", -1.0))
                while (await anext(announced)).payload:
                    pass
                receipting.cancel()
                await asyncio.gather(receipting, return_exceptions=True)
            assert process.poll() is None
    streams = {status.stream for status in heard.statuses if status.stream}
    assert len(streams) == 1, "the outbox stays open"
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_another_broker_is_turned_to_without_a_restart_and_gets_what_the_first_never_receipted(
    mosquitto: MqttBroker, libmodbus: Libmodbus, tmp_path: Path
) -> None:
    config = configure(tmp_path, mosquitto, libmodbus.port)
    libmodbus.set("holding", 0, 253)
    with services.mosquitto(tmp_path / "second") as second, agent(config) as process:
        async with collector(mosquitto) as first:
            while ("gas_concentration", 25.3) not in {
                (reading.channel, reading.value) for reading in (await first.pack()).readings
            }:
                pass
        turn(process, config, (f"[uplink]\nport = {mosquitto.port}", f"[uplink]\nport = {second.port}"))
        async with collector(second) as heard:
            await until(heard, "gas_concentration", 25.3)
            libmodbus.set("holding", 0, 300)
            await until(heard, "gas_concentration", 30.0)
        assert process.poll() is None
    assert "Traceback" not in (tmp_path / "log").read_text()
