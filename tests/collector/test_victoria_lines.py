"""What VictoriaMetrics is sent, as values: its limits are held against the real one in tests/integration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.stores.victoria.lines import WINDOW_MS, joined, pack_at_ms, parts, plain
from collector.stores.victoria.server import of_metrics

FLAGS = 'flag{{name="dedup.minScrapeInterval", value="{dedup}", is_set="true"}} 1\nflag{{name="retentionPeriod", value="{kept}", is_set="true"}} 1\n'
DAY_MS = 86_400_000


@given(st.binary(max_size=1000))
def test_parts_join_to_what_was_cut_and_are_numbers_that_a_double_holds(content: bytes) -> None:
    numbers = parts(content)
    assert all(number == int(float(number)) for number in numbers)
    assert joined(numbers) == content


@given(st.binary(min_size=6, max_size=100), st.data())
def test_of_a_text_that_is_there_in_part_there_is_nothing(content: bytes, data: st.DataObject) -> None:
    numbers = parts(content)
    del numbers[data.draw(st.integers(1, len(numbers) - 1))]
    assert joined(numbers) is None


@given(st.integers(0, WINDOW_MS - 1), st.integers(0, WINDOW_MS - 1), st.integers(0, 2**41), st.integers(0, 2**41))
def test_two_packs_of_a_stream_never_share_a_time(one: int, other: int, at_ms: int, other_at_ms: int) -> None:
    if one != other:
        assert pack_at_ms(at_ms, one) != pack_at_ms(other_at_ms, other)
    assert abs(pack_at_ms(at_ms, one) - at_ms) < WINDOW_MS


@pytest.mark.parametrize(("value", "kept"), [(0.0, True), (-12.345, True), (999_999_999.5, True), (0.1 + 0.2, False),
                                             (1e9, False), (1e-10, False), (1 / 3, False), (5e-324, False)])  # fmt: skip
def test_plain_is_what_needs_no_parts(value: float, kept: bool) -> None:
    assert plain(value) is kept


@pytest.mark.parametrize(
    ("kept", "days"), [("1", 31), ("12", 372), ("90d", 90), ("48h", 2), ("2w", 14), ("1.5y", 547.5)]
)
def test_its_retention_is_read_as_it_reads_it(kept: str, days: float) -> None:
    server = of_metrics("vm_app_start_timestamp 17\n" + FLAGS.format(dedup="1ms", kept=kept))
    assert server.trouble is None
    assert server.started == "17"
    assert server.retention_ms == days * DAY_MS


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("<html>", "no VictoriaMetrics"),
        ("vm_app_start_timestamp 17\n", "dedup.minScrapeInterval=0s"),
        ("vm_app_start_timestamp 17\n" + FLAGS.format(dedup="1s", kept="1"), "dedup.minScrapeInterval=1s"),
        ("vm_app_start_timestamp 17\n" + FLAGS.format(dedup="1ms", kept="soon"), "retentionPeriod=soon"),
    ],
)
def test_a_server_that_must_not_be_used_says_why(page: str, words: str) -> None:
    assert words in (of_metrics(page).trouble or "")
