"""The edge's link to its server: certificates as identity, files that are replaced, brokers that have gone deaf."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from edge.keeping.disk import Disk
from edge.link.uplink import Uplink
from edge.report import Urgency
from messages.broker import Broker
from messages.bus import Bus
from messages.topics import ALL_READINGS
from tests import services
from tests.integration.test_edge_uplink import ANNOUNCED, EDGE, LIMIT_S, NOW_MS, SITE, Collector, Edge, collector, some
from tests.services import Certificates, MqttBroker

pytestmark = pytest.mark.needs("mosquitto", "openssl")


@asynccontextmanager
async def edge(settings: Broker, folder: Path) -> AsyncIterator[Edge]:
    async with Disk(folder, EDGE, 1 << 24, lambda: NOW_MS) as disk:
        uplink = Uplink(
            SITE, EDGE, settings, ANNOUNCED, disk, lambda order: None, clock_ms=lambda: NOW_MS, software="gridcall test"
        )
        task = asyncio.create_task(uplink.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                yield Edge(disk, uplink)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def ours(tmp_path: Path) -> Certificates:
    return services.certificates(tmp_path / "ours")


def secure(broker: MqttBroker, ours: Certificates, user: str) -> Broker:
    """`user` with a certificate, and without name and password."""
    cert, key = ours.client_named(user)
    return Broker(port=broker.port, ca_file=ours.authority, cert_file=cert, key_file=key)


async def test_a_client_certificate_is_who_the_edge_is(tmp_path: Path, ours: Certificates) -> None:
    with services.mosquitto(tmp_path / "broker", tls=ours, client_certificate=True, identity=True) as broker:
        heard = Bus(secure(broker, ours, "collector"), "test-collector", subscribe=[ALL_READINGS])
        async with heard, edge(secure(broker, ours, f"{SITE}/{EDGE}"), tmp_path / "edge") as sending:
            await heard.up()
            await sending.add(some(1.0))
            reading = Collector(heard)
            pack = await reading.pack()
            await reading.say(pack, stored=[(1, 1)])
            assert await sending.until(lambda found: found[2] == 0) == (1, 1, 0, 0)


async def test_a_certificate_of_another_edge_may_not_speak_for_this_one(tmp_path: Path, ours: Certificates) -> None:
    with (
        services.mosquitto(tmp_path / "broker", tls=ours, client_certificate=True, identity=True) as broker,
        structlog.testing.capture_logs() as said,
    ):
        async with edge(secure(broker, ours, f"{SITE}/pi-2"), tmp_path / "edge") as sending:
            await sending.add(some(1.0))
            while not any("refuses" in entry["event"] or "refuses" in str(entry.get("why")) for entry in said):
                await asyncio.sleep(0.01)
            assert await sending.ledger() == (1, 0, 1, 0)


async def test_a_certificate_that_is_replaced_on_disk_is_used_without_a_restart(
    tmp_path: Path, ours: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.link.renewal.FILES_EVERY_S", 0.05)
    renewed = services.certificates(tmp_path / "renewed")
    with services.mosquitto(tmp_path / "broker", tls=ours, client_certificate=True, identity=True) as broker:
        settings = secure(broker, ours, f"{SITE}/{EDGE}")
        assert settings.cert_file
        assert settings.key_file
        good = settings.cert_file.read_bytes()
        with structlog.testing.capture_logs() as said:
            async with edge(settings, tmp_path / "edge") as sending:
                await until_said(said, "broker is there", times=1)
                stream = sending.disk.stream
                other_cert, other_key = renewed.client_named("stranger")
                shutil.copy(other_cert, settings.cert_file)  # the key does not fit yet
                await until_said(said, "new certificate or password can't be used yet", times=1)
                assert sending._uplink._bus.connected
                shutil.copy(other_key, settings.key_file)  # whole, and of an authority that the broker doesn't know
                await until_said(said, "link lost", times=1)
                await sending.add(some(1.0))
                cert, key = ours.client_named(f"{SITE}/{EDGE}")  # in the same files, a new one
                assert (cert, key) == (settings.cert_file, settings.key_file)
                assert cert.read_bytes() != good
                await until_said(said, "broker is there", times=2)
                while sending.sent < 1:
                    await asyncio.sleep(0.01)
                assert sending.disk.stream == stream
                assert await sending.ledger() == (1, 0, 1, 0)


async def test_a_password_that_is_replaced_on_disk_is_used_without_a_restart(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.link.renewal.FILES_EVERY_S", 0.05)
    password = tmp_path / "password"
    password.write_text(services.PASSWORD)
    settings = Broker(port=mosquitto.port, username=f"{SITE}/{EDGE}", password_file=password)
    with structlog.testing.capture_logs() as said:
        async with edge(settings, tmp_path / "edge"):
            await until_said(said, "broker is there", times=1)
            password.write_text("wrong\n")
            await until_said(said, "broker is away", times=1)
            fresh = tmp_path / "fresh"
            fresh.write_text(services.PASSWORD + "\n")
            os.replace(fresh, password)
            await until_said(said, "broker is there", times=2)


async def until_said(said: Sequence[Mapping[str, Any]], event: str, *, times: int) -> None:
    while [entry["event"] for entry in said].count(event) < times:
        await asyncio.sleep(0.01)


PUBLISH, PUBACK = 3, 4


class Relay:
    """Between an edge and its broker. Of what the broker says it swallows the kinds of packets that it is told to."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self.swallows: set[int] = set()
        self.swallowed = self.links = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(reader, up_writer))
                both.create_task(self._down(up_reader, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            up_writer.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        raise ConnectionResetError

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            packet = await reader.readexactly(1)
            length = shift = 0
            while True:
                digit = await reader.readexactly(1)
                packet += digit
                length |= (digit[0] & 0x7F) << shift
                shift += 7
                if digit[0] < 0x80:
                    break
            packet += await reader.readexactly(length)
            if packet[0] >> 4 in self.swallows:
                self.swallowed += 1
            else:
                writer.write(packet)


@pytest.mark.parametrize(
    ("kind", "limit", "why"),
    [
        (PUBACK, "DEAF_S", "the broker has answered nothing for 0 s"),
        (PUBLISH, "FIRST_PATIENCE_S", "no receipt for"),
    ],
    ids=["answers nothing but pings", "takes everything and passes nothing on"],
)
async def test_a_broker_that_has_gone_deaf_is_left_and_found_again(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, limit: str, why: str
) -> None:
    monkeypatch.setattr(f"edge.link.watchdog.{limit}", 0.2)
    relay = Relay(mosquitto.port)
    with structlog.testing.capture_logs() as said:
        async with relay.listening() as port, collector(mosquitto) as heard:
            settings = mosquitto.settings(f"{SITE}/{EDGE}").model_copy(update={"port": port})
            async with edge(settings, tmp_path / "edge") as sending:
                await until_said(said, "broker is there", times=2)
                relay.swallows.add(kind)
                await sending.add(some(1.0))
                pack = await heard.pack()
                await heard.say(pack, stored=[(1, 1)])
                await until_said(said, "link lost", times=1)
                assert relay.swallowed > 0
                assert await sending.ledger() == (1, 0, 1, 0) or kind == PUBACK
                relay.swallows.clear()
                await sending.until(lambda found: found[2] == 0)
                await until_said(said, "broker is there", times=3)
                assert relay.links == 2
    lost = [str(entry["why"]) for entry in said if entry["event"] == "link lost"]
    assert lost[0].startswith(why)


async def test_an_alarm_waits_for_no_answer_to_the_announcements(mosquitto: MqttBroker, tmp_path: Path) -> None:
    relay = Relay(mosquitto.port)
    relay.swallows.add(PUBACK)
    async with relay.listening() as port, collector(mosquitto) as heard:
        settings = mosquitto.settings(f"{SITE}/{EDGE}").model_copy(update={"port": port})
        async with edge(settings, tmp_path / "edge") as sending:
            await sending.add(some(1.0, Urgency.ALARM))
            await heard.pack()
            assert heard.leaves == ["devices", "devices", "status", "readings"]
