"""Rule files that change under a running engine, with a real broker and a real database."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests import services
from tests.integration.rules_engine import (
    Engine,
    alarms,
    announce,
    edge,
    engine,
    hearing,
    now_ms,
    reading,
    send,
    until,
)
from tests.rules.course import write_rules

pytestmark = pytest.mark.needs("mosquitto")

FULL = """[rules.full]
level = "yellow"
title = {{ zh = "满", en = "Full" }}
raise = "fill >= {limit}"
clear = "fill < {clear}"
"""


def write(folder: Path, limit: object, clear: float) -> None:
    """As an editor that keeps a file whole does it."""
    path = write_rules(folder / "new", "waste_bin", FULL.format(limit=limit, clear=clear))
    (folder / "own").mkdir(exist_ok=True)
    os.replace(path, folder / "own" / "waste_bin.toml")


async def says(ours: Engine, words: str, times: int = 1) -> None:
    await until(lambda: ours.said().count(words) >= times or None, words, ours)


def heard(ours: Engine) -> int:
    pulse = ours.desk.pulse()
    return pulse.readings if pulse else 0


async def test_a_changed_file_is_in_force_a_wrong_one_is_not_and_no_reading_is_lost(tmp_path: Path) -> None:
    write(tmp_path, 80, 30)
    more = f'rules = ["{tmp_path}/own"]'
    with services.mosquitto(tmp_path / "broker") as broker, engine(broker, tmp_path / "rules", more) as ours:
        ours.start()
        async with edge(broker) as bus:
            await announce(bus, "bin-1", "waste_bin")
            await hearing(ours)
            sent, stop = 0, asyncio.Event()

            async def speak() -> None:
                nonlocal sent
                while not stop.is_set():
                    sent += 1
                    await send(bus, sent, reading("bin-1", "temperature", 20.0 + sent % 2, now_ms()))
                    await asyncio.sleep(0.005)

            speaker = asyncio.create_task(speak())
            sent += 1
            await send(bus, sent, reading("bin-1", "fill", 85.0, now_ms()))
            await until(lambda: alarms(ours), "the alarm", ours)

            write(tmp_path, "80 and fil > 3", 30)
            await says(ours, "the last good rules stay in force")
            assert "no channel or setting `fil`; did you mean `fill`?" in ours.said()
            assert "waste_bin.toml:4:25: rules.full.raise" in ours.said()

            write(tmp_path, 95, 90)
            await says(ours, "the rules have changed")
            assert "changed waste_bin.full" in ours.said()
            sent += 1
            await send(bus, sent, reading("bin-1", "fill", 60.0, now_ms()))  # the new rule would clear at this
            ours.kill()
            ours.start()
            sent += 1
            await send(bus, sent, reading("bin-1", "fill", 50.0, now_ms()))
            stop.set()
            await speaker
            await until(lambda: heard(ours) >= sent or None, "all readings", ours)
            assert heard(ours) == sent
            assert [one.state.value for one in alarms(ours)] == ["unack"]  # it goes on by the rule that raised it
            sent += 1
            await send(bus, sent, reading("bin-1", "fill", 20.0, now_ms()))
            await until(lambda: alarms(ours)[0].state.value == "rtn_unack" or None, "its end", ours)

            assert ours.process
            ours.process.send_signal(signal.SIGHUP)
            await says(ours, "the rule files were read again; the rules are the same")


async def test_an_engine_whose_rule_files_are_broken_starts_with_those_that_were_good_last(tmp_path: Path) -> None:
    write(tmp_path, 80, 30)
    more = f'rules = ["{tmp_path}/own"]'
    with services.mosquitto(tmp_path / "broker") as broker, engine(broker, tmp_path / "rules", more) as ours:
        ours.start()
        async with edge(broker) as bus:
            await announce(bus, "bin-1", "waste_bin")
            await hearing(ours)
            ours.kill()
            write(tmp_path, "eighty", 30)
            ours.start()
            await says(ours, "the rules that were good last are in force")
            await send(bus, 1, reading("bin-1", "fill", 85.0, now_ms()))
            (alarm,) = await until(lambda: alarms(ours), "the alarm", ours)
            assert alarm.rule == "full"
            write(tmp_path, 70, 30)
            await says(ours, "the rules have changed")
    with services.mosquitto(tmp_path / "broker-2") as broker, engine(broker, tmp_path / "rules-2", more) as ours:
        write(tmp_path, "eighty", 30)
        ours.start()
        assert ours.process
        assert await asyncio.to_thread(ours.process.wait, 20) == 2  # there were never any good ones
        assert "no channel or setting `eighty`" in ours.said()
