"""History in InfluxDB 2.x, through the influxdb-client package: line protocol in, Flux out.

NOT TESTED against a real InfluxDB 2.x: none can be had where Gridcall is built. Its tests hold each request against
the documented API (paths, query parameters, headers, bodies) with an HTTP server of their own, and feed it answers in
the documented annotated CSV; that a real server understands these Flux sentences as we do is read, not seen.

The bucket must be there: `setup` makes it, with its retention, and beside it a bucket `<bucket>_coarse` and a task that fills it
each hour with the coarse ranges of the last COARSE_BACK hours. What comes later than that is missing in charts of long spans
until it is asked for in a shorter one; in every other answer it is there. Writes are SYNCHRONOUS: the client's batching mode drops what it can't send and tells nobody.

https://docs.influxdata.com/influxdb/v2/api/v2/
"""

import gzip
import json
from collections.abc import Sequence
from typing import Any

import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.service.write_service import WriteService

from collector.stores.base import COARSE_MS, WRITERS, Batch, PackRow, Sample, StoreAway, StoreError, StoreRefused
from collector.stores.history import (
    EARLIEST_MS,
    LATEST_MS,
    Stretch,
    averaged,
    by_number,
    coarse_grid,
    in_order,
    newest,
    stretch_ms,
    within,
)
from collector.stores.http import CONTENT_REFUSED, GZIP_LEVEL, away
from collector.stores.influx.flux import COARSE, FIGURES, Row, at_ms, held_in, instant, quoted, readings, series, value
from collector.stores.influx.v2_setup import bucket_there, task_there
from collector.stores.line_protocol import PACKS, field_of, requests
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.language import Phrase, phrase
from messages.ranges import Range
from messages.reading import Reading

CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS = 5_000, 30_000
NOT_FOUND = 404


class NoSuchBucket(StoreAway):
    """Bucket or organisation are not there."""


