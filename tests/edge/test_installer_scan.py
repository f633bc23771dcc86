"""What a scan makes of what it hears."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from edge.installer.scanning.scan import (
    COMMON_BAUDRATES,
    REPEATS,
    Heard,
    Trial,
    found,
    judge,
    of_line,
    question,
    speeds,
)
from edge.installer.terminal import lasting_name, longest_s


def framed(*body: int) -> bytes:
    return bytes(body) + FramerRTU.compute_CRC(bytes(body)).to_bytes(2, "big")


ASKED = question(11)
VALUE, REFUSAL, OTHERS = framed(11, 3, 2, 0, 253), framed(11, 0x83, 2), framed(12, 3, 2, 0, 1)


def test_the_question_is_the_one_of_the_standard() -> None:
    # MODBUS Application Protocol V1.1b3 section 6.3: function 3, starting address, quantity; CRC low byte first
    assert question(1) == bytes.fromhex("01 03 00 00 00 01 84 0A")


@pytest.mark.parametrize(
    ("came", "heard", "detail"),
    [
        (b"", Heard.NOTHING, ""),
        (VALUE, Heard.ANSWER, "holding register 0 is 253"),
        (REFUSAL, Heard.ANSWER, "exception 2, no register 0"),
        (OTHERS, Heard.OTHER, "unit 12"),
        (ASKED, Heard.ECHO, ""),
        (ASKED + VALUE, Heard.ANSWER, "holding register 0 is 253"),
        (VALUE[:-1], Heard.GARBLED, "0b 03 02 00 fd " + f"{VALUE[-2]:02x}"),
        (VALUE + b"\0", Heard.GARBLED, "1 bytes too many"),
        (VALUE + REFUSAL, Heard.TWICE, ""),
        (VALUE + OTHERS, Heard.GARBLED, "7 bytes too many"),
        (b"\xff\xfe", Heard.GARBLED, "ff fe"),
    ],
)
def test_what_comes_back_is_told_apart(came: bytes, heard: Heard, detail: str) -> None:
    assert judge(11, ASKED, came) == Trial(11, heard, detail, refused=detail.startswith("exception"))


@given(st.binary(max_size=300))
def test_whatever_comes_is_judged(came: bytes) -> None:
    assert judge(11, ASKED, came).heard in Heard


def trials(**counts: int) -> list[Trial]:
    return [
        Trial(11, Heard[name.upper()], "exception 2, no register 0")
        for name, count in counts.items()
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("made", "suspicion"),
    [
        (trials(answer=REPEATS), None),
        (trials(answer=19, nothing=1), None),
        (trials(answer=17, nothing=1, garbled=2), "termination"),
        (trials(answer=8, garbled=12), "two devices with this address"),
        (trials(answer=19, twice=1), "two devices with this address"),
        (trials(answer=19, other=1), "slower than the time-out"),
        ([*trials(answer=10), *[Trial(11, Heard.ANSWER, "exception 2", refused=True)] * 10], "two devices"),
    ],
)
def test_a_suspicion_names_what_to_look_at(made: list[Trial], suspicion: str | None) -> None:
    unit = found(made)
    assert unit
    assert (
        [suspicion in said for said in unit.suspicions] == ([True] if suspicion else [])
        if suspicion
        else not unit.suspicions
    )


def test_nobody_is_nobody() -> None:
    assert found(trials(nothing=REPEATS)) is None
    assert found(trials(echo=REPEATS)) is None


def test_a_line_is_suspected_as_a_whole() -> None:
    assert of_line(trials(nothing=247), b"") == []
    assert "echoes" in of_line(trials(echo=247), b"")[0]
    assert "without being asked" in of_line(trials(nothing=247), b"\0\0")[0]
    assert "A and B swapped" in of_line(trials(garbled=200, nothing=47), b"")[0]


def test_speeds_are_tried_most_common_first() -> None:
    assert [str(speed) for speed in speeds((9600, 19200), ("N", "E"))] == [
        "9600 Bd 8N1",
        "9600 Bd 8E1",
        "19200 Bd 8N1",
        "19200 Bd 8E1",
    ]


def test_an_installer_reads_it_in_his_language() -> None:
    assert judge(11, ASKED, bytes.fromhex("0b 83 02 e0 f3"), "zh").detail == "异常 2, 没有寄存器 0"
    mixed = found([*trials(answer=10), *[Trial(11, Heard.ANSWER, "异常 2", refused=True)] * 10], "zh")
    assert mixed
    assert mixed.suspicions == ("时而回数值，时而回异常：两台设备用同一个地址？",)
    assert "A、B 接反" in of_line(trials(garbled=200, nothing=47), b"", "zh")[0]


def test_a_port_is_written_down_by_a_name_that_lasts(tmp_path: Path) -> None:
    (tmp_path / "usb-1a86-if00").symlink_to("/dev/null")
    assert lasting_name("/dev/null", tmp_path) == f"{tmp_path}/usb-1a86-if00"
    assert lasting_name("/dev/zero", tmp_path) == "/dev/zero"
    assert lasting_name("ttyUSB0", tmp_path) == str(Path.cwd() / "ttyUSB0")
    assert lasting_name("socket://gateway:4000", tmp_path) == "socket://gateway:4000"


def test_how_long_a_scan_may_take_is_known_before() -> None:
    assert longest_s(list(speeds([9600], ["N"])), range(1, 248), 0.1) == pytest.approx(30.4, abs=0.5)
    assert longest_s(list(speeds(COMMON_BAUDRATES, ["N", "E"])), range(1, 248), 0.1) > 6 * 60
