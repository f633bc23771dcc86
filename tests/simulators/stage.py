"""A small block for the simulators' tests, and a way to have it played while a test looks on."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.block import Block, load_block
from simulators.record import Record
from simulators.run import run
from simulators.scenario import Scenario, load_scenario

BLOCK = """
seed = 7
[line]
link = "{folder}/rs485"
[broker]
port = {broker_port}
username = "devices"
password = "a-password-for-tests"
[uplink]
listen_port = {uplink_port}
target_port = {target_port}
[[devices]]
id = "gas-1"
model = "modbus-gas-detector"
unit = 11
normal = {{ gas_concentration = 0.4 }}
[[devices]]
id = "cover-1"
model = "modbus-manhole-cover"
unit = 21
normal = {{ tilt = 0.3, water_level = 0.2, battery = 87 }}
[[devices]]
id = "cover-2"
model = "modbus-manhole-cover"
unit = 22
[[devices]]
id = "sewer-1"
model = "modbus-level-probe"
unit = 31
normal = {{ water_level = 1.25, float_switch = true }}
[[devices]]
id = "bin-1"
model = "modbus-bin-sensor"
unit = 41
normal = {{ temperature = -12.5 }}
[[devices]]
id = "door-1"
model = "json-door-controller"
topic = "local/door-1"
"""


def block(
    folder: Path, *, broker_port: int = 1, uplink_port: int = 1, target_port: int = 1, text: str = BLOCK
) -> Block:
    path = folder / "block.toml"
    path.write_text(
        text.format(folder=folder, broker_port=broker_port, uplink_port=uplink_port, target_port=target_port)
    )
    return load_block(path)


def scenario(folder: Path, on: Block, text: str = "") -> Scenario:
    path = folder / "scenario.toml"
    path.write_text(f'summary = "a test"\n{text}')
    return load_scenario(path, on)


@dataclass
class Play:
    """What a played block has said and written down so far."""

    truth: Path
    said: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, words: str) -> None:
        self.said.append(words)
        self._news.set()

    async def until_said(self, words: str, *, limit_s: float = 10) -> None:
        async with asyncio.timeout(limit_s):
            while not any(words in said for said in self.said):
                self._news.clear()
                await self._news.wait()

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.truth.read_text().splitlines()]

    def values(self, device: str) -> list[tuple[int, str, float | bool]]:
        return [(row["at_ms"], row["channel"], row["value"]) for row in self.rows() if row.get("device") == device]

    def marks(self) -> dict[str, int]:
        return {row["mark"]: row["at_ms"] for row in self.rows() if "mark" in row}


@contextlib.asynccontextmanager
async def played(on: Block, what: Scenario, folder: Path) -> AsyncIterator[Play]:
    """Play a block in the background; it is open when the context begins, and ended and cleaned up after it."""
    play = Play(folder / "truth.jsonl")
    with Record(play.truth) as record:
        task = asyncio.create_task(
            run(on, what, record=record, clock_ms=lambda: time.time_ns() // 1_000_000, say=play.say)
        )
        opened = asyncio.create_task(play.until_said("Scenario"))
        await asyncio.wait([task, opened], return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if task.done():
            await task
        try:
            yield play
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
