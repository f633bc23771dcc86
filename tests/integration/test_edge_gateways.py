"""Gateways behind the local broker, through a real Mosquitto: whose silence it is, and what the rules make of it. The clock is the test's."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from edge.agent import expected, sources
from edge.configuration.check import parse
from edge.configuration.config import Config, Device
from edge.health.lines import Lines
from edge.health.own import OwnDevice
from edge.installer import table
from edge.installer.snapshot import taken
from edge.models.product import Model
from edge.vitals import Vitals
from messages.bus import Bus
from messages.ids import DeviceId
from messages.reading import Reading, Value
from rules.alarms.condition import ACTIVE
from rules.engine.work import Work
from tests.rules.course import T0
from tests.rules.room import EDGE, SITE, Room
from tests.services import PASSWORD, ROOT, MqttBroker

LIMIT_S = 30.0
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LOOK_MS = 10_000
ROOF, YARD = "24e124fffef12345", "24e124fffef12346"
GAS = ("gas-1", "gas-2", "gas-3")
BINS = {"bin-1": "24e124713b000001", "bin-2": "24e124713b000002", "bin-3": "24e124713b000003"}
BIN = """protocol = "lorawan"
name = "A bin whose server decodes"
source = "none"
kind = "waste_bin"
[channels.fill]
path = "fill"
"""

pytestmark = pytest.mark.needs("mosquitto")


def zigbee(*devices: str) -> str:
    return "".join(
        f'[[devices]]\nid = "{device}"\nmodel = "zigbee-gas-heiman-hs1cg"\ntopic = "zigbee2mqtt/{device}"\n'
        f'place = {{ grid = "g1", text = "3号楼" }}\n'
        for device in devices
    )


def bins(*gateways: tuple[str, str]) -> str:
    tables = "".join(f'[[gateways]]\nname = "{name}"\neui = "{eui.upper()}"\n' for name, eui in gateways)
    return (
        '[lorawan]\nserver = "chirpstack"\n'
        + tables
        + "".join(
            f'[[devices]]\nid = "{device}"\nmodel = "our-bin"\ndev_eui = "{eui}"\nplace = {{ grid = "g1", text = "北门" }}\n'
            for device, eui in BINS.items()
        )
    )


@dataclass
class Block:
    """The edge's sources, and its looks at them, on a clock that the test turns."""

    config: Config
    bus: Bus
    broker: MqttBroker
    room: Room
    now_ms: int = T0
    heard: list[Reading] = field(default_factory=list)
    said: dict[tuple[str, str], Value] = field(default_factory=dict)
    """The newest value of each channel of the edge's own devices."""
    lines: dict[str, Vitals] = field(default_factory=dict)
    looks: Lines = field(init=False)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self.bus.publish(topic, payload, retain=retain)

    async def gas(self, *devices: str, alarm: str = "false") -> None:
        """Each of them speaks, and is heard."""
        for device in devices:
            before = len(self.heard)
            await self.publish(f"zigbee2mqtt/{device}", f'{{"gas": {alarm}, "tamper": false}}'.encode())
            await until(lambda before=before: len(self.heard) > before)  # type: ignore[misc]

    async def has_heard_all(self, base: str) -> None:
        """That was published until now: it hears something last that changes nothing."""
        line = self.lines[base]
        before = line.strays
        await self.publish(f"{base}/bridge/state", b"?")
        await until(lambda: line.strays > before)

    async def bin(self, device: str, *gateways: str) -> None:
        before = len(self.heard)
        infos = ", ".join(f'{{"gatewayId": "{eui}", "rssi": -80, "snr": 5.0}}' for eui in gateways)
        message = (
            f'{{"deviceInfo": {{"devEui": "{BINS[device]}"}}, "fPort": 85, "fCnt": {before}, "data": "AQ==",'
            f' "object": {{"fill": 40}}, "rxInfo": [{infos}]}}'
        )
        await self.publish(f"application/a/device/{BINS[device]}/event/up", message.encode())
        await until(lambda: len(self.heard) > before)

    def passes(self, by_ms: int) -> None:
        """Time, with a look every ten seconds; the rules hear what is said."""
        end_ms = self.now_ms + by_ms
        while self.now_ms < end_ms:
            self.now_ms += LOOK_MS
            readings = self.looks.look(LOOK_MS, T0, self.now_ms)
            news = [one for one in readings if self.said.get((one.device, one.channel)) != one.value]
            self.said |= {(one.device, one.channel): one.value for one in readings}
            self.room.hear(*(one for one in news if one.channel not in ("heard", "latency")))
            now_s = (self.now_ms - T0) / 1000
            if now_s % 240 == 0:
                self.room.status(now_s, online=True)  # the edge itself is there all the while
            self.room.pass_time(now_s)

    def alarms(self) -> list[str]:
        """All that ever were, those that are over in brackets."""
        found = sorted(self.room.desk.alarms(open_only=False), key=lambda alarm: alarm.device)
        return [f"{one.device}/{one.rule}" if one.state in ACTIVE else f"({one.device}/{one.rule})" for one in found]

    def monitor(self) -> list[str]:
        """As the installer sees it."""
        now = taken(self.now_ms, self.lines.values(), {(one.device, one.channel): one for one in self.heard})
        return table.plain(table.rows(self.config.devices, now, "en"), now, "en").splitlines()

    def state(self, line: str) -> tuple[Value | None, Value | None]:
        return self.said.get((f"pi-1-{line}", "open")), self.said.get((f"pi-1-{line}", "why"))


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


