"""The edge's uplink through a real Mosquitto, with a collector of a few lines that receipts what it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from edge.keeping.disk import Disk
from edge.link.uplink import Uplink
from edge.link.window import ROOM, Lane
from edge.report import Reported, Urgency
from messages import receipt, status, topics
from messages.announcement import Announcement, Place
from messages.bus import Bus
from messages.ids import DeviceId, EdgeId, SiteId
from messages.pack import Pack, decode
from messages.ranges import Range, ranges
from messages.reading import Quality, Reading, Value
from messages.receipt import Receipt, Rejected
from messages.status import EdgeStatus
from tests.edge.test_disk import files_no_longer_than
from tests.services import MqttBroker

SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
NOW_MS = 1_763_700_000_000
LIMIT_S = 90.0
ANNOUNCED = {
    DeviceId(name): Announcement(kind="gas_alarm", model="m", place=Place(grid="grid-1", text=""))
    for name in ("gas-1", "gas-2")
}

pytestmark = pytest.mark.needs("mosquitto")


def some(value: float, urgency: Urgency = Urgency.PERIODIC, count: int = 1) -> list[Reported]:
    readings = [Reading(device=DeviceId("gas-1"), channel="c", at_ms=NOW_MS + at, value=value) for at in range(count)]
    return [Reported(reading, urgency) for reading in readings]


class Collector:
    """Hears all that an edge says; receipts only when it is told to."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.leaves: list[str] = []
        self.statuses: list[EdgeStatus] = []
        self.latest: dict[tuple[DeviceId, str], Value] = {}
        """Of each channel."""

    async def pack(self) -> Pack:
        """The next pack; what comes before it is noted."""
        async for message in self._bus.messages():
            message.ack()
            origin = topics.origin(message.topic)
            assert origin
            self.leaves.append(origin.leaf)
            if origin.leaf == "readings":
                found = decode(message.payload)
                self.latest |= {(reading.device, reading.channel): reading.value for reading in found.readings}
                return found
            if origin.leaf == "status":
                self.statuses.append(status.decode(message.payload))
        raise AssertionError

    async def status_until(self, wanted: Callable[[EdgeStatus], bool]) -> EdgeStatus:
        while not (self.statuses and wanted(self.statuses[-1])):
            async for message in self._bus.messages():
                message.ack()
                if message.topic == topics.status(SITE, EDGE):
                    self.statuses.append(status.decode(message.payload))
                    break
        return self.statuses[-1]

    async def say(self, pack: Pack, stored: list[Range] | None = None, rejected: list[Rejected] | None = None) -> None:
        assert pack.stream
        said = Receipt(stream=pack.stream, stored=stored or [], rejected=rejected or [])
        await self._bus.publish(topics.receipts(SITE, EDGE), receipt.encode(said))


@asynccontextmanager
async def collector(broker: MqttBroker) -> AsyncIterator[Collector]:
    heard = [topics.ALL_READINGS, topics.ALL_STATUS, topics.ALL_DEVICES]
    async with Bus(broker.settings("collector"), "test-collector", subscribe=heard) as bus, asyncio.timeout(LIMIT_S):
        await bus.up()
        yield Collector(bus)


class Edge:
    """An outbox and its uplink."""

    def __init__(self, disk: Disk, uplink: Uplink) -> None:
        self.disk = disk
        self._uplink = uplink

    async def add(self, reported: list[Reported]) -> None:
        await self.disk.add(reported)
        self._uplink.woken()

    def cry(self, reported: list[Reported]) -> None:
        self._uplink.cry([each.reading for each in reported])

    @property
    def sent(self) -> int:
        return len(self._uplink._window.keys)

    async def until(self, wanted: Callable[[tuple[int, int, int, int]], bool]) -> tuple[int, int, int, int]:
        """The ledger (produced, receipted, pending, dropped) once it is as wanted."""
        while not wanted(found := await self.ledger()):
            await asyncio.sleep(0.01)
        return found

    async def ledger(self) -> tuple[int, int, int, int]:
        figures = (await self.disk.ledger()).figures
        return figures.produced, figures.receipted, figures.pending, figures.dropped


