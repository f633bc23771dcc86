"""A VictoriaMetrics server's word on itself: how it was started, since when it runs, what it would drop. Pure.

Its answer to a write says nothing of this: 204 also means "dropped", so that we must know beforehand.
"""

import re
from dataclasses import dataclass

HOUR_MS = 3_600_000
_UNITS_MS = {"": 31 * 24 * HOUR_MS, "h": HOUR_MS, "d": 24 * HOUR_MS, "w": 168 * HOUR_MS, "y": 365 * 24 * HOUR_MS}
"""Of -retentionPeriod; a bare number is months."""
FUTURE_MS = 47 * HOUR_MS
"""Two days ahead it drops; an hour for the difference of our looks at the clock."""
DEDUP, RETENTION = "dedup.minScrapeInterval", "retentionPeriod"
_FLAG = re.compile(r'^flag\{name="([^"]+)", value="([^"]*)"', re.MULTILINE)
_STARTED = re.compile(r"^vm_app_start_timestamp (\d+)", re.MULTILINE)
_LIMITS = ("storage.maxHourlySeries", "storage.maxDailySeries")


@dataclass(frozen=True, slots=True)
class Server:
    """As its /metrics say. `started` tells one run of it from another."""

    started: str
    flags: dict[str, str]

    @property
    def trouble(self) -> str | None:
        """Why nothing may be stored in it as it runs; None if it may."""
        if not self.started:
            return "is no VictoriaMetrics, or hides its metrics"
        if (dedup := self.flags.get(DEDUP, "0s")) != "1ms":
            return f"runs with -{DEDUP}={dedup}; start it with -{DEDUP}=1ms, or it keeps twice what comes twice"
        if limited := [f"-{name}={value}" for name in _LIMITS if (value := self.flags.get(name, "0")) != "0"]:
            return f"runs with {limited[0]}, and drops without a word what is beyond; the collector's most_series does that better"
        if self.retention_ms is None:
            return f"runs with -{RETENTION}={self.flags.get(RETENTION)}, which is not understood"
        return None

    @property
    def retention_ms(self) -> int | None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwy]?)", self.flags.get(RETENTION, "1"))
        return round(float(found[1]) * _UNITS_MS[found[2]]) if found else None

    def keeps(self, now_ms: int) -> tuple[int, int]:
        """The earliest and the latest time that it would not drop now."""
        return now_ms - (self.retention_ms or 0), now_ms + FUTURE_MS


def of_metrics(text: str) -> Server:
    """Of the text of its page /metrics."""
    started = _STARTED.search(text)
    return Server(started[1] if started else "", dict(_FLAG.findall(text)))
