"""An instrument that speaks by itself, on a pseudo-terminal that is pulled out and put back; added by one TOML file."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.agent import sources
from edge.configuration.check import parse
from messages.reading import Reading
from messages.settings import ConfigError
from tests.edge.test_frames import MN, NOW_MS, REAL_TIME
from tests.integration.test_edge_line import Terminal
from tests.services import free_port

LIMIT_S = 20.0
OURS = """protocol = "frame"
name = "A probe of ours"
source = "none"
kind = "sewer_level"
[lines]
terminator = "\\n"
prefix = "$"
separator = ","
[channels.water_level]
field = 2
scale = 0.01
"""


def configure(folder: Path, port: str, hj_port: str = "/dev/null") -> Path:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models/our-probe.toml").write_text(OURS)
    path = folder / "edge.toml"
    path.write_text(
        f"""
site = "junmen"
edge = "pi-1"
folder = "state"
models = ["models"]
[uplink]
[[lines]]
name = "probe"
port = "{port}"
baudrate = 9600
[[lines]]
name = "outlet"
port = "{hj_port}"
baudrate = 9600
[[devices]]
id = "sewer-1"
model = "our-probe"
line = "probe"
place = {{ grid = "grid-1", text = "北门" }}
[[devices]]
id = "outlet-1"
model = "hj212-sewer-monitor"
line = "outlet"
mn = "{MN}"
place = {{ grid = "grid-1", text = "总排口" }}
""",
        encoding="utf-8",
    )
    return path


async def test_instruments_that_speak_by_themselves_are_read_and_a_pulled_line_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sources.port.FIRST_BACKOFF_S", 0.02)
    first, second, station = Terminal(), Terminal(), Terminal()
    link = tmp_path / "ttyUSB0"
    link.symlink_to(first.port)
    readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for reading in some:
            readings.put_nowait(reading)
        if then:
            then()

    found = sources(parse(configure(tmp_path, str(link), station.port)), deliver, clock_ms=lambda: NOW_MS)
    tasks = [asyncio.create_task(source.run()) for source in found]
    try:
        async with asyncio.timeout(LIMIT_S):
            while not all(source.vitals.open for source in found):
                await asyncio.sleep(0.01)
            first.answer(b"garbage\n$a,b,1")
            first.answer(b"50\n")
            reading = await readings.get()
            assert (reading.device, reading.channel, reading.value, reading.unit) == (
                "sewer-1",
                "water_level",
                1.5,
                "m",
            )
            link.unlink()
            first.unplug()
            link.symlink_to(second.port)
            probe = next(source for source in found if source.vitals.name == "probe")
            while probe.vitals.opened < 2:
                await asyncio.sleep(0.01)
            second.answer(b"$a,b,250\n")
            assert (await readings.get()).value == 2.5
            station.answer(REAL_TIME)
            assert {(await readings.get()).channel for _ in range(3)} == {"flow", "ph", "cod"}
            assert (await station._read(10)).startswith(b"##")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        second.unplug()
        station.unplug()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            f'mn = "{MN}"\n',
            "",
            "devices.1.mn: is missing: a hj212-sewer-monitor is a station on a line, known by its MN",
        ),
        ('line = "outlet"', 'line = "probe"', "speaks hj212, and `sewer-1` on this line frame"),
        (
            'line = "probe"\nplace',
            'line = "probe"\nunit = 3\nplace',
            "a our-probe has no unit; it has a line for itself",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = configure(tmp_path, "/dev/null0")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError) as caught:
        parse(path)
    assert said in str(caught.value)


async def test_stations_call_and_are_answered_once_their_readings_are_taken(tmp_path: Path) -> None:
    path = configure(tmp_path, "/dev/null0")
    listen = free_port()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('port = "/dev/null"\nbaudrate = 9600', f'listen = {listen}\naddress = "127.0.0.1"'))
    readings: list[Reading] = []

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        readings.extend(some)
        if then:
            then()

    called = next(
        source for source in sources(parse(path), deliver, clock_ms=lambda: NOW_MS) if source.vitals.name == "outlet"
    )
    task = asyncio.create_task(called.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not called.vitals.open:
                await asyncio.sleep(0.01)
            _, stranger_out = await asyncio.open_connection("127.0.0.1", listen)
            station_in, station_out = await asyncio.open_connection("127.0.0.1", listen)
            stranger_out.write(b"GET / HTTP/1.1\r\n\r\n" + REAL_TIME.replace(MN.encode(), b"9" * len(MN)))
            for byte in REAL_TIME:  # torn into bytes, while another caller is in the middle of a frame too
                station_out.write(bytes((byte,)))
                await station_out.drain()
            assert (await station_in.readuntil(b"\r\n")).startswith(b"##")
            assert {reading.channel for reading in readings} == {"flow", "ph", "cod"}
            station_out.close()
            stranger_out.close()
            again_in, again_out = await asyncio.open_connection("127.0.0.1", listen)
            again_out.write(REAL_TIME)
            await again_in.readuntil(b"\r\n")
            again_out.close()
            while called.vitals.strays == 0:
                await asyncio.sleep(0.01)
            assert len(readings) == 6
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_callers_are_few_and_a_silent_one_is_put_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.called_line.MOST_CALLERS", 2)
    monkeypatch.setattr("edge.sources.called_line.STRANGE_S", 0.3)
    path = configure(tmp_path, "/dev/null0")
    listen = free_port()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('port = "/dev/null"\nbaudrate = 9600', f'listen = {listen}\naddress = "127.0.0.1"'))

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        raise AssertionError("nobody said anything")

    called = next(
        source for source in sources(parse(path), deliver, clock_ms=lambda: NOW_MS) if source.vitals.name == "outlet"
    )
    task = asyncio.create_task(called.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not called.vitals.open:
                await asyncio.sleep(0.01)
            callers = [await asyncio.open_connection("127.0.0.1", listen) for _ in range(3)]
            for reader, writer in callers:
                assert await reader.read() == b""
                writer.close()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_not_on_disk_is_not_answered_and_nobody_listens_once_the_line_is_over(tmp_path: Path) -> None:
    path = configure(tmp_path, "/dev/null0")
    listen = free_port()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('port = "/dev/null"\nbaudrate = 9600', f'listen = {listen}\naddress = "127.0.0.1"'))
    waiting: list[Callable[[], None]] = []

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        if then:
            waiting.append(then)

    called = next(
        source for source in sources(parse(path), deliver, clock_ms=lambda: NOW_MS) if source.vitals.name == "outlet"
    )
    task = asyncio.create_task(called.run())
    async with asyncio.timeout(LIMIT_S):
        while not called.vitals.open:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", listen)
        writer.write(REAL_TIME)
        while not waiting:
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)
        waiting[0]()
        assert (await reader.readuntil(b"\r\n")).startswith(b"##")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await reader.read() == b"", "whoever still calls an agent that is over is hung up on"
        writer.close()


async def test_strangers_that_fill_the_port_do_not_keep_a_station_out(tmp_path: Path) -> None:
    path = configure(tmp_path, "/dev/null0")
    listen = free_port()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('port = "/dev/null"\nbaudrate = 9600', f'listen = {listen}\naddress = "127.0.0.1"'))

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        if then:
            then()

    called = next(
        source for source in sources(parse(path), deliver, clock_ms=lambda: NOW_MS) if source.vitals.name == "outlet"
    )
    task = asyncio.create_task(called.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not called.vitals.open:
                await asyncio.sleep(0.01)
            strangers = [await asyncio.open_connection("127.0.0.1", listen) for _ in range(100)]
            reader, writer = await asyncio.open_connection("127.0.0.1", listen)
            writer.write(REAL_TIME)
            assert (await reader.readuntil(b"\r\n")).startswith(b"##")
            babbler_in, babbler = await asyncio.open_connection("127.0.0.1", listen)
            babbler.write(b"##0001x" * 3000)
            assert await babbler_in.read() == b"", "who speaks no HJ 212 is put out"
            writer.write(REAL_TIME)
            await reader.readuntil(b"\r\n")
            for _, stranger in [*strangers, (reader, writer), (babbler_in, babbler)]:
                stranger.close()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
