"""History in InfluxDB 3 Core by the endpoints that it keeps for older clients: /api/v2/write in, InfluxQL by /query out.

NOT TESTED against a real InfluxDB 3: none can be had where Gridcall is built. Its tests hold each request against the
documented API; that a real server answers these questions as 1.x does is read, not seen. What differs, by its
documentation:

* The tags of a table are fixed by its first line: every line has all of them, and one without a value says "-".
* It knows no bound parameters in /query: values are quoted in InfluxQL's own way.
* It takes a batch wholly or not at all (accept_partial=false), and answers when its log is on the disk.
* Rows can't be deleted; a database forgets by the period that it was made with, by `setup`. Coarse ranges it needs none.

https://docs.influxdata.com/influxdb3/core/api/v3/
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from collector.stores.base import IS_THERE, MADE, Batch, StoreAway, kept_for
from collector.stores.http import Answer, Http
from collector.stores.influx.ql import WORDS, quoted, rows_of
from collector.stores.influx.v1 import OURS, InfluxStore
from collector.stores.line_protocol import requests
from messages.language import Phrase, phrase

CONFLICT = 409
"""The database is there."""


class Influx3Store(InfluxStore):
    """See `collector.stores.base.Store`. `url` is "http://host:8181"."""

    _absent = "-"
    _thinned = False

    def __init__(self, url: str, database: str, *, token: str | None = None, packed: bool = False) -> None:
        super().__init__(url, database)
        self._http = Http(url, token=token, packed=packed)

    def write(self, batches: Sequence[Batch]) -> None:
        if not batches:
            self._make()
        for body in requests(batches, absent=self._absent):
            self._check(self._write(body))

    def delete_before(self, at_ms: int) -> None:
        """Nothing: see the module's first lines."""

    def condense(self, before_ms: int) -> None:
        """Nothing: it stores by column, and counts a year of a channel by itself."""

    def setup(self, retention_ms: int | None) -> list[Phrase]:
        database: dict[str, Any] = {"db": self._database}
        kept = kept_for(None)
        if retention_ms is not None:
            hours = max(-(-retention_ms // 3_600_000), 1)
            kept = kept_for(hours * 3_600_000)
            database["retention_period"] = f"{hours}h"
        answer = self._configure(database)
        if answer.status == CONFLICT:
            period = database.get("retention_period", "none")
            unsaid = phrase(
                "retention: as it was, which the server doesn't say; to be sure:"
                " influxdb3 update database --retention-period {period} {name}",
                period=period,
                name=self._database,
            )
            return [
                phrase("{url}: database {name} {state}", url=self._url, name=self._database, state=IS_THERE),
                unsaid,
                phrase("coarse ranges: it needs none"),
            ]
        self._check(answer)
        return [
            phrase("{url}: database {name} {state}", url=self._url, name=self._database, state=MADE),
            phrase("retention: {kept}", kept=kept),
            phrase("coarse ranges: it needs none"),
        ]

    def _make(self) -> None:
        answer = self._configure({"db": self._database})
        if answer.status != CONFLICT:
            self._check(answer)

    def _configure(self, database: dict[str, Any]) -> Answer:
        return self._http.json("/api/v3/configure/database", database)

    def _kinds(self, where: str = "", **bound: str) -> list[str]:
        """All of them: a condition on SHOW MEASUREMENTS is not documented."""
        return [row["name"] for _, row in rows_of(self._ask("SHOW MEASUREMENTS")) if not row["name"].startswith(OURS)]

    def _write(self, body: bytes) -> Answer:
        where = urlencode({"db": self._database, "precision": "ns", "accept_partial": "false"})
        return self._http.write(f"/api/v2/write?{where}", body)

    def _query(self, question: str, epoch: str, bound: dict[str, str]) -> Answer:
        written = re.sub(r"\$(\w+)", lambda name: quoted(bound[name[1]]), question)
        answer = self._http.json("/query", {"db": self._database, "q": written, "epoch": epoch})
        if answer.status < 300 and '"results"' not in answer.text[:WORDS]:
            raise StoreAway(f"{self._url}: an answer that is not InfluxDB's: {answer.text[:WORDS]!r}")
        return answer
