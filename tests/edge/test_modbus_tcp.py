"""What comes over one connection is that question's answer, a stray, or nothing that can be read."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.modbus import Fault, Garbled, Question, Refused, Request, Values, Write, Written
from edge.protocols.modbus_tcp import HEADER, TcpJudge, encode

QUESTION, NUMBER = Request(11, "holding", 0, 2), 0x0102
REPLY = bytes.fromhex("0102 0000 0007 0b 03 04 00fd 0001")

questions: st.SearchStrategy[Question] = st.builds(
    Request,
    st.integers(1, 247),
    st.sampled_from(["coil", "discrete", "input", "holding"]),
    st.just(0),
    st.integers(1, 125),
) | st.builds(
    Write,
    st.integers(1, 247),
    st.sampled_from(["coil", "holding"]),
    st.integers(0, 0xFFFF),
    st.lists(st.integers(0, 1), min_size=1, max_size=8).map(tuple),
    st.booleans(),
)


def fed(judge: TcpJudge, data: bytes, size: int) -> object:
    for start in range(0, len(data), size):
        if verdict := judge.feed(data[start : start + size]):
            return verdict
    return judge.time_is_over()


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_verdict_does_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    stale = b"\x01\x01" + REPLY[2:]
    judge = TcpJudge(QUESTION, NUMBER)
    assert (fed(judge, stale + stale + REPLY, size), judge.strays) == (Values((253, 1)), 2)
    assert fed(TcpJudge(QUESTION, NUMBER), REPLY[:-1], size) == Garbled(Fault.CUT_SHORT)
    assert fed(TcpJudge(QUESTION, NUMBER), bytes.fromhex("0102 0000 0003 0b 83 02"), size) == Refused(2)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("0102 0000 0007 0c 03 04 00fd 0001", Fault.WRONG_UNIT),
        ("0102 0000 0007 0b 04 04 00fd 0001", Fault.WRONG_FUNCTION),
        ("0102 0000 0005 0b 03 02 00fd", Fault.WRONG_LENGTH),
        ("0102 0000 0008 0b 03 04 00fd 0001 00", Fault.WRONG_LENGTH),
        ("0102 0001 0007 0b 03 04 00fd 0001", Fault.NO_MODBUS),
        ("0102 0000 00ff 0b 03 04 00fd 0001", Fault.NO_MODBUS),
        ("0102 0000 0001 0b", Fault.NO_MODBUS),
    ],
)
def test_an_answer_to_another_question_is_garbled(reply: str, fault: Fault) -> None:
    assert TcpJudge(QUESTION, NUMBER).feed(bytes.fromhex(reply)) == Garbled(fault)


@given(questions, st.lists(st.binary(max_size=30) | st.just(REPLY), max_size=8), st.integers(0, 12), st.integers(1, 40))
def test_whatever_comes_there_is_a_named_verdict(question: Question, pieces: list[bytes], head: int, size: int) -> None:
    body = bytes([question.unit, question.function]) + b"".join(pieces)[:252]
    likely = HEADER.pack(NUMBER, 0, len(body), question.unit)[:head] + body[1:]
    for stream in (b"".join(pieces), likely):
        judge = TcpJudge(question, NUMBER)
        verdict = fed(judge, stream, size)
        assert verdict is None or isinstance(verdict, Values | Written | Refused | Garbled)


@given(questions, st.integers(0, 0xFFFF))
def test_every_question_carries_its_number_and_its_length(question: Question, number: int) -> None:
    frame = encode(question, number)
    assert HEADER.unpack_from(frame) == (number, 0, len(frame) - HEADER.size + 1, question.unit)
    assert all(encode(question, one) != encode(question, two) for one, two in pairwise((number, number ^ 1)))
