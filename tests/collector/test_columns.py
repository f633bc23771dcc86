"""Points in columns are the points they were made of, however they are joined."""

from hypothesis import given
from hypothesis import strategies as st

from collector.stores.base import Batch, Point
from collector.stores.columns import columns, joined
from collector.stores.line_protocol import requests
from messages.reading import Quality
from tests.collector.block import BIN, EDGE, GAS, NOW_MS, SITE, reading

points = st.builds(
    lambda device, channel, value, at_ms, quality: Point(
        reading(channel, value, device=device, at_ms=at_ms, quality=quality), "gas_alarm", "m", "3"
    ),
    st.sampled_from([GAS, BIN]),
    st.sampled_from(["fill", "alarm_contact"]),
    st.sampled_from([1.5, -0.0, 1e300, True, False, 'a text, with "quotes" and null', "nan"]),
    st.integers(NOW_MS, NOW_MS + 2),
    st.sampled_from(Quality),
)


@given(st.lists(st.lists(points, max_size=5), max_size=4))
def test_parts_that_are_joined_are_all_their_points_in_their_order(parts: list[list[Point]]) -> None:
    wanted = [point for part in parts for point in part]
    assert list(joined(parts)) == wanted
    assert list(joined(map(columns, parts))) == wanted
    assert columns(whole := joined(parts)) is whole


@given(st.lists(points, min_size=1, max_size=6))
def test_a_line_is_the_same_whatever_stands_beside_it(some: list[Point]) -> None:
    def body(*points: Point) -> bytes:
        (found,) = requests([Batch(site=SITE, edge=EDGE, points=points, packs=[])])
        return found

    assert body(*some) == b"".join(map(body, some))


def test_a_place_and_a_stretch_of_columns_are_those_of_a_list() -> None:
    three = [Point(reading(at_ms=NOW_MS + n), "gas_alarm", "m", "3") for n in range(3)]
    assert columns(three)[1] == three[1]
    assert columns(three)[1:] == three[1:]
    assert len(columns(three)) == 3
