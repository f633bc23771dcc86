"""An edge under load until it is killed: `python -m tests.bench._edge_load FOLDER PORT TRUTH`.

Disk, intake and uplink are the real ones. Every reading bears a number of its own, which is written to TRUTH (one
write(2) each, so that a kill loses none) before the intake has it, and, for alarm-class readings, once more when the
intake has said that it is on disk. Numbers go on from one life to the next.
"""

import asyncio
import functools
import itertools
import os
import random
import sys
import time
from pathlib import Path

from edge.keeping.disk import Disk
from edge.keeping.intake import Intake
from edge.link.uplink import Uplink
from edge.report import Reported, Urgency
from messages.broker import Broker
from messages.reading import Reading
from tests.bench._block import ANNOUNCED, DEVICE_IDS, EDGE, SITE
from tests.services import PASSWORD

LIMIT_BYTES = 64 * 1024 * 1024
STEP = 10_000_000
"""Numbers of one life."""


async def main(folder: Path, port: int, truth: int, life: int) -> None:
    settings = Broker(port=port, username=f"{SITE}/{EDGE}", password=PASSWORD)
    async with Disk(folder, EDGE, LIMIT_BYTES, _now_ms) as disk:
        uplink = Uplink(SITE, EDGE, settings, ANNOUNCED, disk, lambda order: None, clock_ms=_now_ms, software="bench")
        intake = Intake(disk, uplink.woken, uplink.cry)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(intake.run())
            tasks.create_task(uplink.run())
            tasks.create_task(_load(intake, truth, life))


async def _load(intake: Intake, truth: int, life: int) -> None:
    """Some 250 periodic readings a second and, at random moments, two alarm-class ones."""
    dice, numbers = random.Random(life), itertools.count(life * STEP)

    def say(word: str, number: int) -> None:
        os.write(truth, f"{word} {number} {_now_ms()}\n".encode())

    while True:
        readings = []
        for device in dice.sample(DEVICE_IDS, 5):
            number = next(numbers)
            readings.append(_reported(device, "seen", number, Urgency.PERIODIC))
            say("p", number)
        await intake.put(readings)
        if dice.random() < 0.04:
            number = next(numbers)
            say("a", number)
            await intake.put(
                [_reported(dice.choice(DEVICE_IDS), "contact", number, Urgency.ALARM)],
                functools.partial(say, "kept", number),
            )
        await asyncio.sleep(0.02)


def _reported(device: object, channel: str, number: int, urgency: Urgency) -> Reported:
    reading = Reading(device=device, channel=channel, at_ms=_now_ms(), value=float(number))  # type: ignore[arg-type]
    return Reported(reading, urgency)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    truth_file = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), truth_file, int(sys.argv[4])))
