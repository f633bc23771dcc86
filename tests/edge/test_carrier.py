"""What comes back to a question over an adapter that may echo: an echo is never an answer, and no noise ends in more than a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from edge.protocols.modbus import Fault, Garbled, Question, Refused, Request, Values, Write, Written
from edge.protocols.modbus_rtu import encode
from edge.sources.carrier import _Heard

READ, WRITE = Request(11, "holding", 0, 1), Write(11, "coil", 3, (1,))


def framed(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


ANSWER = framed("0b 03 02 00 fd")


def fed(heard: _Heard, data: bytes, size: int) -> object:
    for start in range(0, len(data), size):
        if verdict := heard.feed(data[start : start + size]):
            return verdict
    return heard.time_is_over()


@pytest.mark.parametrize("size", [1, 3, 64])
def test_an_echo_is_taken_off_and_found_out(size: int) -> None:
    heard = _Heard(READ, encode(READ), echo=None)
    assert (fed(heard, encode(READ) + ANSWER, size), heard.echo) == (Values((253,)), True)
    heard = _Heard(READ, encode(READ), echo=None)
    assert (fed(heard, ANSWER, size), heard.echo) == (Values((253,)), False)
    assert fed(_Heard(READ, encode(READ), echo=True), ANSWER, size) == Garbled(Fault.BAD_ECHO)
    assert fed(_Heard(WRITE, encode(WRITE), echo=True), encode(WRITE), size) is None, "its own echo confirms no write"
    assert fed(_Heard(WRITE, encode(WRITE), echo=True), encode(WRITE) * 2, size) == Written()


@given(
    st.sampled_from([READ, WRITE]),
    st.sampled_from([None, True, False]),
    st.integers(0, 16),
    st.binary(max_size=60),
    st.integers(1, 20),
)
def test_whatever_comes_there_is_a_named_verdict(
    question: Question, echo: bool | None, head: int, noise: bytes, size: int
) -> None:
    stream = (encode(question) + (ANSWER if question is READ else encode(WRITE)))[:head] + noise
    verdict = fed(_Heard(question, encode(question), echo=echo), stream, size)
    assert verdict is None or isinstance(verdict, Values | Written | Refused | Garbled)
