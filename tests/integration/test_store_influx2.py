"""The store for InfluxDB 2.x against an HTTP server of ours that speaks the documented API.

No InfluxDB 2.x can be had here. What is held: paths, parameters, headers and bodies of the requests, against
docs.influxdata.com/influxdb/v2/api/v2/, and answers in the documented annotated CSV. Not held: that a real server
understands the Flux.
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
INSTANT = "2026-11-18T11:06:40.123Z"


@pytest.fixture
def server() -> Iterator[Server]:
    with documented() as it:
        yield it


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = open_store(f"influxdb2://a%2Ftoken%3D%3D@127.0.0.1:{server.port}/wang%20ge/grid%20call", base=Path())
    yield opened
    opened.close()


def csv(*rows: str, columns: str, types: str) -> str:
    """An answer in annotated CSV: docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/."""
    count = columns.count(",") + 1
    head = [
        f"#datatype,string,long,{types}",
        "#group" + ",false" * (count + 2),
        "#default,_result" + "," * (count + 1),
        f",result,table,{columns}",
    ]
    return "\r\n".join([*head, *(f",,0,{row}" for row in rows), "", ""])


_TIMES = "dateTime:RFC3339"
_COLUMNS = "_time,_value,_field,_measurement,device,unit"


def values(*rows: str, type_of_value: str) -> str:
    return csv(*rows, columns=_COLUMNS, types=f"{_TIMES},{type_of_value},string,string,string,string")


def test_a_write_is_line_protocol_in_nanoseconds_first_readings_then_packs(server: Server, store: Store) -> None:
    point = Point(
        reading=Reading(device=GAS, channel="gas_concentration", at_ms=T, value=2.0, unit="%LEL"),
        kind="gas_alarm",
        model="m",
        building="3号楼",
    )
    pack = PackRow(stream=STREAM, number=7, first_at_ms=T, last_at_ms=T, readings=1)
    store.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[pack])])
    readings, packs = server.asked
    for asked in (readings, packs):
        assert asked.path == "/api/v2/write"
        assert asked.query == {"org": ["wang ge"], "bucket": ["grid call"], "precision": ["ns"]}
        assert asked.headers["Authorization"] == "Token a/token=="
        assert asked.headers["Content-Type"].startswith("text/plain")
    assert readings.body == (
        f"gas_alarm,building=3号楼,device=gas-1,edge=pi-1,model=m,site=junmen,unit=%LEL gas_concentration=2.0 {T}000000\n"
    )
    assert packs.body.startswith("gridcall_packs,edge=pi-1,site=junmen,stream=s-1 ")


def test_readings_come_from_one_flux_query_with_both_ends(server: Server, store: Store) -> None:
    numbers = values(
        f"{INSTANT},2.5,gas_concentration,gas_alarm,gas-1,%LEL",
        f"{INSTANT},3,tilt,gas_alarm,gas-1,deg",
        type_of_value="double",
    )
    words = values(
        f"{INSTANT},bad,gas_concentration.quality,gas_alarm,gas-1,%LEL",
        f'{INSTANT},"two ""lines"",\nand more",note,gas_alarm,gas-1,',
        f"{INSTANT},,empty,gas_alarm,gas-1,",
        type_of_value="string",
    )
    truths = values(f"{INSTANT},true,alarm_contact,gas_alarm,gas-1,", type_of_value="boolean")
    server.answers.append((200, numbers + words + truths))
    assert store.readings(SITE, EDGE, T, T + 1) == [
        Reading(device=GAS, channel="alarm_contact", at_ms=T, value=True),
        Reading(device=GAS, channel="empty", at_ms=T, value=""),
        Reading(device=GAS, channel="gas_concentration", at_ms=T, value=2.5, unit="%LEL", quality=Quality.BAD),
        Reading(device=GAS, channel="note", at_ms=T, value='two "lines",\nand more'),
        Reading(device=GAS, channel="tilt", at_ms=T, value=3.0, unit="deg"),
    ]
    (asked,) = server.asked
    assert (asked.path, asked.query) == ("/api/v2/query", {"org": ["wang ge"]})
    assert asked.headers["Content-Type"] == "application/json"
    assert server.flux == (
        'from(bucket: "grid call")'
        " |> range(start: 2026-11-18T11:06:40.123Z, stop: 2026-11-18T11:06:40.125Z)"
        ' |> filter(fn: (r) => r.site == "junmen" and r.edge == "pi-1")'
        " |> filter(fn: (r) => exists r.device)"
    )


def test_packs_are_pivoted_and_picked_by_number(server: Server, store: Store) -> None:
    columns, types = "_time,first,last,number,readings", f"{_TIMES},long,long,long,long"
    server.answers.append((200, csv(f"{INSTANT},{T - 5},{T},7,12", columns=columns, types=types)))
    assert store.packs(SITE, EDGE, STREAM, [(1, 3), (7, 7)]) == [
        PackRow(stream=STREAM, number=7, first_at_ms=T - 5, last_at_ms=T, readings=12)
    ]
    assert 'r._measurement == "gridcall_packs"' in server.flux
    assert server.flux.endswith(
        'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        " |> filter(fn: (r) => (r.number >= 1 and r.number <= 3) or (r.number >= 7 and r.number <= 7))"
    )
    assert store.packs(SITE, EDGE, STREAM, []) == []


def test_a_long_series_is_asked_for_again_as_mean_lowest_and_highest(server: Server, store: Store) -> None:
    rows = [f"2026-11-18T11:06:40.12{digit}Z,{digit}.5,tilt,gas_alarm,gas-1,deg" for digit in range(5, 2, -1)]
    server.answers.append((200, values(*rows, type_of_value="double")))
    for value in ("4.0", "3.5", "5.5"):
        answer = values(f"{INSTANT},{value},tilt,gas_alarm,gas-1,deg", type_of_value="double")
        server.answers.append((200, answer))
    assert store.series(SITE, GAS, "tilt", T, T + 9, most=2) == [Sample(T, 4.0, 3.5, 5.5)]
    first, *windows = [json.loads(asked.body)["query"] for asked in server.asked]
    assert first.endswith('sort(columns: ["_time"], desc: true) |> limit(n: 3)')
    assert 'r._field == "tilt"' in first
    for fn, flux in zip(("mean", "min", "max"), windows, strict=True):
        assert flux.endswith(
            f'aggregateWindow(fn: {fn}, every: 5ms, offset: {T % 5}ms, createEmpty: false, timeSrc: "_start")'
        )


def test_a_short_series_needs_one_question(server: Server, store: Store) -> None:
    server.answers.append((200, values(f"{INSTANT},true,open,door,gas-1,", type_of_value="boolean")))
    assert store.series(SITE, GAS, "open", T, T + 9, most=2) == [Sample(T, True)]
    assert len(server.asked) == 1


def test_latest_is_the_last_of_each_table(server: Server, store: Store) -> None:
    old = values("2026-11-18T11:06:40.100Z,1,tilt,gas_alarm,gas-1,deg", type_of_value="double")
    new = values(f"{INSTANT},2,tilt,gas_alarm,gas-1,deg", type_of_value="double")
    server.answers.append((200, new + old))
    assert [(one.at_ms, one.value) for one in store.latest(SITE, GAS)] == [(T, 2.0)]
    assert server.flux.endswith(" |> last()")


def test_retention_deletes_up_to_the_millisecond_before(server: Server, store: Store) -> None:
    store.delete_before(T)
    (asked,) = server.asked
    assert (asked.path, asked.query) == ("/api/v2/delete", {"org": ["wang ge"], "bucket": ["grid call"]})
    assert json.loads(asked.body)["stop"] == "2026-11-18T11:06:40.122Z"


def test_no_name_can_become_flux(server: Server, store: Store) -> None:
    server.answers.append((200, ""))
    store.latest(SITE, DeviceId('x" or true ${1+1} \\'))
    assert 'r.device == "x\\" or true \\${1+1} \\\\"' in server.flux


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (400, '{"code":"invalid","message":"unable to parse"}', StoreRefused),
        (413, '{"code":"request too large","message":"too large"}', StoreRefused),
        (422, '{"code":"unprocessable entity","message":"field type conflict"}', StoreRefused),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', StoreLocked),
        (403, '{"code":"forbidden","message":"insufficient permissions for write"}', StoreLocked),
        (404, '{"code":"not found","message":"bucket not found"}', StoreAway),
        (429, "", StoreAway),
        (500, '{"code":"internal error","message":"engine: closed"}', StoreAway),
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
    assert "a/token" not in str(caught.value)
    server.answers.append((status, answer))
    with pytest.raises(error):
        store.latest(SITE, GAS)


def test_an_error_in_the_middle_of_an_answer_is_one(server: Server, store: Store) -> None:
    broken = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,it failed,897\r\n"
    server.answers.append((200, broken))
    with pytest.raises(StoreAway, match="it failed"):
        store.latest(SITE, GAS)
    server.answers.append((200, "<html>a proxy's page</html>\r\n"))
    with pytest.raises(StoreAway, match="no annotated CSV"):
        store.latest(SITE, GAS)


ORGS = (200, json.dumps({"orgs": [{"id": "0123456789abcdef", "name": "wang ge"}]}))

MADE = (201, json.dumps({"id": "b", "name": "grid call", "retentionRules": []}))
TASK = json.dumps({"id": "t", "orgID": "o", "name": "n", "flux": ""})


def buckets(*found: tuple[str, int]) -> tuple[int, str]:
    """docs.influxdata.com/influxdb/v2/api/v2/#operation/GetBuckets."""
    rows = [
        {"id": f"b{index}", "name": name, "retentionRules": [{"type": "expire", "everySeconds": every_s}]}
        for index, (name, every_s) in enumerate(found)
    ]
    return 200, json.dumps({"buckets": rows})