@asynccontextmanager
async def block(broker: MqttBroker, folder: Path, devices: str) -> AsyncIterator[Block]:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models/our-bin.toml").write_text(BIN)
    head = f'site = "{SITE}"\nedge = "{EDGE}"\nfolder = "state"\nmodels = ["models"]\n[uplink]\nport = {broker.port}\n'
    local = f'[local]\nport = {broker.port}\nusername = "local"\npassword = "{PASSWORD}"\n'
    (folder / "edge.toml").write_text(head + local + devices, encoding="utf-8")
    config, room = parse(folder / "edge.toml"), Room(folder)
    async with asyncio.timeout(LIMIT_S), Bus(broker.settings("devices"), "the-air") as bus:
        await bus.up()
        here = Block(config, bus, broker, room)

        async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
            here.heard += some
            room.hear(*some)
            if then:
                then()

        found = sources(config, deliver, clock_ms=lambda: here.now_ms)
        here.lines = {line.name: line for source in found for line in source.vitals.lines()}
        here.looks = Lines(EDGE, list(here.lines.values()), {each.id: expected(each) for each in config.devices})
        room.status(0, online=True)
        work = Work(room.facts)
        everybody: list[Device[Model] | OwnDevice] = [*config.devices, *config.own_devices]
        for device in everybody:
            work.announce(SITE, EDGE, device.id, device.announcement, T0)
        room.write(work, 0)
        tasks = [asyncio.create_task(source.run()) for source in found]
        try:
            await until(lambda: all(source.vitals.open for source in found))
            yield here
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            room.database.close()


