"""What other systems are told of alarms, over a real broker, from a real database."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from messages.bus import Bus
from rules.alarms import recital
from rules.alarms.publisher import Publisher
from rules.store import database
from rules.store.clerk import Clerk
from tests import services
from tests.rules.course import reading
from tests.rules.room import Room

ALARMS = 7


@contextlib.asynccontextmanager
async def told(room: Room, broker: services.MqttBroker, *, late: list[bool]) -> AsyncIterator[Bus]:
    """Another system, while the engine's publisher runs and `late[0]`: something overdue has still to fire."""
    clerk = Clerk("rules-database")
    listener = Bus(broker.settings("local"), "another-system", subscribe=["gridcall/1/+/alarms/+"])
    async with listener, Bus(broker.settings("rules"), "rules-1") as bus:
        await listener.up()
        publisher = Publisher(bus, room.database, clerk, lambda: True, lambda: late[0])
        task = asyncio.create_task(publisher.run())
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            clerk.close()


async def _next(listener: Bus) -> str:
    async with asyncio.timeout(20):
        (message,) = await listener.some(1)
        return str(json.loads(message.payload)["device"])


def _raised(folder: Path) -> Room:
    """Alarms of which the log says nothing that was not told."""
    room = Room(folder)
    for number in range(ALARMS):
        room.announce(f"gas-{number}", "gas_alarm")
        room.hear(reading(number, "gas_concentration", 30.0, device=f"gas-{number}"))
    database.set_counter(room.database, "published", room.desk.log_after(0, 10_000)[-1].seq)
    return room


async def test_a_broker_that_forgot_is_told_of_every_open_alarm_though_they_are_more_than_a_portion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recital, "PORTION", 2)
    room = _raised(tmp_path)
    with services.iotcore(tmp_path / "broker") as broker:
        async with told(room, broker, late=[False]) as listener:
            assert [await _next(listener) for _ in range(ALARMS)] == [f"gas-{number}" for number in range(ALARMS)]
    room.database.close()


async def test_while_something_overdue_has_still_to_fire_only_news_is_told(tmp_path: Path) -> None:
    room = _raised(tmp_path)
    late = [True]
    with services.iotcore(tmp_path / "broker") as broker:
        async with told(room, broker, late=late) as listener:
            room.announce("gas-new", "gas_alarm")
            room.hear(reading(100, "gas_concentration", 30.0, device="gas-new"))
            assert await _next(listener) == "gas-new"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.2):
                    await listener.some(1)
            late[0] = False
            assert {await _next(listener) for _ in range(ALARMS)} >= {f"gas-{number}" for number in range(ALARMS)}
    room.database.close()
