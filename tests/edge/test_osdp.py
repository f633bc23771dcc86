"""What an OSDP reader's events say; and that neither card nor PIN gets past."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models.osdp import OsdpModel
from edge.models.product import load_models
from edge.protocols import osdp
from messages.kind import load_kinds

osdp_sys = pytest.importorskip("osdp_sys")

MODEL = load_models(load_kinds())["osdp-reader-with-inputs"]
assert isinstance(MODEL, OsdpModel)
KEY, OTHER = b"k" * 32, b"o" * 32
CARD = {"event": osdp.CARD_READ, "reader_no": 0, "format": 1, "length": 26, "data": b"\x0b\x0e\x01\x40"}


def said(event: dict[str, object], key: bytes = KEY) -> list[tuple[str, object]]:
    assert isinstance(MODEL, OsdpModel)
    return list(osdp.values(event, MODEL, key))


def test_the_codes_are_the_librarys() -> None:
    assert (osdp.CARD_READ, osdp.KEY_PRESS, osdp.STATUS) == (
        osdp_sys.EVENT_CARDREAD,
        osdp_sys.EVENT_KEYPRESS,
        osdp_sys.EVENT_STATUS,
    )
    assert (osdp.LOCAL, osdp.INPUTS) == (osdp_sys.STATUS_REPORT_LOCAL, osdp_sys.STATUS_REPORT_INPUT)


def test_a_card_is_the_same_hash_here_and_another_elsewhere() -> None:
    ((channel, here),) = said(CARD)
    assert channel == "card"
    assert said(CARD) == [("card", here)]
    assert said(CARD, OTHER) != [("card", here)]
    assert said({**CARD, "length": 27}) != [("card", here)]
    assert len(str(here)) == 20


def test_inputs_and_tamper_are_contacts() -> None:
    assert said({"event": osdp.STATUS, "type": osdp.INPUTS, "report": b"\x01\x00"}) == [
        ("door_open", True),
        ("exit_request", False),
    ]
    assert said({"event": osdp.STATUS, "type": osdp.LOCAL, "report": b"\x01\x00"}) == [("tamper", True)]
    assert said({"event": osdp.STATUS, "type": osdp.INPUTS, "report": b""}) == []


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 20_000)), max_size=20))
def test_whatever_is_keyed_in_no_code_is_longer_than_a_code(presses: list[tuple[bytes, int]]) -> None:
    keypad, at_ms = osdp.Keypad(), 0
    for keys, later_ms in presses:
        at_ms += later_ms
        for keyed in keypad.press(keys, at_ms):
            assert 0 < len(keyed) <= osdp.LONGEST_CODE
            assert not {osdp.ENTER, osdp.CLEAR} & set(keyed)


@given(
    st.dictionaries(st.sampled_from(["event", "type", "length"]), st.integers(0, 2**31)),
    st.binary(max_size=64),
)
def test_whatever_an_event_holds_no_content_gets_past(event: dict[str, int], secret: bytes) -> None:
    for _, value in said({**event, "data": secret, "report": secret}):
        assert isinstance(value, bool) or len(str(value)) == 20
