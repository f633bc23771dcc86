"""Commands through a real Mosquitto to a device, and back as results; and what a kill, a full disk and a double delivery do."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from edge.acting.book import FILE, INTERRUPTED, Book
from edge.acting.hand import Hand
from edge.acting.orders import Orders
from edge.acting.reflex import Deed, Reflex
from edge.acting.reflexes import Reflexes
from edge.agent import lasting
from edge.configuration.config import Device
from edge.keeping.disk import Disk
from edge.link.uplink import Uplink
from edge.models.base import Product
from edge.sources.source import CannotAct
from edge.vitals import Vitals
from messages import command as commands
from messages import topics
from messages.announcement import Announcement, Place
from messages.bus import Bus, Incoming
from messages.command import Command, Outcome, Result
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kind, load_kinds
from messages.reading import Reading, Value
from rules.language.library import load_rules
from tests.edge.test_order import KIND, MODEL
from tests.services import MqttBroker

SITE, EDGE, VALVE, GAS = SiteId("junmen"), EdgeId("pi-1"), DeviceId("valve-1"), DeviceId("gas-1")
NOW_MS = 1_763_700_000_000
LIMIT_S = 20.0

mosquitto_needed = pytest.mark.needs("mosquitto")


class Valve:
    """A source with one device, which does what it is told, or fails, or takes its time."""

    def __init__(self) -> None:
        self.vitals = Vitals.of("line", [VALVE])
        self.told: asyncio.Queue[tuple[str, Value | None]] = asyncio.Queue()
        self.fails: list[str] = []
        self.free = asyncio.Event()
        self.free.set()

    async def run(self) -> NoReturn:
        raise AssertionError

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        assert device == VALVE
        self.told.put_nowait((command, value))
        await self.free.wait()
        if self.fails:
            raise CannotAct(self.fails.pop(0))


def valve_device(kind: Kind = KIND, model: Product = MODEL) -> Device[Product]:
    announcement = Announcement(kind="valve", model="acme", place=Place(grid="grid-1", text=""))
    return Device(id=VALVE, kind=kind, model=model, announcement=announcement)


class Desk:
    """Whoever gives commands, and hears what became of them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def tell(self, command: Command, device: DeviceId = VALVE) -> None:
        await self._bus.publish(topics.command(SITE, EDGE, device), commands.encode(command))

    async def hear(self) -> Result:
        async for message in self._bus.messages():
            message.ack()
            return commands.decode_result(message.payload)
        raise AssertionError


def close(command_id: str = "c1", *, expires_ms: int = 60_000) -> Command:
    return Command(
        id=command_id, actor="lin", command="close", issued_at_ms=NOW_MS - 1000, expires_at_ms=NOW_MS + expires_ms
    )


@asynccontextmanager
async def plant(broker: MqttBroker, folder: Path, valve: Valve) -> AsyncIterator[Desk]:
    """An edge with one valve, and a desk."""

    def take(message: Incoming) -> None:
        orders.take(message)

    async with (
        asyncio.timeout(LIMIT_S),
        Bus(broker.settings("rules"), "desk", subscribe=[topics.ALL_RESULTS]) as bus,
        Disk(folder, EDGE, 1 << 24, lambda: NOW_MS) as disk,
        Book(folder, lambda: NOW_MS) as book,
    ):
        await bus.up()
        uplink = Uplink(
            SITE, EDGE, broker.settings("junmen/pi-1"), {}, disk, take, clock_ms=lambda: NOW_MS, software="test"
        )
        orders = Orders(SITE, EDGE, Hand([valve_device()], [valve]), book, uplink.say, clock_ms=lambda: NOW_MS)
        running = [asyncio.create_task(uplink.run()), asyncio.create_task(orders.run())]
        await uplink._bus.up()
        try:
            yield Desk(bus)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@mosquitto_needed
async def test_a_command_is_accepted_done_and_done_once(mosquitto: MqttBroker, tmp_path: Path) -> None:
    valve = Valve()
    async with plant(mosquitto, tmp_path, valve) as desk:
        await desk.tell(close())
        assert [(await desk.hear()).outcome for _ in range(2)] == [Outcome.ACCEPTED, Outcome.DONE]
        await desk.tell(close())
        assert (await desk.hear()).outcome is Outcome.DONE
        await desk.tell(close("c2"))
        assert [(await desk.hear()).id for _ in range(2)] == ["c2", "c2"]
    assert [valve.told.get_nowait() for _ in range(2)] == [("close", None)] * 2
    assert valve.told.empty()


