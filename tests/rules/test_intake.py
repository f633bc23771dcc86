from pathlib import Path

import pytest

from messages import announcement, pack, receipt, status, topics
from messages.ids import DeviceId, EdgeId, StreamId
from messages.receipt import Receipt, Rejected
from messages.status import EdgeStatus
from rules.engine import draft
from rules.engine.intake import Undecodable, take
from rules.engine.memory.plant import Edge
from rules.engine.work import Work
from tests.rules.course import at, course
from tests.rules.room import EDGE, SITE, Room, announced

STREAM = StreamId("s-1")
KEY = (SITE, EDGE, STREAM)
READINGS = topics.readings(SITE, EDGE)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    room = Room(tmp_path)
    room.announce("it", "manhole_cover")
    return Work(room.facts)


def packed(number: int, value: float, edge: EdgeId = EDGE) -> bytes:
    return pack.encode(edge, STREAM, number, course("tilt", (1.0, value)))


def test_a_pack_is_heard_once(work: Work) -> None:
    for _ in range(3):
        assert take(work, READINGS, packed(1, 60.0), at(1)) is None
    work.settle(at(1))
    assert work.readings == 1
    assert len(work.found) == 1
    assert work.is_heard(KEY, 1)


def test_a_pack_without_a_number_is_heard_all_the_same(work: Work) -> None:
    payload = b'[{"bn": "it/", "bt": 1760000000, "n": "tilt", "v": 60, "u": "deg"}]'
    assert take(work, READINGS, payload, at(1)) is None
    work.settle(at(1))
    assert (work.readings, work.streams) == (1, {})


def test_an_announcement_and_a_status_are_known_from_then_on(work: Work) -> None:
    topic = topics.announcement(SITE, EDGE, DeviceId("gas-1"))
    assert take(work, topic, announcement.encode(announced("gas_alarm")), at(0)) is None
    device = work.devices[SITE, EDGE, DeviceId("gas-1")]
    assert device
    assert device.kind == "gas_alarm"
    said = status.encode(EdgeStatus(online=True, at_ms=at(5), stream=STREAM, packs=12))
    assert take(work, topics.status(SITE, EDGE), said, at(9)) is None
    assert the_edge(work).since_ms == at(5)
    assert work.stream(KEY).said == 12


def the_edge(work: Work) -> Edge:
    found = work.edges[SITE, EDGE]
    assert found
    return found


def test_the_brokers_last_will_counts_from_now(work: Work) -> None:
    assert take(work, topics.status(SITE, EDGE), status.encode(EdgeStatus(online=False)), at(9)) is None
    assert (the_edge(work).online, the_edge(work).since_ms) == (False, at(9))


def test_a_status_of_an_absurd_time_or_number_harms_nothing(work: Work) -> None:
    early = b'{"online": true, "at_ms": 0, "stream": "s", "packs": 1000000000000000000000}'
    assert "pack number" in (take(work, topics.status(SITE, EDGE), early, at(9)) or "")
    assert the_edge(work).since_ms == 0
    never = b'{"online": false, "at_ms": -1000000000000000000000}'
    assert "at_ms" in (take(work, topics.status(SITE, EDGE), never, at(9)) or "")
    assert the_edge(work).online
    assert work.streams == {}


def test_a_receipt_says_how_far_the_stream_has_come_not_that_it_was_heard(work: Work) -> None:
    said = Receipt(stream=STREAM, stored=[(1, 4)], rejected=[Rejected(first=5, last=6, reason="too-old")])
    assert take(work, topics.receipts(SITE, EDGE), receipt.encode(said), at(0)) is None
    assert work.stream(KEY).said == 6
    assert not work.is_heard(KEY, 1)


def test_an_empty_announcement_withdraws_and_an_empty_status_says_nothing(work: Work) -> None:
    assert take(work, topics.status(SITE, EDGE), b"", at(0)) is None
    assert work.empty
    assert take(work, topics.announcement(SITE, EDGE, DeviceId("it")), b"", at(0)) is None
    assert work.devices == {(SITE, EDGE, "it"): None}


def test_a_decoder_that_fails_at_a_message_fails_at_this_one_only(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(_payload: bytes) -> None:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr(pack, "decode", overflow)
    with pytest.raises(Undecodable, match="OverflowError"):
        take(work, READINGS, packed(1, 60.0), at(1))
    assert work.empty


def test_an_edge_that_announces_too_much_is_refused(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "DEVICES_PER_EDGE", 1)
    topic = topics.announcement(SITE, EDGE, DeviceId("gas-1"))
    assert take(work, topic, announcement.encode(announced("gas_alarm")), at(0)) == (
        "pi-1 has announced too many devices already"
    )
    assert work.empty


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        (READINGS, b"nonsense", "malformed"),
        (READINGS, b"\xff\xfe", "malformed"),
        (READINGS, b"[" * 300_000, "oversized"),
        (READINGS, packed(1, 60.0, EdgeId("pi-2")), "a pack of pi-2 on the topic of pi-1"),
        (topics.receipts(SITE, EDGE), b'{"stream": "s", "stored": [[1, 1000000000000000000]]}', ""),
        (topics.receipts(SITE, EDGE), b"{}", "not a receipt"),
        (topics.receipts(SITE, EDGE), b'{"stream": "s"}' + b" " * 64 * 1024, "oversized"),
        (topics.status(SITE, EDGE), b'{"online": true}' + b" " * 16 * 1024, "oversized"),
        (
            topics.announcement(SITE, EDGE, DeviceId("x")),
            announcement.encode(announced("gas_alarm")) + b" " * 16 * 1024,
            "oversized",
        ),
        (topics.status(SITE, EDGE), b"{}", "not a status"),
        (topics.announcement(SITE, EDGE, DeviceId("x")), b"{}", "kind"),
        ("gridcall/1/junmen/alarms/a1", b"{}", "a topic that is not ours"),
    ],
)
def test_what_can_not_be_read_comes_to_nothing_but_a_reason(work: Work, topic: str, payload: bytes, said: str) -> None:
    why = take(work, topic, payload, at(0))
    assert why
    assert said in why
    assert work.empty
