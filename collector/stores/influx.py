"""History in InfluxDB 1.x, over its HTTP API: /write with line protocol, /query with InfluxQL.

An answer of 204 means that a write is in the write-ahead log, on the disk. Questions are asked per measurement, never
of all at once: where two kinds have a field of the same name and different types, InfluxQL would leave one of them out
without a word. Values of a question are bound, never written into it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from collector.stores.base import WRITERS, Batch, PackRow, Sample, StoreAway, StoreRefused
from collector.stores.history import by_number, in_order, newest, stretch_ms, within
from collector.stores.http import Answer, Http
from collector.stores.line_protocol import PACKS, channel_of, field_of, quality_field_of, read_value, requests
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.ranges import Range
from messages.reading import Quality, Reading, Value

RANGES_AT_ONCE = 100
"""A question for packs grows with its ranges; InfluxDB answers some hundred conditions, not ten thousand."""

WORDS = 200
"""Characters of an answer that we don't understand, quoted."""

NO_DATABASE = 404
CONTENT_REFUSED = (400, 413)

_OF_DEVICE = '"site" = $site AND "device" = $device'
_Series = dict[str, Any]


class InfluxStore:
    """See `collector.stores.base.Store`. `url` is "http://host:8086"."""

    writers = WRITERS

    def __init__(
        self,
        url: str,
        database: str,
        *,
        username: str | None = None,
        password: str | None = None,
        packed: bool = False,
    ) -> None:
        self._url = url
        self._database = database
        self._http = Http(url, username=username, password=password, packed=packed)

    def write(self, batches: Sequence[Batch]) -> None:
        for body in requests(batches) or [""]:  # an empty body asks whether the database is there
            answer = self._write(body.encode())
            if answer.status == NO_DATABASE:
                self._ask(f"CREATE DATABASE {_name(self._database)}")
                answer = self._write(body.encode())
            self._check(answer)

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        rows = []
        for start in range(0, len(wanted), RANGES_AT_ONCE):
            some = wanted[start : start + RANGES_AT_ONCE]
            numbers = " OR ".join(f"number >= {int(first)} AND number <= {int(last)}" for first, last in some)
            where = f'"site" = $site AND "edge" = $edge AND "stream" = $stream AND ({numbers})'
            question = _select('number, "first", "last", readings', PACKS, where)
            for _, row in _rows(self._ask(question, site=site, edge=edge, stream=stream)):
                rows.append(
                    PackRow(
                        stream=stream,
                        number=row["number"],
                        first_at_ms=row["first"],
                        last_at_ms=row["last"],
                        readings=row["readings"],
                    )
                )
        return by_number(rows)

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        of_edge = '"site" = $site AND "edge" = $edge'
        when = _between(*within(from_ms, to_ms))
        questions = [
            f"{_select('*', kind, f'{of_edge} AND {when}')} GROUP BY *"
            for kind in self._kinds(of_edge, site=site, edge=edge)
        ]
        found = self._ask("; ".join(questions), site=site, edge=edge) if questions else []
        return in_order(reading for series, row in _rows(found) for reading in _readings(series, row))

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        from_ms, to_ms = within(from_ms, to_ms)
        samples: dict[int, Sample] = {}
        for kind in self._kinds(_OF_DEVICE, site=site, device=device):
            for sample in self._series_of(kind, site, device, channel, from_ms, to_ms, most):
                samples[sample.at_ms] = sample
        return [samples[at_ms] for at_ms in sorted(samples)][-most:]

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        questions = []
        for kind in self._kinds(_OF_DEVICE, site=site, device=device):
            found = self._ask(_select("last(*)", kind, _OF_DEVICE), site=site, device=device)
            fields = {column.removeprefix("last_") for _, row in _rows(found) for column in row if column != "time"}
            for channel in filter(None, map(channel_of, fields)):
                field, quality = _name(field_of(channel)), _name(quality_field_of(channel))
                newest_one = _select(f"last({field}) AS {field}, {quality}", kind, _OF_DEVICE)
                questions.append(f"{newest_one} GROUP BY *")
        found = self._ask("; ".join(questions), site=site, device=device) if questions else []
        return newest(reading for series, row in _rows(found) for reading in _readings(series, row))

    def delete_before(self, at_ms: int) -> None:
        _, before_ms = within(0, at_ms)
        self._ask(f"DELETE WHERE time < {before_ms}ms")

    def close(self) -> None:
        self._http.close()

    def _kinds(self, where: str, **bound: str) -> list[str]:
        """Measurements that hold anything for `where`. Raises StoreAway if there is no database."""
        found = self._ask(f"SHOW MEASUREMENTS WHERE {where}", **bound)
        if not found:  # SHOW answers the same when the database is absent; SELECT does not
            self._ask(f"{_select('number', PACKS, 'time > 0')} LIMIT 1")
        return [row["name"] for _, row in _rows(found) if row["name"] != PACKS]

    def _series_of(
        self, kind: str, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, most: int
    ) -> Iterator[Sample]:
        field = _name(field_of(channel))
        where = f"{_OF_DEVICE} AND {_between(from_ms, to_ms)}"
        asked = self._ask(_select(f"count({field}) AS n, last({field}) AS v", kind, where), site=site, device=device)
        if not asked:
            return
        _, summary = next(_rows(asked))
        if summary["n"] <= most or not isinstance(read_value(summary["v"]), float):
            question = f"{_select(f'{field} AS v', kind, where)} ORDER BY time DESC LIMIT {int(most)}"
            for _, row in _rows(self._ask(question, site=site, device=device)):
                yield Sample(row["time"], read_value(row["v"]))
            return
        step_ms = stretch_ms(from_ms, to_ms, most)
        figures = _select(f"mean({field}) AS v, min({field}) AS low, max({field}) AS high", kind, where)
        question = f"{figures} GROUP BY time({step_ms}ms, {from_ms % step_ms}ms) fill(none)"
        for _, row in _rows(self._ask(question, site=site, device=device)):
            yield Sample(row["time"], float(row["v"]), float(row["low"]), float(row["high"]))

    def _write(self, body: bytes) -> Answer:
        where = urlencode({"db": self._database, "precision": "ns"})
        return self._http.write(f"/write?{where}", body)

    def _ask(self, question: str, **bound: str) -> list[_Series]:
        """The series that answer all statements of `question`.

        A question that isn't understood is 400; an error beside a result is the server's state of the moment.
        """
        form = urlencode({"db": self._database, "epoch": "ms", "q": question, "params": json.dumps(bound)})
        answer = self._http.post("/query", form.encode(), "application/x-www-form-urlencoded")
        self._check(answer)
        series: list[_Series] = []
        try:
            results = json.loads(answer.text)["results"]
        except (ValueError, LookupError, TypeError) as error:
            raise StoreAway(f"{self._url}: an answer that is not InfluxDB's: {answer.text[:WORDS]!r}") from error
        for result in results:
            if "error" in result:
                raise StoreAway(f"{self._url}: {result['error']}")
            series += result.get("series", ())
        return series

    def _check(self, answer: Answer) -> None:
        if answer.status < 300:
            return
        words = _words(answer.text) or "no reason given"
        if answer.status in CONTENT_REFUSED:
            raise StoreRefused(f"{self._url}: {words}")
        raise self._http.away(answer, words)