def test_setting_up_makes_two_buckets_with_their_retention_and_a_task(server: Server, store: Store) -> None:
    server.answers += [buckets(), ORGS, MADE, buckets(), ORGS, MADE, (200, '{"tasks": []}'), (201, TASK)]
    said = [str(line) for line in store.setup(365 * 86_400_000)]
    assert ["made" in line for line in said] == [True] * 3
    made = [(one.path, json.loads(one.body)) for one in server.asked if one.method == "POST"]
    for (path, body), name in zip(made, ("grid call", "grid call_coarse"), strict=False):
        assert path == "/api/v2/buckets"
        assert (body["name"], body["orgID"]) == (name, "0123456789abcdef")
        assert body["retentionRules"] == [{"type": "expire", "everySeconds": 31_536_000}]
    path, body = made[-1]
    assert (path, body["org"], body["status"]) == ("/api/v2/tasks", "wang ge", "active")
    assert 'option task = {name: "gridcall coarse ranges of grid call", every: 1h, offset: 5m}' in body["flux"]
    for fn in ("count", "sum", "min", "max"):
        assert f'aggregateWindow(every: 15m, fn: {fn}, createEmpty: false, timeSrc: "_start")' in body["flux"]
    assert body["flux"].count('|> to(bucket: "grid call_coarse")') == 4