@mosquitto_needed
async def test_a_command_that_comes_too_late_or_for_nobody_is_refused(mosquitto: MqttBroker, tmp_path: Path) -> None:
    valve = Valve()
    async with plant(mosquitto, tmp_path, valve) as desk:
        await desk.tell(close(expires_ms=-5000))
        refused = await desk.hear()
        assert (refused.outcome, refused.detail) == (Outcome.REFUSED, "expired 5 s ago")
        await desk.tell(close("c2"), DeviceId("valve-9"))
        assert (await desk.hear()).detail == "no device valve-9 on this edge"
        await desk.tell(close("c3").model_copy(update={"command": "sound", "value": True}))
        assert [(await desk.hear()).outcome for _ in range(2)] == [Outcome.ACCEPTED, Outcome.DONE]
        await desk.tell(close("c3"))
        assert (await desk.hear()).detail == "this id was another command's"
    assert [valve.told.get_nowait()] == [("sound", True)]
    assert valve.told.empty()


@mosquitto_needed
async def test_a_device_that_fails_is_said_and_holds_up_no_receipt(mosquitto: MqttBroker, tmp_path: Path) -> None:
    valve = Valve()
    valve.fails = ["exception 4, slave device failure"]
    async with plant(mosquitto, tmp_path, valve) as desk:
        await desk.tell(close())
        words = [await desk.hear() for _ in range(2)]
    assert (words[1].outcome, words[1].detail) == (Outcome.FAILED, "exception 4, slave device failure")


@mosquitto_needed
async def test_a_kill_in_the_middle_tells_the_device_no_second_time(mosquitto: MqttBroker, tmp_path: Path) -> None:
    valve = Valve()
    valve.free.clear()
    async with plant(mosquitto, tmp_path, valve) as desk:
        await desk.tell(close())
        assert (await desk.hear()).outcome is Outcome.ACCEPTED
        await valve.told.get()
    again = Valve()
    async with plant(mosquitto, tmp_path, again) as desk:
        said = await desk.hear()
        assert (said.outcome, said.detail) == (Outcome.FAILED, INTERRUPTED)
        await desk.tell(close())
        assert (await desk.hear()).outcome is Outcome.FAILED
    assert again.told.empty()


