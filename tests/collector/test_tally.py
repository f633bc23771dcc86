"""What a batch adds up to."""

from collector.intake.delivery import Announced, Delivery, Said
from collector.intake.judge import judge
from collector.intake.tally import tallied
from collector.watch.ledger import LATE_MS
from messages import topics
from messages.ids import DeviceId
from messages.status import EdgeStatus
from tests.collector.block import BIN, EDGE, GAS, KINDS, KNOWN, NOW_MS, ORIGIN, OTHER_EDGE, SITE, packed, reading


def delivered(payload: bytes, received_at_ms: int = NOW_MS, topic: str = topics.readings(SITE, EDGE)) -> Delivery:
    origin = topics.origin(topic)
    verdict = judge(payload, origin or ORIGIN, KNOWN, KINDS, received_at_ms)
    return Delivery(topic, payload, received_at_ms, origin, verdict)


def test_readings_are_counted_by_their_fate_and_their_edge() -> None:
    tally = tallied(
        [
            delivered(packed(reading(), reading("fill", 40.0, device=BIN), reading(device=DeviceId("gas-9")))),
            delivered(packed(reading(at_ms=NOW_MS - 1))),
            delivered(b"no pack", topic=topics.readings(SITE, OTHER_EDGE)),
            delivered(b"no pack", topic="nobody's"),
        ]
    )
    assert dict(tally.fates) == {"stored in part": 1, "stored": 1, "quarantined": 2}
    assert dict(tally.refusals) == {"unknown-device": 1, "malformed": 2}
    one, other = tally.edges[SITE, EDGE], tally.edges[SITE, OTHER_EDGE]
    assert (one.stored, one.quarantined, one.late) == (3, 1, 0)
    assert (other.stored, other.quarantined, other.least_lag_ms) == (0, 1, None)


def test_each_device_has_its_newest_reading_and_the_edge_its_smallest_lag() -> None:
    tally = tallied(
        [
            delivered(packed(reading(at_ms=NOW_MS - 900), reading(at_ms=NOW_MS - 500)), NOW_MS),
            delivered(
                packed(reading(at_ms=NOW_MS - 800), reading("fill", 1.0, device=BIN, at_ms=NOW_MS)), NOW_MS + 300
            ),
        ]
    )
    one = tally.edges[SITE, EDGE]
    assert one.newest == {GAS: NOW_MS - 500, BIN: NOW_MS}
    assert (one.least_lag_ms, one.received_at_ms) == (300, NOW_MS + 300)


def test_only_readings_that_were_old_when_they_came_are_late() -> None:
    late, punctual = reading(at_ms=NOW_MS - LATE_MS - 1), reading(at_ms=NOW_MS - LATE_MS)
    assert tallied([delivered(packed(late, punctual))]).edges[SITE, EDGE].late == 1


def test_what_an_edge_says_of_itself_is_no_reading() -> None:
    topic = topics.status(SITE, EDGE)
    said = Delivery(topic, b"", NOW_MS, topics.origin(topic), Said(EdgeStatus(online=True)))
    announced = said._replace(verdict=Announced((SITE, EDGE, GAS), None))
    tally = tallied([said, announced])
    assert dict(tally.fates) == {"status": 1, "announcement": 1}
    assert tally.edges == {}
