"""LoRaWAN and Zigbee devices through a real Mosquitto: one product file and one table each, added from the user's own folder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from edge.agent import sources
from edge.configuration.check import parse
from edge.sources.source import CannotAct, Source
from messages.bus import Bus
from messages.ids import DeviceId
from messages.reading import Quality, Reading
from messages.settings import ConfigError
from tests.edge.test_lorawan import EUI, MAKERS, NOW_MS
from tests.services import PASSWORD, MqttBroker

LIMIT_S = 20.0

pytestmark = pytest.mark.needs("mosquitto")

BIN = """protocol = "lorawan"
name = "A bin of ours"
source = "none"
kind = "waste_bin"
codec = "bin.js"
f_ports = [85]
[channels.fill]
path = "distance"
scale = -0.1
offset = 100
"""
SIREN = """protocol = "zigbee2mqtt"
name = "A siren of ours"
source = "none"
kind = "siren"
[channels.sounding]
path = "state"
values = { ON = true, OFF = false }
[commands.sound]
key = "state"
values = { true = "ON", false = "OFF" }
"""


def configure(folder: Path, broker: MqttBroker, codec: str) -> Path:
    (folder / "models").mkdir()
    (folder / "models/our-bin.toml").write_text(BIN)
    (folder / "models/bin.js").write_text(codec)
    (folder / "models/our-siren.toml").write_text(SIREN)
    path = folder / "edge.toml"
    path.write_text(
        f"""
site = "junmen"
edge = "pi-1"
folder = "state"
models = ["models"]
[uplink]
port = {broker.port}
[local]
port = {broker.port}
username = "local"
password = "{PASSWORD}"
[lorawan]
server = "chirpstack"
[[devices]]
id = "bin-1"
model = "our-bin"
dev_eui = "{EUI.upper()}"
place = {{ grid = "grid-1", text = "北门" }}
[[devices]]
id = "siren-1"
model = "our-siren"
topic = "local/siren"
place = {{ grid = "grid-1", text = "北门" }}
""",
        encoding="utf-8",
    )
    return path


class Air:
    """What the devices say and hear, on the broker's side."""

    def __init__(self, bus: Bus, readings: asyncio.Queue[Reading], found: list[Source]) -> None:
        self._bus = bus
        self._readings = readings
        self.lorawan = next(source for source in found if source.vitals.name == "lorawan")
        self.local = next(source for source in found if source.vitals.name == "local")

    async def uplink(self, payload: str, f_cnt: int = 1, f_port: int = 85) -> None:
        message = f'{{"deviceInfo": {{"devEui": "{EUI}"}}, "fPort": {f_port}, "fCnt": {f_cnt}, "data": "{payload}", "time": "2025-11-21T04:40:00Z"}}'
        await self._bus.publish(f"application/a/device/{EUI}/event/up", message.encode())

    async def say(self, topic: str, payload: bytes) -> None:
        await self._bus.publish(topic, payload)

    async def told(self) -> tuple[str, bytes]:
        async for message in self._bus.messages():
            message.ack()
            return message.topic, message.payload
        raise AssertionError

    async def reading(self) -> Reading:
        return await self._readings.get()


@asynccontextmanager
async def air(broker: MqttBroker, folder: Path, codec: str) -> AsyncIterator[Air]:
    readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for reading in some:
            readings.put_nowait(reading)
        if then:
            then()

    found = sources(parse(configure(folder, broker, codec)), deliver, clock_ms=lambda: NOW_MS)
    async with asyncio.timeout(LIMIT_S), Bus(broker.settings("devices"), "air", subscribe=["local/siren/set"]) as bus:
        tasks = [asyncio.create_task(source.run()) for source in found]
        try:
            await bus.up()
            while not all(source.vitals.open for source in found):
                await asyncio.sleep(0.01)
            yield Air(bus, readings, found)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_uplink_becomes_a_reading_by_the_makers_codec(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with air(mosquitto, tmp_path, MAKERS["decodeUplink"]) as here:
        await here.uplink("AXVkA4IsAQ==", f_port=10)
        await here.uplink("AXVkA4IsAQ==")
        await here.uplink("AXVkA4IsAQ==")
        await here.uplink("AXVkA4IsAg==", f_cnt=2)
        first, second = await here.reading(), await here.reading()
    assert (first.device, first.channel, first.value, first.unit) == ("bin-1", "fill", 70.0, "%")
    assert (first.at_ms, first.quality) == (1_763_700_000_000, Quality.GOOD)
    assert second.value == 44.4, "the port that was not asked for and the repetition made none"


@pytest.mark.parametrize(
    ("hostile", "complaint"),
    [
        ("while (true) {}", "InternalError: interrupted"),
        ("new Array(3e9).join('x')", "it takes too long and was stopped"),
    ],
)
async def test_a_hostile_codec_costs_its_messages_and_nothing_else(
    mosquitto: MqttBroker, tmp_path: Path, hostile: str, complaint: str
) -> None:
    hostile = f"function decodeUplink(i) {{ if (i.bytes[0] == 1) {hostile}; return {{ data: {{ distance: 500 }} }} }}"
    with structlog.testing.capture_logs() as said:
        async with air(mosquitto, tmp_path, hostile) as here:
            await here.uplink("AQ==")
            await here.say("local/siren", b'{"state": "OFF"}')
            assert (await here.reading()).device == "siren-1", "the others are not held up"
            await here.uplink("Ag==", f_cnt=2)
            assert (await here.reading()).value == 50.0
            assert dict(here.lorawan.vitals.devices[DeviceId("bin-1")].faults) == {"not readable": 1}
    complaints = [entry["why"] for entry in said if entry["event"] == "device sends what can't be read"]
    assert complaints == [f"the codec fails: {complaint}"]


async def test_a_zigbee_device_is_told_and_confirms(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with air(mosquitto, tmp_path, MAKERS["Decode"]) as here:
        told = asyncio.create_task(here.local.act(DeviceId("siren-1"), "sound", True))
        assert await here.told() == ("local/siren/set", b'{"state":"ON"}')
        await here.say("local/siren", b'{"state": "ON"}')
        await told
        assert (await here.reading()).value is True
        monkeypatch.setattr("edge.sources.listener.CONFIRM_LIMIT_S", 0.2)
        with pytest.raises(CannotAct, match="it may have been done"):
            await here.local.act(DeviceId("siren-1"), "sound", False)
        await here.say("local/siren/availability", b'{"state": "offline"}')
        (bridge,) = here.local.vitals.gateways
        while not bridge.devices[DeviceId("siren-1")].away:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('dev_eui = "24E1', 'dev_eui = "4E1', "devices.0.dev_eui"),
        ("[lorawan]\nserver", "[lorawann]\nserver", "lorawann: is not known here; did you mean `lorawan`?"),
        ('server = "chirpstack"', 'server = "loriot"', "lorawan.server: should be 'chirpstack' or 'things-stack'"),
    ],
)
def test_a_mistake_is_told_with_its_line(mosquitto: MqttBroker, tmp_path: Path, old: str, new: str, said: str) -> None:
    path = configure(tmp_path, mosquitto, "")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError) as caught:
        parse(path)
    assert said in str(caught.value)


def test_a_codec_that_is_not_there_is_told(mosquitto: MqttBroker, tmp_path: Path) -> None:
    path = configure(tmp_path, mosquitto, "")
    (tmp_path / "models/bin.js").unlink()
    with pytest.raises(ConfigError, match=r"bin.js: the codec can't be read: No such file or directory"):
        parse(path)
