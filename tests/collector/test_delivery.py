from collector.intake.delivery import Announced, Delivery, Fate, batches, fates, receipts
from collector.intake.judge import Accepted, PackId, Refused, judge, refused
from messages import topics
from messages.ids import EdgeId, StreamId
from messages.pack import Fault
from messages.receipt import Receipt, Rejected
from messages.topics import Origin
from tests.collector.block import EDGE, GAS, KINDS, KNOWN, NOW_MS, ORIGIN, OTHER_EDGE, SITE, STREAM, packed, reading


def delivery(verdict: Accepted | Refused | Announced, origin: Origin = ORIGIN) -> Delivery:
    topic = topics.readings(origin.site, origin.edge)
    return Delivery(topic=topic, payload=b"", received_at_ms=NOW_MS, origin=origin, verdict=verdict)


def good(number: int) -> Accepted:
    verdict = judge(packed(reading(at_ms=NOW_MS - number), number=number), ORIGIN, KNOWN, KINDS, NOW_MS)
    assert isinstance(verdict, Accepted)
    return verdict


def fate(number: int, rejected: str | None = None, *, edge: EdgeId = EDGE, stream: StreamId = STREAM) -> Fate:
    return Fate(SITE, edge, PackId(stream, number), rejected)


def test_a_receipt_names_ranges_of_stored_and_rejected_packs() -> None:
    words = [fate(1), fate(3), fate(2), fate(7), fate(5, "malformed"), fate(4, "malformed"), fate(6, "wrong-unit")]
    assert receipts(words) == [
        (
            "gridcall/1/junmen/pi-1/receipts",
            Receipt(
                stream=STREAM,
                stored=[(1, 3), (7, 7)],
                rejected=[
                    Rejected(first=4, last=5, reason="malformed"),
                    Rejected(first=6, last=6, reason="wrong-unit"),
                ],
            ),
        )
    ]


def test_each_edge_and_stream_gets_a_receipt_of_its_own() -> None:
    words = [fate(1), fate(2, edge=OTHER_EDGE), fate(3, stream=StreamId("older")), fate(4)]
    assert [(topic, receipt.stream, receipt.stored) for topic, receipt in receipts(words)] == [
        ("gridcall/1/junmen/pi-1/receipts", STREAM, [(1, 1), (4, 4)]),
        ("gridcall/1/junmen/pi-2/receipts", STREAM, [(2, 2)]),
        ("gridcall/1/junmen/pi-1/receipts", "older", [(3, 3)]),
    ]


def test_of_two_words_about_a_pack_the_later_one_counts() -> None:
    ((_, receipt),) = receipts([fate(1, "unknown-device"), fate(1)])
    assert (receipt.stored, receipt.rejected) == ([(1, 1)], [])


def test_a_fate_is_known_of_every_numbered_pack_and_of_nothing_else() -> None:
    unreadable = refused(Fault.MALFORMED, "no JSON")
    numbered = refused(Fault.WRONG_EDGE, "pi-9", pack=PackId(STREAM, 8))
    foreign = Accepted(points=good(1).points, pack=None)
    announced = Announced((SITE, EDGE, GAS), None)
    verdicts: list[Accepted | Refused | Announced] = [good(2), unreadable, numbered, foreign, announced]
    assert fates([delivery(verdict) for verdict in verdicts]) == [fate(2), fate(8, "wrong-edge")]


def test_the_store_gets_one_batch_per_edge_and_nothing_of_what_is_refused() -> None:
    other = Origin(SITE, OTHER_EDGE, "readings")
    found = batches(
        [delivery(good(1)), delivery(refused(Fault.MALFORMED, "")), delivery(good(2), other), delivery(good(3))]
    )
    assert [(batch.edge, len(batch.points), [pack.number for pack in batch.packs]) for batch in found] == [
        (EDGE, 2, [1, 3]),
        (OTHER_EDGE, 1, [2]),
    ]
