from pathlib import Path

import pytest

from collector.intake.delivery import Delivery
from collector.intake.judge import Accepted, Reason, Refused
from collector.quarantine.kept import KEPT_BYTES, Quarantine, Which
from collector.stores.base import StoreAway
from messages import topics
from messages.ids import EdgeId
from messages.pack import LIMIT_BYTES, Fault
from tests.collector.block import BIN, EDGE, GAS, NOW_MS, OTHER_EDGE, SITE


def bad(payload: bytes, *reasons: Reason, edge: EdgeId = EDGE) -> Delivery:
    topic = topics.readings(SITE, edge)
    return Delivery(
        topic=topic,
        payload=payload,
        received_at_ms=NOW_MS,
        origin=topics.origin(topic),
        verdict=Refused(reasons=reasons or (Reason(Fault.MALFORMED, "no JSON"),)),
    )


def clean(payload: bytes) -> Delivery:
    topic = topics.readings(SITE, EDGE)
    verdict = Accepted(points=(), pack=None)
    return Delivery(topic=topic, payload=payload, received_at_ms=NOW_MS, origin=topics.origin(topic), verdict=verdict)


def unknown(device: str) -> Reason:
    return Reason(Fault.UNKNOWN_DEVICE, f"pi-1 has not announced {device}", device)  # type: ignore[arg-type]


def payloads(quarantine: Quarantine) -> list[bytes]:
    return [entry.payload for entry in quarantine.entries(0, 1000)]


