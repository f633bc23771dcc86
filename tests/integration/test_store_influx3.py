"""The store for InfluxDB 3 Core against an HTTP server of ours that speaks its documented API.

No InfluxDB 3 can be had here. What is held: paths, parameters, headers and bodies of the requests, against
docs.influxdata.com/influxdb3/core/api/v3/ (specification 3.7.0), and answers in its documented form. Not held: that a
real server understands these questions.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.stores.base import Batch, PackRow, Point, Sample, Store, StoreAway, StoreLocked, StoreRefused
from collector.stores.choose import open_store
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Quality, Reading
from tests.documented import Server, documented

SITE, EDGE, GAS, STREAM = SiteId("junmen"), EdgeId("pi-1"), DeviceId("gas-1"), StreamId("s-1")
T = 1_795_000_000_123


@pytest.fixture
def server() -> Iterator[Server]:
    with documented() as it:
        yield it


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = open_store(f"influxdb3://apiv3_t%2Foken@127.0.0.1:{server.port}/grid%20call", base=Path())
    yield opened
    opened.close()


def results(*series: dict[str, object]) -> tuple[int, str]:
    return 200, json.dumps({"results": [{"statement_id": 0, "series": list(series)}]})


KINDS = results({"name": "measurements", "columns": ["name"], "values": [["gas_alarm"], ["gridcall_packs"]]})
TAGS = {"device": "gas-1", "edge": "pi-1", "site": "junmen", "building": "-", "model": "m"}


def question(server: Server) -> str:
    return str(json.loads(server.asked[-1].body)["q"])


def test_a_write_has_every_tag_in_every_line_and_is_taken_wholly_or_not(server: Server, store: Store) -> None:
    reading = Reading(device=GAS, channel="alarm_contact", at_ms=T, value=True)
    pack = PackRow(stream=STREAM, number=7, first_at_ms=T, last_at_ms=T, readings=1)
    point = Point(reading=reading, kind="gas_alarm", model="m", building="")
    store.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[pack])])
    readings, packs = server.asked
    for asked in (readings, packs):
        assert (asked.method, asked.path) == ("POST", "/api/v2/write")
        assert asked.query == {"db": ["grid call"], "precision": ["ns"], "accept_partial": ["false"]}
        assert asked.headers["Authorization"] == "Bearer apiv3_t/oken"
    assert readings.body == (
        f"gas_alarm,building=-,device=gas-1,edge=pi-1,model=m,site=junmen,unit=- alarm_contact=true {T}000000\n"
    )
    assert packs.body.startswith("gridcall_packs,edge=pi-1,site=junmen,stream=s-1 ")


def test_readings_are_asked_for_per_table_with_quoted_values(server: Server, store: Store) -> None:
    columns = ["time", "gas_concentration", "gas_concentration.quality", "alarm_contact"]
    series: dict[str, object] = {"name": "gas_alarm", "columns": columns, "values": [[T, 2, "bad", True]]}
    server.answers += [
        KINDS,
        results(series | {"tags": TAGS | {"unit": "%LEL"}}, series | {"tags": TAGS | {"unit": "-"}}),
    ]
    found = store.readings(SITE, EdgeId("pi-1' OR '1'='1"), T, T + 1)
    assert [(one.channel, one.value, one.unit) for one in found] == [
        ("alarm_contact", True, None),
        ("gas_concentration", 2.0, None),
    ]
    assert found[1].quality is Quality.BAD
    assert (server.asked[-1].method, server.asked[-1].path) == ("POST", "/query")
    assert json.loads(server.asked[-1].body) == {
        "db": "grid call",
        "epoch": "ms",
        "q": "SELECT * FROM \"gas_alarm\" WHERE \"site\" = 'junmen' AND \"edge\" = 'pi-1\\' OR \\'1\\'=\\'1'"
        f" AND time >= {T}ms AND time <= {T + 1}ms GROUP BY *",
    }


def test_a_value_that_looks_like_a_parameter_stays_a_value(server: Server, store: Store) -> None:
    server.answers += [KINDS, results()]
    store.readings(SiteId("$edge"), EdgeId("$site \\"), T, T)
    assert "\"site\" = '$edge' AND \"edge\" = '$site \\\\'" in question(server)


def test_packs_are_picked_by_number(server: Server, store: Store) -> None:
    columns = ["time", "number", "first", "last", "readings"]
    server.answers.append(results({"name": "gridcall_packs", "columns": columns, "values": [[T, 7, T - 5, T, 12]]}))
    assert store.packs(SITE, EDGE, STREAM, [(1, 3), (7, 7)]) == [
        PackRow(stream=STREAM, number=7, first_at_ms=T - 5, last_at_ms=T, readings=12)
    ]
    assert "(number >= 1 AND number <= 3 OR number >= 7 AND number <= 7)" in question(server)


def test_a_long_series_is_averaged_by_the_server(server: Server, store: Store) -> None:
    raw = [[T + 9 - step, 1.5] for step in range(3)]
    figures = {
        "columns": ["time", "n", "total", "low", "high"],
        "values": [[T, 4, 6.0, 1.0, 2.0], [T + 5, 0, None, None, None]],
    }
    server.answers += [
        KINDS,
        results({"name": "gas_alarm", "columns": ["time", "v"], "values": raw}),
        results({"name": "gas_alarm", **figures}),
    ]
    assert store.series(SITE, GAS, "tilt", T, T + 9, most=2) == [Sample(T, 1.5, 1.0, 2.0)]
    assert f"GROUP BY time(5ms, {T % 5}ms)" in question(server)


def test_latest_asks_for_the_last_of_each_channel(server: Server, store: Store) -> None:
    newest: dict[str, object] = {
        "name": "gas_alarm",
        "columns": ["time", "tilt", "tilt.quality"],
        "values": [[T, 3, None]],
    }
    server.answers += [
        KINDS,
        results({"name": "gas_alarm", "columns": ["time", "last_tilt"], "values": [[0, 3]]}),
        results(newest | {"tags": TAGS | {"unit": "deg"}}),
    ]
    assert store.latest(SITE, GAS) == [Reading(device=GAS, channel="tilt", at_ms=T, value=3.0, unit="deg")]


def test_setting_up_makes_the_database_with_its_retention_or_says_how_to_change_it(
    server: Server, store: Store
) -> None:
    server.answers += [(201, ""), (409, '{"error":"attempted to create a resource that already exists"}')]
    assert "made" in str(store.setup(365 * 86_400_000)[0])
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v3/configure/database")
    assert json.loads(asked.body) == {"db": "grid call", "retention_period": "8760h"}
    said = [str(line) for line in store.setup(365 * 86_400_000)]
    assert "is there" in said[0]
    assert "influxdb3 update database --retention-period 8760h grid call" in said[1]


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, '{"error":"write of line protocol failed","data":[{"line_number":2}]}', StoreRefused),
        (413, '{"error":"too large"}', StoreRefused),
        (422, '{"error":"unprocessable entity"}', StoreRefused),
        (401, '{"error":"the request was not authenticated"}', StoreLocked),
        (403, '{"error":"access denied"}', StoreLocked),
        (429, "", StoreAway),
        (500, '{"error":"internal"}', StoreAway),
        (503, "not JSON", StoreAway),
    ],
)
def test_an_error_says_whether_waiting_helps(
    server: Server, store: Store, status: int, answer: str, error: type[Exception]
) -> None:
    point = Point(reading=Reading(device=GAS, channel="a", at_ms=T, value=1.0), kind="k", model="", building="")
    server.answers.append((status, answer))
    with pytest.raises(error) as caught:
        store.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[])])
    assert "oken" not in str(caught.value)
    server.answers.append((status, answer))
    with pytest.raises(error):
        store.latest(SITE, GAS)


def test_a_page_that_is_no_answer_of_a_database_is_away(server: Server, store: Store) -> None:
    server.answers.append((200, "<html>a proxy's page</html>"))
    with pytest.raises(StoreAway, match="not InfluxDB's"):
        store.latest(SITE, GAS)