def test_setting_up_again_changes_only_what_has_changed(server: Server, store: Store) -> None:
    server.answers += [buckets(), ORGS, MADE, buckets(), ORGS, MADE, (200, '{"tasks": []}'), (201, TASK)]
    store.setup(None)
    flux = json.loads(server.asked[-1].body)["flux"]
    task = (200, json.dumps({"tasks": [{"id": "t1", "orgID": "o", "name": "n", "flux": flux}]}))
    server.answers += [buckets(("grid call", 0)), buckets(("grid call_coarse", 3600)), MADE, task]
    server.asked.clear()
    said = [str(line) for line in store.setup(None)]
    assert [one.method for one in server.asked] == ["GET", "GET", "PATCH", "GET"]
    assert [line.rpartition(" ")[2] for line in said] == ["was", "changed", "was"]


def test_a_long_span_is_drawn_from_the_coarse_bucket_and_its_end_from_the_readings(
    server: Server, store: Store
) -> None:
    start = "2026-11-01T00:00:00Z"
    start_ms = 1_793_491_200_000
    columns, types = "_time,_value,_field,_measurement,device", f"{_TIMES},double,string,string,string"
    raw = [f"2026-11-02T00:0{digit}:00Z,{digit}.5,tilt,gas_alarm,gas-1" for digit in range(4, 0, -1)]
    coarse = [f"{start},{value},{fn}_tilt,gas_alarm,gas-1" for fn, value in
              (("count", 10), ("sum", 25.0), ("min", 1.0), ("max", 9.0))]  # fmt: skip
    for rows in (raw, coarse, raw[:1]):
        server.answers.append((200, csv(*rows, columns=columns, types=types)))
    found = store.series(SITE, GAS, "tilt", start_ms, start_ms + 3 * 86_400_000 - 1, most=3)
    assert found == [Sample(start_ms, 2.5, 1.0, 9.0), Sample(start_ms + 86_400_000, 4.5, 4.5, 4.5)]
    asked = [json.loads(one.body)["query"] for one in server.asked]
    assert asked[1].startswith('from(bucket: "grid call_coarse") |> range(start: 2026-11-01T00:00:00.000Z')
    assert 'r._field == "sum_tilt"' in asked[1]
    assert asked[2].startswith('from(bucket: "grid call") |> range(start: 2026-11-01T00:15:00.000Z')