def _select(what: str, kind: str, where: str) -> str:
    return f"SELECT {what} FROM {_name(kind)} WHERE {where}"  # noqa: S608 (names are quoted, values are bound)


def _between(from_ms: int, to_ms: int) -> str:
    return f"time >= {int(from_ms)}ms AND time <= {int(to_ms)}ms"


def _name(name: str) -> str:
    """An identifier of InfluxQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _rows(found: Sequence[_Series]) -> Iterator[tuple[_Series, dict[str, Any]]]:
    """Each row with its series, without the columns that it leaves empty."""
    for series in found:
        for values in series["values"]:
            yield (
                series,
                {column: value for column, value in zip(series["columns"], values, strict=True) if value is not None},
            )


def _readings(series: _Series, row: dict[str, Any]) -> Iterator[Reading]:
    tags = series["tags"]
    for field, stored in row.items():
        channel = channel_of(field)
        if channel is None or field == "time":
            continue
        value: Value = read_value(stored)
        yield Reading(
            device=DeviceId(tags["device"]),
            channel=channel,
            at_ms=row["time"],
            value=value,
            unit=tags.get("unit") or None,
            quality=Quality(row.get(quality_field_of(channel), Quality.GOOD)),
        )


def _words(answer: str) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.strip()[:WORDS]
