"""What every store does alike: the same questions to SQLite, a real InfluxDB 1.x and a real VictoriaMetrics, with the same answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.stores.base import Batch, PackRow, Point, Sample, Store, StoreAway
from collector.stores.choose import open_store
from collector.stores.victoria.store import VictoriaStore
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Quality, Reading, Value
from rules.engine.catchup import portions
from tests import services

SITE, EDGE, OTHER_EDGE = SiteId("junmen"), EdgeId("pi-1"), EdgeId("pi-2")
GAS, BIN = DeviceId("gas-1"), DeviceId("bin-1")
STREAM = StreamId("s-1")
T = 1_795_000_000_000


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("influxdb", marks=pytest.mark.needs("influxd")),
        pytest.param("victoria", marks=pytest.mark.needs("victoria-metrics")),
    ]
)
def address(request: pytest.FixtureRequest) -> str:
    """An address where nothing is stored yet."""
    if request.param == "sqlite":
        return "sqlite:history.db"
    server: services.Service = request.getfixturevalue(request.param)
    if request.param == "victoria":
        return f"victoria://127.0.0.1:{server.port}"
    return f"influxdb://127.0.0.1:{server.port}/grid%20call"


@pytest.fixture
def store(address: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(address, base=tmp_path)
    opened.write([])
    yield opened
    opened.close()


def point(
    channel: str,
    value: Value,
    at_ms: int = T,
    *,
    device: DeviceId = GAS,
    unit: str | None = None,
    quality: Quality = Quality.GOOD,
    kind: str = "gas_alarm",
    building: str = "3号楼",
    model: str = "a model",
) -> Point:
    reading = Reading(device=device, channel=channel, at_ms=at_ms, value=value, unit=unit, quality=quality)
    return Point(reading=reading, kind=kind, model=model, building=building)


def pack(number: int, *, last_at_ms: int = T, readings: int = 1, stream: StreamId = STREAM) -> PackRow:
    return PackRow(stream=stream, number=number, first_at_ms=T - 5, last_at_ms=last_at_ms, readings=readings)


def batch(*points: Point, packs: tuple[PackRow, ...] = (), edge: EdgeId = EDGE) -> Batch:
    return Batch(site=SITE, edge=edge, points=points, packs=packs)


def test_a_store_that_nobody_has_made_is_away_and_not_empty(address: str, tmp_path: Path) -> None:
    reader = open_store(address, base=tmp_path)
    with pytest.raises(StoreAway):
        reader.readings(SITE, EDGE, 0, T)
    writer = open_store(address, base=tmp_path)
    writer.write([])
    assert reader.readings(SITE, EDGE, 0, T) == []
    assert reader.latest(SITE, GAS) == []
    assert reader.packs(SITE, EDGE, STREAM, [(1, 10)]) == []
    assert reader.series(SITE, GAS, "gas_concentration", 0, T, most=10) == []
    reader.close()
    writer.close()


def test_what_is_written_is_read_back_by_another_process_s_store(store: Store, address: str, tmp_path: Path) -> None:
    points = [
        point("gas_concentration", 0.1 + 0.2, unit="%LEL"),
        point("gas_concentration", 5.0, T + 1, unit="%LEL", quality=Quality.UNCERTAIN),
        point("alarm_contact", True, T + 2, quality=Quality.BAD),
        point("alarm_contact", False, T + 3),
        point("note", 'a "quoted"\\ text, with = and\nlines 网格', T + 4),
        point("fill", -0.5, T + 5, device=BIN, kind="waste_bin", unit="%"),
    ]
    store.write([batch(*points)])
    reader = open_store(address, base=tmp_path)
    found = reader.readings(SITE, EDGE, T, T + 5)
    assert found == [one.reading for one in points]
    assert [type(one.value) for one in found] == [float, float, bool, bool, str, float]
    reader.close()


def test_storing_twice_is_storing_once(store: Store) -> None:
    twice = batch(point("alarm_contact", True), point("tilt", 1.5), packs=(pack(1), pack(2)))
    store.write([twice])
    store.write([twice, twice])
    assert len(store.readings(SITE, EDGE, T, T)) == 2
    assert [row.number for row in store.packs(SITE, EDGE, STREAM, [(1, 9)])] == [1, 2]


def test_both_ends_of_a_span_belong_to_it(store: Store) -> None:
    store.write([batch(*(point("tilt", float(step), T + step) for step in range(5)))])
    assert [one.at_ms - T for one in store.readings(SITE, EDGE, T + 1, T + 3)] == [1, 2, 3]
    assert [one.at_ms - T for one in store.series(SITE, GAS, "tilt", T + 1, T + 3, most=9)] == [1, 2, 3]
    assert store.readings(SITE, EDGE, T + 9, T) == []
    assert len(store.readings(SITE, EDGE, -(2**62), 2**62)) == 5


def test_readings_are_those_of_one_edge_in_order_of_time_then_name(store: Store) -> None:
    store.write(
        [
            batch(point("b", 1.0, T + 1), point("a", 2.0, T + 1), point("a", 3.0, T), point("z", 4.0, T, device=BIN)),
            batch(point("a", 9.0, device=DeviceId("gas-9")), edge=OTHER_EDGE),
        ]
    )
    found = store.readings(SITE, EDGE, 0, 2 * T)
    assert [(one.at_ms - T, one.device, one.channel) for one in found] == [
        (0, BIN, "z"),
        (0, GAS, "a"),
        (1, GAS, "a"),
        (1, GAS, "b"),
    ]


def test_a_device_that_moved_has_one_history(store: Store) -> None:
    store.write([batch(point("tilt", 1.0, T), point("tilt", 2.0, T + 1))])
    store.write([batch(point("tilt", 2.0, T + 1, building="7"), point("tilt", 3.0, T + 2, building=""))])
    assert [one.value for one in store.readings(SITE, EDGE, T, T + 9)] == [1.0, 2.0, 3.0]
    assert [one.value for one in store.series(SITE, GAS, "tilt", T, T + 9, most=9)] == [1.0, 2.0, 3.0]
    assert [one.value for one in store.latest(SITE, GAS)] == [3.0]


def test_a_device_that_changed_its_edge_has_one_history(store: Store) -> None:
    store.write([batch(point("tilt", 1.0, T)), batch(point("tilt", 2.0, T + 1), edge=OTHER_EDGE)])
    assert [one.value for one in store.series(SITE, GAS, "tilt", T, T + 9, most=9)] == [1.0, 2.0]
    assert [one.value for one in store.latest(SITE, GAS)] == [2.0]
    assert [one.value for one in store.readings(SITE, OTHER_EDGE, T, T + 9)] == [2.0]


def test_latest_is_the_newest_of_each_channel_whatever_came_last(store: Store) -> None:
    store.write([batch(point("tilt", 2.0, T + 5, unit="deg"), point("open", True, T + 1))])
    store.write([batch(point("tilt", 1.0, T, unit="deg"), point("open", False, T + 2, quality=Quality.BAD))])
    assert store.latest(SITE, GAS) == [
        point("open", False, T + 2, quality=Quality.BAD).reading,
        point("tilt", 2.0, T + 5, unit="deg").reading,
    ]
    assert store.latest(SITE, BIN) == []
    assert store.latest(SiteId("elsewhere"), GAS) == []


def test_a_good_reading_after_a_bad_one_is_good(store: Store) -> None:
    store.write([batch(point("tilt", 1.0, quality=Quality.BAD), point("tilt", 2.0, T + 1))])
    assert [one.quality for one in store.readings(SITE, EDGE, T, T + 1)] == [Quality.BAD, Quality.GOOD]
    assert store.latest(SITE, GAS)[0].quality is Quality.GOOD


def test_two_kinds_may_call_things_of_different_types_alike(store: Store) -> None:
    store.write([batch(point("level", 1.0), point("level", True, device=BIN, kind="waste_bin"))])
    assert [(one.device, one.value) for one in store.readings(SITE, EDGE, T, T)] == [(BIN, True), (GAS, 1.0)]
    assert [type(one.value) for device in (GAS, BIN) for one in store.latest(SITE, device)] == [float, bool]


def test_channels_may_have_names_that_influxdb_uses_itself(store: Store) -> None:
    names = ["building", "device", "edge", "first", "last_tilt", "model", "n", "site", "tilt", "tilt_quality", "time"]
    names += ["unit", "v"]
    points = [point(name, float(index), unit="m") for index, name in enumerate(names)]
    store.write([batch(*points)])
    assert store.readings(SITE, EDGE, T, T) == [one.reading for one in points]
    assert store.latest(SITE, GAS) == [one.reading for one in points]
    assert [len(store.series(SITE, GAS, name, T, T, most=9)) for name in names] == [1] * len(names)


def test_a_short_series_comes_as_it_is(store: Store) -> None:
    store.write([batch(*(point("tilt", step / 3, T + step) for step in range(10)))])
    assert store.series(SITE, GAS, "tilt", T, T + 9, most=10) == [Sample(T + step, step / 3) for step in range(10)]


def test_a_long_series_of_numbers_is_averaged_over_equal_stretches_with_its_extremes(store: Store) -> None:
    store.write([batch(*(point("tilt", float(step), T + step) for step in range(100)))])
    found = store.series(SITE, GAS, "tilt", T + 3, T + 92, most=9)
    assert found == [Sample(T + 3 + 10 * step, 7.5 + 10 * step, 3.0 + 10 * step, 12.0 + 10 * step) for step in range(9)]


def test_a_stretch_without_values_is_left_out_and_a_peak_is_not(store: Store) -> None:
    values = {0: 1.0, 1: 1.0, 2: 99.0, 950: 1.0, 951: 2.0}
    store.write([batch(*(point("tilt", value, T + step) for step, value in values.items()))])
    found = store.series(SITE, GAS, "tilt", T, T + 999, most=4)
    assert [(one.at_ms - T, one.low, one.high) for one in found] == [(0, 1.0, 99.0), (750, 1.0, 2.0)]


MINUTE_MS, DAY_MS = 60_000, 86_400_000
MONTH_MS = 30 * DAY_MS


def month(first_ms: int, every_ms: int, *, lifted: float = 0.0) -> dict[int, float]:
    return {at_ms: (at_ms // MINUTE_MS) % 997 / 4 + lifted for at_ms in range(first_ms, first_ms + MONTH_MS, every_ms)}


def drawn(values: dict[int, float], samples: list[Sample]) -> list[Sample]:
    """What the samples should be: those values over the stretches where they begin."""
    starts = [one.at_ms for one in samples]
    step_ms = min(after - before for before, after in pairwise(starts))
    found = []
    for start_ms in starts:
        inside = [value for at_ms, value in values.items() if start_ms <= at_ms < start_ms + step_ms]
        mean: float = pytest.approx(sum(inside) / len(inside))  # type: ignore[assignment]
        found.append(Sample(start_ms, mean, min(inside), max(inside)))
    assert starts[0] <= min(values)
    assert max(values) < starts[-1] + step_ms
    return found


def test_a_month_looks_alike_from_readings_and_from_coarse_ranges_whatever_came_late(
    store: Store, address: str, tmp_path: Path
) -> None:
    first_ms = T - MONTH_MS + 7
    values = month(first_ms, 5 * MINUTE_MS)
    gap = range(first_ms + 10 * DAY_MS, first_ms + 11 * DAY_MS)
    early = {at_ms: value for at_ms, value in values.items() if at_ms not in gap}
    points = [point("tilt", value, at_ms) for at_ms, value in early.items()]
    store.write(
        [batch(*points, point("open", True, first_ms), point("fill", 1.0, first_ms, device=BIN, kind="waste_bin"))]
    )
    reader = open_store(address, base=tmp_path)

    def course(most: int = 150) -> list[Sample]:
        return reader.series(SITE, GAS, "tilt", first_ms, first_ms + MONTH_MS - 1, most=most)

    assert course() == drawn(early, course())
    store.condense(T - 2 * DAY_MS)
    assert course() == drawn(early, course())
    late = {at_ms: value for at_ms, value in values.items() if at_ms in gap}
    store.write([batch(*(point("tilt", value, at_ms, building="moved") for at_ms, value in late.items()))])
    store.write([batch(point("tilt", 999.0, first_ms + 1))])
    store.condense(T - DAY_MS)
    values[first_ms + 1] = 999.0
    assert len(course()) in range(140, 151)
    assert course() == drawn(values, course())
    store.condense(T - DAY_MS)
    assert course() == drawn(values, course())
    reader.close()


def test_setting_up_says_what_it_did_and_twice_is_once(address: str, tmp_path: Path) -> None:
    fresh = open_store(address, base=tmp_path)
    first = [str(line) for line in fresh.setup(50 * 365 * DAY_MS)]
    again = [str(line) for line in fresh.setup(50 * 365 * DAY_MS)]
    assert len(first) == len(again)
    assert any("retention" in line for line in again)
    if not isinstance(fresh, VictoriaStore):
        assert "made" in first[0]
        assert "is there" in again[0]
    fresh.write([batch(point("tilt", 1.0))])
    assert [one.value for one in fresh.latest(SITE, GAS)] == [1.0]
    fresh.close()


@pytest.mark.parametrize("values", [[True, False] * 5, [f"text {step}" for step in range(10)]])
def test_of_booleans_and_texts_a_series_has_the_latest_as_they_are(store: Store, values: list[Value]) -> None:
    store.write([batch(*(point("open", value, T + step) for step, value in enumerate(values)))])
    found = store.series(SITE, GAS, "open", T, T + 99, most=4)
    assert found == [Sample(T + step, values[step]) for step in range(6, 10)]


def test_packs_are_found_by_their_numbers(store: Store) -> None:
    rows = [pack(number, last_at_ms=T + number, readings=number) for number in (1, 2, 3, 7, 2_000_000)]
    other = pack(4, stream=StreamId("s-2"))
    store.write([batch(point("tilt", 1.0), packs=(*rows, other)), batch(packs=(pack(5),), edge=OTHER_EDGE)])
    assert store.packs(SITE, EDGE, STREAM, [(2, 6), (2_000_000, 3_000_000)]) == [rows[1], rows[2], rows[4]]
    assert store.packs(SITE, EDGE, STREAM, []) == []
    many = [(number, number) for number in range(1, 500, 2)]
    assert [row.number for row in store.packs(SITE, EDGE, STREAM, many)] == [1, 3, 7]


def test_the_rules_find_what_they_missed_by_pack_number(store: Store) -> None:
    """As `rules` read a store: which of these packs are there, and every reading of their time."""
    for number in range(1, 30):
        at_ms = T - number * 3_600_000  # the live ones first, then the backlog
        row = PackRow(stream=STREAM, number=number, first_at_ms=at_ms, last_at_ms=at_ms + 1, readings=2)
        store.write([batch(point("tilt", float(number), at_ms), point("note", f"第{number}", at_ms + 1), packs=(row,))])
    found = list(portions(store, (SITE, EDGE, STREAM), [(3, 4), (20, 40)]))
    assert {number for portion in found for number in portion.packs} == {3, 4, *range(20, 30)}
    values = {one.value for portion in found for one in portion.readings}
    assert values >= {value for number in (3, 4, *range(20, 30)) for value in (float(number), f"第{number}")}


def test_packs_that_end_in_the_same_millisecond_stay_apart(store: Store) -> None:
    store.write([batch(packs=tuple(pack(number) for number in range(1, 50)))])
    assert len(store.packs(SITE, EDGE, STREAM, [(1, 99)])) == 49


def test_a_pack_that_grew_when_its_device_was_announced_has_one_row(store: Store) -> None:
    store.write([batch(packs=(pack(1, last_at_ms=T, readings=1),))])
    store.write([batch(packs=(pack(1, last_at_ms=T + 9, readings=2),))])
    assert store.packs(SITE, EDGE, STREAM, [(1, 1)]) == [pack(1, last_at_ms=T + 9, readings=2)]


def test_retention_forgets_what_is_older_and_nothing_else(store: Store) -> None:
    store.write(
        [
            batch(
                *(point("tilt", float(step), T + step) for step in range(4)),
                point("fill", 1.0, T, device=BIN, kind="waste_bin"),
                packs=(pack(1, last_at_ms=T + 1), pack(2, last_at_ms=T + 2)),
            )
        ]
    )
    store.delete_before(T + 2)
    if isinstance(store, VictoriaStore):  # it forgets by itself alone, as its own tests say
        assert len(store.readings(SITE, EDGE, 0, 2 * T)) == 5
        return
    assert [one.at_ms - T for one in store.readings(SITE, EDGE, 0, 2 * T)] == [2, 3]
    assert [row.number for row in store.packs(SITE, EDGE, STREAM, [(1, 9)])] == [2]
    store.write([batch(point("tilt", 9.0, T + 4))])
    assert [one.value for one in store.latest(SITE, GAS)] == [9.0]


def test_a_question_can_t_be_turned_into_another_one(store: Store) -> None:
    store.write([batch(point("tilt", 1.0))])
    for evil in ("x' OR '1'='1", 'x"; DROP MEASUREMENT gas_alarm; --', "x\\", "x\n; DELETE"):
        assert store.readings(SiteId(evil), EdgeId(evil), 0, 2 * T) == []
        assert store.latest(SITE, DeviceId(evil)) == []
        assert store.series(SITE, GAS, evil, 0, 2 * T, most=5) == []
        assert store.packs(SITE, EDGE, StreamId(evil), [(1, 2)]) == []
    assert len(store.readings(SITE, EDGE, T, T)) == 1


_text = st.text(st.characters(codec="utf-8"), max_size=40)
_names = st.sampled_from(["a", "b", "a_quality", "time", "unit", "site"])
_values: dict[str, st.SearchStrategy[Value]] = {
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "text": st.text(st.characters(codec="utf-8"), max_size=200),
}


@st.composite
def _points(draw: st.DrawFn, last_ms: int = 4_102_444_800_000, *, first_ms: int = 0) -> Point:
    kind = draw(st.sampled_from(["number", "boolean", "text"]))
    return point(
        draw(_names),
        draw(_values[kind]),
        draw(st.integers(T, T + 3) | st.integers(first_ms, last_ms)),
        device=DeviceId(f"{kind}-{draw(st.integers(1, 3))}"),
        unit=draw(st.sampled_from([None, "%LEL", "m", "m³/h", "a b,c=d"])) if kind == "number" else None,
        quality=draw(st.sampled_from(Quality)),
        kind=kind,
        building=draw(_text),
        model=draw(_text),
    )


@contextmanager
def _fresh(store: Store) -> Iterator[None]:
    yield
    store.delete_before(4_102_444_800_001)


def _reads_back(store: Store, points: list[Point], site: SiteId = SITE) -> None:
    written = {(one.reading.at_ms, one.reading.device, one.reading.channel): one for one in points}
    with _fresh(store):
        store.write([])
        store.write([Batch(site=site, edge=EDGE, points=list(written.values()), packs=[])])
        found = store.readings(site, EDGE, 0, 2**62)
        assert found == [written[key].reading for key in sorted(written)]
        assert [type(one.value) for one in found] == [type(written[key].reading.value) for key in sorted(written)]


_numbers = count()
_settings = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=150, **_settings)  # type: ignore[arg-type]
@given(points=st.lists(_points(), max_size=8))
def test_sqlite_gives_back_exactly_what_it_got(points: list[Point], tmp_path: Path) -> None:
    store = open_store("sqlite:identity.db", base=tmp_path)
    _reads_back(store, points)
    store.close()


@pytest.mark.needs("influxd")
@settings(max_examples=60, **_settings)  # type: ignore[arg-type]
@given(points=st.lists(_points(), max_size=8))
def test_influxdb_gives_back_exactly_what_it_got(points: list[Point], influxdb: services.Influx) -> None:
    store = open_store(f"influxdb://127.0.0.1:{influxdb.port}/identity", base=Path())
    _reads_back(store, points)
    store.close()


@pytest.mark.needs("victoria-metrics")
@settings(max_examples=15, **_settings)  # type: ignore[arg-type]
@given(points=st.lists(_points(T + 3, first_ms=1), max_size=8))  # a time of 0 is "now" to it
def test_victoriametrics_gives_back_exactly_what_it_got(points: list[Point], victoria: services.Service) -> None:
    store = open_store(f"victoria://127.0.0.1:{victoria.port}", base=Path())
    _reads_back(store, points, SiteId(f"site-{next(_numbers)}"))
    store.close()
