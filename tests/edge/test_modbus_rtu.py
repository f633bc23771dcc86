import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from edge.models.modbus import Table
from edge.protocols.modbus import Fault, Garbled, Question, Refused, Request, Values, Write, Written
from edge.protocols.modbus_rtu import Judge, Pace, encode

REQUEST = Request(11, "holding", 0, 3)
REPLY = bytes.fromhex("0b 03 06 00 fd 00 01 ff fb 63 b2")  # from tests/golden/modbus/libmodbus.toml
VALUES = Values((253, 1, 65531))
REFUSAL = bytes.fromhex("0b 83 02 e0 f3")


def framed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def fed(request: Question, data: bytes, size: int) -> object:
    judge = Judge(request)
    for start in range(0, len(data), size):
        if verdict := judge.feed(data[start : start + size]):
            return verdict
    return judge.time_is_over()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64])
def test_a_verdict_does_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    assert fed(REQUEST, REPLY, size) == VALUES
    assert fed(REQUEST, REFUSAL, size) == Refused(2)
    assert fed(REQUEST, b"\x0c" + REPLY[1:], size) == Garbled(Fault.WRONG_UNIT)
    assert fed(REQUEST, REPLY[:-1] + b"\x00", size) == Garbled(Fault.BAD_CRC)
    assert fed(REQUEST, REPLY[:-1], size) == Garbled(Fault.CUT_SHORT)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (framed(bytes.fromhex("0c 03 06 00 fd 00 01 ff fb")), Fault.WRONG_UNIT),
        (framed(bytes.fromhex("0b 04 06 00 fd 00 01 ff fb")), Fault.WRONG_FUNCTION),
        (framed(bytes.fromhex("0b 84 02")), Fault.WRONG_FUNCTION),
        (framed(bytes.fromhex("0b 03 04 00 fd 00 01")), Fault.WRONG_LENGTH),
        (framed(bytes.fromhex("0b 03 08 00 fd 00 01 ff fb 00 00")), Fault.WRONG_LENGTH),
        (REFUSAL[:-1] + b"\x00", Fault.BAD_CRC),
    ],
)
def test_a_sound_frame_that_answers_another_question_is_garbled(reply: bytes, fault: Fault) -> None:
    assert Judge(REQUEST).feed(reply) == Garbled(fault)


def test_a_bad_head_is_judged_before_the_rest_has_come() -> None:
    assert Judge(REQUEST).feed(b"\x0c") == Garbled(Fault.WRONG_UNIT)


def test_silence_is_not_garbled() -> None:
    assert Judge(REQUEST).time_is_over() is None


@given(bit=st.integers(0, 8 * len(REPLY) - 1))
def test_no_flipped_bit_makes_a_value(bit: int) -> None:
    damaged = bytearray(REPLY)
    damaged[bit // 8] ^= 1 << bit % 8
    assert isinstance(fed(REQUEST, bytes(damaged), 4), Garbled)


@given(
    unit=st.integers(1, 247),
    table=st.sampled_from(["coil", "discrete", "input", "holding"]),
    count=st.integers(1, 125),
    head=st.integers(0, 4),
    noise=st.binary(max_size=300),
    size=st.integers(1, 40),
)
def test_whatever_comes_there_is_a_named_verdict(
    unit: int, table: Table, count: int, head: int, noise: bytes, size: int
) -> None:
    request = Request(unit, table, 0, count)
    likely = bytes([unit, request.function, request.reply_pdu_bytes - 2, 0])[:head]  # else all noise ends at byte 1
    verdict = fed(request, likely + noise, size)
    assert verdict is None or isinstance(verdict, Values | Refused | Garbled)


@given(
    st.sampled_from(["coil", "holding"]),
    st.integers(0, 0xFFFF),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 8),
    st.binary(max_size=20),
)
def test_nothing_but_its_own_confirmation_confirms_a_write(
    table: Table, address: int, words: list[int], many: bool, head: int, noise: bytes
) -> None:
    write = Write(11, table, address, tuple(words if table == "holding" else [word & 1 for word in words]), many)
    confirmation = framed(encode(write)[:6])
    verdict = fed(write, confirmation[:head] + noise, 3)
    assert verdict is None or isinstance(verdict, Written | Refused | Garbled)
    assert isinstance(verdict, Written) == (confirmation[:head] + noise).startswith(confirmation)


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125))
def test_every_good_reply_is_read(registers: list[int]) -> None:
    body = bytes([1, 4, 2 * len(registers)]) + b"".join(value.to_bytes(2, "big") for value in registers)
    size = random.Random(len(registers)).randint(1, 20)
    assert fed(Request(1, "input", 0, len(registers)), framed(body), size) == Values(tuple(registers))


def test_the_longest_requests_are_sent_and_longer_ones_are_a_mistake_of_ours() -> None:
    assert len(encode(Request(1, "holding", 0xFFFF, 125))) == 8
    with pytest.raises(ValueError, match="125"):
        encode(Request(1, "holding", 0, 126))


def test_an_exception_is_called_by_its_name() -> None:
    assert str(Refused(2)) == "exception 2, illegal address"
    assert str(Refused(99)) == "exception 99, unknown exception"


def test_bytes_take_their_time_on_the_line() -> None:
    assert Pace(9600).transmission_s(96) == pytest.approx(0.11)
