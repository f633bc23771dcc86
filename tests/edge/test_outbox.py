import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.keeping.ledger import MOST_REASONS, REASON_LIMIT
from edge.keeping.outbox import DISK_REFUSED, DISK_SHORT, MOST_READINGS, OUTBOX_FULL, PACK_DAMAGED, Outbox
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
def outbox(path: Path, limit_bytes: int = MEGABYTE, stream: StreamId = STREAM, boot: str = "b1") -> Iterator[Outbox]:
    opened = Outbox(path / "outbox.sqlite", EDGE, limit_bytes, lambda: stream, boot)
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
        for at_s in (1.0, 2.0, 3.0):
            box.add(some(1), 0, at_s)
        assert [row.number for row in box.waiting(Urgency.PERIODIC, since_s=2.0, most=9)] == [2, 3]
        assert [row.number for row in box.waiting(Urgency.PERIODIC, before_s=3.0, but=[(STREAM, 1)], most=9)] == [2]
        assert [row.number for row in box.waiting(Urgency.PERIODIC, since_s=3.1, most=9)] == []
        assert [row.number for row in box.waiting(Urgency.PERIODIC, before_s=9.0, most=9)] == [1, 2, 3]
        assert [row.number for row in box.waiting(Urgency.PERIODIC, most=2)] == [1, 2]


def test_what_an_earlier_run_left_is_older_than_any_time_of_this_one(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(1), 0, 50.0)
    with outbox(tmp_path, stream=NEXT) as box:
        box.add(some(1), 0, 2.0)
        assert [row.key for row in box.waiting(Urgency.PERIODIC, before_s=1.0, most=9)] == [(STREAM, 1)]
        assert [row.key for row in box.waiting(Urgency.PERIODIC, since_s=1.0, most=9)] == [(NEXT, 1)]


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
        assert box.ledger().figures.rejected_for == {"wrong-unit": 4}


