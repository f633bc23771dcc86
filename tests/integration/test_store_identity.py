"""From a pack's bytes to a real database and back: the same readings, whatever they say; and every tag as it was named."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.intake.judge import Accepted, judge
from collector.stores.base import Batch, PackRow, Store
from collector.stores.choose import open_store
from collector.stores.influx.ql import rows_of
from collector.stores.influx.v1 import InfluxStore
from collector.stores.victoria.store import VictoriaStore
from messages import pack as packs
from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Channel, Kind
from messages.reading import Quality, Reading, Value
from messages.settings import Text
from messages.topics import Origin
from tests import services

EDGE, STREAM, DEVICE = EdgeId("pi-1"), StreamId("s-1"), DeviceId("probe-1")
NOW_MS = 1_795_000_000_000
NAME = Text(zh="量", en="Quantity")
UNITS = {"number": "m³/h", "other_number": "%LEL", "boolean": None, "text": None}
KIND = Kind(
    name=NAME,
    channels={
        channel: Channel.model_validate(
            {"name": NAME, "meaning": "", "type": channel.rpartition("_")[2], "unit": unit, "interval": "60s"}
        )
        for channel, unit in UNITS.items()
    },
)
_sites = count()

_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40)
_values: dict[str, st.SearchStrategy[Value]] = {
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "other_number": st.integers(-(2**53), 2**53).map(float) | st.decimals(-1000, 1000, places=3).map(float),
    "boolean": st.booleans(),
    "text": st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=300),
}


@st.composite
def _readings(draw: st.DrawFn) -> Reading:
    channel = draw(st.sampled_from(sorted(UNITS)))
    return Reading(
        device=DEVICE,
        channel=channel,
        at_ms=NOW_MS - draw(st.integers(0, 10_000)),
        value=draw(_values[channel]),
        unit=UNITS[channel],
        quality=draw(st.sampled_from(Quality)),
    )


@st.composite
def _contents(draw: st.DrawFn) -> tuple[list[Reading], str, str]:
    unique = {(one.at_ms, one.channel): one for one in draw(st.lists(_readings(), min_size=1, max_size=12))}
    building = draw(_words)
    model = draw(_words.filter(lambda text: bool(text.strip()) and "\u2028" not in text and "\u2029" not in text))
    return list(unique.values()), building, model


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("influxdb", marks=pytest.mark.needs("influxd")),
        pytest.param("victoria", marks=pytest.mark.needs("victoria-metrics")),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    address = "sqlite:history.db"
    if request.param != "sqlite":
        server: services.Service = request.getfixturevalue(request.param)
        address = f"{request.param}://127.0.0.1:{server.port}" + ("/identity" if request.param == "influxdb" else "")
    opened = open_store(address, base=tmp_path)
    opened.write([])
    yield opened
    opened.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=_contents())
def test_a_pack_comes_back_from_the_store_as_it_was_sent(
    store: Store, contents: tuple[list[Reading], str, str]
) -> None:
    sent, building, model = contents
    site = SiteId(f"site-{next(_sites)}")
    place = Place(grid="grid-1", building=building, text="x")
    known = {(site, EDGE, DEVICE): Announcement.model_construct(kind="probe", model=model, place=place)}
    payload = packs.encode(EDGE, STREAM, 7, sent)
    verdict = judge(payload, Origin(site, EDGE, "readings"), known, {"probe": KIND}, NOW_MS)
    assert isinstance(verdict, Accepted)
    assert not verdict.reasons
    assert isinstance(verdict.pack, PackRow)
    store.write([Batch(site=site, edge=EDGE, points=verdict.points, packs=[verdict.pack])])
    found = store.readings(site, EDGE, 0, 2 * NOW_MS)
    assert found == sorted(sent, key=lambda one: (one.at_ms, one.channel))
    assert {type(one.value) for one in found} == {type(one.value) for one in sent}
    assert store.packs(site, EDGE, STREAM, [(1, 9)]) == [verdict.pack]
    for tags in _tags(store, site):
        assert tags.get("building", "") == building.replace("\\", "/")
        assert tags.get("model", "") == model.replace("\\", "/")


def _tags(store: Store, site: SiteId) -> Sequence[dict[str, str]]:
    """As the database itself has understood them."""
    if isinstance(store, InfluxStore):
        found = store._ask('SELECT * FROM "probe" WHERE "site" = $site GROUP BY *', site=site)
        return [series["tags"] for series, _ in rows_of(found)]
    if isinstance(store, VictoriaStore):
        form = [("match[]", f'{{site="{site}",channel!=""}}'), ("start", "0")]
        labels: list[dict[str, str]] = store._json(store._ask("/api/v1/series", form))["data"]
        return labels
    return []  # SQLite has no tags
