"""History in InfluxDB 1.x, over its HTTP API: /write with line protocol, /query with InfluxQL.

An answer of 204 means that a write is in the write-ahead log, on the disk. Questions are asked per measurement, never
of all at once: where two kinds have a field of the same name and different types, InfluxQL would leave one of them out
without a word. Values of a question are bound, never written into it.
"""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlencode

from collector.stores.base import (
    COARSE_MS,
    IS_THERE,
    MADE,
    WRITERS,
    Batch,
    PackRow,
    Sample,
    StoreAway,
    StoreRefused,
    kept_for,
)
from collector.stores.history import (
    Stretch,
    averaged,
    by_number,
    coarse_grid,
    in_order,
    newest,
    stretch_ms,
    within,
)
from collector.stores.http import CONTENT_REFUSED, Answer, Http
from collector.stores.influx.coarse import POLICY, Coarse, stretches
from collector.stores.influx.ql import WORDS, Series, between, name, rows_of, seconds, select, words
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
from messages.language import Phrase, phrase
from messages.ranges import Range
from messages.reading import Quality, Reading, Value

RANGES_AT_ONCE = 100
"""A question for packs grows with its ranges; InfluxDB answers some hundred conditions, not ten thousand."""

OURS = "gridcall_"
SHORTEST_RETENTION_S = 3600
"""InfluxDB takes no shorter one."""
NO_DATABASE = 404

_OF_DEVICE = '"site" = $site AND "device" = $device'