@contextmanager
def bridge(broker: MqttBroker) -> Iterator[subprocess.Popen[str]]:
    """A process that is Zigbee2MQTT to the broker; it is up when it has said so."""
    script = [sys.executable, "-m", "tests.integration.zigbee_bridge", str(broker.port), "zigbee2mqtt"]
    process = subprocess.Popen(script, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert "online\n" in process.stdout, "its log comes before"
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_bridge_that_dies_is_one_alarm_and_its_devices_are_hidden_but_their_red_values_ring(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sources.gateway.STEADY_S", 0.1)
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        line = here.lines["zigbee2mqtt"]
        with bridge(mosquitto):
            await until(lambda: line.heard_at_ms is not None)
            await here.gas(*GAS)
            here.passes(MINUTE_MS)
            assert here.state("zigbee2mqtt") == (True, "")
        await until(lambda: bool(line.mute))  # the broker has published its will
        here.passes(2 * HOUR_MS)
        assert here.state("zigbee2mqtt") == (False, "它报告离线 it says that it is offline")
        assert here.state("local")[0] is True
        assert here.alarms() == ["pi-1-zigbee2mqtt/away"]
        assert here.said["gas-1-link", "line_open"] is False
        shown = here.monitor()
        assert shown[-2:] == ["local: there", "zigbee2mqtt: away (it says that it is offline)"]
        assert [line[0] for line in shown if "gas-" in line] == ["!", "!", "!"]

        with bridge(mosquitto) as again:
            await until(lambda: not line.mute)
            here.passes(MINUTE_MS)
            assert here.state("zigbee2mqtt") == (True, "")
            assert again.stdin
            print('gas-2 {"gas": true, "tamper": false}', file=again.stdin, flush=True)
            await until(lambda: any(one.value is True for one in here.heard))
            await here.gas("gas-1", "gas-3")
            here.passes(MINUTE_MS)
            assert here.alarms() == ["gas-2/leak", "(pi-1-zigbee2mqtt/away)"]
        await until(lambda: bool(line.mute))
        here.passes(10 * MINUTE_MS)
        assert here.alarms() == ["gas-2/leak", "pi-1-zigbee2mqtt/away"]
        leak = next(alarm for alarm in here.room.desk.alarms() if alarm.rule == "leak")
        assert (leak.level, leak.overlays.suppressed) == ("red", ())


async def test_a_bridge_that_comes_back_leaves_its_devices_their_time(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await here.gas(*GAS)
        await here.publish("zigbee2mqtt/bridge/state", b"offline")  # as older versions say it
        await until(lambda: bool(here.lines["zigbee2mqtt"].mute))
        here.passes(5 * HOUR_MS)
        await here.gas("gas-1")
        here.passes(MINUTE_MS)
        assert here.alarms() == ["pi-1-zigbee2mqtt/away"]
        for _ in range(3):
            await here.gas("gas-1", "gas-2")
            here.passes(MINUTE_MS)
        assert here.alarms() == ["gas-3-link/guard_silent", "(pi-1-zigbee2mqtt/away)"], "gas-3 never came back"


async def test_a_bridge_that_dies_at_each_start_is_away_all_the_while(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await here.gas(*GAS)
        for _ in range(12):
            await here.publish("zigbee2mqtt/bridge/state", b'{"state":"offline"}')
            await here.publish("zigbee2mqtt/bridge/state", b'{"state":"online"}')
            await here.has_heard_all("zigbee2mqtt")
            here.passes(20_000)
        assert here.alarms() == ["pi-1-zigbee2mqtt/away"]
        await here.gas("gas-1")
        assert here.lines["zigbee2mqtt"].works


async def test_a_bridge_that_hangs_is_found_by_the_silence_of_its_devices(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await here.publish("zigbee2mqtt/bridge/state", b'{"state":"online"}', retain=True)
        for device in GAS:  # each at its own time
            await here.gas(device)
            here.passes(20_000)
        here.passes(2 * HOUR_MS)
        assert here.state("zigbee2mqtt") == (False, "3 台设备均无消息 none of its 3 devices is heard any more")
        assert here.alarms() == ["pi-1-zigbee2mqtt/away"]
        for device in GAS:
            await here.gas(device)
            here.passes(20_000)
        for _ in range(3):
            await here.gas(*GAS)
            here.passes(MINUTE_MS)
        assert here.alarms() == ["(pi-1-zigbee2mqtt/away)"]


async def test_a_device_that_is_silent_alone_is_a_silent_device(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await here.gas(*GAS)
        for _ in range(10):
            here.passes(MINUTE_MS)
            await here.gas("gas-1", "gas-3")
        assert here.alarms() == ["gas-2-link/guard_silent"]
        assert here.state("zigbee2mqtt") == (True, "")


async def test_of_a_gateway_with_one_device_its_silence_is_the_devices(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with block(mosquitto, tmp_path, zigbee("gas-1")) as here:
        await here.gas("gas-1")
        here.passes(10 * MINUTE_MS)
        assert here.alarms() == ["gas-1-link/guard_silent"]


async def test_a_state_that_nobody_understands_is_counted_and_changes_nothing(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        line = here.lines["zigbee2mqtt"]
        hostile = (b"", b"\xff\xfe", b"OFF", b'{"state": null}', b'{"state": ["offline"]}', b"[" * 5000, b'"offline"')
        with structlog.testing.capture_logs() as said:
            for payload in hostile:
                await here.publish("zigbee2mqtt/bridge/state", payload)
            await here.gas("gas-1")
        assert (line.works, line.strays) == (True, len(hostile))
        assert [entry["event"] for entry in said if entry.get("gateway")] == ["gateway says what can't be read"]
        here.passes(MINUTE_MS)
        assert here.said["pi-1-zigbee2mqtt", "strays"] == len(hostile)


async def test_what_the_broker_has_kept_is_no_sign_of_life(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with Bus(mosquitto.settings("devices"), "before") as bus:
        await bus.up()
        await bus.publish("zigbee2mqtt/bridge/state", b'{"state":"online"}', retain=True)
        for device in GAS:
            await bus.publish(f"zigbee2mqtt/{device}", b'{"gas": false, "tamper": false}', retain=True)
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await until(lambda: len(here.heard) == 6)
        assert [vitals.answers for vitals in here.lines["zigbee2mqtt"].devices.values()] == [0, 0, 0]
        here.passes(HOUR_MS)
        assert here.alarms() == ["pi-1-zigbee2mqtt/away"]
        assert here.said["pi-1-zigbee2mqtt", "answering"] == 0


async def test_an_old_offline_counts_until_a_device_speaks_and_not_again_at_the_next_connect(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with Bus(mosquitto.settings("devices"), "before") as bus:
        await bus.up()
        await bus.publish("zigbee2mqtt/bridge/state", b'{"state":"offline"}', retain=True)
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        line = here.lines["zigbee2mqtt"]
        await until(lambda: bool(line.mute))
        await here.gas("gas-1")
        assert line.works
        opened = here.lines["local"].opened
        mosquitto.stop()  # with what it keeps on disk
        mosquitto.start()
        await until(lambda: here.lines["local"].opened > opened)
        await here.bus.up()
        await here.has_heard_all("zigbee2mqtt")
        assert line.works


async def test_a_broker_that_is_away_is_one_line_that_is_away_whatever_stands_on_it(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, zigbee(*GAS)) as here:
        await here.gas(*GAS)
        mosquitto.kill()
        await until(lambda: not here.lines["local"].open)
        here.passes(HOUR_MS)
        assert here.alarms() == ["pi-1-local/away"]
        assert here.said["gas-1-link", "line_open"] is False
        mosquitto.start()
        await until(lambda: here.lines["local"].open)
        await here.bus.up()
        here.passes(MINUTE_MS)
        await here.gas(*GAS)
        here.passes(MINUTE_MS)
        assert here.alarms() == ["(pi-1-local/away)"]


async def test_of_two_lorawan_gateways_the_dead_one_hides_what_it_alone_hears(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, bins(("roof", ROOF), ("yard", YARD))) as here:
        await here.bin("bin-1", ROOF)
        await here.bin("bin-2", ROOF, YARD)
        await here.bin("bin-3", YARD)
        await here.publish(f"cn470/gateway/{ROOF}/state/conn", b"\x1a\x10" + ROOF.encode(), retain=True)
        await until(lambda: bool(here.lines["roof"].mute))
        for _ in range(12):
            here.passes(HOUR_MS // 2)
            await here.bin("bin-3", YARD)
        assert here.state("roof") == (False, "它报告离线 it says that it is offline")
        assert (here.state("yard"), here.state("lorawan")) == ((True, ""), (True, ""))
        assert here.alarms() == ["bin-2-link/silent", "pi-1-roof/away"], "the yard would hear bin-2"
        assert (here.said["pi-1-roof", "silent"], here.said["pi-1-yard", "answering"]) == (2, 1)


async def test_a_single_lorawan_gateway_that_no_table_names_is_the_network(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, bins()) as here:
        for device in BINS:
            await here.bin(device, ROOF)
        topic = f"cn470/gateway/{ROOF}/state/conn"
        await here.publish(topic, b'{"gatewayId": "0000000000000000", "state": "OFFLINE"}')
        await here.publish(topic, f'{{"gatewayId": "{ROOF}", "state": "OFFLINE"}}'.encode())
        await until(lambda: bool(here.lines["lorawan"].mute))
        assert here.lines["lorawan"].strays == 1, "the first names another gateway than its topic"
        here.passes(24 * HOUR_MS)
        assert here.state("lorawan") == (False, "所有网关均报告离线 all gateways say that they are offline")
        assert here.alarms() == ["pi-1-lorawan/away"]
        await here.bin("bin-1", ROOF)
        assert here.lines["lorawan"].works


async def test_a_network_server_that_dies_is_found_by_the_silence_of_all_its_devices(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with block(mosquitto, tmp_path, bins(("roof", ROOF), ("yard", YARD))) as here:
        await here.bin("bin-1", ROOF)
        here.passes(10 * MINUTE_MS)
        await here.bin("bin-2", ROOF)
        await here.bin("bin-3", YARD)
        here.passes(24 * HOUR_MS)
        assert here.alarms() == ["pi-1-lorawan/away"]
        assert DeviceId("bin-1") in here.lines["roof"].carried()
