"""When the collector acknowledges to the broker: after the receipt is out, or can never go out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.intake.desk import Desk
from collector.intake.devices import Devices
from collector.quarantine.kept import Quarantine
from collector.service import SUBSCRIBE, Service
from collector.stores.sqlite import SqliteStore
from messages.bus import Bus
from tests import services
from tests.collector.block import EDGE, GAS, KINDS, SITE, announcement, packed, reading
from tests.collector.running import an_edge, until

pytestmark = pytest.mark.needs("mosquitto")
NOW_MS = time.time_ns() // 1_000_000
CLIENT = "gridcall-collector-1"


@contextlib.asynccontextmanager
async def serving(folder: Path, broker: services.MqttBroker, outbox: Bus) -> AsyncIterator[None]:
    """A collector in this process, whose receipts go out by `outbox`."""
    desk = Desk(
        store=SqliteStore(folder / "history.db"),
        quarantine=Quarantine(folder / "quarantine.db"),
        devices=Devices(folder / "devices.db"),
        kinds=KINDS,
    )
    desk.open()
    async with Bus(broker.settings("collector"), CLIENT, subscribe=SUBSCRIBE) as inbox, outbox:
        await inbox.up()
        running = asyncio.create_task(Service(inbox, outbox, desk, clock_ms=lambda: NOW_MS).run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def until_stored(folder: Path, many: int) -> None:
    history = SqliteStore(folder / "history.db")
    await until(lambda: len(history.readings(SITE, EDGE, 0, 2 * NOW_MS)) == many)
    history.close()


async def first_repeated(broker: services.MqttBroker) -> bytes:
    """What the broker still holds for the collector, the oldest first."""
    async with Bus(broker.settings("collector"), CLIENT, subscribe=SUBSCRIBE) as again, asyncio.timeout(10):
        async for message in again.messages():
            if message.topic.endswith("/readings"):
                return message.payload
    raise AssertionError("messages() ended")


async def test_a_stored_pack_whose_receipt_did_not_go_out_is_not_acknowledged(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    nowhere = Bus(mosquitto.settings("collector", port=services.free_port()), f"{CLIENT}-receipts")
    async with an_edge(mosquitto, EDGE) as edge:
        await edge.announce(GAS, announcement("gas_alarm"))
        async with serving(tmp_path, mosquitto, nowhere):
            await edge.send(1, reading(at_ms=NOW_MS))
            await until_stored(tmp_path, 1)
        assert edge.fates == {}
        assert await first_repeated(mosquitto) == packed(reading(at_ms=NOW_MS), number=1)


async def test_a_receipt_that_the_broker_refuses_is_said_once_and_holds_nobody_up(
    tmp_path: Path, mosquitto: services.MqttBroker
) -> None:
    not_allowed = Bus(mosquitto.settings("rules"), f"{CLIENT}-receipts")
    with capture_logs() as said:
        async with an_edge(mosquitto, EDGE) as edge:
            await edge.announce(GAS, announcement("gas_alarm"))
            async with serving(tmp_path, mosquitto, not_allowed):
                for number in (1, 2, 3):
                    await edge.send(number, reading(at_ms=NOW_MS + number))
                    await until_stored(tmp_path, number)
                await until(lambda: any(line["event"] == "receipt refused" for line in said))
            await edge.send(4, reading(at_ms=NOW_MS + 4))
            repeated = await first_repeated(mosquitto)
    assert repeated != packed(reading(at_ms=NOW_MS + 1), number=1)
    assert [line["topic"] for line in said if line["event"] == "receipt refused"] == ["gridcall/1/junmen/pi-1/receipts"]
