"""Receipt, status, announcement and alarm: what goes in comes out, and nothing hostile gets further than an error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages import alarm, announcement, receipt, status
from messages.alarm import PublishedAlarm
from messages.announcement import Announcement, AnnouncementError, Place
from messages.complaint import LIMIT
from messages.ids import IDENTIFIER, DeviceId, SiteId, StreamId
from messages.pack import NUMBER_LIMIT
from messages.reading import LATEST_MS
from messages.receipt import Receipt, ReceiptError, Rejected
from messages.settings import Text
from messages.status import EdgeStatus, OutboxFigures, StatusError

Decode = Callable[[bytes], object]
DECODERS: tuple[tuple[Decode, type[ValueError]], ...] = (
    (receipt.decode, ReceiptError),
    (status.decode, StatusError),
    (announcement.decode, AnnouncementError),
)

identifiers = st.from_regex(IDENTIFIER, fullmatch=True).map(lambda text: text.rstrip("\n"))
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
pack_ranges = st.tuples(st.integers(1, NUMBER_LIMIT), st.integers(1, NUMBER_LIMIT)).map(lambda r: (min(r), max(r)))
counts = st.integers(0, 2**53)
values = st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | lines
places = st.builds(Place, grid=identifiers, building=lines, unit=lines, text=lines)


@given(
    identifiers,
    st.lists(pack_ranges, max_size=5),
    st.lists(
        st.tuples(pack_ranges, lines).map(lambda r: Rejected(first=r[0][0], last=r[0][1], reason=r[1])), max_size=3
    ),
)
def test_a_receipt_comes_out_as_it_went_in(
    stream: str, stored: list[tuple[int, int]], rejected: list[Rejected]
) -> None:
    sent = Receipt(stream=StreamId(stream), stored=stored, rejected=rejected)
    assert receipt.decode(receipt.encode(sent)) == sent


@given(
    st.builds(
        EdgeStatus,
        online=st.booleans(),
        at_ms=st.none() | st.integers(0, LATEST_MS),
        software=st.none() | lines,
        stream=st.none() | identifiers,
        packs=st.none() | counts,
        outbox=st.none()
        | st.builds(OutboxFigures, produced=counts, receipted=counts, pending=counts, dropped=counts, bytes=counts),
    )
)
def test_a_status_comes_out_as_it_went_in(sent: EdgeStatus) -> None:
    assert status.decode(status.encode(sent)) == sent


def test_the_last_will_says_offline_and_nothing_else() -> None:
    assert status.encode(EdgeStatus(online=False)) == b'{"online":false}'


@given(identifiers, lines, places, st.dictionaries(identifiers, values, max_size=5))
def test_an_announcement_comes_out_as_it_went_in(kind: str, model: str, place: Place, given_: dict[str, Any]) -> None:
    sent = Announcement(kind=kind, model=model, place=place, settings=given_)
    back = announcement.decode(announcement.encode(sent))
    assert back == sent
    assert {name: type(value) for name, value in back.settings.items()} == {n: type(v) for n, v in given_.items()}


def test_another_system_can_read_an_alarm() -> None:
    sent = PublishedAlarm(
        id="a1",
        site=SiteId("junmen"),
        device=DeviceId("gas-1"),
        kind="gas_alarm",
        rule="gas_high",
        level="red",
        state="unack",
        raised_at_ms=1_793_000_000_000,
        changed_at_ms=1_793_000_000_500,
        title=Text(zh="燃气泄漏", en="Gas leak"),
        place=Place(grid="g1", building="3", text="3号楼2单元101厨房"),
        values={"gas_concentration": 12.5, "alarm_contact": True},
    )
    said = json.loads(alarm.encode(sent))
    assert said["title"] == {"zh": "燃气泄漏", "en": "Gas leak"}
    assert said["values"] == {"gas_concentration": 12.5, "alarm_contact": True}
    assert "case" not in said
    assert PublishedAlarm.model_validate_json(alarm.encode(sent)) == sent


RECEIPT: dict[str, Any] = {"stream": "s1", "stored": [[1, 4]], "rejected": []}
STATUS: dict[str, Any] = {"online": True, "packs": 4}
ANNOUNCED: dict[str, Any] = {
    "kind": "gas_alarm",
    "model": "m",
    "place": {"grid": "g1", "text": "3号楼"},
    "settings": {},
}


@pytest.mark.parametrize(
    ("decode", "content", "words"),
    [
        (receipt.decode, {}, "not a receipt: stream: Field required"),
        (receipt.decode, RECEIPT | {"stored": [[4, 1]]}, "the first of a range, 4, comes after its last, 1"),
        (receipt.decode, RECEIPT | {"stored": [[0, 1]]}, "stored.0.0: Input should be greater than or equal to 1"),
        (receipt.decode, RECEIPT | {"stored": [[1, 2**60]]}, "stored.0.1: Input should be less than or equal to"),
        (receipt.decode, RECEIPT | {"stored": [["1", 2]]}, "stored.0.0: Input should be a valid integer"),
        (receipt.decode, RECEIPT | {"stored": [[1.0, 2]]}, "stored.0.0: Input should be a valid integer"),
        (receipt.decode, RECEIPT | {"stored": [[True, 2]]}, "stored.0.0: Input should be a valid integer"),
        (receipt.decode, RECEIPT | {"stored": [[1]]}, "stored.0.1: Field required"),
        (receipt.decode, RECEIPT | {"stored": [[1, 2, 3]]}, "stored.0: Tuple should have at most 2 items"),
        (receipt.decode, RECEIPT | {"rejected": [{"first": 4, "last": 1, "reason": ""}]}, "4, comes after its last, 1"),
        (receipt.decode, RECEIPT | {"rejected": [{"first": 1, "last": 1}]}, "rejected.0.reason: Field required"),
        (status.decode, {}, "not a status: online: Field required"),
        (status.decode, STATUS | {"online": 1}, "online: Input should be a valid boolean"),
        (status.decode, STATUS | {"packs": -1}, "packs: Input should be greater than or equal to 0"),
        (status.decode, STATUS | {"packs": 1.5}, "packs: Input should be a valid integer"),
        (status.decode, STATUS | {"at_ms": "now"}, "at_ms: Input should be a valid integer"),
        (announcement.decode, {}, "kind: Field required"),
        (announcement.decode, ANNOUNCED | {"kind": "Gas Alarm"}, "kind: String should match pattern"),
        (announcement.decode, ANNOUNCED | {"kind": "gas\n"}, "kind: String should match pattern"),
        (announcement.decode, ANNOUNCED | {"model": "m\x00"}, "model: String should match pattern"),
        (announcement.decode, ANNOUNCED | {"model": "m" * 81}, "model: String should have at most 80 characters"),
        (announcement.decode, ANNOUNCED | {"place": {"text": ""}}, "place.grid: Field required"),
        (announcement.decode, ANNOUNCED | {"place": {"grid": "g", "text": "a\nb"}}, "place.text: String should match"),
        (announcement.decode, ANNOUNCED | {"place": {"grid": "g", "text": "", "building": "3\n"}}, "place.building"),
        (announcement.decode, ANNOUNCED | {"settings": {"Depth": 1}}, "settings.Depth.[key]: String should match"),
        (announcement.decode, ANNOUNCED | {"settings": {"depth": [1]}}, "settings.depth"),
        (announcement.decode, ANNOUNCED | {"settings": {"owner": "a\x00"}}, "settings.owner"),  # no PostgreSQL takes it
    ],
)
def test_what_can_not_be_meant_is_refused_with_the_field(decode: Decode, content: object, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the type is judged below)
        decode(json.dumps(content).encode())
    assert type(caught.value) is dict(DECODERS)[decode]
    assert words in str(caught.value)


def test_fields_that_come_later_are_ignored() -> None:
    """A newer edge may say more to an older collector."""
    assert receipt.decode(json.dumps(RECEIPT | {"new": 1}).encode()).stored == [(1, 4)]
    assert status.decode(json.dumps(STATUS | {"new": 1}).encode()).online
    assert announcement.decode(json.dumps(ANNOUNCED | {"new": 1}).encode()).kind == "gas_alarm"


hostile = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(sorted({*RECEIPT, *STATUS, *ANNOUNCED, "at_ms", "outbox", "first", "last", "grid", "text"}))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | (hostile | st.dictionaries(fields, hostile)).map(lambda c: json.dumps(c).encode()))
def test_bytes_of_any_kind_are_a_message_or_an_error_of_ours(payload: bytes) -> None:
    for decode, error in DECODERS:
        try:
            decode(payload)
        except error as caught:
            said = str(caught)
        else:
            said = "fine"
        assert 0 < len(said) < LIMIT + 100


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 250_000,
        b'{"stream":' * 50_000,
        b'{"packs":' + b"9" * 250_000 + b"}",
        b'{"' + b"k" * 250_000 + b'":1}',
        b'{"settings":{"' + b"K" * 250_000 + b'":1}}',
        b'{"stream":"s","stored":[' + b"[1,1]," * 40_000 + b"[2,1]]}",
        b'{"stream":"s","stored":[' + b"1," * 100_000 + b"1]}",
        json.dumps(ANNOUNCED | {"settings": {"K" * 200_000: 1}}).encode(),
    ],
    ids=lambda payload: payload[:20].decode(),
)
def test_a_bomb_is_an_error_of_bounded_length(payload: bytes) -> None:
    for decode, error in DECODERS:
        with pytest.raises(error) as caught:
            decode(payload)
        assert len(str(caught.value)) < LIMIT + 100