class InfluxStore:
    """See `collector.stores.base.Store`. `url` is "http://host:8086"."""

    writers = WRITERS
    _absent = ""
    """What stands in a tag that has no value."""
    _thinned = True
    """Whether there are coarse ranges."""

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
        self._coarse = Coarse(self._ask, self._note)
        self._marks = count(random.randrange(COARSE_MS))

    def write(self, batches: Sequence[Batch]) -> None:
        readings, *packs = requests(batches) or [b""]  # an empty body asks whether the database is there
        before_ms = self._coarse.late_before_ms
        marks = (line for batch in batches for line in late_lines(batch, before_ms, self._marks))
        for body in (readings + "".join(marks).encode(), *packs):
            answer = self._write(body)
            if answer.status == NO_DATABASE:
                self._ask(f"CREATE DATABASE {name(self._database)}")
                answer = self._write(body)
            self._check(answer)

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        rows = []
        for start in range(0, len(wanted), RANGES_AT_ONCE):
            some = wanted[start : start + RANGES_AT_ONCE]
            numbers = " OR ".join(f"number >= {int(first)} AND number <= {int(last)}" for first, last in some)
            where = f'"site" = $site AND "edge" = $edge AND "stream" = $stream AND ({numbers})'
            question = select('number, "first", "last", readings', PACKS, where)
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
        when = between(*within(from_ms, to_ms))
        questions = [
            f"{select('*', name(kind), f'{of_edge} AND {when}')} GROUP BY *"
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
        field = name(field_of(channel))
        for kind in kinds:
            where = f"{_OF_DEVICE} AND {between(from_ms, to_ms)}"
            question = f"{select(f'{field} AS v', name(kind), where)} ORDER BY time DESC LIMIT {most + 1}"
            raw |= {row["time"]: read_value(row["v"]) for _, row in rows_of(self._ask(question, **bound))}
        if len(raw) <= most or not isinstance(raw[max(raw)], float):
            return [Sample(at_ms, raw[at_ms]) for at_ms in sorted(raw)[-most:]]
        coarse = coarse_grid(from_ms, to_ms, most)
        before_ms = self._coarse.before_ms() if coarse and self._thinned else 0
        first_ms, step_ms = grid = coarse or (from_ms, stretch_ms(from_ms, to_ms, most))
        figures = f"count({field}) AS n, sum({field}) AS total, min({field}) AS low, max({field}) AS high"
        found: list[Stretch] = []
        for kind in kinds:
            rest = (max(first_ms, before_ms), to_ms)
            found += stretches(self._ask, figures, name(kind), _OF_DEVICE, bound, grid, rest)
            if before_ms:
                until_ms = min(before_ms - 1, to_ms)
                found += self._coarse.stretches(kind, field_of(channel), _OF_DEVICE, bound, grid, until_ms)
        return averaged(found, first_ms, step_ms)

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        questions = []
        for kind in self._kinds(_OF_DEVICE, site=site, device=device):
            found = self._ask(select("last(*)", name(kind), _OF_DEVICE), site=site, device=device)
            fields = {column.removeprefix("last_") for _, row in rows_of(found) for column in row if column != "time"}
            for channel in filter(None, map(channel_of, fields)):
                field, quality = name(field_of(channel)), name(quality_field_of(channel))
                newest_one = select(f"last({field}) AS {field}, {quality}", name(kind), _OF_DEVICE)
                questions.append(f"{newest_one} GROUP BY *")
        found = self._ask("; ".join(questions), site=site, device=device) if questions else []
        return newest(reading for series, row in rows_of(found) for reading in self._readings(series, row))

    def delete_before(self, at_ms: int) -> None:
        _, before_ms = within(0, at_ms)
        self._ask(f"DELETE WHERE time < {before_ms}ms")

    def condense(self, before_ms: int) -> None:
        if POLICY not in self._policies():
            self._ask(f"CREATE RETENTION POLICY {POLICY} ON {name(self._database)} DURATION INF REPLICATION 1")
        self._coarse.condense(self._kinds(), before_ms)

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        there = self._database in [row["name"] for _, row in rows_of(self._ask("SHOW DATABASES"))]
        self._ask(f"CREATE DATABASE {name(self._database)}")
        self.condense(0)
        state = IS_THERE if there else MADE
        said = [phrase("{url}: database {name} {state}", url=self._url, name=self._database, state=state)]
        wanted_s = 0 if retention_ms is None else max(retention_ms // 1000, SHORTEST_RETENTION_S)
        period = "INF" if retention_ms is None else f"{wanted_s}s"
        for policy, (kept_s, default) in self._policies().items():
            if policy != POLICY and not default:
                continue
            what = phrase("coarse ranges") if policy == POLICY else phrase("readings")
            if kept_s == wanted_s:
                said.append(phrase("retention of {what}: {kept}, as it was", what=what, kept=_days(wanted_s)))
            else:
                self._ask(f"ALTER RETENTION POLICY {name(policy)} ON {name(self._database)} DURATION {period}")
                kept, before = _days(wanted_s), _days(kept_s)
                said.append(phrase("retention of {what}: {kept}, was {before}", what=what, kept=kept, before=before))
        policy_of_coarse = phrase(
            "coarse ranges of {minutes} min: in the retention policy coarse; the collector fills them once an hour",
            minutes=COARSE_MS // 60_000,
        )
        return [*said, policy_of_coarse]

    def close(self) -> None:
        self._http.close()

    def _kinds(self, where: str = "", **bound: str) -> list[str]:
        """Measurements that hold anything for `where`. Raises StoreAway if there is no database."""
        found = self._ask(f"SHOW MEASUREMENTS{' WHERE ' if where else ''}{where}", **bound)
        if not found:  # SHOW answers the same when the database is absent; SELECT does not
            self._ask(f"{select('number', PACKS, 'time > 0')} LIMIT 1")
        return [row["name"] for _, row in rows_of(found) if not row["name"].startswith(OURS)]

    def _policies(self) -> dict[str, tuple[int, bool]]:
        """How long each keeps, in seconds (0 is for ever), and whether readings are written into it."""
        found = self._ask(f"SHOW RETENTION POLICIES ON {name(self._database)}")
        return {row["name"]: (seconds(row["duration"]), row["default"]) for _, row in rows_of(found)}

    def _note(self, line: str) -> None:
        self._check(self._http.write(f"/write?{urlencode({'db': self._database, 'rp': POLICY})}", line.encode()))

    def _readings(self, series: Series, row: dict[str, Any]) -> Iterator[Reading]:
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

    def _ask(self, question: str, *, epoch: str = "ms", **bound: str) -> list[Series]:
        """The series that answer all statements of `question`.

        A question that isn't understood is 400; an error beside a result is the server's state of the moment.
        """
        answer = self._query(question, epoch, bound)
        self._check(answer)
        series: list[Series] = []
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
        if answer.status in CONTENT_REFUSED:
            raise StoreRefused(f"{self._url}: {words(answer.text)}")
        raise self._http.away(answer, words(answer.text))


def _days(seconds: int) -> Phrase:
    return kept_for(seconds * 1000 if seconds else None)
