"""Asks every unit of a serial line at every likely speed. Nothing else may use the port meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.installer.scanning import compare, scan
from edge.installer.scanning.scan import Found, Heard, Speed, Trial
from edge.models.modbus import ModbusModel
from edge.protocols import modbus_rtu
from edge.protocols.modbus import Request, Values, Verdict
from edge.protocols.modbus_rtu import Judge
from edge.sources import schedule
from edge.sources.port import Port, open_port
from messages.language import Language

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
    port: str, speeds: Sequence[Speed], units: Sequence[int], timeout_s: float, language: Language = "en"
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
                trial = await _ask(opened, unit, speed, timeout_s, language)
                trials[unit] = [trial]
                yield trial
            for unit, made in trials.items():
                if made[0].heard not in (Heard.NOTHING, Heard.ECHO):
                    made += [
                        await _ask(opened, unit, speed, timeout_s, language, patient=number < scan.PATIENT)
                        for number in range(scan.REPEATS - 1)
                    ]
            found = tuple(one for made in trials.values() if (one := scan.found(made, language)))
            first = [made[0] for made in trials.values()]
            yield Report(speed, found, tuple(scan.of_line(first, idle, language)))
        finally:
            await opened.close()


async def compared(
    line: LineSettings,
    slaves: Sequence[Device[ModbusModel]],
    asked: Collection[int],
    found: Collection[int],
    language: Language = "en",
) -> list[str]:
    """What speaks against the configuration, after a scan of the units `asked` found some. Raises LinkError."""
    said, zh = list(compare.strangers(found, asked, slaves, language)), language == "zh"
    unit = "地址" if zh else "unit"
    opened = await open_port(line)
    try:
        for slave in slaves:
            for poll in schedule.polls(slave.id, slave.unit, slave.model) if slave.unit in found else ():
                verdict = await _read(opened, poll.request, line)
                if isinstance(verdict, Values):
                    said += [
                        f"{unit} {slave.unit}, {slave.id}: {why}"
                        for why in compare.suspects(slave, poll, verdict.raw, language)
                    ]
                else:
                    where = f"{poll.request.table} 0x{poll.request.address:04X}, {', '.join(poll.channels)}"
                    what = str(verdict or ("没有应答" if zh else "no answer"))
                    question = "产品文件选对了吗？" if zh else "the right product file?"
                    said.append(f"{unit} {slave.unit}, {slave.id}: {where}: {what}; {question}")
    finally:
        await opened.close()
    return said


async def _read(port: Port, request: Request, line: LineSettings) -> Verdict | None:
    judge = Judge(request)
    port.discard()
    port.write(modbus_rtu.encode(request))
    length = len(modbus_rtu.encode(request)) + modbus_rtu.reply_bytes(request)
    on_the_wire_s = length * line.bits / (line.baudrate or 9600)
    came = await _hear(port, line.timeout_s + on_the_wire_s, quiet_s=max(0.02, 40 / (line.baudrate or 9600)))
    await asyncio.sleep(4 * line.bits / (line.baudrate or 9600))
    return (judge.feed(came) or judge.time_is_over()) if came else None


async def _ask(
    port: Port, unit: int, speed: Speed, timeout_s: float, language: Language, *, patient: bool = False
) -> Trial:
    """`patient`: hear what else comes until the time-out, from who is slower."""
    asked = scan.question(unit)
    port.discard()
    port.write(asked)
    on_the_wire_s = QUESTION_AND_ANSWER * BITS_PER_CHARACTER / speed.baudrate
    quiet_s = None if patient else max(0.02, 40 / speed.baudrate)
    came = await _hear(port, timeout_s + 2 * on_the_wire_s, quiet_s=quiet_s)
    await asyncio.sleep(4 * BITS_PER_CHARACTER / speed.baudrate)
    return scan.judge(unit, asked, came, language)


def silence_s(speed: Speed, timeout_s: float) -> float:
    """How long a unit takes that isn't there."""
    return timeout_s + (QUESTION_AND_ANSWER + 4) * BITS_PER_CHARACTER / speed.baudrate


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
