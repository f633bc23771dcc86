"""The simulated RS-485 line, read by masters that we did not write: mbpoll (libmodbus), and bytes through pyserial."""

import asyncio
import contextlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import serial
from pymodbus.framer import FramerRTU

from messages.settings import ConfigError
from simulators.block import Block, Line
from tests.simulators import stage

BITS = re.compile(r"^\[(\d+)\]:\s+(\S+)", re.MULTILINE)


def line_only(folder: Path, baudrate: int = 9600) -> Block:
    return replace(stage.block(folder), broker=None, uplink=None, line=Line(link=folder / "rs485", baudrate=baudrate))


async def mbpoll(folder: Path, *words: str, write: tuple[str, ...] = ()) -> tuple[list[str], str]:
    """The values that one poll shows, and all that mbpoll says."""
    process = await asyncio.create_subprocess_exec(
        *(
            "mbpoll",
            "-m",
            "rtu",
            "-b",
            "9600",
            "-P",
            "none",
            "-1",
            "-0",
            "-o",
            "0.5",
            *words,
            str(folder / "rs485"),
            *write,
        ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 10)
    return [value for _, value in BITS.findall(output.decode())], output.decode()


def request(unit: int, pdu: str) -> bytes:
    content = bytes([unit]) + bytes.fromhex(pdu)
    return content + FramerRTU.compute_CRC(content).to_bytes(2, "big")


async def ask(folder: Path, *parts: bytes, wait_s: float = 0.4, most: int = 256) -> bytes:
    """Open the line, write, and return what comes within `wait_s` of the last byte."""

    def talk() -> bytes:
        with serial.Serial(str(folder / "rs485"), 9600, timeout=wait_s, inter_byte_timeout=wait_s) as port:
            for part in parts:
                port.write(part)
            return bytes(port.read(most))

    return await asyncio.to_thread(talk)


@pytest.mark.needs("mbpoll")
async def test_mbpoll_reads_every_type_of_several_units(tmp_path: Path) -> None:
    block = line_only(tmp_path)
    async with stage.played(block, stage.scenario(tmp_path, block), tmp_path) as play:
        assert (await mbpoll(tmp_path, "-a", "21", "-r", "0", "-c", "3", "-t", "4"))[0] == ["3", "200", "87"]
        assert (await mbpoll(tmp_path, "-a", "22", "-r", "0", "-c", "3", "-t", "4"))[0] == ["0", "0", "0"]
        assert (await mbpoll(tmp_path, "-a", "31", "-r", "0", "-c", "1", "-t", "3:float", "-B"))[0] == ["1.25"]
        assert (await mbpoll(tmp_path, "-a", "31", "-r", "0", "-c", "1", "-t", "1"))[0] == ["1"]
        assert (await mbpoll(tmp_path, "-a", "41", "-r", "1", "-c", "1", "-t", "4:hex"))[0] == ["0xFF83"], "-125"
    assert [(channel, value) for _, channel, value in play.values("cover-1")] == [
        ("tilt", 0.3),
        ("water_level", 0.2),
        ("battery", 87),
    ]
    assert [(channel, value) for _, channel, value in play.values("sewer-1")] == [
        ("water_level", 1.25),
        ("float_switch", True),
    ]
    assert [(channel, value) for _, channel, value in play.values("bin-1")] == [("temperature", -12.5)]


@pytest.mark.needs("mbpoll")
async def test_mbpoll_hears_nothing_from_an_unknown_unit_and_an_exception_for_an_unknown_address(
    tmp_path: Path,
) -> None:
    block = line_only(tmp_path)
    async with stage.played(block, stage.scenario(tmp_path, block), tmp_path) as play:
        assert "timed out" in (await mbpoll(tmp_path, "-a", "99", "-r", "0", "-t", "4"))[1]
        assert "Illegal data address" in (await mbpoll(tmp_path, "-a", "21", "-r", "7", "-t", "4"))[1]
        assert "Illegal function" in (await mbpoll(tmp_path, "-a", "21", "-r", "0", "-t", "4", write=("5",)))[1]
        assert (await mbpoll(tmp_path, "-a", "11", "-r", "0", "-c", "1", "-t", "4"))[0] == ["4"]
    assert {row["device"] for row in play.rows() if "device" in row} == {"gas-1"}, "what was refused was not served"


async def test_a_reader_that_closes_the_line_or_garbles_it_does_not_take_it_away(tmp_path: Path) -> None:
    block = line_only(tmp_path)
    good, reply = request(21, "03 00 02 00 01"), request(21, "03 02 00 57")
    async with stage.played(block, stage.scenario(tmp_path, block), tmp_path):
        assert await ask(tmp_path, good, most=7) == reply
        assert await ask(tmp_path, good[:3], good[3:], most=7) == reply, "in two pieces"
        assert await ask(tmp_path, b"\x00\xff\x13", wait_s=0.1) == b""
        assert await ask(tmp_path, good[:-1], wait_s=0.1) == b""
        assert await ask(tmp_path, request(21, "2B 0E 01 00"), most=5) == request(21, "AB 01"), "ended by silence"
        assert await ask(tmp_path, good, good, most=14) == reply + reply


async def test_an_answer_takes_as_long_as_at_the_lines_speed(tmp_path: Path) -> None:
    block = line_only(tmp_path, baudrate=600)
    async with stage.played(block, stage.scenario(tmp_path, block), tmp_path):
        began = time.monotonic()
        assert len(await ask(tmp_path, request(21, "03 00 00 00 03"), wait_s=2, most=11)) == 11
        assert time.monotonic() - began > (8 + 11) * 11 / 600


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        ("silent", b""),
        ("exception", request(21, "83 04")),
        ("bad_crc", request(21, "03 02 00 57")[:-1] + bytes([request(21, "03 02 00 57")[-1] ^ 0xFF])),
        ("wrong_unit", request(22, "03 02 00 57")),
    ],
)
async def test_a_faulty_device_misbehaves_and_is_not_in_the_record(tmp_path: Path, fault: str, reply: bytes) -> None:
    block = line_only(tmp_path)
    text = f'[[faults]]\nat="0s"\ndevice="cover-1"\nfault="{fault}"\nfor="1h"'
    async with stage.played(block, stage.scenario(tmp_path, block, text), tmp_path) as play:
        assert await ask(tmp_path, request(21, "03 00 02 00 01"), wait_s=0.2) == reply
        assert await ask(tmp_path, request(22, "03 00 02 00 01"), most=7) == request(22, "03 02 00 00")
    assert {row["device"] for row in play.rows() if "device" in row} == {"cover-2"}
    assert f"cover-1 {fault}" in play.marks()