@asynccontextmanager
async def edge(
    broker: MqttBroker, folder: Path, *, true_ms: Callable[[], int | None] = lambda: 0
) -> AsyncIterator[Edge]:
    async with Disk(folder, EDGE, 1 << 24, lambda: NOW_MS, true_ms=true_ms) as disk:
        uplink = Uplink(
            SITE,
            EDGE,
            broker.settings("junmen/pi-1"),
            ANNOUNCED,
            disk,
            lambda message: message.ack(),
            clock_ms=lambda: NOW_MS,
            clock_trusted=lambda: true_ms() is not None,
            software="gridcall test",
        )
        task = asyncio.create_task(uplink.run())
        try:
            yield Edge(disk, uplink)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_announcements_and_status_come_before_the_first_pack(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        await sending.add(some(1.0))
        pack = await heard.pack()
        assert heard.leaves == ["devices", "devices", "status", "readings"]
        (said,) = heard.statuses
        assert (said.online, said.stream, said.software) == (True, pack.stream, "gridcall test")
        assert said.outbox is not None


async def test_a_receipt_empties_the_outbox_and_nothing_else_does(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        for value in (1.0, 2.0, 3.0):
            await sending.add(some(value))
        packs = [await heard.pack() for _ in range(3)]
        assert [pack.readings[0].value for pack in packs] == [1.0, 2.0, 3.0]
        assert await sending.ledger() == (3, 0, 3, 0)
        await heard.say(packs[0], stored=[(1, 1), (3, 3)])
        assert await sending.until(lambda found: found[1] > 0) == (3, 2, 1, 0)
        await heard.say(packs[0], rejected=[Rejected(first=2, last=2, reason="wrong-unit")])
        assert await sending.until(lambda found: found[2] == 0) == (3, 3, 0, 0)
        assert (await sending.disk.ledger()).figures.rejected_for == {"wrong-unit": 1}


async def test_rejected_packs_are_said_once_for_each_reason_until_packs_are_taken_again(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as said:
        async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
            for value in range(5):
                await sending.add(some(float(value)))
            first, *_ = [await heard.pack() for _ in range(5)]
            for number in (1, 2, 3):
                await heard.say(first, rejected=[Rejected(first=number, last=number, reason="in-the-future")])
            await heard.say(first, stored=[(4, 4)])
            await heard.say(first, rejected=[Rejected(first=5, last=5, reason="in-the-future")])
            await sending.until(lambda found: found[2] == 0)
    words = [entry["event"] for entry in said if entry["event"].startswith("collector")]
    assert words == ["collector rejects packs", "collector takes packs again", "collector rejects packs"]


async def test_a_pack_without_receipt_is_sent_again_byte_for_byte(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.link.window.FIRST_REPEAT_S", 0.1)
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        await sending.add(some(1.0))
        first = await heard.pack()
        assert await heard.pack() == first
        await heard.say(first, stored=[(1, 1)])
        await sending.until(lambda found: found[2] == 0)


async def test_a_receipt_of_a_stranger_and_one_that_is_none_change_nothing(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        await sending.add(some(1.0))
        pack = await heard.pack()
        await heard._bus.publish(topics.receipts(SITE, EDGE), b"no receipt")
        await heard._bus.publish(topics.receipts(SITE, EDGE), b'{"stream": "another", "stored": [[1, 9]]}')
        await sending.add(some(2.0))
        await heard.pack()
        await heard.say(pack, stored=[(2, 2)])
        assert await sending.until(lambda found: found[1] > 0) == (2, 1, 1, 0)


async def test_after_an_outage_everything_arrives_and_fresh_alarms_arrive_first(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    async with edge(mosquitto, tmp_path) as sending:
        async with collector(mosquitto) as heard:
            await sending.add(some(0.0))
            await heard.pack()
        mosquitto.kill()
        for number in range(40):
            await sending.disk.add(some(float(number)))
        await sending.add(some(99.0, Urgency.ALARM))
        mosquitto.start()
        async with collector(mosquitto) as heard:
            packs = [await heard.pack()]
            while len({pack.number for pack in packs}) < 42:
                packs.append(await heard.pack())
                await heard.say(packs[-1], stored=ranges(pack.number for pack in packs if pack.number))
            # the broker may have kept the very first pack for the collector; it was never sent again before the alarm
            assert next(pack.number for pack in packs if pack.number != 1) == 42
            assert await sending.until(lambda found: found[2] == 0) == (42, 42, 0, 0)


async def test_a_link_that_returns_brings_again_what_had_no_receipt(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.link.window.FIRST_REPEAT_S", 1000)  # by itself it would not be sent again
    async with edge(mosquitto, tmp_path) as sending:
        async with collector(mosquitto) as heard:
            await sending.add(some(1.0))
            first = await heard.pack()
        mosquitto.kill()
        for kept in mosquitto.log.parent.glob("mosquitto.db*"):
            kept.unlink()  # a broker that forgets its queue
        mosquitto.start()
        async with collector(mosquitto) as heard:
            assert await heard.pack() == first


async def test_the_backlog_stays_bounded_and_lets_the_living_pass(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with Disk(tmp_path, EDGE, 1 << 24, lambda: NOW_MS) as before:
        for _ in range(60):
            await before.add(some(0.0, count=100))
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        backlog = [await heard.pack() for _ in range(ROOM[Lane.OLD_PERIODIC])]
        assert [pack.number for pack in backlog] == list(range(1, ROOM[Lane.OLD_PERIODIC] + 1))
        await sending.add(some(1.0))
        await sending.add(some(2.0, Urgency.ALARM))
        live = [await heard.pack() for _ in range(2)]
        assert {pack.readings[0].value for pack in live} == {1.0, 2.0}
        await heard.say(live[0], stored=[(1, 2)])
        while len(backlog) < 60:
            await heard.say(backlog[0], stored=ranges(pack.number for pack in backlog if pack.number))
            backlog.append(await heard.pack())
        await heard.say(backlog[0], stored=[(1, 60)])
        assert await sending.until(lambda found: found[2] == 0) == (6002, 6002, 0, 0)


async def test_no_absence_of_receipts_keeps_a_fresh_alarm_back(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        for number in range(3 * ROOM[Lane.LIVE_ALARM]):
            await sending.add(some(float(number), Urgency.ALARM))
            assert (await heard.pack()).readings[0].value == number


async def test_what_an_earlier_run_left_drains_under_its_own_stream(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with Disk(tmp_path, EDGE, 1 << 24, lambda: NOW_MS) as before:
        await before.add(some(1.0))
        stream = before.stream
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
        old = await heard.pack()
        await sending.add(some(2.0))
        new = await heard.pack()
        assert (old.stream, old.number, new.number) == (stream, 1, 1)
        assert new.stream == heard.statuses[-1].stream != stream
        await heard.say(old, stored=[(1, 1)])
        assert await sending.until(lambda found: found[1] > 0) == (2, 1, 1, 0)
        await heard.say(new, stored=[(1, 1)])
        assert await sending.until(lambda found: found[2] == 0) == (2, 2, 0, 0)


async def test_a_cried_alarm_leaves_without_number_and_though_nothing_can_be_kept(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    with files_no_longer_than(0), structlog.testing.capture_logs():
        async with edge(mosquitto, tmp_path) as sending:
            sending.cry(some(28.0, Urgency.ALARM))  # before there is a broker to hear it
            async with collector(mosquitto) as heard:
                sending.cry(some(29.0, Urgency.ALARM))
                packs = [await heard.pack()]
                while packs[-1].readings[-1].value != 29.0:
                    packs.append(await heard.pack())
                assert {pack.number for pack in packs} == {None}
                await heard.status_until(lambda said: said.online and said.stream is None)


async def test_a_broker_that_refuses_is_said_once_and_packs_wait(mosquitto: MqttBroker, tmp_path: Path) -> None:
    access = mosquitto.log.parent / "acl"
    access.write_text("user nobody\ntopic read nothing\n")
    mosquitto.stop()
    mosquitto.start()
    with structlog.testing.capture_logs() as said:
        async with edge(mosquitto, tmp_path) as sending, asyncio.timeout(LIMIT_S):
            for value in (1.0, 2.0):
                await sending.add(some(value))
            while sending.sent < 2:
                await asyncio.sleep(0.01)
            assert await sending.ledger() == (2, 0, 2, 0)
    assert [entry["event"] for entry in said if "refuses" in entry["event"]] == [
        "broker refuses a message; are its access rules right?"
    ]


async def test_who_stops_on_purpose_says_goodbye(mosquitto: MqttBroker, tmp_path: Path) -> None:
    async with collector(mosquitto) as heard:
        async with edge(mosquitto, tmp_path) as sending:
            await sending.add(some(1.0))
            pack = await heard.pack()
        said = await heard.status_until(lambda status: not status.online)
        assert said.stream == pack.stream
        assert said.packs == 1


GUESS_MS = NOW_MS - 3_600_000


def guessed(value: float, urgency: Urgency = Urgency.PERIODIC) -> list[Reported]:
    """As a clock stamps it that has been an hour slow since the boot, at 0 ms."""
    reading = Reading(device=DeviceId("gas-1"), channel="c", at_ms=GUESS_MS, value=value)
    return [Reported(reading, urgency, GUESS_MS)]


async def test_before_the_time_is_known_alarms_leave_marked_and_the_others_wait_for_it(
    mosquitto: MqttBroker, tmp_path: Path
) -> None:
    true_ms: list[int | None] = [None]
    async with (
        collector(mosquitto) as heard,
        edge(mosquitto, tmp_path, true_ms=lambda: true_ms[-1]) as sending,
    ):
        await sending.add(guessed(1.0))
        await sending.add(guessed(2.0, Urgency.ALARM))
        first = await heard.pack()
        assert (first.number, first.clock_trusted, first.readings[0].quality) == (2, False, Quality.UNCERTAIN)
        assert heard.statuses[-1].clock_trusted is False
        true_ms.append(NOW_MS)
        await sending.disk.correct()
        await sending.add(some(3.0))
        packs = [await heard.pack(), await heard.pack()]
        assert [(pack.number, pack.clock_trusted) for pack in packs] == [(1, True), (3, True)]
        assert packs[0].readings[0].at_ms == NOW_MS


async def test_where_no_time_server_answers_the_others_leave_marked_too(
    mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.link.uplink.HOLD_S", 0.1)
    async with collector(mosquitto) as heard, edge(mosquitto, tmp_path, true_ms=lambda: None) as sending:
        await sending.add(guessed(1.0))
        pack = await heard.pack()
        assert (pack.clock_trusted, pack.readings[0].at_ms) == (False, GUESS_MS)


async def test_the_status_names_damaged_files_and_the_reasons_for_drops(mosquitto: MqttBroker, tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"no database" * 100)
    with structlog.testing.capture_logs():
        async with collector(mosquitto) as heard, edge(mosquitto, tmp_path) as sending:
            await sending.disk.add(some(1.0), lost=3)
            said = await heard.status_until(lambda status: status.online)
            assert said.set_aside == [f"outbox.sqlite.damaged-{NOW_MS}"]
        said = await last_status(mosquitto)
        assert said.outbox
        assert (said.outbox.dropped, said.outbox.dropped_for) == (3, {"disk-refused": 3})


async def last_status(broker: MqttBroker) -> EdgeStatus:
    """What the broker keeps for those who come later."""
    async with collector(broker) as late:
        return await late.status_until(lambda status: True)
