from collections.abc import Sequence

import pytest

from collector.stores.base import PackRow
from messages.ids import EdgeId, SiteId, StreamId
from messages.ranges import Range
from messages.reading import Reading
from rules.engine import catchup
from rules.engine.catchup import GRACE_MS, MOST_MS, Gap, asked, at_start, gaps
from rules.engine.stream import Stream
from tests.rules.course import at, course

KEY = (SiteId("a"), EdgeId("b"), StreamId("s"))


def test_a_number_that_somebody_has_named_is_asked_for_after_a_time_of_grace() -> None:
    first = gaps({KEY: Stream(((1, 3), (5, 5)), said=7)}, {}, 1000)
    assert first == {KEY: Gap(((4, 4), (6, 7)), 1000 + GRACE_MS)}
    assert gaps({KEY: Stream(((1, 3), (5, 5)), said=7)}, first, 2000) == first


def test_what_arrives_meanwhile_is_missed_no_longer() -> None:
    first = gaps({KEY: Stream(((1, 3),), said=5)}, {}, 1000)
    assert gaps({KEY: Stream(((1, 5),), said=5)}, first, 2000) == {}
    assert gaps({KEY: Stream(((1, 4),), said=5)}, first, 2000) == {KEY: Gap(((5, 5),), 2000 + GRACE_MS)}


def test_what_the_store_does_not_have_is_asked_for_less_and_less_often_but_always_again() -> None:
    gap, pauses = Gap(((1, 1),), 0), []
    for _ in range(10):
        gap = asked(gap, 1000)
        pauses.append(gap.ask_at_ms - 1000)
    assert pauses[:3] == [GRACE_MS, 2 * GRACE_MS, 4 * GRACE_MS]
    assert pauses[-1] == MOST_MS


def test_at_start_the_store_is_asked_for_what_nobody_could_tell() -> None:
    assert at_start(Stream(((1, 3), (5, 5)), said=5)) == ((4, 4), (6, 5 + catchup.AHEAD))


class Shelf:
    """A store's two methods over lists."""

    def __init__(self, packs: list[PackRow], readings: list[Reading]) -> None:
        self._packs, self._readings = packs, readings
        self.spans: list[Range] = []

    def packs(self, _site: str, _edge: str, _stream: str, wanted: Sequence[Range]) -> list[PackRow]:
        return [row for row in self._packs if any(first <= row.number <= last for first, last in wanted)]

    def readings(self, _site: str, _edge: str, from_ms: int, to_ms: int) -> list[Reading]:
        self.spans.append((from_ms, to_ms))
        return [reading for reading in self._readings if from_ms <= reading.at_ms <= to_ms]


def _row(number: int, first_s: float, last_s: float, readings: int = 1) -> PackRow:
    return PackRow(
        stream=StreamId("s"), number=number, first_at_ms=at(first_s), last_at_ms=at(last_s), readings=readings
    )


def test_missed_packs_are_read_oldest_first_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "PORTION", 4)
    readings = course("tilt", *((float(t), 0.0) for t in range(100)))
    shelf = Shelf([_row(9, 0, 2, 3), _row(7, 50, 51, 2), _row(8, 2, 3, 1), _row(3, 90, 90, 1)], readings)
    found = list(catchup.portions(shelf, KEY, [(5, 9)]))  # type: ignore[arg-type]
    assert [portion.packs for portion in found] == [(9, 8), (7,)]
    assert [[reading.at_ms for reading in portion.readings] for portion in found] == [
        [at(0), at(1), at(2), at(3)],
        [at(50), at(51)],
    ]
    assert shelf.spans == [(at(0), at(3)), (at(50), at(51))]


def test_a_pack_that_spans_a_day_is_read_hour_by_hour_and_is_whole_with_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catchup, "PORTION", 2)
    readings = course("tilt", *((hour * 3600.0, 0.0) for hour in range(25)))
    shelf = Shelf([_row(1, 0, 24 * 3600, 2)], readings)
    found = list(catchup.portions(shelf, KEY, [(1, 1)]))  # type: ignore[arg-type]
    assert max(last - first for first, last in shelf.spans) < catchup.SLICE_MS
    assert max(len(portion.readings) for portion in found) <= 2
    assert [one for portion in found for one in portion.readings] == readings
    assert [portion.last for portion in found] == [False] * (len(found) - 1) + [True]
    assert {portion.packs for portion in found} == {(1,)}
