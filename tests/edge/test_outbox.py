import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.outbox import DISK_REFUSED, MOST_READINGS, MOST_REASONS, OUTBOX_FULL, Outbox
from edge.report import Reported, Urgency
from messages.ids import DeviceId, EdgeId, StreamId
from messages.pack import decode
from messages.reading import Reading
from messages.receipt import Receipt, Rejected

EDGE, STREAM, NEXT = EdgeId("pi-1"), StreamId("stream000001"), StreamId("stream000002")
MEGABYTE = 1024 * 1024


def some(count: int, urgency: Urgency = Urgency.PERIODIC, device: str = "gas-1") -> list[Reported]:
    return [
        Reported(Reading(device=DeviceId(device), channel="a", at_ms=1_763_700_000_000 + at, value=float(at)), urgency)
        for at in range(count)
    ]


@contextmanager
def outbox(path: Path, limit_bytes: int = MEGABYTE, stream: StreamId = STREAM) -> Iterator[Outbox]:
    opened = Outbox(path / "outbox.sqlite", EDGE, limit_bytes, lambda: stream)
    try:
        yield opened
    finally:
        opened.close()


def numbers(box: Outbox, urgency: Urgency = Urgency.PERIODIC) -> list[int]:
    return [row.number for row in box.waiting(urgency, most=10_000)]


def balance(box: Outbox) -> tuple[int, int, int, int]:
    figures = box.ledger().figures
    assert figures.produced == figures.receipted + figures.pending + figures.dropped
    return figures.produced, figures.receipted, figures.pending, figures.dropped