async def test_a_late_device_answers_after_its_time(tmp_path: Path) -> None:
    block = line_only(tmp_path)
    text = '[[faults]]\nat="0s"\ndevice="cover-1"\nfault="late"\nfor="1h"\nlate_by="400ms"'
    async with stage.played(block, stage.scenario(tmp_path, block, text), tmp_path) as play:
        began = time.monotonic()
        assert await ask(tmp_path, request(21, "03 00 02 00 01"), wait_s=2, most=7) == request(21, "03 02 00 57")
        assert time.monotonic() - began >= 0.4
    assert play.values("cover-1") == []


async def test_the_record_follows_the_plant_and_its_marks(tmp_path: Path) -> None:
    block = line_only(tmp_path)
    text = (
        '[[steps]]\nat="2s"\ndevice="gas-1"\nchannel="gas_concentration"\nto=40\nover="1s"\nmarks=[10]\nsay="leak"\n'
        '[[cuts]]\nat="4s"\nfor="1h"'
    )
    scenario = stage.scenario(tmp_path, stage.block(tmp_path), text)
    async with stage.played(block, scenario, tmp_path) as play:
        served = []
        while "uplink: cut for 3600 s" not in play.said:
            served.append((await ask(tmp_path, request(11, "03 00 00 00 01"), wait_s=5, most=7))[3:5])
        passed_ms = play.marks()["gas-1.gas_concentration >= 10"]
    assert "gas-1: leak, to 40 %LEL in 1 s" in play.said
    rows = play.values("gas-1")
    assert [int.from_bytes(raw, "big") / 10 for raw in served] == [value for _, _, value in rows]
    assert rows[0][2] == 0.4
    assert rows[-1][2] == 40
    assert all((value >= 10) == (at_ms >= passed_ms) for at_ms, _, value in rows if abs(at_ms - passed_ms) > 5)


async def test_the_link_replaces_a_stale_one_but_nothing_else_and_goes_at_the_end(tmp_path: Path) -> None:
    block, link = line_only(tmp_path), tmp_path / "rs485"
    link.symlink_to("/nowhere")
    async with stage.played(block, stage.scenario(tmp_path, block), tmp_path):
        assert link.is_symlink()
        assert os.readlink(link).startswith("/dev/")
    assert not link.is_symlink()
    link.write_text("somebody's file")
    with pytest.raises(ConfigError, match="is in the way"):
        async with stage.played(block, stage.scenario(tmp_path, block), tmp_path):
            pass
    assert link.read_text() == "somebody's file"
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
