"""Messages and timers in one loop: who comes first, while messages keep coming. By a clock that each batch moves on."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from messages import announcement, pack, topics
from messages.broker import Broker
from messages.bus import Bus, Incoming
from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Reading, Value
from rules.engine import order, overdue
from rules.engine.work import Work
from rules.language.library import load_file
from rules.shell import listener
from rules.shell.listener import MESSAGES_AT_ONCE, Listener
from rules.shell.settling import SETTLE_MS
from tests.rules.course import KINDS, T0
from tests.rules.room import EDGE, SITE, Room, announced

OTHER = EdgeId("pi-2")
BATCH_MS = 50
RULE = """[rules.open]
level = "red"
title = { zh = "门开", en = "Open" }
raise = "door_open"
raise_delay = "10s"
clear = "not door_open"
"""


class Stream(Bus):
    """A bus without a broker: `before_each` says what arrives before each batch is taken."""

    before_each: Callable[[], None]

    async def up(self, after: int = 0) -> int:
        return after + 1

    async def some(self, most: int, *, most_bytes: int | None = None) -> list[Incoming]:
        self.before_each()
        return await super().some(most, most_bytes=most_bytes)

    def arrive(self, topic: str, payload: bytes) -> None:
        self._receive(Incoming(topic, payload, False, lambda: None))


class Plant:
    """A listener over a real database; each batch takes BATCH_MS."""

    def __init__(self, folder: Path, now_ms: int = T0) -> None:
        (folder / "door_access.toml").write_text(RULE, encoding="utf-8")
        self.room = Room(folder, known={"door_access": load_file(folder / "door_access.toml", KINDS)})
        self.now_ms = now_ms
        self.numbers = iter(range(1, 1_000_000))
        self.heard: list[tuple[int, int]] = []
        """When each batch was heard, and how many readings were in it."""
        self.bus = Stream(Broker(host="127.0.0.1", port=1), "rules-1")
        writer: Any = SimpleNamespace(turn=asyncio.Lock(), facts=self.room.facts, work=self._work)
        tenure: Any = SimpleNamespace(mine={SITE}, hear_of=lambda site: True)
        caught_up = asyncio.Event()
        caught_up.set()
        history: Any = SimpleNamespace(caught_up=caught_up, settled=True)
        absent: Any = SimpleNamespace(hears=self._hears)
        self.listener = Listener(self.bus, writer, tenure, history, absent, lambda: self.now_ms)

    async def _hears(self, messages: Sequence[Incoming]) -> Sequence[Incoming]:
        return messages

    async def _work(self, fill: Callable[[Work, int], None]) -> None:
        work = Work(self.room.facts)
        fill(work, self.now_ms)
        self.room.write(work, (self.now_ms - T0) / 1000)
        self.heard.append((self.now_ms, work.readings))
        self.now_ms += BATCH_MS
        await asyncio.sleep(0)

    def announce(self, device: str, edge: EdgeId = EDGE) -> None:
        topic = topics.announcement(SITE, edge, DeviceId(device))
        self.bus.arrive(topic, announcement.encode(announced("door_access")))

    def say(self, device: str, value: Value, edge: EdgeId = EDGE, at_ms: int | None = None) -> None:
        reading = Reading(device=DeviceId(device), channel="door_open", at_ms=at_ms or self.now_ms, value=value)
        payload = pack.encode(edge, StreamId("s-1"), next(self.numbers), [reading])
        self.bus.arrive(topics.readings(SITE, edge), payload)

    async def run(self, before_each: Callable[[], None], until: Callable[[], bool]) -> None:
        self.bus.before_each = before_each
        task = asyncio.create_task(self.listener.run())
        try:
            async with asyncio.timeout(120):
                while not until():
                    await asyncio.sleep(0)
                    if task.done():
                        task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def alarms(self) -> list[str]:
        return [alarm.device for alarm in self.room.desk.alarms(open_only=False)]

    def passed(self, s: float) -> bool:
        return self.now_ms >= T0 + s * 1000


async def test_under_a_stream_that_never_pauses_a_timer_fires_when_what_was_unread_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in (
        "MESSAGES_AT_ONCE",
        "FEWEST_AT_ONCE",
    ):  # the fewest are what a slow write leads to, on a busy machine too
        monkeypatch.setattr(listener, most, 1)  # with each that is taken another one comes: something is always unread
    plant = Plant(tmp_path)
    for device in ("door", "other"):
        plant.announce(device)
    plant.say("door", True)
    plant.say("other", False)

    def stream() -> None:
        assert plant.bus.inbox_bytes, "the stream has paused"
        plant.say("other", False)

    await plant.run(stream, lambda: plant.passed(9.5))
    assert plant.alarms() == []
    fired_at_ms: list[int] = []

    def look() -> bool:
        if plant.alarms():
            fired_at_ms.append(plant.heard[-1][0])
        return bool(fired_at_ms) or plant.passed(20)

    await plant.run(stream, look)
    assert plant.alarms() == ["door"]
    assert fired_at_ms[0] - (T0 + 10_000) <= 6 * BATCH_MS  # five at most are unread at any time


async def test_a_clear_that_lies_unread_when_the_timer_is_due_comes_before_it(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    for device in ("door", "other"):
        plant.announce(device)
    plant.say("door", True)
    came = False

    def stream() -> None:
        nonlocal came
        plant.say("other", False)
        if not came and plant.passed(10):  # all at once, the clear behind more than two batches can take
            came = True
            for _ in range(2 * MESSAGES_AT_ONCE + 1):
                plant.say("other", False)
            plant.say("door", False, at_ms=T0 + 9_900)

    await plant.run(stream, lambda: plant.passed(15))
    assert came
    assert plant.alarms() == []


async def test_an_edge_that_tells_of_the_past_keeps_its_own_timers_for_a_moment_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "PORTION_BYTES", 1)  # a pack each turn
    plant = Plant(tmp_path)
    plant.announce("door")
    for device in ("late", "attic"):
        plant.announce(device, OTHER)
    plant.say("door", True)
    plant.say("late", True, OTHER)
    fired: dict[str, int] = {}

    def stream() -> None:
        plant.say("door", True)
        for _ in range(3 if plant.passed(9) else 0):  # more of yesterday than a turn takes
            plant.say("attic", False, OTHER, at_ms=T0 - 86_400_000)

    def look() -> bool:
        for device in plant.alarms():
            fired.setdefault(device, plant.heard[-1][0] - T0)
        return len(fired) == 2 or plant.passed(20)

    await plant.run(stream, look)
    assert fired["door"] <= 10_000 + 4 * BATCH_MS
    assert 11_000 < fired["late"] <= 11_000 + 4 * BATCH_MS


async def test_after_a_start_timers_wait_until_the_mail_is_read(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.room.announce("door", "door_access")
    plant.room.hear(Reading(device=DeviceId("door"), channel="door_open", at_ms=T0 - 60_000, value=True))
    plant.announce("other")
    await plant.run(lambda: plant.say("other", False), lambda: bool(plant.alarms()) or plant.passed(20))
    assert T0 + SETTLE_MS <= plant.heard[-1][0] <= T0 + SETTLE_MS + 2 * BATCH_MS


async def test_an_edge_whose_clock_is_ahead_does_not_show_that_the_mail_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its packs look as if they had been said after the connect, whenever they were; what ends another device's delay is still on its way."""
    monkeypatch.setattr(listener, "MESSAGES_AT_ONCE", 1)
    monkeypatch.setattr(Stream, "connected", True)
    plant = Plant(tmp_path)
    plant.room.announce("door", "door_access")
    plant.room.hear(Reading(device=DeviceId("door"), channel="door_open", at_ms=T0 - 60_000, value=True))
    plant.announce("other", OTHER)
    turns = 0

    def stream() -> None:
        nonlocal turns
        turns += 1
        plant.say("other", False, OTHER, at_ms=plant.now_ms + 3_600_000)
        if turns == 8:
            plant.say("door", False, at_ms=T0 - 55_000)

    await plant.run(stream, lambda: plant.passed(1.2))
    assert turns > 8
    assert plant.alarms() == []