def test_a_pack_holds_its_readings_its_stream_and_its_number(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        assert box.add(some(3), 5) == 1
        (row,) = box.waiting(Urgency.PERIODIC, most=10)
        pack = decode(row.payload)
        assert (pack.edge, pack.stream, pack.number) == (EDGE, STREAM, 1)
        assert list(pack.readings) == [each.reading for each in some(3)]


def test_alarms_go_in_packs_of_their_own_and_long_ones_are_cut(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(1) + some(2, Urgency.ALARM) + some(MOST_READINGS), 5)
        assert numbers(box, Urgency.ALARM) == [1]
        assert numbers(box) == [2, 3]
        assert [
            len(decode(row.payload).readings) for row in box.named([(STREAM, number) for number in (1, 2, 3, 9)])
        ] == [2, MOST_READINGS, 1]


def test_waiting_packs_are_chosen_by_age_and_without_those_under_way(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for at_ms in (100, 200, 300):
            box.add(some(1), at_ms)
        assert [row.number for row in box.waiting(Urgency.PERIODIC, since_ms=200, most=9)] == [2, 3]
        assert [row.number for row in box.waiting(Urgency.PERIODIC, before_ms=300, but=[(STREAM, 1)], most=9)] == [2]
        assert [row.number for row in box.waiting(Urgency.PERIODIC, most=2)] == [1, 2]


def test_a_receipt_removes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for _ in range(5):
            box.add(some(2), 1)
        box.settle([Receipt(stream=STREAM, stored=[(1, 2), (5, 5)])])
        assert numbers(box) == [3, 4]
        assert balance(box) == (10, 6, 4, 0)


def test_a_receipt_counts_once_and_for_its_own_stream_only(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(2), 1)
        box.settle([Receipt(stream=StreamId("another"), stored=[(1, 1)])])
        assert balance(box) == (2, 0, 2, 0)
        for _ in range(2):
            box.settle([Receipt(stream=STREAM, stored=[(1, 2**53)])])
            assert balance(box) == (2, 2, 0, 0)


def test_rejected_packs_are_gone_too_and_counted_by_reason(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for _ in range(3):
            box.add(some(2), 1)
        box.settle([Receipt(stream=STREAM, rejected=[Rejected(first=1, last=2, reason="wrong-unit")])])
        assert balance(box) == (6, 4, 2, 0)
        assert box.ledger().rejected == {"wrong-unit": 4}


def test_reasons_from_the_network_are_bounded(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for number in range(1, MOST_REASONS + 11):
            box.add(some(1), 1)
            rejected = Rejected(first=number, last=number, reason=f"reason {number} " + "x" * 1000)
            box.settle([Receipt(stream=STREAM, rejected=[rejected])])
        rejections = box.ledger().rejected
        assert len(rejections) == MOST_REASONS + 1
        assert rejections["others"] == 10
        assert max(map(len, rejections)) <= 60


def test_an_opening_begins_a_new_stream_and_what_was_there_drains_under_its_old_one(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for at_ms in (1, 2):
            box.add(some(1), at_ms)
    with outbox(tmp_path, stream=NEXT) as box:
        assert (box.ledger().stream, box.ledger().packs) == (NEXT, 0)
        assert box.add(some(1), 3) == 1
        waiting = box.waiting(Urgency.PERIODIC, most=9)
        assert [row.key for row in waiting] == [(STREAM, 1), (STREAM, 2), (NEXT, 1)]
        assert [(pack.stream, pack.number) for pack in (decode(row.payload) for row in waiting)] == [
            row.key for row in waiting
        ]
        box.settle([Receipt(stream=STREAM, stored=[(1, 1)])])
        assert [row.key for row in box.waiting(Urgency.PERIODIC, but=[(STREAM, 2)], most=9)] == [(NEXT, 1)]
        assert balance(box) == (3, 1, 2, 0)


def test_a_file_restored_from_an_older_copy_gives_no_number_twice(tmp_path: Path) -> None:
    with outbox(tmp_path):
        copy = (tmp_path / "outbox.sqlite").read_bytes()
    with outbox(tmp_path, stream=STREAM) as box:
        box.add(some(1), 1)
    for part in tmp_path.iterdir():
        part.unlink()
    (tmp_path / "outbox.sqlite").write_bytes(copy)
    with outbox(tmp_path, stream=NEXT) as box:
        box.add(some(1), 2)
        box.settle([Receipt(stream=STREAM, stored=[(1, 1)])])  # it was queued for the first life
        assert [row.key for row in box.waiting(Urgency.PERIODIC, most=9)] == [(NEXT, 1)]


def test_the_time_of_the_newest_pack_outlives_its_receipt(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        assert box.newest_ms == 0
        for at_ms in (5, 9, 7):
            box.add(some(1), at_ms)
        box.settle([Receipt(stream=STREAM, stored=[(1, 3)])])
    with outbox(tmp_path, stream=NEXT) as box:
        assert box.newest_ms == 9


def test_a_file_of_the_first_layout_keeps_its_packs(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "outbox.sqlite")
    db.executescript("""
        CREATE TABLE packs (number INTEGER PRIMARY KEY, urgency INTEGER NOT NULL, readings INTEGER NOT NULL,
            bytes INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, payload BLOB NOT NULL);
        CREATE INDEX packs_by_urgency ON packs (urgency, created_at_ms, number);
        CREATE TABLE stream (id TEXT NOT NULL, packs INTEGER NOT NULL);
        CREATE TABLE ledger (fate TEXT NOT NULL, reason TEXT NOT NULL, readings INTEGER NOT NULL,
            PRIMARY KEY (fate, reason)) WITHOUT ROWID;
        INSERT INTO stream VALUES ('stream000001', 8);
        INSERT INTO ledger VALUES ('produced', '', 5);
        INSERT INTO packs VALUES (8, 1, 2, 100, 1, x'01'), (7, 1, 3, 100, 2, x'02');
    """)
    db.close()
    for stream in (NEXT, StreamId("stream000003")):
        with outbox(tmp_path, stream=stream) as box:
            rows = box.waiting(Urgency.ALARM, most=9)
            assert [(row.key, row.payload) for row in rows] == [((STREAM, 8), b"\x01"), ((STREAM, 7), b"\x02")]
            assert balance(box) == (5, 0, 5, 0)


def test_readings_that_memory_did_not_hold_are_counted(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(2), 1, lost=7)
        assert balance(box) == (9, 0, 2, 7)
        assert box.ledger().dropped == {DISK_REFUSED: 7}


def test_a_full_outbox_lets_the_oldest_periodic_packs_go_and_alarms_last(tmp_path: Path) -> None:
    with outbox(tmp_path, limit_bytes=20_000) as box:
        box.add(some(10, Urgency.ALARM), 1)
        for at_ms in range(2, 60):
            box.add(some(10), at_ms)
        kept = numbers(box)
        assert kept == list(range(kept[0], 60))
        assert kept[0] > 2
        assert numbers(box, Urgency.ALARM) == [1]
        assert box.ledger().figures.bytes <= 20_000
        assert box.ledger().dropped == {OUTBOX_FULL: 580 - 10 * len(kept)}
        for at_ms in range(60, 120):
            box.add(some(10, Urgency.ALARM), at_ms)
        assert numbers(box) == []
        assert numbers(box, Urgency.ALARM)[-1] == 119
        balance(box)


def test_a_transaction_that_fails_changes_no_count(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(1), 1)
        before = box.ledger()
        with pytest.raises(AttributeError):
            box.add([*some(1, Urgency.ALARM), Reported(None, Urgency.PERIODIC)], 1)  # type: ignore[arg-type]
        assert box.ledger() == before
        assert box.add(some(1), 1) == 2


@pytest.mark.parametrize("damage", ["head", "middle", "not a database", "tail"])
def test_a_damaged_file_is_noticed_when_it_is_opened(tmp_path: Path, damage: str) -> None:
    with outbox(tmp_path) as box:
        for _ in range(300):
            box.add(some(20), 1)
    path = tmp_path / "outbox.sqlite"
    content = bytearray(path.read_bytes())
    if damage == "tail":
        content = content[: len(content) // 2]
    elif damage == "not a database":
        content = bytearray(b"no database at all" * 100)
    else:
        start = 0 if damage == "head" else 4096
        content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError), outbox(tmp_path):
        pass


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 5), st.integers(0, 5)),
            st.tuples(st.just("settle"), st.integers(1, 40), st.integers(1, 40)),
            st.tuples(st.just("reopen"), st.just(0), st.just(0)),
        ),
        max_size=40,
    )
)
def test_the_ledger_balances_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("outbox")
    path, given_out, streams = folder / "outbox.sqlite", [], [STREAM]
    box = Outbox(path, EDGE, 3000, lambda: STREAM)
    for step, one, other in steps:
        if step == "add":
            reported = some(one) + some(other, Urgency.ALARM)
            last = box.add(reported, 1)
            given_out += [(box.stream, last)] * bool(reported)
        elif step == "settle":
            box.settle(
                [
                    Receipt(
                        stream=stream, stored=[(one, one)], rejected=[Rejected(first=other, last=other, reason="r")]
                    )
                    for stream in streams[-2:]
                ]
            )
        else:
            box.close()
            streams.append(StreamId(f"stream{len(streams) + 1:06}"))
            box = Outbox(path, EDGE, 3000, lambda: streams[-1])
        balance(box)
    assert given_out == sorted(set(given_out))
    box.close()