def test_a_message_lies_there_as_it_came_with_its_reasons(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    reasons = (Reason(Fault.WRONG_UNIT, "ppm, not %LEL", GAS, records=3), Reason(Fault.MALFORMED, "record 9"))
    quarantine.settle([bad(b"\x00\xff{", *reasons)])
    quarantine.close()
    (entry,) = Quarantine(tmp_path / "quarantine.db").entries(0, 10)
    assert (entry.topic, entry.payload, entry.received_at_ms) == (
        "gridcall/1/junmen/pi-1/readings",
        b"\x00\xff{",
        NOW_MS,
    )
    assert entry.reasons == list(reasons)
    assert entry.whole


def test_the_same_message_again_is_the_same_entry_with_its_newest_reasons(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    quarantine.settle([bad(b"a", unknown("x")), bad(b"b")])
    quarantine.settle([bad(b"a", Reason(Fault.WRONG_TYPE, "text"))])
    first, second = quarantine.entries(0, 10)
    assert (first.payload, [reason.fault for reason in first.reasons]) == (b"a", [Fault.WRONG_TYPE])
    assert second.payload == b"b"


def test_what_has_no_reason_any_more_leaves(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    quarantine.settle([bad(b"a"), bad(b"b")])
    quarantine.settle([clean(b"a"), clean(b"never there")])
    assert payloads(quarantine) == [b"b"]


def test_it_knows_what_waits_for_a_device_of_an_edge(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    quarantine.settle(
        [
            bad(b"both", unknown(GAS), unknown(BIN)),
            bad(b"other device", unknown(BIN)),
            bad(b"other fault", Reason(Fault.WRONG_UNIT, "ppm", GAS)),
            bad(b"other edge", unknown(GAS), edge=OTHER_EDGE),
            bad(b"again", unknown(GAS)),
        ]
    )
    waiting = quarantine.waiting((SITE, EDGE, GAS), 0, 10)
    assert [entry.payload for entry in waiting] == [b"both", b"again"]
    assert [entry.payload for entry in quarantine.waiting((SITE, EDGE, GAS), waiting[0].id, 10)] == [b"again"]
    assert len(quarantine.waiting((SITE, EDGE, GAS), 0, 1)) == 1


def mixed(path: Path) -> Quarantine:
    quarantine = Quarantine(path / "quarantine.db")
    quarantine.settle(
        [
            bad(b"1", unknown(GAS), unknown(BIN)),
            bad(b"2", Reason(Fault.WRONG_UNIT, "ppm", GAS, records=7)),
            bad(b"3", unknown(GAS), edge=OTHER_EDGE),
            bad(b"4"),
            bad(b"5", Reason(Fault.WRONG_UNIT, "ppm", BIN), unknown(GAS)),
        ]
    )
    return quarantine


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Which(), [b"1", b"2", b"3", b"4", b"5"]),
        (Which(ids=(2, 4, 99)), [b"2", b"4"]),
        (Which(reason=Fault.UNKNOWN_DEVICE), [b"1", b"3", b"5"]),
        (Which(device=GAS), [b"1", b"2", b"3", b"5"]),
        (Which(device=GAS, reason=Fault.WRONG_UNIT), [b"2"]),
        (Which(edge=OTHER_EDGE), [b"3"]),
        (Which(edge=OTHER_EDGE, ids=(1, 2)), []),
    ],
)
def test_entries_are_found_by_id_reason_edge_and_device_and_dropped_by_the_same(
    tmp_path: Path, which: Which, found: list[bytes]
) -> None:
    quarantine = mixed(tmp_path)
    assert [entry.payload for entry in quarantine.entries(0, 10, which)] == found
    assert quarantine.drop(which) == len(found)
    assert payloads(quarantine) == [each for each in (b"1", b"2", b"3", b"4", b"5") if each not in found]
    assert quarantine.dropped_by_hand() == len(found)
    assert quarantine.dropped() == 0
    quarantine.close()


def test_it_counts_messages_and_records_by_reason_and_device(tmp_path: Path) -> None:
    quarantine = mixed(tmp_path)
    counts = [(one.reason, one.edge, one.device, one.messages, one.records) for one in quarantine.counts()]
    assert counts == [
        (Fault.UNKNOWN_DEVICE, EDGE, GAS, 2, 2),
        (Fault.MALFORMED, EDGE, None, 1, 1),
        (Fault.UNKNOWN_DEVICE, EDGE, BIN, 1, 1),
        (Fault.UNKNOWN_DEVICE, OTHER_EDGE, GAS, 1, 1),
        (Fault.WRONG_UNIT, EDGE, BIN, 1, 1),
        (Fault.WRONG_UNIT, EDGE, GAS, 1, 7),
    ]
    assert [one.messages for one in quarantine.counts(Which(edge=OTHER_EDGE))] == [1]
    quarantine.close()


def test_an_oversized_message_is_kept_in_part_with_its_true_size_and_waits_for_nothing(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db")
    quarantine.settle([bad(b"x" * (LIMIT_BYTES + 1), unknown(GAS))])
    (entry,) = quarantine.entries(0, 10)
    assert (len(entry.payload), entry.true_bytes, entry.whole) == (KEPT_BYTES, LIMIT_BYTES + 1, False)
    assert quarantine.waiting((SITE, EDGE, GAS), 0, 10) == []


def test_the_oldest_make_room_and_are_counted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db", most_bytes=5000)
    quarantine.settle([])
    assert quarantine.dropped() == 0
    for number in range(30):
        quarantine.settle([bad(bytes([number]) * 300)])
    kept = payloads(quarantine)
    assert 5 <= len(kept) <= 10
    assert kept == [bytes([number]) * 300 for number in range(30 - len(kept), 30)]
    assert quarantine.dropped() == 30 - len(kept)


def test_empty_messages_and_endless_reasons_fill_it_too(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db", most_bytes=5000)
    quarantine.settle([bad(b"", *(unknown(f"d-{number}") for number in range(100)))])
    assert payloads(quarantine) == []
    assert quarantine.dropped() == 1


def test_a_damaged_file_is_set_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.db"
    path.write_bytes(b"no database at all" * 1000)
    quarantine = Quarantine(path)
    with pytest.raises(StoreAway, match=r"set aside as quarantine\.db\.damaged-1, a new one begins"):
        quarantine.settle([bad(b"one")])
    quarantine.settle([bad(b"one")])
    assert payloads(quarantine) == [b"one"]
    assert (tmp_path / "quarantine.db.damaged-1").read_bytes().startswith(b"no database")
    quarantine.close()
