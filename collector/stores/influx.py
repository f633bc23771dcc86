"""History in InfluxDB 1.x, over its HTTP API: /write with line protocol, /query with InfluxQL.

Coarse ranges lie in a retention policy of their own, "coarse", under the same measurements and tags, with the fields
`count_<field>`, `sum_<field>`, `min_<field>` and `max_<field>`. No continuous query makes them: it would look at the
last hours alone, and after an outage readings come days late (docs/decisions/0026). What comes late leaves a mark in the
measurement `gridcall_late`, in the same write, and `condense` counts those ranges anew.

An answer of 204 means that a write is in the write-ahead log, on the disk. Questions are asked per measurement, never
of all at once: where two kinds have a field of the same name and different types, InfluxQL would leave one of them out
without a word. Values of a question are bound, never written into it.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlencode

from collector.stores.base import COARSE_MS, CONDENSE_EVERY_MS, WRITERS, Batch, PackRow, Sample, StoreAway, StoreRefused
from collector.stores.history import (
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
from collector.stores.http import Answer, Http
from collector.stores.line_protocol import (
    PACKS,
    channel_of,
    field_of,
    late_lines,
    quality_field_of,
    read_value,
    requests,
)
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.ranges import Range
from messages.reading import Quality, Reading, Value

RANGES_AT_ONCE = 100
"""A question for packs grows with its ranges; InfluxDB answers some hundred conditions, not ten thousand."""

WORDS = 200
"""Characters of an answer that we don't understand, quoted."""

OURS = "gridcall_"
LATE, CONDENSED, COARSE = OURS + "late", OURS + "condensed", "coarse"
CONDENSED_AT_ONCE_MS = 6 * 3_600_000
OTHERS_MS = CONDENSE_EVERY_MS + 600_000
"""By how much another collector may have condensed more than we know."""
SHORTEST_RETENTION_S = 3600
"""InfluxDB takes no shorter one."""
NO_DATABASE = 404
CONTENT_REFUSED = (400, 413)

_OF_DEVICE = '"site" = $site AND "device" = $device'
_Series = dict[str, Any]