def test_without_the_coarse_bucket_a_long_span_is_drawn_from_the_readings(server: Server, store: Store) -> None:
    rows = [f"2026-11-02T00:0{digit}:00Z,{digit}.5,tilt,gas_alarm,gas-1,deg" for digit in range(4, 0, -1)]
    server.answers.append((200, values(*rows, type_of_value="double")))
    server.answers.append((404, '{"code":"not found","message":"bucket not found"}'))
    for value in ("4.0", "3.5", "5.5"):
        answer = values(f"2026-11-01T00:00:00Z,{value},tilt,gas_alarm,gas-1,deg", type_of_value="double")
        server.answers.append((200, answer))
    start_ms = 1_793_491_200_000
    assert store.series(SITE, GAS, "tilt", start_ms, start_ms + 3 * 86_400_000 - 1, most=3) == [
        Sample(start_ms, 4.0, 3.5, 5.5)
    ]


def test_a_database_that_asks_for_time_is_given_it(server: Server, store: Store) -> None:
    point = Point(reading=Reading(device=GAS, channel="a", at_ms=T, value=1.0), kind="k", model="", building="")
    for status, headers, wait_s in (
        (429, {"Retry-After": "7"}, 7.0),
        (503, {}, 0.0),
        (503, {"Retry-After": "99999"}, 300.0),
    ):
        server.answers.append((status, "", headers))
        with pytest.raises(StoreAway) as caught:
            store.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[])])
        assert caught.value.retry_after_s == wait_s


def test_packed_writes_say_so_and_hold_the_same_lines(server: Server) -> None:
    store = open_store(f"influxdb2://t@127.0.0.1:{server.port}/org/bucket?gzip", base=Path())
    point = Point(reading=Reading(device=GAS, channel="a", at_ms=T, value=1.0), kind="k", model="", building="3号楼")
    store.write([Batch(site=SITE, edge=EDGE, points=[point], packs=[])])
    (asked,) = server.asked
    assert asked.headers["Content-Encoding"] == "gzip"
    assert asked.body == f"k,building=3号楼,device=gas-1,edge=pi-1,site=junmen a=1.0 {T}000000\n"
    store.close()
