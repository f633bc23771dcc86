"""The edge's serial line against a slave that we did not write (libmodbus), and against a port that comes and goes."""

import asyncio
import contextlib
import gc
import os
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.modbus import ModbusModel
from edge.models.product import load_models
from edge.protocols.modbus import Request, Values
from edge.protocols.modbus_rtu import Pace
from edge.sources.carrier import RtuCarrier, opened
from edge.sources.modbus_line import ModbusLine
from edge.sources.port import open_port
from edge.vitals import PATIENCE
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Reading, Value
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave

KINDS = load_kinds()
MODELS = load_models(KINDS)
LIMIT_S = 20.0
NOW_MS = 1_763_700_000_000

Readings = asyncio.Queue[Reading]


def slave(name: str, model_name: str, unit: int) -> Device[ModbusModel]:
    model = MODELS[model_name]
    assert isinstance(model, ModbusModel)
    model = model.model_copy(update={"poll_every_s": 0.02})
    announcement = Announcement(kind=model.kind, model=model_name, place=Place(grid="grid-1", text=""))
    return Device(
        id=DeviceId(name), kind=KINDS[model.kind], model=model, announcement=announcement, line="line", unit=unit
    )


@contextlib.asynccontextmanager
async def polled(port: str, *slaves: Device[ModbusModel], timeout: str = "500ms") -> AsyncIterator[Readings]:
    readings: Readings = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for reading in some:
            readings.put_nowait(reading)

    settings = LineSettings.model_validate({"name": "line", "port": port, "baudrate": 115200, "timeout": timeout})
    task = asyncio.create_task(ModbusLine(settings, slaves, deliver, clock_ms=lambda: NOW_MS).run())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield readings
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(readings: Readings, device: str, channel: str, value: Value | None = None) -> Reading:
    while True:
        reading = await readings.get()
        if (reading.device, reading.channel) == (device, channel) and value in (None, reading.value):
            return reading


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


needs_libmodbus = pytest.mark.needs("mbpoll")  # Debian's mbpoll brings libmodbus along


@needs_libmodbus
async def test_a_foreign_slave_is_read(libmodbus: Libmodbus) -> None:
    libmodbus.set("holding", 0, 253)
    libmodbus.set("holding", 1, 0b10)
    async with polled(libmodbus.port, slave("gas-1", "modbus-gas-detector", 11)) as readings:
        assert await until(readings, "gas-1", "gas_concentration") == Reading(
            device=DeviceId("gas-1"), channel="gas_concentration", at_ms=NOW_MS, value=25.3, unit="%LEL"
        )
        assert (await until(readings, "gas-1", "alarm_contact")).value is False
        assert (await until(readings, "gas-1", "sensor_fault")).value is True
        libmodbus.set("holding", 1, 0b01)
        await until(readings, "gas-1", "alarm_contact", True)


@needs_libmodbus
async def test_all_four_tables_and_a_float_are_read(libmodbus: Libmodbus) -> None:
    for table, address, value in (("input", 0, 0x3FA6), ("input", 1, 0x6666), ("discrete", 0, 1)):
        libmodbus.set(table, address, value)
    async with polled(libmodbus.port, slave("level-1", "modbus-level-probe", 11)) as readings:
        assert (await until(readings, "level-1", "water_level")).value == 1.3
        assert (await until(readings, "level-1", "float_switch")).value is True


@needs_libmodbus
async def test_a_slave_that_is_not_there_is_said_once_and_stalls_nobody(libmodbus: Libmodbus) -> None:
    there, gone = slave("gas-1", "modbus-gas-detector", 11), slave("gas-2", "modbus-gas-detector", 12)
    with structlog.testing.capture_logs() as said:
        async with polled(libmodbus.port, there, gone, timeout="60ms") as readings:
            while not any(entry["event"] == "device is away" and entry["device"] == "gas-2" for entry in said):
                assert (await readings.get()).device == "gas-1"
            for _ in range(50):
                await until(readings, "gas-1", "gas_concentration")
    away = [entry["why"] for entry in said if entry["event"] == "device is away" and entry["device"] == "gas-2"]
    assert away == ["no answer"]


@needs_libmodbus
async def test_a_refusal_is_said_once_and_is_no_absence(libmodbus: Libmodbus) -> None:
    beyond = MODELS["modbus-bin-sensor"]
    assert isinstance(beyond, ModbusModel)
    channels = {"fill": beyond.channels["fill"].model_copy(update={"holding": 100})}
    far = slave("bin-1", "modbus-bin-sensor", 11)
    far = replace(far, model=far.model.model_copy(update={"channels": channels}))
    with structlog.testing.capture_logs() as said:
        async with polled(libmodbus.port, far, slave("gas-1", "modbus-gas-detector", 11)) as readings:
            for _ in range(20):
                await until(readings, "gas-1", "gas_concentration")
    complaints = [(entry["event"], entry["why"]) for entry in said if entry.get("device") == "bin-1"]
    assert complaints == [("device refuses a request", "exception 2, illegal address")]


class Terminal:
    """A port whose far end is in the test's hands."""

    def __init__(self) -> None:
        self.far, near = os.openpty()
        tty.setraw(near)
        os.set_blocking(self.far, False)
        self.port = os.ttyname(near)
        self._near = near
        self._readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.far, self._readable.set)

    async def request(self) -> bytes:
        """The next request: 8 bytes, more for a write of several."""
        frame = await self._read(8)
        return frame + await self._read(1 + frame[6]) if frame[1] in (15, 16) else frame

    async def _read(self, length: int) -> bytes:
        frame = b""
        while len(frame) < length:
            self._readable.clear()
            with contextlib.suppress(BlockingIOError):
                frame += os.read(self.far, length - len(frame))
            if len(frame) < length:
                await self._readable.wait()
        return frame

    def answer(self, frame: bytes) -> None:
        os.write(self.far, frame)

    def unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self.far)
        os.close(self._near)
        os.close(self.far)


