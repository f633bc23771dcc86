"""History in VictoriaMetrics: line protocol in, /api/v1/export and PromQL out.

* Its 204 is a promise of memory: killed a few seconds later it has nothing. Whatever is written is therefore followed by a
  snapshot, which puts all of it on the disk, and which is deleted at once. One snapshot serves all writers that wait.
* Killed and started again between the two it would take the snapshot of nothing: the write counts only if the same run of the server
  took both.
* What it would drop (too old, too far ahead) is refused before it is sent.
* Single rows can't be deleted: it forgets by its own -retentionPeriod, which is checked, not set.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from collector.stores.base import WRITERS, Batch, PackRow, Sample, StoreAway, StoreRefused
from collector.stores.columns import columns
from collector.stores.history import Stretch, averaged, by_number, in_order, newest, stretch_ms, within
from collector.stores.http import CONTENT_REFUSED, Answer, Http
from collector.stores.victoria.commits import Commits
from collector.stores.victoria.lines import (
    PACKS,
    WINDOW_MS,
    pack_at_ms,
    packs_body,
    readings,
    readings_body,
)
from collector.stores.victoria.server import FUTURE_MS, RETENTION, Server, of_metrics
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.language import Phrase, phrase
from messages.ranges import Range
from messages.reading import Reading

WRITE = "/api/v2/write?precision=ns"
"""Not /write: that one adds a label `db`, and the same reading written both ways would be two series."""
DAY_MS = 86_400_000
FOR_EVER_MS = 50 * 365 * DAY_MS
MARK = "gridcall_store"
WORDS = 200
FINEST_MS = 120_000
"""Shorter stretches are counted here: below a minute the server repeats values where the newest should stand."""
FIRST_DAYS_MS = 2 * DAY_MS
MOST_WINDOWS = 100
"""A stream longer than so many windows of time (77 days) is read as a whole and picked from."""

_Series = dict[str, Any]


class VictoriaStore:
    """See `collector.stores.base.Store`. `url` is "http://host:8428"."""

    writers = WRITERS

    def __init__(
        self, url: str, *, username: str | None = None, password: str | None = None, packed: bool = False
    ) -> None:
        self._http = Http(url, username=username, password=password, packed=packed)
        self._commits = Commits(self._flush)
        self._left: list[str] = []
        """Snapshots that are still to be deleted."""

    def write(self, batches: Sequence[Batch]) -> None:
        if not batches:
            self._make()
        for body, times in ((readings_body, _reading_times), (packs_body, _pack_times)):
            server, now_ms = self._server()
            _refuse_what_it_drops(server, now_ms, batches, times)
            text = body(batches)
            if not text:
                continue
            self._check(self._http.write(WRITE, text.encode()))
            self._commits.durable()
            if self._server()[0].started != server.started:
                raise StoreAway(f"{self._http.url}: was started anew while it was written to")

    def packs(self, site: SiteId, edge: EdgeId, stream: StreamId, wanted: Sequence[Range]) -> list[PackRow]:
        rows = []
        match = _match(PACKS + "_.*", site=site, edge=edge, stream=stream)
        for from_ms, to_ms in self._pack_spans(match, wanted):
            figures: dict[tuple[int, int], dict[str, int]] = {}
            for series in self._export(match, from_ms, to_ms):
                labels = series["metric"]
                name, count = labels["__name__"].removeprefix(PACKS + "_"), int(labels["readings"])
                for at_ms, value in _samples(series):
                    figures.setdefault((at_ms, count), {})[name] = int(value)
            rows += [
                PackRow(
                    stream=stream,
                    number=one["number"],
                    first_at_ms=one["last"] - one["span"],
                    last_at_ms=one["last"],
                    readings=count,
                )
                for (_, count), one in figures.items()
                if len(one) == len(("last", "number", "span"))
            ]
        return by_number(row for row in rows if any(first <= row.number <= last for first, last in wanted))

    def readings(self, site: SiteId, edge: EdgeId, from_ms: int, to_ms: int) -> list[Reading]:
        from_ms, to_ms = within(from_ms, to_ms)
        return in_order(readings(self._export(_match(None, site=site, edge=edge), from_ms, to_ms)))

    def series(
        self, site: SiteId, device: DeviceId, channel: str, from_ms: int, to_ms: int, *, most: int
    ) -> list[Sample]:
        from_ms, to_ms = within(from_ms, to_ms)
        match = _match(None, site=site, device=device, channel=channel)
        step_ms = stretch_ms(from_ms, to_ms, most)
        if (
            step_ms >= FINEST_MS
            and self._is_number(match, from_ms, to_ms)
            and self._count(match, from_ms, to_ms) > most
        ):
            return self._averaged(match, from_ms, to_ms, step_ms)
        found = in_order(readings(self._export(match, from_ms, to_ms)))
        if len(found) <= most or not isinstance(found[-1].value, float):
            return [Sample(one.at_ms, one.value) for one in found[-most:]]
        numbers = [(one.at_ms, one.value) for one in found if not isinstance(one.value, bool | str)]
        return averaged((Stretch(at_ms, 1, value, value, value) for at_ms, value in numbers), from_ms, step_ms)

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading]:
        match = _match(None, site=site, device=device)
        times = self._ever("tlast_over_time", match)
        found: list[Reading] = []
        for at_ms in sorted({round(float(one["value"][1]) * 1000) for one in times}):
            found += readings(self._export(match, at_ms, at_ms))
        return newest(found)

    def delete_before(self, at_ms: int) -> None:
        """Raises StoreAway where it forgets earlier by itself; else nothing: see the module's first lines."""
        server, now_ms = self._server()
        self._check_retention(server, now_ms - at_ms)

    def condense(self, before_ms: int) -> None:
        """Nothing: it counts a year of a channel in a glance."""

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        self._make()
        server, _ = self._server()
        self._check_retention(server, FOR_EVER_MS if retention_ms is None else retention_ms)
        return [
            phrase("{url}: runs with -dedup.minScrapeInterval=1ms, as it must", url=self._http.url),
            phrase("retention: it forgets by its own -{flag}={kept}", flag=RETENTION, kept=server.flags.get(RETENTION)),
            phrase("coarse ranges: it needs none"),
        ]

    def close(self) -> None:
        self._http.close()

    def _make(self) -> None:
        """There are no databases in it: a mark says that this server is ours."""
        _, now_ms = self._server()
        self._check(self._http.write(WRITE, f"{MARK} made=1 {now_ms}000000".encode()))
        self._commits.durable()

    def _made(self) -> None:
        """Raises StoreAway if nobody has stored here: the wrong server must not look like an empty history."""
        self._server()
        if not self._json(self._ask("/api/v1/series", [("match[]", f"{MARK}_made"), ("start", "0")]))["data"]:
            raise StoreAway(f"{self._http.url}: no collector has stored anything here yet")

    def _check_retention(self, server: Server, wanted_ms: int) -> None:
        if (server.retention_ms or 0) + DAY_MS < wanted_ms:
            raise StoreAway(
                f"{self._http.url}: runs with -{RETENTION}={server.flags.get(RETENTION)}, less than the configured retention;"
                f" start it with -{RETENTION}={-(-wanted_ms // DAY_MS)}d"
            )

    def _server(self) -> tuple[Server, int]:
        """What runs there, and its clock (UTC ms). Raises StoreAway if it must not be used."""
        answer = self._check(self._http.get("/metrics"))
        server = of_metrics(answer.text)
        if server.trouble:
            raise StoreAway(f"{self._http.url}: {server.trouble}")
        return server, _clock_ms(answer)

    def _now_ms(self) -> int:
        return _clock_ms(self._check(self._http.get("/health")))

    def _flush(self) -> None:
        answer = self._json(self._http.get("/snapshot/create"))
        if answer.get("status") != "ok" or not answer.get("snapshot"):
            raise StoreAway(f"{self._http.url}: no snapshot: {str(answer)[:WORDS]}")
        self._left.append(str(answer["snapshot"]))
        while self._left:
            self._check(self._http.get(f"/snapshot/delete?snapshot={self._left[-1]}"))
            self._left.pop()

    def _pack_spans(self, match: str, wanted: Sequence[Range]) -> list[Range]:
        """The stretches of time in which rows of the wanted numbers can lie."""
        if not wanted:
            return []
        found = self._ever("tfirst_over_time", match) + self._ever("tlast_over_time", match)
        ends_ms = [round(float(one["value"][1]) * 1000) for one in found]
        if not ends_ms:
            self._made()
            return []
        lowest, highest = min(first for first, _ in wanted), max(last for _, last in wanted)
        first, last = min(ends_ms) // WINDOW_MS, max(ends_ms) // WINDOW_MS
        if last - first > MOST_WINDOWS or highest >= WINDOW_MS:
            return [(min(ends_ms), max(ends_ms))]
        return [(window * WINDOW_MS + lowest, window * WINDOW_MS + highest) for window in range(first, last + 1)]

    def _is_number(self, match: str, from_ms: int, to_ms: int) -> bool:
        form = [("match[]", match), ("start", f"{from_ms / 1000:.3f}"), ("end", f"{to_ms / 1000:.3f}")]
        found = self._json(self._ask("/api/v1/series", form))["data"]
        return bool(found) and all(one.get("type", "number") == "number" for one in found)

    def _count(self, match: str, from_ms: int, to_ms: int) -> int:
        found = self._instant(
            f"sum(count_over_time({_numbers(match)}[{to_ms - from_ms + 1}ms]) keep_metric_names)", to_ms
        )
        return int(found[0]["value"][1]) if found else 0

    def _averaged(self, match: str, from_ms: int, to_ms: int, step_ms: int) -> list[Sample]:
        """By the server. A window of PromQL ends with its time and does not hold its beginning."""
        count = -(-(to_ms - from_ms + 1) // step_ms)
        first_ms = from_ms + step_ms - 1
        merge: dict[str, Callable[[list[float]], float]] = {"sum": sum, "count": sum, "min": min, "max": max}
        figures: dict[int, dict[str, list[float]]] = {}
        for name in merge:
            form = [
                ("query", f"{name}_over_time({_numbers(match)}[{step_ms}ms]) keep_metric_names"),
                ("start", f"{first_ms / 1000:.3f}"),
                ("end", f"{(first_ms + (count - 1) * step_ms) / 1000:.3f}"),
                ("step", f"{step_ms}ms"),
                ("nocache", "1"),
            ]
            for series in self._json(self._ask("/api/v1/query_range", form))["data"]["result"]:
                for at_s, value in series["values"]:
                    start_ms = round(float(at_s) * 1000) - step_ms + 1
                    figures.setdefault(start_ms, {}).setdefault(name, []).append(float(value))
        samples = []
        for start_ms in sorted(figures):
            of = {name: merge[name](values) for name, values in figures[start_ms].items()}
            if of.get("count") and len(of) == len(merge):
                samples.append(Sample(start_ms, of["sum"] / of["count"], of["min"], of["max"]))
        return samples

    def _ever(self, function: str, match: str) -> list[_Series]:
        """Of all there is but for the first days of 1970: a window that began before them would find nothing."""
        at_ms = self._now_ms() + FUTURE_MS
        return self._instant(f"{function}({match}[{at_ms - FIRST_DAYS_MS}ms]) keep_metric_names", at_ms)

    def _instant(self, query: str, at_ms: int) -> list[_Series]:
        form = [("query", query), ("time", f"{at_ms / 1000:.3f}"), ("nocache", "1")]
        found: list[_Series] = self._json(self._ask("/api/v1/query", form))["data"]["result"]
        return found

    def _export(self, match: str, from_ms: int, to_ms: int) -> list[_Series]:
        """Raw samples, both ends included, deduplicated by the server."""
        if from_ms > to_ms:
            return []
        # a second more on both sides: its arithmetic of seconds is not exact
        form = [("match[]", match), ("start", f"{max(from_ms / 1000 - 1, 0):.3f}"), ("end", f"{to_ms / 1000 + 1:.3f}")]
        answer = self._check(self._ask("/api/v1/export", form))
        found = [json.loads(line) for line in answer.text.split("\n") if line]
        if not found:
            self._made()
        for series in found:
            inside = [(at_ms, value) for at_ms, value in _samples(series) if from_ms <= at_ms <= to_ms]
            series["timestamps"], series["values"] = [at for at, _ in inside], [value for _, value in inside]
        return found

    def _ask(self, path: str, form: Sequence[tuple[str, str]]) -> Answer:
        return self._http.post(path, urlencode(form).encode(), "application/x-www-form-urlencoded")

    def _json(self, answer: Answer) -> dict[str, Any]:
        self._check(answer)
        try:
            found: dict[str, Any] = json.loads(answer.text)
        except ValueError as error:
            raise StoreAway(
                f"{self._http.url}: an answer that is not VictoriaMetrics': {answer.text[:WORDS]!r}"
            ) from error
        return found

    def _check(self, answer: Answer) -> Answer:
        if answer.status < 300:
            return answer
        words = answer.text.strip()[:WORDS] or "no reason given"
        if answer.status in CONTENT_REFUSED:
            raise StoreRefused(f"{self._http.url}: {words}")
        raise self._http.away(answer, words)


def _reading_times(batch: Batch) -> Iterator[int]:
    return iter(columns(batch.points).at_ms)


def _pack_times(batch: Batch) -> Iterator[int]:
    return (pack_at_ms(pack.last_at_ms, pack.number) for pack in batch.packs)


def _refuse_what_it_drops(
    server: Server, now_ms: int, batches: Sequence[Batch], times: Callable[[Batch], Iterator[int]]
) -> None:
    earliest_ms, latest_ms = server.keeps(now_ms)
    for batch in batches:
        for at_ms in times(batch):
            if not earliest_ms <= at_ms <= latest_ms:
                raise StoreRefused(
                    f"VictoriaMetrics drops what is {'older than its -retentionPeriod' if at_ms < now_ms else 'days ahead'}"
                )


def _match(name: str | None, **equal: str) -> str:
    """A selector; without a `name`, of what belongs to readings."""
    which = f"__name__=~{_quoted(name)}" if name else f"__name__!~{_quoted(PACKS + '_.*')}"
    return "{" + ",".join([which, *(f"{label}={_quoted(value)}" for label, value in equal.items())]) + "}"


def _numbers(match: str) -> str:
    """Of a selector the samples that stand for values: a part of one is none."""
    return f'{match[:-1]},part=""}}'


def _quoted(text: str) -> str:
    """A string of PromQL: JSON's escapes are among Go's, which it takes."""
    return json.dumps(text)


def _samples(series: _Series) -> Iterator[tuple[int, float]]:
    return zip(series["timestamps"], series["values"], strict=True)


def _clock_ms(answer: Answer) -> int:
    """The server's clock, by the second (RFC 9110 section 6.6.1)."""
    return round(parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000)