@mosquitto_needed
async def test_without_a_book_a_command_is_refused(mosquitto: MqttBroker, tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    valve = Valve()
    async with plant(mosquitto, tmp_path, valve) as desk:
        await desk.tell(close())
        refused = await desk.hear()
    assert refused.outcome is Outcome.REFUSED
    assert refused.detail.startswith("the edge can't write it down")
    assert valve.told.empty()


async def test_a_damaged_book_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be taken for one" * 100)
    async with Book(tmp_path, lambda: NOW_MS) as book:
        assert await book.do(Book.unsent) == []
    assert [path.name for path in tmp_path.glob("*.damaged-*")] == [f"{FILE}.damaged-{NOW_MS}"]


async def test_a_book_that_is_damaged_later_costs_no_command_and_one_that_was_away_is_opened_again(
    tmp_path: Path,
) -> None:
    command = close()
    word = Result(id=command.id, outcome=Outcome.ACCEPTED, at_ms=NOW_MS, detail="")
    (tmp_path / FILE).mkdir()
    async with Book(tmp_path, lambda: NOW_MS) as book:
        with pytest.raises(sqlite3.OperationalError):
            await book.do(Book.write, VALVE, command, word)
        (tmp_path / FILE).rmdir()
        await book.do(Book.write, VALVE, command, word)
    async with Book(tmp_path, lambda: NOW_MS) as book:
        assert await book.do(Book.entry, command.id)
        with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
            other.execute("INSERT INTO announced VALUES ('a')")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(200)
            file.write(b"\xa5" * (tmp_path / FILE).stat().st_size)
        await book.do(Book.write, VALVE, command, word)
        assert await book.do(Book.entry, command.id)
    assert (tmp_path / f"{FILE}.damaged-{NOW_MS}").exists()


KINDS = load_kinds()
LEAK = next(rule for rule in load_rules(KINDS)["gas_alarm"] if rule.id == "leak")
REFLEX = Reflex(
    id=DeviceId("kitchen"),
    rules={GAS: LEAK},
    raised=(Deed(VALVE, "close"),),
    cleared=(Deed(VALVE, "sound", False),),
)


class Pi:
    """The reflexes of an edge without a network."""

    def __init__(self, reflexes: Reflexes, said: asyncio.Queue[Reading]) -> None:
        self._reflexes = reflexes
        self._said = said

    def gas(self, value: float) -> None:
        self._reflexes.feel([Reading(device=GAS, channel="gas_concentration", at_ms=NOW_MS, value=value)])

    async def until(self, channel: str, value: Value) -> None:
        while True:
            reading = await self._said.get()
            if (reading.channel, reading.value) == (channel, value):
                return


@asynccontextmanager
async def pi(folder: Path, valve: Valve) -> AsyncIterator[Pi]:
    said: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(readings: list[Reading]) -> None:
        for reading in readings:
            said.put_nowait(reading)

    async with asyncio.timeout(LIMIT_S), Book(folder, lambda: NOW_MS) as book:
        hand = Hand([valve_device()], [valve])
        reflexes = Reflexes([REFLEX], hand, book, deliver, clock_ms=lambda: NOW_MS, steady_ms=lambda: 1000)
        await reflexes.remember()
        task = asyncio.create_task(reflexes.run())
        try:
            yield Pi(reflexes, said)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_reflex_acts_without_a_network_and_says_what_it_did(tmp_path: Path) -> None:
    valve = Valve()
    async with pi(tmp_path, valve) as here:
        here.gas(12.0)
        assert await valve.told.get() == ("close", None)
        await here.until("raised", True)
        await here.until("deed", "valve-1: close: done; gas-1: leak, gas_concentration 12.0")


async def test_a_reflex_that_fails_says_so_and_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.acting.reflexes.AGAIN_S", (0.0,))
    valve = Valve()
    valve.fails = ["no answer", "no answer"]
    async with pi(tmp_path, valve) as here:
        here.gas(12.0)
        await here.until("failed", True)
        await here.until("failed", False)
    assert valve.told.qsize() == 3


async def test_a_reflex_acts_where_no_book_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    valve = Valve()
    async with pi(tmp_path, valve) as here:
        here.gas(12.0)
        assert await valve.told.get() == ("close", None)
        await here.until("raised", True)


async def test_what_was_not_confirmed_before_a_kill_is_done_after_it(tmp_path: Path) -> None:
    valve = Valve()
    valve.free.clear()
    async with pi(tmp_path, valve) as here:
        here.gas(12.0)
        await valve.told.get()
        await here.until("raised", True)
        async with Book(tmp_path, lambda: NOW_MS) as book:
            while "kitchen" not in await book.do(Book.reflexes):
                await asyncio.sleep(0)
    again = Valve()
    async with pi(tmp_path, again) as here:
        assert await again.told.get() == ("close", None)
        await here.until("deed", "valve-1: close: done; the edge was restarted")


@asynccontextmanager
async def orders_of(
    book: Book, valve: Valve, said: list[Result], *, now_ms: list[int], trusted: bool = True
) -> AsyncIterator[Orders]:
    """Orders whose results are heard at once."""

    async def say(_topic: str, payload: bytes) -> None:
        said.append(commands.decode_result(payload))

    orders = Orders(
        SITE,
        EDGE,
        Hand([valve_device()], [valve]),
        book,
        say,
        clock_ms=lambda: now_ms[0],
        clock_trusted=lambda: trusted,
    )
    task = asyncio.create_task(orders.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield orders
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def arrived(command: Command) -> Incoming:
    return Incoming(topics.command(SITE, EDGE, VALVE), commands.encode(command), False, lambda: None)


async def heard(said: list[Result], count: int) -> list[tuple[str, Outcome, str]]:
    while len(said) < count:
        await asyncio.sleep(0.01)
    return [(result.id, result.outcome, result.detail) for result in said]


async def test_a_command_that_waits_behind_another_until_it_has_expired_is_not_carried_out(tmp_path: Path) -> None:
    valve, said, now_ms = Valve(), list[Result](), [NOW_MS]
    valve.free.clear()
    async with Book(tmp_path, lambda: NOW_MS) as book, orders_of(book, valve, said, now_ms=now_ms) as orders:
        orders.take(arrived(close("c1", expires_ms=2000)))
        orders.take(arrived(close("c2", expires_ms=2000)))
        await heard(said, 2)
        now_ms[0] += 3000
        valve.free.set()
        found = await heard(said, 4)
    assert found[2:] == [("c1", Outcome.DONE, ""), ("c2", Outcome.FAILED, "expired 1 s ago")]
    assert valve.told.qsize() == 1


async def test_an_edge_that_does_not_know_the_time_carries_nothing_out_that_may_have_expired(tmp_path: Path) -> None:
    valve, said = Valve(), list[Result]()
    async with (
        Book(tmp_path, lambda: NOW_MS) as book,
        orders_of(book, valve, said, now_ms=[NOW_MS], trusted=False) as orders,
    ):
        orders.take(arrived(close()))
        ((_, outcome, why),) = await heard(said, 1)
    assert (outcome, why.startswith("the edge does not know the time yet")) == (Outcome.REFUSED, True)
    assert valve.told.empty()


async def test_a_command_that_a_reload_interrupted_is_said_to_have_failed(tmp_path: Path) -> None:
    valve, said = Valve(), list[Result]()
    valve.free.clear()
    async with Book(tmp_path, lambda: NOW_MS) as book:
        async with orders_of(book, valve, said, now_ms=[NOW_MS]) as orders:
            orders.take(arrived(close()))
            await heard(said, 1)
        async with orders_of(book, valve, said, now_ms=[NOW_MS]):
            found = await heard(said, 2)
    assert found[1][:2] == ("c1", Outcome.FAILED)
    assert "it may have been done" in found[1][2]


async def test_a_command_over_which_we_stumble_has_failed_and_the_next_one_is_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valve, said = Valve(), list[Result]()
    act = valve.act

    async def stumbles(device: DeviceId, command: str, value: Value | None) -> None:
        monkeypatch.setattr(valve, "act", act)
        raise OverflowError("float too large to pack with f format")

    monkeypatch.setattr(valve, "act", stumbles)
    async with Book(tmp_path, lambda: NOW_MS) as book, orders_of(book, valve, said, now_ms=[NOW_MS]) as orders:
        orders.take(arrived(close("c1")))
        await heard(said, 2)
        orders.take(arrived(close("c2")))
        found = await heard(said, 4)
    assert found[1] == ("c1", Outcome.FAILED, "the edge itself fails: OverflowError; it may have been done")
    assert found[3][:2] == ("c2", Outcome.DONE)


async def test_a_command_that_we_can_not_even_judge_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valve, said, acked = Valve(), list[Result](), list[str]()

    def stumbles(*_: object) -> str:
        monkeypatch.undo()
        raise OverflowError("integer division result too large for a float")

    monkeypatch.setattr("edge.acting.order.refusal", stumbles)
    async with Book(tmp_path, lambda: NOW_MS) as book, orders_of(book, valve, said, now_ms=[NOW_MS]) as orders:
        for name in ("c1", "c2"):
            orders.take(arrived(close(name))._replace(ack=partial(acked.append, name)))
        found = await heard(said, 2)
    assert [(name, outcome) for name, outcome, _ in found] == [("c2", Outcome.ACCEPTED), ("c2", Outcome.DONE)]
    assert acked == ["c1", "c2"], "left with the broker it would end every start"


async def test_a_mistake_of_ours_costs_a_line_some_seconds_and_not_the_agent_its_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.agent.AFTER_A_MISTAKE_S", 0.01)
    lives = asyncio.Queue[int]()

    class Stumbling:
        vitals = Vitals.of("line", [])

        async def run(self) -> NoReturn:
            lives.put_nowait(1)
            raise ValueError("could not convert string to float: '+-5'")

        async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
            raise CannotAct("never")

    task = asyncio.create_task(lasting(Stumbling()))
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            await lives.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