def test_reasons_from_the_network_are_bounded(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for number in range(1, MOST_REASONS + 11):
            box.add(some(1), 1)
            rejected = Rejected(first=number, last=number, reason=f"reason {number} " + "x" * 1000)
            box.settle([Receipt(stream=STREAM, rejected=[rejected])])
        rejections = box.ledger().figures.rejected_for
        assert len(rejections) == MOST_REASONS + 1
        assert rejections["others"] == 10
        assert max(map(len, rejections)) == REASON_LIMIT


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
        for at_ms in (5, 9, 7):  # a clock that was put right goes back
            box.add(some(1), at_ms)
        box.settle([Receipt(stream=STREAM, stored=[(1, 3)])])
    with outbox(tmp_path, stream=NEXT) as box:
        assert box.newest_ms == 7


def test_a_file_of_another_layout_is_not_read_as_if_it_were_this_one(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "outbox.sqlite")
    db.executescript("CREATE TABLE packs (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="an outbox of layout 0, not 2"), outbox(tmp_path):
        pass


def test_a_pack_is_kept_compressed_and_leaves_as_it_was_made(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(MOST_READINGS), 1)
        (row,) = box.waiting(Urgency.PERIODIC, most=1)
        assert len(row.payload) > 10_000
        assert box.ledger().figures.bytes < len(row.payload) / 5


def test_a_pack_that_the_card_has_spoilt_is_dropped_and_counted_and_the_others_leave(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for _ in range(3):
            box.add(some(2), 1)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        assert db.execute("UPDATE packs SET payload = x'00112233' WHERE id % 4 = 2").rowcount == 1
    db.close()
    with outbox(tmp_path, stream=NEXT) as box:
        assert numbers(box) == [1, 3]
        assert balance(box) == (6, 0, 4, 2)
        assert box.ledger().figures.dropped_for == {PACK_DAMAGED: 2}


def test_what_receipts_let_go_is_written_with_the_next_pack(tmp_path: Path) -> None:
    def pending_on_disk() -> int:
        with sqlite3.connect(f"file:{tmp_path / 'outbox.sqlite'}?mode=ro", uri=True) as reader:
            found = reader.execute("SELECT count(*) FROM packs").fetchone()[0]
        reader.close()
        return int(found)

    with outbox(tmp_path) as box:
        for _ in range(2):
            box.add(some(1), 1)
        box.settle([Receipt(stream=STREAM, stored=[(1, 1)])])
        assert (numbers(box), pending_on_disk()) == ([2], 2)
        box.add(some(1), 1)
        assert (numbers(box), pending_on_disk()) == ([2, 3], 2)
        box.settle([Receipt(stream=STREAM, stored=[(2, 2)])])
        box.commit()
        assert pending_on_disk() == 1
        box.settle([Receipt(stream=STREAM, stored=[(3, 3)])])
    with outbox(tmp_path, stream=NEXT) as box:
        assert balance(box) == (3, 3, 0, 0)


def test_an_add_that_fails_takes_back_the_receipts_that_were_to_be_written_with_it(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(1), 1)
        box.settle([Receipt(stream=STREAM, stored=[(1, 1)])])
        assert balance(box) == (1, 1, 0, 0)
        with pytest.raises(AttributeError):
            box.add([Reported(None, Urgency.PERIODIC)], 1)  # type: ignore[arg-type]
        assert (balance(box), numbers(box)) == ((1, 0, 1, 0), [1])


def test_readings_that_memory_did_not_hold_are_counted(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(2), 1, lost=7)
        assert balance(box) == (9, 0, 2, 7)
        assert box.ledger().figures.dropped_for == {DISK_REFUSED: 7}


def test_a_full_outbox_lets_the_oldest_periodic_packs_go_and_alarms_last(tmp_path: Path) -> None:
    with outbox(tmp_path, limit_bytes=4_000) as box:
        box.add(some(10, Urgency.ALARM), 1)
        for at_ms in range(2, 60):
            box.add(some(10), at_ms)
        kept = numbers(box)
        assert kept == list(range(kept[0], 60))
        assert kept[0] > 2
        assert numbers(box, Urgency.ALARM) == [1]
        assert box.ledger().figures.bytes <= 4_000
        assert box.ledger().figures.dropped_for == {OUTBOX_FULL: 580 - 10 * len(kept)}
        for at_ms in range(60, 120):
            box.add(some(10, Urgency.ALARM), at_ms)
        assert numbers(box) == []
        assert numbers(box, Urgency.ALARM)[-1] == 119
        assert 1 not in numbers(box, Urgency.ALARM)
        balance(box)


def test_on_a_disk_that_is_short_new_readings_take_the_place_of_the_oldest_and_alarms_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.keeping.outbox.SHORT_BYTES", 2_000)
    with outbox(tmp_path) as box:
        box.add(some(10, Urgency.ALARM), 1, disk_is_short=True)
        for at_ms in range(2, 60):
            box.add(some(10), at_ms)
        before = box.ledger().figures.bytes
        assert before > 4_000
        for at_ms in range(60, 90):
            box.add(some(10), at_ms, disk_is_short=True)
        assert box.ledger().figures.bytes <= before, "it grows no more, and gives up no more than it must"
        kept = numbers(box)
        assert kept == list(range(kept[0], 90))
        assert kept[0] > 2
        assert numbers(box, Urgency.ALARM) == [1]
        assert box.ledger().figures.dropped_for == {DISK_SHORT: 10 * (88 - len(kept))}
        balance(box)


def test_on_a_disk_that_is_short_an_empty_outbox_still_keeps_what_comes(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for at_ms in range(1, 60):
            box.add(some(10), at_ms, disk_is_short=True)
        assert len(numbers(box)) == 59


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


GUESS_MS, TRUE_MS = 1_763_000_000_000, 1_763_900_000_000
"""What a clock that guesses, and the true one, add to the time since the boot."""


def guessed(count: int, urgency: Urgency = Urgency.PERIODIC) -> list[Reported]:
    """Readings `count` milliseconds after the boot, as a clock that guesses stamps them."""
    return [replace(each, reading=each.reading._replace(at_ms=GUESS_MS + at), guess_ms=GUESS_MS)
            for at, each in enumerate(some(count, urgency))]  # fmt: skip


def times(box: Outbox, urgency: Urgency = Urgency.PERIODIC) -> list[tuple[int, bool]]:
    """When the waiting readings were measured, as their packs say, and whether the clock was trusted."""
    packs = [decode(row.payload) for row in box.waiting(urgency, most=1000)]
    return [(reading.at_ms, pack.clock_trusted) for pack in packs for reading in pack.readings]


def test_periodic_packs_with_guessed_times_wait_until_the_time_is_known_and_leave_corrected(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(some(1), 1)
        box.add(guessed(MOST_READINGS + 1), 1, clock_ms=None)
        assert numbers(box) == [1]
        before = box.ledger().figures
        assert not box.correct(TRUE_MS)
        assert times(box)[1:] == [(TRUE_MS + at, True) for at in range(MOST_READINGS + 1)]
        assert box.ledger().figures.pending == before.pending
        assert not box.guesses


def test_many_packs_are_corrected_in_portions_each_of_them_once(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for _ in range(7):
            box.add(guessed(1), 1, clock_ms=None)
        portions = 1
        while box.correct(TRUE_MS, most=2):
            portions += 1
        assert (portions, times(box)) == (4, [(TRUE_MS, True)] * 7)
        size = box.ledger().figures.bytes
    with outbox(tmp_path, stream=NEXT) as box:
        assert box.ledger().figures.bytes == size


def test_an_alarm_leaves_with_its_guess_and_keeps_it_for_good(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(guessed(1, Urgency.ALARM), 1, clock_ms=None)
        assert times(box, Urgency.ALARM) == [(GUESS_MS, False)]  # and so it may have left
        box.add(guessed(2, Urgency.ALARM), 1, clock_ms=None)  # these have not
        assert not box.correct(TRUE_MS)
        assert times(box, Urgency.ALARM) == [(GUESS_MS, False), (TRUE_MS, True), (TRUE_MS + 1, True)]


def test_what_may_have_left_is_not_corrected_after_a_restart_either(tmp_path: Path) -> None:
    with outbox(tmp_path, boot="b1") as box:
        box.add(guessed(1, Urgency.ALARM), 1, clock_ms=None)
        assert len(times(box, Urgency.ALARM)) == 1
        box.add(guessed(1), 1, clock_ms=None)
    with outbox(tmp_path, stream=NEXT, boot="b1") as box:
        assert box.guesses
        assert numbers(box) == []
        assert not box.correct(TRUE_MS)
        assert times(box, Urgency.ALARM) == [(GUESS_MS, False)]
        assert times(box) == [(TRUE_MS, True)]


def test_a_guess_of_another_boot_can_not_be_put_right_and_leaves_marked(tmp_path: Path) -> None:
    with outbox(tmp_path, boot="b1") as box:
        box.add(guessed(1), 1, clock_ms=None)
    with outbox(tmp_path, stream=NEXT, boot="b2") as box:
        assert times(box) == [(GUESS_MS, False)]
        assert not box.correct(TRUE_MS)
        assert times(box) == [(GUESS_MS, False)]


def test_guessed_times_that_nobody_puts_right_are_let_go_marked(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(guessed(1), 1, clock_ms=None)
        assert times(box) == []
        box.holds = False
        assert times(box) == [(GUESS_MS, False)]
        assert not box.correct(TRUE_MS)
        assert times(box) == [(GUESS_MS, False)]


def test_a_reading_that_was_stamped_before_and_comes_after_the_time_is_known_is_right_at_once(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(guessed(2, Urgency.ALARM), 1, clock_ms=TRUE_MS)
        assert times(box, Urgency.ALARM) == [(TRUE_MS, True), (TRUE_MS + 1, True)]


def test_that_the_time_is_known_is_remembered_until_the_machine_is_switched_off(tmp_path: Path) -> None:
    for stream, boot, known in ((STREAM, "b1", False), (NEXT, "b1", True), (StreamId("third"), "b2", False)):
        with outbox(tmp_path, stream=stream, boot=boot) as box:
            assert box.clock_was_trusted is known
            box.correct(TRUE_MS)