@pytest.fixture
async def terminal() -> AsyncIterator[Terminal]:
    opened = Terminal()
    yield opened
    with contextlib.suppress(OSError):
        opened.unplug()


def with_crc(body: bytes) -> bytes:
    register = 0xFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return body + register.to_bytes(2, "little")


def reply(value: int, unit: int = 11) -> bytes:
    """Of a gas detector: concentration and status word."""
    return with_crc(bytes([unit, 3, 4]) + value.to_bytes(2, "big") + b"\x00\x00")


@contextlib.asynccontextmanager
async def answering(terminal: Terminal, value: int) -> AsyncIterator[None]:
    """A gas detector that answers every request, for as long as the context is open."""

    async def answer() -> None:
        while True:
            await terminal.request()
            terminal.answer(reply(value))

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("size", [1, 2, 5, 64])
async def test_a_reply_may_come_in_any_pieces(terminal: Terminal, size: int) -> None:
    async with polled(terminal.port, slave("gas-1", "modbus-gas-detector", 11)) as readings:
        await terminal.request()
        whole = reply(253)
        for start in range(0, len(whole), size):
            terminal.answer(whole[start : start + size])
            await asyncio.sleep(0)
        assert (await until(readings, "gas-1", "gas_concentration")).value == 25.3


async def test_a_reply_that_comes_too_late_never_answers_the_next_question(terminal: Terminal) -> None:
    settings = LineSettings.model_validate(
        {"name": "line", "port": terminal.port, "baudrate": 115200, "timeout": "200ms"}
    )
    line = await opened(settings)
    question = Request(11, "holding", 0, 2)
    assert await line.ask(question, 0.2) is None
    await terminal.request()
    terminal.answer(reply(999))
    assert isinstance(line, RtuCarrier)
    port = line._port
    while not (port._received or (port._serial and port._serial.in_waiting)):
        await asyncio.sleep(0.001)  # a pseudo-terminal hands it over when it likes
    second = asyncio.create_task(line.ask(question, 0.2))
    await terminal.request()
    terminal.answer(reply(253))
    assert await second == Values((253, 0))
    assert line.strays == 1
    await line.close()


@pytest.mark.parametrize(
    "bad",
    [reply(999, unit=12), reply(999)[:-1] + b"\x00", with_crc(bytes([11, 4, 4, 3, 231, 0, 0])), reply(999)[:6]],
    ids=["wrong unit", "bad CRC", "wrong function", "cut short"],
)
async def test_a_reply_that_is_no_good_never_becomes_a_reading(terminal: Terminal, bad: bytes) -> None:
    with structlog.testing.capture_logs() as said:
        async with polled(terminal.port, slave("gas-1", "modbus-gas-detector", 11)) as readings:
            for _ in range(PATIENCE):
                await terminal.request()
                terminal.answer(bad)
            async with answering(terminal, 253):
                assert (await readings.get()).value == 25.3
    events = [entry["event"] for entry in said if "device" in entry]
    assert events == ["device is away", "device is back"]


async def test_a_port_that_is_not_there_is_said_once_and_opened_when_it_comes(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sources.port.FIRST_BACKOFF_S", 0.02)
    port = tmp_path / "ttyUSB0"
    with structlog.testing.capture_logs() as said:
        async with polled(str(port), slave("gas-1", "modbus-gas-detector", 11)) as readings:
            while not said:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            port.symlink_to(terminal.port)
            async with answering(terminal, 253):
                await until(readings, "gas-1", "gas_concentration", 25.3)
    events = [entry["event"] for entry in said]
    assert events == ["port is away", "port is there"]


async def test_a_port_that_is_pulled_out_is_opened_again(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sources.port.FIRST_BACKOFF_S", 0.02)
    port = tmp_path / "ttyUSB0"
    port.symlink_to(terminal.port)
    other = Terminal()
    with structlog.testing.capture_logs() as said:
        async with polled(str(port), slave("gas-1", "modbus-gas-detector", 11)) as readings:
            async with answering(terminal, 253):
                await until(readings, "gas-1", "gas_concentration", 25.3)
            port.unlink()
            terminal.unplug()
            port.symlink_to(other.port)
            async with answering(other, 254):
                await until(readings, "gas-1", "gas_concentration", 25.4)
    other.unplug()
    events = [entry["event"] for entry in said]
    assert events == ["port is there", "port is away", "port is there"]


async def test_a_port_that_is_closed_while_it_vanishes_is_closed_once(terminal: Terminal) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    port = await open_port(LineSettings.model_validate({"name": "line", "port": terminal.port, "baudrate": 9600}))
    terminal.unplug()
    async with asyncio.timeout(LIMIT_S):
        while not port.transport.is_closing():
            await asyncio.sleep(0)
        await port.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [error for error in await asyncio.gather(*others, return_exceptions=True) if error] == []
    gc.collect()
    assert complaints == []


async def test_requests_are_parted_by_the_silent_interval(terminal: Terminal) -> None:
    loop = asyncio.get_running_loop()
    async with polled(terminal.port, slave("level-1", "modbus-level-probe", 11)):
        await terminal.request()
        answered_s = loop.time()
        terminal.answer(with_crc(bytes([11, 2, 1, 1])))
        await terminal.request()
        assert loop.time() - answered_s >= Pace(115200).silent_s
