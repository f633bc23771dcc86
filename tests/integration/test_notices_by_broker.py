"""Calls by MQTT: a broker that is away, one that doesn't answer, or that knows nobody who listens, ends nothing and has handed nothing over."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from messages import topics
from messages.broker import Broker
from messages.bus import Bus
from messages.ids import SiteId
from rules.escalation import timers
from rules.notices.channels.base import Message, Outcome, Taken
from rules.notices.sender import Sender
from tests import services
from tests.rules.course import at
from tests.rules.test_telling import PEOPLE, Street, way

LIMIT_S = 15


class Taking:
    def __init__(self) -> None:
        self.people: list[str] = []

    def send(self, message: Message, _to: str) -> Outcome:
        self.people.append(message.person)
        return Taken()


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """Lin is told by MQTT, and by SMS if that won't do."""
    street = Street(tmp_path)
    (tmp_path / "sites" / "junmen.toml").write_text(PEOPLE.replace("app:LinXiaoMei", "mqtt:lin"), encoding="utf-8")
    street.roll.folder.look()
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    return street


async def told(street: Street, bus: Bus, done: Callable[[Taking], bool]) -> None:
    """The sender runs until it is done, within F6's 15 s."""
    sms, clock_s = Taking(), asyncio.get_running_loop().time
    began_s = clock_s()

    def clock_ms() -> int:
        return at(clock_s() - began_s)

    ways = {"mqtt": way("mqtt"), "sms": replace(way("sms"), channel=sms)}
    sender = Sender(bus, street.room.database, ways, street.roll.find, street.practice, clock_ms)
    running = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not done(sms) and not running.done():
                await asyncio.sleep(0.02)
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_broker_that_is_away_ends_no_call_and_red_goes_by_the_next_channel(street: Street) -> None:
    async with Bus(Broker(port=services.free_port()), "rules") as bus:
        await told(street, bus, lambda sms: {"lin", "chen"} <= set(sms.people))


@pytest.mark.needs("mosquitto")
async def test_what_nobody_listens_to_is_not_handed_over_and_red_goes_by_the_next_channel(
    street: Street, tmp_path: Path
) -> None:
    with services.mosquitto(tmp_path / "broker") as broker:
        async with Bus(broker.settings("rules"), "rules") as bus:
            await bus.up()
            await told(street, bus, lambda sms: "lin" in sms.people)


@pytest.mark.needs("mosquitto")
async def test_what_somebody_listens_to_is_handed_over(street: Street, tmp_path: Path) -> None:
    with services.mosquitto(tmp_path / "broker") as broker:
        with (tmp_path / "broker" / "acl").open("a") as access:  # nobody may read them unless a site says so
            access.write("\nuser devices\ntopic read gridcall/1/+/notices/+\n")
        assert broker.process
        broker.process.send_signal(signal.SIGHUP)
        topic = topics.notice(SiteId("junmen"), "lin")
        async with (
            Bus(broker.settings("rules"), "rules") as bus,
            Bus(broker.settings("devices"), "phone", subscribe=[topic]) as phone,
            asyncio.timeout(LIMIT_S),
        ):
            await bus.up()
            await phone.up()
            await told(street, bus, lambda _: street.states()["lin/new"] == "handed_over")
            (message,) = await phone.some(1)
            assert message.topic == topic


@pytest.mark.needs("mosquitto")
async def test_a_broker_that_does_not_answer_holds_red_no_longer_than_any_channel(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rules.notices.sender.ANSWER_S", 0.2)
    with services.mosquitto(tmp_path / "broker") as broker:
        async with Bus(broker.settings("rules"), "rules") as bus:
            await bus.up()
            assert broker.process
            os.kill(broker.process.pid, signal.SIGSTOP)
            try:
                await told(street, bus, lambda sms: "lin" in sms.people)
            finally:
                os.kill(broker.process.pid, signal.SIGCONT)
