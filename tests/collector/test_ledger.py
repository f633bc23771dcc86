"""Every pack has its fate, or somebody hears of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.watch.ledger import GRACE_MS, MOST_GAPS, MOST_STREAMS, Account, Ledger, as_rows
from messages import ranges
from messages.ids import EdgeId, SiteId, StreamId
from messages.receipt import Receipt, Rejected
from messages.status import EdgeStatus, OutboxFigures

EDGE = (SiteId("junmen"), EdgeId("pi-1"))
STREAM = StreamId("s-1")
NOW_MS = 1_795_000_000_000
LATER_MS = NOW_MS + GRACE_MS


def receipt(*stored: tuple[int, int], rejected: tuple[tuple[int, int], ...] = ()) -> Receipt:
    return Receipt(
        stream=STREAM,
        stored=list(stored),
        rejected=[Rejected(first=first, last=last, reason="malformed") for first, last in rejected],
    )


def status(packs: int, *, produced: int = 100, receipted: int = 100, pending: int = 0, dropped: int = 0) -> EdgeStatus:
    figures = OutboxFigures(produced=produced, receipted=receipted, pending=pending, dropped=dropped, bytes=0)
    return EdgeStatus(online=True, stream=STREAM, packs=packs, outbox=figures)


def test_what_is_stored_or_in_quarantine_is_not_missing() -> None:
    ledger = Ledger()
    ledger.settled(EDGE, receipt((1, 5), (7, 9), rejected=((6, 6),)))
    ledger.said(EDGE, status(9), NOW_MS)
    assert ledger.unknown(EDGE, LATER_MS) is None
    assert ledger.balance(EDGE, LATER_MS).breach is None


def test_a_pack_that_is_nowhere_while_the_edge_holds_a_receipt_is_a_breach() -> None:
    ledger = Ledger()
    ledger.settled(EDGE, receipt((1, 5), (7, 9)))
    ledger.said(EDGE, status(9), NOW_MS)
    assert ledger.unknown(EDGE, LATER_MS) == (STREAM, [(6, 6)])
    balance = ledger.balance(EDGE, LATER_MS)
    assert balance.missing_packs == 1
    assert balance.breach == "1 packs are nowhere, and the edge holds receipts for all it sent"
    ledger.found(EDGE, STREAM, iter([6]))  # another collector had it
    assert ledger.balance(EDGE, LATER_MS).breach is None


def test_each_stream_has_its_own_account_with_its_gaps() -> None:
    ledger = Ledger()
    ledger.settled(EDGE, Receipt(stream=StreamId("s-0"), stored=[(1, 3)]))
    ledger.settled(EDGE, receipt((1, 5), (8, 9), rejected=((6, 6),)))
    ledger.settled(EDGE, receipt((9, 9)))
    ledger.said(EDGE, status(11), NOW_MS)
    streams: Any = as_rows(ledger, LATER_MS)[0]["streams"]
    old, running = streams
    assert (old["stream"], old["produced_packs"], old["stored_packs"], old["missing"]) == ("s-0", None, 3, [])
    assert running == {
        "stream": STREAM,
        "produced_packs": 11,
        "stored_packs": 7,
        "quarantined_packs": 1,
        "doubled_packs": 1,
        "missing": [(7, 7), (10, 11)],
    }


def test_a_status_that_has_just_come_proves_nothing() -> None:
    ledger = Ledger()
    ledger.said(EDGE, status(9), NOW_MS)
    assert ledger.unknown(EDGE, NOW_MS + GRACE_MS - 1) is None


def test_what_still_waits_or_was_dropped_for_a_reason_is_no_breach() -> None:
    for figures in ({"receipted": 90, "pending": 10}, {"receipted": 90, "dropped": 10}):
        ledger = Ledger()
        ledger.settled(EDGE, receipt((1, 5)))
        ledger.said(EDGE, status(9, **figures), NOW_MS)
        balance = ledger.balance(EDGE, LATER_MS)
        assert (balance.missing_packs, balance.breach) == (4, None)


def test_an_edge_that_can_not_account_for_its_own_readings_is_a_breach() -> None:
    ledger = Ledger()
    ledger.said(EDGE, status(0, receipted=90, pending=9), NOW_MS)
    breach = ledger.balance(EDGE, LATER_MS).breach
    assert breach == "the edge produced 100 readings and accounts for 99: 90 receipted, 9 waiting, 0 dropped"


def test_packs_that_come_again_are_counted() -> None:
    ledger = Ledger()
    assert ledger.settled(EDGE, receipt((1, 5))) == 0
    assert ledger.settled(EDGE, receipt((4, 6))) == 2
    assert as_rows(ledger, NOW_MS)[0]["doubled_packs"] == 2


def test_memory_is_bounded_however_torn_a_stream_is_and_however_many_there_are() -> None:
    account = Account()
    for number in range(1, 4 * MOST_GAPS, 2):
        account.settled(receipt((number, number)))
    assert len(account.stored) <= MOST_GAPS
    assert account.missing(4 * MOST_GAPS)[0][0] > 2, "the oldest gaps are forgotten, and not called missing"
    ledger = Ledger()
    for number in range(3 * MOST_STREAMS):
        ledger.settled(EDGE, Receipt(stream=StreamId(f"s-{number}"), stored=[(1, 1)]))
    assert len(ledger.edges[EDGE].streams) == MOST_STREAMS


def test_edges_beyond_the_bound_are_not_accounted_for_and_the_others_still_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.watch.ledger.MOST_EDGES", 2)
    ledger = Ledger()
    for name in ("pi-1", "pi-2", "pi-3", "pi-1"):
        edge = (EDGE[0], EdgeId(name))
        ledger.readings(edge, stored=1, quarantined=0, late=0)
        ledger.said(edge, status(1), NOW_MS)
        ledger.settled(edge, receipt((1, 1)))
    assert {edge[1]: account.readings_stored for edge, account in ledger.edges.items()} == {"pi-1": 2, "pi-2": 1}


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=40))
def test_ranges_that_are_added_are_the_set_of_their_numbers(parts: list[tuple[int, int]]) -> None:
    whole: list[ranges.Range] = []
    known: set[int] = set()
    for first, more in parts:
        wanted = set(range(first, first + more + 1))
        assert ranges.add(whole, first, first + more) == len(wanted - known)
        known |= wanted
        assert whole == ranges.ranges(known)