class Influx2Store:
    """See `collector.stores.base.Store`. `url` is "http://host:8086"."""

    writers = WRITERS

    def __init__(self, url: str, *, token: str, org: str, bucket: str, packed: bool = False) -> None:
        self._url = url
        self._org = org
        self._bucket = bucket
        self._packed = packed
        self._client = InfluxDBClient(
            url=url,
            token=token,
            org=org,
            timeout=(CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS),
            connection_pool_maxsize=WRITERS,
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, batches: Sequence[Batch]) -> None:
        try:
            for body in requests(batches):
                if self._packed:  # the client's own gzip knows level 9 only
                    packed = gzip.compress(body, GZIP_LEVEL)
                    service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]
                    service.post_write(self._org, self._bucket, packed, precision="ns", content_encoding="gzip")  # type: ignore[no-untyped-call]
                else:
                    self._writer.write(bucket=self._bucket, record=body)
        except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
            raise self._in_our_words(error) from error

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        if not wanted:
            return []
        numbers = " or ".join(f"(r.number >= {int(first)} and r.number <= {int(last)})" for first, last in wanted)
        rows = self._ask(
            held_in(self._bucket, EARLIEST_MS, LATEST_MS, _measurement=PACKS, site=site, edge=edge, stream=stream)
            + ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
            + f" |> filter(fn: (r) => {numbers})"
        )
        return by_number(
            PackRow(
                stream=stream,
                number=row["number"],
                first_at_ms=row["first"],
                last_at_ms=row["last"],
                readings=row["readings"],
            )
            for row in rows
        )

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        source = held_in(self._bucket, *within(from_ms, to_ms), site=site, edge=edge)
        return in_order(readings(self._ask(f"{source} |> filter(fn: (r) => exists r.device)")))

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        from_ms, to_ms = within(from_ms, to_ms)
        field = field_of(channel)
        source = held_in(self._bucket, from_ms, to_ms, site=site, device=device, _field=field)
        source += ' |> group(columns: ["_measurement"])'
        rows = self._ask(f'{source} |> sort(columns: ["_time"], desc: true) |> limit(n: {most + 1})')
        raw = {at_ms(row): value(row) for row in rows}
        if len(raw) <= most or not isinstance(raw[max(raw)], float):
            return [Sample(at_ms, raw[at_ms]) for at_ms in sorted(raw)][-most:]
        if grid := coarse_grid(from_ms, to_ms, most):
            coarse = self._coarse(site, device, field, grid[0], to_ms)
            if coarse:
                rest_ms = max(one.start_ms for one in coarse) + COARSE_MS
                rest = (
                    self._ask(held_in(self._bucket, rest_ms, to_ms, site=site, device=device, _field=field))
                    if rest_ms <= to_ms
                    else []
                )
                numbers = ((at_ms(row), float(row["_value"])) for row in rest)
                return averaged([*coarse, *(Stretch(at_ms, 1, one, one, one) for at_ms, one in numbers)], *grid)
        step_ms = stretch_ms(from_ms, to_ms, most)
        window = f'every: {step_ms}ms, offset: {from_ms % step_ms}ms, createEmpty: false, timeSrc: "_start"'
        mean, low, high = (
            {at_ms(row): float(row["_value"]) for row in self._ask(f"{source} |> aggregateWindow(fn: {fn}, {window})")}
            for fn in ("mean", "min", "max")
        )
        return [Sample(at_ms, mean[at_ms], low[at_ms], high[at_ms]) for at_ms in sorted(mean)]

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        source = held_in(self._bucket, EARLIEST_MS, LATEST_MS, site=site, device=device)
        return newest(readings(self._ask(f"{source} |> last()")))

    def delete_before(self, at_ms: int) -> None:
        try:
            self._client.delete_api().delete(
                instant(EARLIEST_MS), instant(within(0, at_ms)[1] - 1), "", bucket=self._bucket
            )
        except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
            raise self._in_our_words(error) from error

    def condense(self, before_ms: int) -> None:
        """Nothing: the task that `setup` makes does it."""

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        try:
            names = (self._bucket, self._bucket + COARSE)
            said = [bucket_there(self._client, self._org, name, retention_ms) for name in names]
            named = (phrase("{what}: {state}", what=self._url, state=line) for line in said)
            return [*named, task_there(self._client, self._org, self._bucket)]
        except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
            raise self._in_our_words(error) from error

    def _coarse(self, site: SiteId, device: DeviceId, field: str, from_ms: int, to_ms: int) -> list[Stretch]:
        """None if nobody has set the bucket up."""
        fields = " or ".join(f"r._field == {quoted(f'{fn}_{field}')}" for fn in FIGURES)
        flux = held_in(self._bucket + COARSE, from_ms, to_ms, site=site, device=device)
        try:
            rows = self._ask(f"{flux} |> filter(fn: (r) => {fields})")
        except NoSuchBucket:
            return []
        found: dict[tuple[Any, ...], dict[str, float]] = {}
        for row in rows:
            key = (*series(row), at_ms(row))
            found.setdefault(key, {})[row["_field"].removesuffix(f"_{field}")] = float(row["_value"])
        return [
            Stretch(key[-1], int(of["count"]), of["sum"], of["min"], of["max"])
            for key, of in found.items()
            if len(of) == len(FIGURES)
        ]

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _ask(self, flux: str) -> list[Row]:
        try:
            return [record.values for table in self._client.query_api().query(flux) for record in table.records]
        except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
            raise self._in_our_words(error) from error
        except FluxQueryException as error:
            raise StoreAway(f"{self._url}: broke off: {error.message}") from error
        except (FluxCsvParserException, LookupError, ValueError) as error:  # the client trips over a proxy's page
            raise StoreAway(f"{self._url}: an answer that is no annotated CSV: {error}") from error

    def _in_our_words(self, error: Exception) -> StoreError:
        if not isinstance(error, InfluxDBError) or error.response is None:
            return StoreAway(f"{self._url}: {error}")
        status, words = error.response.status, _words(error.response.data)
        if status in CONTENT_REFUSED:
            return StoreRefused(f"{self._url}: {words}")
        text = f"{self._url}: answers {status}: {words}"
        if status == NOT_FOUND:
            return NoSuchBucket(text)
        return away(status, text, error.response.getheaders())


def _words(answer: bytes | str | None) -> str:
    try:
        return str(json.loads(answer or b"")["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer or ""
        return text.strip()[:200] or "no reason given"
