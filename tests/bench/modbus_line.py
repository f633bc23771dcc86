"""How near the edge's Modbus line comes to what the wire allows, and what dead slaves cost the others.

32 slaves with ten registers each in two groups, asked without a pause, on a pseudo-terminal with the pace of a real wire
(`_paced_line.py`). Goals: a full round takes at most 1.05 of the shortest that the standard allows, at 9600 Bd; with one and
with four of the slaves dead, 99 % of the others' intervals are within 1.10 of those without.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.modbus import ModbusModel
from edge.protocols.modbus_rtu import Pace
from edge.sources.modbus_line import ModbusLine
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import Channel, Kind
from messages.reading import Reading
from tests.bench.figure import Figure

UNITS, GROUP = 32, 5
BITS = 11
GROUPS_AT = (0, 100)
SETTLE_ROUNDS = 6
"""Rounds until a dead slave is known for dead; they are reported apart."""

_CHANNEL = Channel.model_validate({"name": {"zh": "", "en": ""}, "meaning": "", "type": "number", "interval": "1min"})


def slave(unit: int) -> Device[ModbusModel]:
    registers = [first + place for first in GROUPS_AT for place in range(GROUP)]
    model = ModbusModel.model_validate(
        {
            "protocol": "modbus",
            "name": "bench",
            "source": "none",
            "kind": "bench",
            "poll_every": "10ms",
            "channels": {f"c{register}": {"holding": register} for register in registers},
        }
    )
    kind = Kind.model_validate(
        {"name": {"zh": "", "en": ""}, "channels": {f"c{register}": _CHANNEL for register in registers}}
    )
    announcement = Announcement(kind="bench", model="bench", place=Place(grid="grid-1", text=""))
    return Device(id=DeviceId(f"d{unit}"), kind=kind, model=model, announcement=announcement, line="bench", unit=unit)


@contextmanager
def wire(baudrate: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("_paced_line.py")), str(baudrate), str(BITS), str(UNITS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shortest_round_s(baudrate: int) -> float:
    """Questions, answers and 3.5 characters before each, for all groups of all slaves."""
    pace = Pace(baudrate, BITS)
    one_s = pace.transmission_s(8 + 5 + 2 * GROUP) + 2 * pace.silent_s
    return one_s * UNITS * len(GROUPS_AT)


async def intervals_s(baudrate: int, rounds: int, deaths: tuple[int, ...]) -> dict[int, list[float]]:
    """By number of dead slaves: the times between two readings of each healthy slave's first register, in the order of
    time; and under -1 by how many seconds silences were too short."""
    with wire(baudrate) as process:
        assert process.stdin
        assert process.stdout
        port = process.stdout.readline().strip()
        questions: list[str] = []
        reader = asyncio.create_task(asyncio.to_thread(lambda: questions.extend(process.stdout or ())))
        found: dict[int, list[float]] = {count: [] for count in deaths}
        last: dict[str, float] = {}
        now = deaths[0]
        loop = asyncio.get_running_loop()

        async def deliver(readings: list[Reading], then: object = None, /) -> None:
            device = readings[0].device
            if readings[0].channel == "c0" and int(device[1:]) > max(deaths):
                if device in last:
                    found[now].append(loop.time() - last[device])
                last[device] = loop.time()

        settings = LineSettings.model_validate({"name": "bench", "port": port, "baudrate": baudrate, "stop_bits": 2})
        line = ModbusLine(settings, [slave(unit) for unit in range(1, UNITS + 1)], deliver, clock_ms=lambda: 0)
        running = asyncio.create_task(line.run())
        for now in deaths:
            process.stdin.write(" ".join(map(str, range(1, now + 1))) + "\n")
            process.stdin.flush()
            enough = (rounds + SETTLE_ROUNDS) * (UNITS - max(deaths))
            while len(found[now]) < enough:
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        process.kill()
        await reader
    found[-1] = [float(line.split()[3]) for line in questions[1:] if len(line.split()) == 4]
    return found


def run() -> Iterator[Figure]:
    for baudrate, rounds in ((9600, 40), (115200, 150)):
        deaths = (0, 1, 4)
        found = asyncio.run(intervals_s(baudrate, rounds, deaths))
        healthy = UNITS - max(deaths)
        settled = {count: found[count][SETTLE_ROUNDS * healthy :] for count in deaths}
        usual_s = median(settled[0])
        yield Figure(f"{baudrate} Bd: a round, to the shortest", usual_s / shortest_round_s(baudrate), "ratio")
        too_short = sum(seconds > 0.1 * Pace(baudrate, BITS).silent_s for seconds in found[-1])
        yield Figure(f"{baudrate} Bd: silences that were too short", too_short, "questions")
        for count in deaths[1:]:
            within = sum(interval_s <= 1.10 * usual_s for interval_s in settled[count]) / len(settled[count])
            yield Figure(f"{baudrate} Bd, {count} dead: intervals within 1.10", 100 * within, "%")
            worst = max(found[count]) / usual_s
            yield Figure(f"{baudrate} Bd, {count} dead: worst interval, death included", worst, "ratio")