class InfluxStore:
    """See `collector.stores.base.Store`. `url` is "http://host:8086"."""

    writers = WRITERS
    _absent = ""
    """What stands in a tag that has no value."""

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
        self._condensed_ms: int | None = None
        self._marks = count(random.randrange(COARSE_MS))

    def write(self, batches: Sequence[Batch]) -> None:
        if self._condensed_ms is None:
            self._make()
            self._condensed_ms = self._condensed()
        readings, *packs = requests(batches) or [""]  # an empty body asks whether the database is there
        late_ms = self._condensed_ms + OTHERS_MS
        marks = (line for batch in batches for line in late_lines(batch, late_ms, self._marks))
        for body in ("\n".join([readings, *marks]), *packs):
            answer = self._write(body.encode())
            if answer.status == NO_DATABASE:
                self._make()
                answer = self._write(body.encode())
            self._check(answer)

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        rows = []
        for start in range(0, len(wanted), RANGES_AT_ONCE):
            some = wanted[start : start + RANGES_AT_ONCE]
            numbers = " OR ".join(f"number >= {int(first)} AND number <= {int(last)}" for first, last in some)
            where = f'"site" = $site AND "edge" = $edge AND "stream" = $stream AND ({numbers})'
            question = _select('number, "first", "last", readings', PACKS, where)
            for _, row in rows_of(self._ask(question, site=site, edge=edge, stream=stream)):
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
            f"{_select('*', _name(kind), f'{of_edge} AND {when}')} GROUP BY *"
            for kind in self._kinds(of_edge, site=site, edge=edge)
        ]
        found = self._ask("; ".join(questions), site=site, edge=edge) if questions else []
        return in_order(reading for series, row in rows_of(found) for reading in self._readings(series, row))

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        from_ms, to_ms = within(from_ms, to_ms)
        kinds = self._kinds(_OF_DEVICE, site=site, device=device)
        bound = {"site": site, "device": device}
        raw: dict[int, Value] = {}
        field = _name(field_of(channel))
        for kind in kinds:
            where = f"{_OF_DEVICE} AND {_between(from_ms, to_ms)}"
            question = f"{_select(f'{field} AS v', _name(kind), where)} ORDER BY time DESC LIMIT {most + 1}"
            raw |= {row["time"]: read_value(row["v"]) for _, row in rows_of(self._ask(question, **bound))}
        if len(raw) <= most or not isinstance(raw[max(raw)], float):
            return [Sample(at_ms, raw[at_ms]) for at_ms in sorted(raw)[-most:]]
        grid = coarse_grid(from_ms, to_ms, most)
        coarse_to_ms = self._condensed() if grid else 0
        first_ms, step_ms = grid or (from_ms, stretch_ms(from_ms, to_ms, most))
        found: list[Stretch] = []
        for kind in kinds:
            raw_from_ms = max(first_ms, coarse_to_ms)
            figures = f"count({field}) AS n, sum({field}) AS total, min({field}) AS low, max({field}) AS high"
            found += self._stretches(figures, _name(kind), bound, first_ms, step_ms, (raw_from_ms, to_ms))
            if grid:
                figures = _coarse_figures(field_of(channel))
                until_ms = min(coarse_to_ms - 1, to_ms)
                found += self._stretches(
                    figures, f"{COARSE}.{_name(kind)}", bound, first_ms, step_ms, (first_ms, until_ms)
                )
        return averaged(found, first_ms, step_ms)

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        questions = []
        for kind in self._kinds(_OF_DEVICE, site=site, device=device):
            found = self._ask(_select("last(*)", _name(kind), _OF_DEVICE), site=site, device=device)
            fields = {column.removeprefix("last_") for _, row in rows_of(found) for column in row if column != "time"}
            for channel in filter(None, map(channel_of, fields)):
                field, quality = _name(field_of(channel)), _name(quality_field_of(channel))
                newest_one = _select(f"last({field}) AS {field}, {quality}", _name(kind), _OF_DEVICE)
                questions.append(f"{newest_one} GROUP BY *")
        found = self._ask("; ".join(questions), site=site, device=device) if questions else []
        return newest(reading for series, row in rows_of(found) for reading in self._readings(series, row))

    def delete_before(self, at_ms: int) -> None:
        _, before_ms = within(0, at_ms)
        self._ask(f"DELETE WHERE time < {before_ms}ms")

    def condense(self, before_ms: int) -> None:
        self._make()
        before_ms = before_ms // COARSE_MS * COARSE_MS
        kinds = self._kinds()
        for kind in kinds:
            done_ms = self._condensed()
            first_ms = max(done_ms, self._earliest(kind) // COARSE_MS * COARSE_MS)
            for from_ms in range(first_ms, before_ms, CONDENSED_AT_ONCE_MS):
                self._count(kind, from_ms, min(from_ms + CONDENSED_AT_ONCE_MS, before_ms), "")
        self._count_late(kinds)
        self._condensed_ms = max(before_ms, self._condensed())
        line = f"{CONDENSED} before_ms={self._condensed_ms}i 0"
        self._check(self._http.write(f"/write?{urlencode({'db': self._database, 'rp': 'coarse'})}", line.encode()))

    def setup(self, retention_ms: int | None) -> list[str]:
        there = self._database in [row["name"] for _, row in rows_of(self._ask("SHOW DATABASES"))]
        self._make()
        said = [f"{self._url}: database {self._database} {'is there' if there else 'made'}"]
        wanted_s = 0 if retention_ms is None else max(retention_ms // 1000, SHORTEST_RETENTION_S)
        period = "INF" if retention_ms is None else f"{wanted_s}s"
        for name, policy in self._policies().items():
            what = "coarse ranges" if name == "coarse" else "readings"
            if name not in ("coarse", self._default_policy()):
                continue
            if policy == wanted_s:
                said.append(f"retention of {what}: {_days(wanted_s)}, as it was")
            else:
                self._ask(f"ALTER RETENTION POLICY {_name(name)} ON {_name(self._database)} DURATION {period}")
                said.append(f"retention of {what}: {_days(wanted_s)}, was {_days(policy)}")
        return [
            *said,
            f"coarse ranges of {COARSE_MS // 60_000} min: in the retention policy coarse; the collector fills them once an hour",
        ]

    def close(self) -> None:
        self._http.close()

    def _kinds(self, where: str = "", **bound: str) -> list[str]:
        """Measurements that hold anything for `where`. Raises StoreAway if there is no database."""
        found = self._ask(f"SHOW MEASUREMENTS{' WHERE ' if where else ''}{where}", **bound)
        if not found:  # SHOW answers the same when the database is absent; SELECT does not
            self._ask(f"{_select('number', PACKS, 'time > 0')} LIMIT 1")
        return [row["name"] for _, row in rows_of(found) if not row["name"].startswith(OURS)]

    def _stretches(
        self, figures: str, source: str, bound: dict[str, str], first_ms: int, step_ms: int, span: Range
    ) -> Iterator[Stretch]:
        if span[0] > span[1]:
            return
        where = f"{_OF_DEVICE} AND {_between(*span)}"
        question = f"SELECT {figures} FROM {source} WHERE {where} GROUP BY time({step_ms}ms, {first_ms % step_ms}ms) fill(none)"  # noqa: S608
        for _, row in rows_of(self._ask(question, **bound)):
            if row.get("n"):
                yield Stretch(row["time"], int(row["n"]), float(row["total"]), float(row["low"]), float(row["high"]))

    def _make(self) -> None:
        """Database and policy, if they are not there."""
        name = _name(self._database)
        self._ask(f"CREATE DATABASE {name}")
        if "coarse" not in self._policies():
            self._ask(f"CREATE RETENTION POLICY coarse ON {name} DURATION INF REPLICATION 1")

    def _policies(self) -> dict[str, int]:
        """Their names and durations in seconds; 0 is for ever."""
        found = self._ask(f"SHOW RETENTION POLICIES ON {_name(self._database)}")
        return {row["name"]: _seconds(row["duration"]) for _, row in rows_of(found)}

    def _default_policy(self) -> str:
        found = self._ask(f"SHOW RETENTION POLICIES ON {_name(self._database)}")
        return next((str(row["name"]) for _, row in rows_of(found) if row["default"]), "autogen")

    def _condensed(self) -> int:
        """What is older (UTC ms) is in coarse ranges. By the database: another collector may have been there."""
        rows = list(rows_of(self._ask(_select("before_ms", f"coarse.{CONDENSED}", "time = 0"))))
        return int(rows[0][1]["before_ms"]) if rows else 0

    def _earliest(self, kind: str) -> int:
        rows = list(rows_of(self._ask(f"SELECT * FROM {_name(kind)} ORDER BY time ASC LIMIT 1")))  # noqa: S608 (quoted)
        return int(rows[0][1]["time"]) if rows else LATEST_MS

    def _count(self, kind: str, from_ms: int, before_ms: int, and_where: str, **bound: str) -> None:
        """Coarse ranges of a kind from its readings."""
        self._ask(
            f"SELECT count(*), sum(*), min(*), max(*) INTO {COARSE}.{_name(kind)} FROM {_name(kind)}"  # noqa: S608 (quoted)
            f" WHERE time >= {from_ms}ms AND time < {before_ms}ms{and_where} GROUP BY time({COARSE_MS}ms), * fill(none)",
            **bound,
        )

    def _count_late(self, kinds: Sequence[str]) -> None:
        """The ranges that marks tell of. A mark that is made meanwhile has a time of its own, and stays."""
        marks = self._ask(f"SELECT start_ms FROM {LATE} GROUP BY *", epoch="ns")  # noqa: S608 (constant)
        seen: dict[tuple[str, str, int], list[int]] = {}
        for series, row in rows_of(marks):
            tags = series["tags"]
            seen.setdefault((tags["site"], tags["edge"], row["start_ms"]), []).append(row["time"])
        for (site, edge, start_ms), times in seen.items():
            for kind in kinds:
                of_edge = ' AND "site" = $site AND "edge" = $edge'
                self._count(kind, start_ms, start_ms + COARSE_MS, of_edge, site=site, edge=edge)
            for start in range(0, len(times), RANGES_AT_ONCE):
                some = times[start : start + RANGES_AT_ONCE]
                of_edge = '"site" = $site AND "edge" = $edge'
                drop = f"DELETE FROM {LATE} WHERE {of_edge} AND time = "  # noqa: S608 (values are bound)
                self._ask("; ".join(f"{drop}{ns}" for ns in some), site=site, edge=edge)

    def _readings(self, series: _Series, row: dict[str, Any]) -> Iterator[Reading]:
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
                unit=None if tags.get("unit", "") in ("", self._absent) else tags["unit"],
                quality=Quality(row.get(quality_field_of(channel), Quality.GOOD)),
            )

    def _write(self, body: bytes) -> Answer:
        where = urlencode({"db": self._database, "precision": "ns"})
        return self._http.write(f"/write?{where}", body)

    def _ask(self, question: str, *, epoch: str = "ms", **bound: str) -> list[_Series]:
        """The series that answer all statements of `question`.

        A question that isn't understood is 400; an error beside a result is the server's state of the moment.
        """
        answer = self._query(question, epoch, bound)
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

    def _query(self, question: str, epoch: str, bound: dict[str, str]) -> Answer:
        form = urlencode({"db": self._database, "epoch": epoch, "q": question, "params": json.dumps(bound)})
        return self._http.post("/query", form.encode(), "application/x-www-form-urlencoded")

    def _check(self, answer: Answer) -> None:
        if answer.status < 300:
            return
        words = _words(answer.text) or "no reason given"
        if answer.status in CONTENT_REFUSED:
            raise StoreRefused(f"{self._url}: {words}")
        raise self._http.away(answer, words)


def _select(what: str, source: str, where: str) -> str:
    return f"SELECT {what} FROM {source} WHERE {where}"  # noqa: S608 (names are quoted, values are bound)


def _between(from_ms: int, to_ms: int) -> str:
    return f"time >= {int(from_ms)}ms AND time <= {int(to_ms)}ms"


def _name(name: str) -> str:
    """An identifier of InfluxQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def rows_of(found: Sequence[_Series]) -> Iterator[tuple[_Series, dict[str, Any]]]:
    """Each row with its series, without the columns that it leaves empty."""
    for series in found:
        for values in series.get("values", ()):  # a series of none is none
            yield (
                series,
                {column: value for column, value in zip(series["columns"], values, strict=True) if value is not None},
            )


def _coarse_figures(field: str) -> str:
    parts = (("sum", "count", "n"), ("sum", "sum", "total"), ("min", "min", "low"), ("max", "max", "high"))
    return ", ".join(f"{outer}({_name(f'{inner}_{field}')}) AS {name}" for outer, inner, name in parts)


def _seconds(duration: str) -> int:
    """Of "8760h0m0s"."""
    return sum(
        int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", duration)
    )


def _days(seconds: int) -> str:
    return f"{seconds / 86_400:g} days" if seconds else "for ever"


def _words(answer: str) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.strip()[:WORDS]
