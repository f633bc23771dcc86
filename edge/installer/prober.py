"""Asks every unit of a serial line at every likely speed. Nothing else may use the port meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from edge.configuration.tables import LineSettings
from edge.installer import scan
from edge.installer.scan import Found, Heard, Speed, Trial
from edge.sources.port import Port, open_port

IDLE_S = 0.3
"""How long is listened before the first question."""
BITS_PER_CHARACTER = 11
QUESTION_AND_ANSWER = 8 + 7


@dataclass(frozen=True, slots=True)
class Report:
    """One speed, scanned."""

    speed: Speed
    found: tuple[Found, ...]
    suspicions: tuple[str, ...]


async def probe(
    port: str, speeds: Sequence[Speed], units: Sequence[int], timeout_s: float
) -> AsyncIterator[Trial | Report]:
    """Every trial as it is made, and after each speed its report. Raises LinkError if the port is away."""
    for speed in speeds:
        settings = LineSettings(
            name="scan", port=port, baudrate=speed.baudrate, parity=speed.parity, stop_bits=speed.stop_bits
        )
        opened = await open_port(settings)
        try:
            idle = await _hear(opened, IDLE_S)
            trials: dict[int, list[Trial]] = {}
            for unit in units:
                trial = await _ask(opened, unit, speed, timeout_s)
                trials[unit] = [trial]
                yield trial
            for unit, made in trials.items():
                if made[0].heard not in (Heard.NOTHING, Heard.ECHO):
                    made += [await _ask(opened, unit, speed, timeout_s) for _ in range(scan.REPEATS - 1)]
            found = tuple(one for made in trials.values() if (one := scan.found(made)))
            first = [made[0] for made in trials.values()]
            yield Report(speed, found, tuple(scan.of_line(first, idle)))
        finally:
            await opened.close()


async def _ask(port: Port, unit: int, speed: Speed, timeout_s: float) -> Trial:
    asked = scan.question(unit)
    port.discard()
    port.write(asked)
    on_the_wire_s = QUESTION_AND_ANSWER * BITS_PER_CHARACTER / speed.baudrate
    came = await _hear(port, timeout_s + on_the_wire_s, quiet_s=max(0.02, 40 / speed.baudrate))
    await asyncio.sleep(4 * BITS_PER_CHARACTER / speed.baudrate)
    return scan.judge(unit, asked, came)


async def _hear(port: Port, limit_s: float, quiet_s: float | None = None) -> bytes:
    """All that comes within `limit_s`, or, after something came, until the line has been quiet for `quiet_s`."""
    came = b""
    try:
        async with asyncio.timeout(limit_s):
            came += await port.read()
            while True:
                async with asyncio.timeout(quiet_s):
                    came += await port.read()
    except TimeoutError:
        pass
    return came
