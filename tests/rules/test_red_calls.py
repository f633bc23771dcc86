"""A red alarm keeps calling, whoever can't be reached, and whatever became of its case before."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rules.escalation import timers
from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.notices.sender import Sender
from tests.rules.course import at
from tests.rules.test_telling import Street, way


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def test_one_who_can_not_be_reached_takes_no_call_from_the_others_and_starts_no_storm(street: Street) -> None:
    street.answers = lambda name, _: Failed("no such number", for_good=True) if name == "voice" else Taken()
    street.leak(0)
    street.run(0, 900)
    to_lin = [at_s for at_s, _, to in street.whom() if to in ("LinXiaoMei", "13800000001")]
    assert to_lin == [0, 20, 40, *range(240, 901, 60)]


def test_a_colleague_without_a_phone_takes_no_call_from_the_others(street: Street) -> None:
    street.answers = lambda _, message: Failed("gone", for_good=True) if message.person == "chen" else Taken()
    street.leak(0)
    street.run(0, 59)
    assert [at_s for at_s, _, to in street.whom() if to in ("LinXiaoMei", "13800000001")] == [0, 20, 40]


def test_a_provider_that_blocks_us_for_minutes_sends_red_to_the_next_channel_at_once(street: Street) -> None:
    street.answers = lambda name, _: Failed("429", throttled_s=600.0) if name == "app" else Taken()
    street.leak(0)
    street.run(0, 2)
    to_lin = [(at_s, name) for at_s, name, to in street.whom() if to in ("LinXiaoMei", "13800000001")]
    assert to_lin == [(0, "app"), (1, "sms")]


def test_a_channel_of_which_nothing_is_heard_twice_is_left_for_the_next(street: Street) -> None:
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    tried: list[tuple[float, str]] = []
    for now_s in (0, 15, 30):
        tried += [(now_s, begun.way) for begun in street.take(now_s) if begun.message.person == "lin"]
    assert tried == [(0, "app"), (15, "app"), (30, "sms")]


class Hanging:
    """A provider whose name server never answers."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def send(self, _message: Message, _to: str) -> Outcome:
        self.over.wait(60)
        return Failed("no answer")


class Taking:
    def __init__(self) -> None:
        self.taken: list[str] = []

    def send(self, message: Message, _to: str) -> Outcome:
        self.taken.append(message.case)
        return Taken()


async def test_a_channel_that_hangs_for_ever_holds_up_no_other(street: Street) -> None:
    hanging, taking = Hanging(), Taking()
    ways = {"app": replace(way("app"), channel=hanging), "sms": replace(way("sms"), channel=taking)}
    for index in range(6):
        street.leak(0, f"gas-{index}")
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    bus: Any = None  # no channel here speaks MQTT
    sender = Sender(bus, street.room.database, ways, street.roll.find, street.practice, lambda: at(1))
    running = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(50):
            while len(set(taking.taken)) < 6:
                await asyncio.sleep(0.02)
    finally:
        hanging.over.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_call_on_a_channel_that_hangs_goes_on_by_the_next(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rules.notices.sender.ANSWER_S", 0.2)
    hanging, taking = Hanging(), Taking()
    ways = {"app": replace(way("app"), channel=hanging), "sms": replace(way("sms"), channel=taking)}
    street.leak(0)
    with street.room.database.writing() as connection:
        timers.fire_due(connection, street.practice, at(0))
    now_ms = at(1)

    def clock_ms() -> int:
        nonlocal now_ms
        now_ms += 500
        return now_ms

    bus: Any = None
    sender = Sender(bus, street.room.database, ways, street.roll.find, street.practice, clock_ms)
    running = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(50):
            while street.states()["lin/new"] != "handed_over":
                await asyncio.sleep(0.02)
    finally:
        hanging.over.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_was_sent_by_a_clock_that_was_set_back_fills_no_limit(street: Street) -> None:
    street.ways = {name: way(name, "1/1min") for name in ("app", "sms", "voice")}
    street.leak(3600)
    street.run(3600, 3602)
    street.leak(10, "gas-2")
    street.run(10, 12)
    assert {at_s for at_s, *_ in street.whom()} == {3600, 10}
