"""Lines that answer late, short, long, wrongly, twice or all the time: none of it becomes a reading, and the line recovers.
And what a line can do beside reading: writes, TCP, gateways, adapters that echo."""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from pymodbus.framer import FramerRTU

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.modbus import ModbusModel
from edge.sources.modbus_line import ModbusLine
from edge.sources.source import CannotAct
from messages.ids import DeviceId
from messages.reading import Reading
from tests.integration.test_edge_line import NOW_MS, Terminal, slave, terminal

__all__ = ["terminal"]

LIMIT_S = 20.0
GATEWAYS_TIMEOUT_S = 0.25
GOOD = 253


def framed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def answer(question: bytes, value: int = GOOD) -> bytes:
    """A sound answer to a read of holding registers, the first of them `value`."""
    unit, function, _, count = struct.unpack(">BBHH", question[:6])
    return framed(struct.pack(f">BBB{count}H", unit, function, 2 * count, value, *[0] * (count - 1)))


def relay(name: str = "gas-1", unit: int = 11) -> Device[ModbusModel]:
    """A gas detector with a coil that can be told."""
    device = slave(name, "modbus-gas-detector", unit)
    commands = {
        "close": {"coil": 0, "value": True},
        "sound": {"coil": 1},
        "turn": {"holding": 40, "type": "uint32", "scale": 0.1},
    }
    content = {**device.model.model_dump(by_alias=True), "commands": commands, "poll_every": "20ms"}
    content["channels"] = {
        name: {key: value for key, value in channel.items() if value is not None}
        for name, channel in content["channels"].items()
    }
    return replace(device, model=ModbusModel.model_validate(content))


class Heard:
    """What a line delivers."""

    def __init__(self, line: ModbusLine, readings: asyncio.Queue[Reading]) -> None:
        self.line = line
        self._readings = readings

    async def value(self) -> object:
        while (reading := await self._readings.get()).channel != "gas_concentration":
            pass
        return reading.value

    @property
    def faults(self) -> dict[str, int]:
        return dict(self.line.vitals.devices[DeviceId("gas-1")].faults)


@contextlib.asynccontextmanager
async def reading(*devices: Device[ModbusModel], **settings: object) -> AsyncIterator[Heard]:
    readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for each in some:
            readings.put_nowait(each)

    line = ModbusLine(
        LineSettings.model_validate({"name": "line", "timeout": "100ms", **settings}),
        devices,
        deliver,
        clock_ms=lambda: NOW_MS,
    )
    task = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield Heard(line, readings)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


FAULTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "short": (lambda good: good[:-3], "cut short"),
    "long": (lambda good: framed(good[:2] + bytes((good[2] + 2,)) + good[3:-2] + b"\0\0"), "wrong length"),
    "wrong unit": (lambda good: framed(bytes((good[0] + 1,)) + good[1:-2]), "wrong unit"),
    "wrong function": (lambda good: framed(good[:1] + b"\x04" + good[2:-2]), "wrong function"),
    "bad CRC": (lambda good: good[:-1] + bytes((good[-1] ^ 1,)), "bad CRC"),
    "babbling": (lambda good: b"\x55" * 400, "wrong unit"),
    "an answer to a write": (lambda good: framed(good[:1] + b"\x06\0\0\0\1"), "wrong function"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_bad_answer_is_counted_and_the_next_good_one_read(terminal: Terminal, name: str) -> None:
    spoil, fault = FAULTS[name]
    async with reading(relay(), port=terminal.port, baudrate=115200) as heard:
        for _ in range(2):
            terminal.answer(spoil(answer(await terminal.request(), 999)))
        terminal.answer(answer(await terminal.request()))
        assert await heard.value() == 25.3
        assert heard.faults == {fault: 2}


async def test_a_late_answer_falls_into_the_time_in_which_its_unit_is_left_alone(terminal: Terminal) -> None:
    async with reading(relay(), port=terminal.port, baudrate=115200) as heard:
        late = answer(await terminal.request(), 999)
        while not heard.faults:
            await asyncio.sleep(0.005)
        terminal.answer(late)
        question = await terminal.request()
        terminal.answer(answer(question))
        assert await heard.value() == 25.3
        assert heard.line.vitals.strays == 1


async def test_an_adapter_that_echoes_is_found_out_and_a_write_is_not_confirmed_by_its_own_echo(
    terminal: Terminal,
) -> None:
    async with reading(relay(), port=terminal.port, baudrate=115200) as heard:
        question = await terminal.request()
        terminal.answer(question + answer(question))
        assert await heard.value() == 25.3
        told = asyncio.create_task(heard.line.act(DeviceId("gas-1"), "close", None))
        while (question := await terminal.request())[1] != 5:
            terminal.answer(question + answer(question))
        assert question == bytes.fromhex("0b 05 00 00 ff 00") + question[6:]
        terminal.answer(question)
        again = await terminal.request()
        assert again == question, "an echo alone is no answer"
        terminal.answer(again + again)
        await told


async def test_writes_go_between_reads_and_are_confirmed(terminal: Terminal) -> None:
    async with reading(relay(), port=terminal.port, baudrate=115200) as heard:
        terminal.answer(answer(await terminal.request()))
        await heard.value()
        told = [
            asyncio.create_task(heard.line.act(DeviceId("gas-1"), command, value))
            for command, value in (("close", None), ("sound", False), ("turn", 12.5))
        ]
        written: list[str] = []
        while len(written) < 3:
            question = await terminal.request()
            if question[1] == 3:
                terminal.answer(answer(question))
            else:
                written.append(question[:-2].hex(" "))
                terminal.answer(question if question[1] == 5 else framed(question[:6]))
        assert written == ["0b 05 00 00 ff 00", "0b 05 00 01 00 00", "0b 10 00 28 00 02 04 00 00 00 7d"]
        await asyncio.gather(*told)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda question: framed(question[:1] + b"\x85\x04"), "exception 4, device failure"),
        (lambda question: framed(question[:4] + b"\0\0"), "another write confirmed, 2 times; it may have been done"),
        (lambda question: b"", "no answer, 2 times; it may have been done"),
    ],
    ids=["refused", "other value", "silent"],
)
async def test_a_write_that_is_not_confirmed_is_said(
    terminal: Terminal, spoil: Callable[[bytes], bytes], said: str
) -> None:
    async with reading(relay(), port=terminal.port, baudrate=115200) as heard:
        terminal.answer(answer(await terminal.request()))
        await heard.value()
        told = asyncio.create_task(heard.line.act(DeviceId("gas-1"), "close", None))
        while not told.done():
            asking = asyncio.create_task(terminal.request())
            await asyncio.wait([asking, told], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                asking.cancel()
                break
            question = asking.result()
            terminal.answer(answer(question) if question[1] == 3 else spoil(question))
        with pytest.raises(CannotAct) as caught:
            await told
        assert str(caught.value) == said


async def test_a_line_that_is_away_says_so_at_once() -> None:
    async with reading(relay(), port="/nowhere", baudrate=9600) as heard:
        while not heard.line.vitals.why:
            await asyncio.sleep(0.01)
        with pytest.raises(CannotAct, match="the line is away: No such file or directory"):
            await heard.line.act(DeviceId("gas-1"), "close", None)


class Gateway:
    """A Modbus TCP server of a few lines; `spoil` changes what it says."""

    def __init__(self) -> None:
        self.spoil: Callable[[bytes], bytes] = lambda frame: frame
        self.rtu = False
        self.connections = 0
        self.dead: int | None = None
        self.asked: Counter[int] = Counter()
        """Units."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                if self.rtu:
                    said = answer(await reader.readexactly(8))
                else:
                    head = await reader.readexactly(6)
                    question = await reader.readexactly(int.from_bytes(head[4:], "big"))
                    pdu = answer(question + b"\0\0")[:-2]
                    self.asked[question[0]] += 1
                    if question[0] == self.dead:
                        await asyncio.sleep(GATEWAYS_TIMEOUT_S)  # and everybody behind it waits
                        pdu = bytes((question[0], question[1] | 0x80, 0x0B))
                    said = head[:4] + len(pdu).to_bytes(2, "big") + pdu
                writer.write(self.spoil(said))
        writer.close()


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[tuple[Gateway, int]]:
    served = Gateway()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    try:
        yield served, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
async def test_a_device_behind_a_host_is_read(framing: str) -> None:
    async with gateway() as (served, port):
        served.rtu = framing == "rtu"
        async with reading(relay(), host="127.0.0.1", tcp_port=port, framing=framing) as heard:
            assert await heard.value() == 25.3


async def test_an_answer_with_another_number_is_passed_over_and_a_stream_out_of_step_is_opened_anew() -> None:
    async with gateway() as (served, port):
        served.spoil = lambda frame: b"\xff\xff" + answer_of(frame, 999) + frame
        async with reading(relay(), host="127.0.0.1", tcp_port=port) as heard:
            assert await heard.value() == 25.3
            while not heard.line.vitals.strays:
                await heard.value()
            served.spoil = lambda frame: frame[:2] + b"\x12\x34" + frame[4:]
            while served.connections < 2:
                await asyncio.sleep(0.01)
            served.spoil = lambda frame: frame
            assert await heard.value() == 25.3


async def test_a_device_of_which_a_gateway_says_that_it_does_not_answer_is_away_and_stalls_nobody() -> None:
    async with gateway() as (served, port):
        served.dead = 12
        devices = relay(), relay("gas-2", 12)
        async with reading(*devices, host="127.0.0.1", tcp_port=port, timeout="1s") as heard:
            while not heard.line.vitals.devices[DeviceId("gas-2")].away:
                await heard.value()
            served.asked.clear()
            for _ in range(60):
                assert await heard.value() == 25.3
    assert served.asked[12] <= 2
    assert heard.line.vitals.devices[DeviceId("gas-1")].faults == {}


def answer_of(frame: bytes, value: int) -> bytes:
    """The rest of a frame after its number, with another value in it."""
    return frame[2:9] + value.to_bytes(2, "big") + frame[11:]