async def test_what_was_said_after_the_connect_shows_that_the_mail_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stream, "connected", True)
    plant = Plant(tmp_path)
    plant.room.announce("door", "door_access")
    plant.room.hear(Reading(device=DeviceId("door"), channel="door_open", at_ms=T0 - 60_000, value=True))
    plant.announce("other")
    plant.now_ms = T0 + 300
    await plant.run(lambda: plant.say("other", False), lambda: bool(plant.alarms()) or plant.passed(20))
    assert plant.heard[-1][0] <= T0 + 300 + 3 * BATCH_MS


async def test_a_broker_that_is_silent_from_the_connect_on_has_no_mail_and_what_is_overdue_fires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its silence is not counted from some moment later, when it is looked at again."""
    plant = Plant(tmp_path)
    plant.room.announce("door", "door_access")
    plant.room.hear(Reading(device=DeviceId("door"), channel="door_open", at_ms=T0 - 60_000, value=True))

    async def up(self: Stream, after: int = 0) -> int:
        await asyncio.sleep(0.1)
        monkeypatch.setattr(Stream, "connected", True)
        return after + 1

    monkeypatch.setattr(Stream, "up", up)
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    await plant.run(look, lambda: bool(plant.alarms()) or plant.passed(20))
    assert plant.alarms() == ["door"]
    assert looks == 1


@pytest.mark.parametrize("past", [False, True])
async def test_what_was_said_while_nobody_listened_rings_when_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, past: bool
) -> None:
    """`past`: but the edge has still to tell of the past, and what it says now queues behind that."""
    monkeypatch.setattr(Stream, "connected", True)
    monkeypatch.setattr(order, "PORTION_BYTES", 1)
    before = Plant(tmp_path)
    before.announce("door")
    before.announce("other")
    before.say("door", False)
    await before.run(lambda: None, lambda: before.passed(0.1))
    before.room.database.close()
    plant = Plant(tmp_path, T0 + 5_000)
    plant.numbers = before.numbers
    plant.say("door", True, at_ms=T0 + 1_000)
    if past:
        plant.say("other", False, at_ms=T0 - 100_000)
    said = 0

    def stream() -> None:
        nonlocal said
        said += 1
        if past or said > 3:
            plant.say("other", False)

    await plant.run(stream, lambda: bool(plant.alarms()) or plant.passed(20))
    assert plant.alarms() == ["door"]
    due_ms = T0 + (15_000 if past else 11_000)
    assert due_ms <= plant.heard[-1][0] <= due_ms + 4 * BATCH_MS + (overdue.BEHIND_MS if past else 0)


async def overdue_plant(folder: Path, doors: int) -> "Plant":
    """After a start: so many doors were left open long ago."""
    before = Plant(folder)
    for number in range(doors):
        before.announce(f"door-{number}")
        before.say(f"door-{number}", True)
    await before.run(lambda: None, lambda: len(before.room.facts.watches) == doors)
    before.room.database.close()
    return Plant(folder, T0 + 60_000)


@pytest.mark.parametrize(("long_s", "counts"), [(1000.0, {0, 2, 6, 10}), (0.0, {0, 2, 4, 6, 8, 10})])
async def test_works_of_overdue_alarms_grow_as_long_as_they_are_written_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_s: float, counts: set[int]
) -> None:
    """The first ones call at once; behind them each transaction costs as much whatever it holds."""
    monkeypatch.setattr(listener, "FOUND_AT_ONCE", 2)
    monkeypatch.setattr(listener, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(listener, "LONG_S", long_s)
    plant = await overdue_plant(tmp_path, 10)
    seen = set[int]()

    def look() -> None:
        seen.add(len(plant.alarms()))
        plant.say("other", False)

    await plant.run(look, lambda: 10 in seen)
    assert seen == counts


async def test_it_is_late_until_everything_that_was_overdue_at_the_start_has_fired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not urgent waits for that: open alarms are said again, and looked at, behind what should have been called long ago."""
    monkeypatch.setattr(listener, "FOUND_AT_ONCE", 2)
    monkeypatch.setattr(listener, "MOST_AT_ONCE", 2)
    plant = await overdue_plant(tmp_path, 5)
    late_with = list[tuple[int, bool]]()

    def look() -> None:
        late_with.append((len(plant.alarms()), plant.listener.late))
        plant.say("other", False)

    await plant.run(look, lambda: late_with[-1:] == [(5, False)])
    assert {alarms for alarms, late in late_with if late} == {0, 2, 4}
    assert {alarms for alarms, late in late_with if not late} == {5}
