"""The collector's figures, as Prometheus scrapes them: every fate a counter, every queue a gauge in bytes, delays as histograms.

Counted per batch, not per reading, where that says the same.
"""

from collections import Counter as Counts
from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from collector.intake.tally import Tally
from collector.quarantine.kept import Count
from collector.watch.ledger import LATE_MS
from messages.pack import Fault

DELAYS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Figures:
    """One collector's. Each service has its own, so that tests don't share any."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._messages = Counter("gridcall_messages", "Messages by what became of them", ["fate"], registry=registry)
        self._readings = Counter("gridcall_readings", "Readings by what became of them", ["fate"], registry=registry)
        self._refusals = Counter(
            "gridcall_refusals", "Records and messages in quarantine, by reason", ["reason"], registry=registry
        )
        self._doubled = Counter(
            "gridcall_doubled_packs", "Packs that came again after they were settled", registry=registry
        )
        self._taken_again = Counter(
            "gridcall_taken_again_packs", "Packs that left the quarantine for the store", registry=registry
        )
        self._late = Counter(
            "gridcall_late_readings", f"Readings older than {LATE_MS // 1000} s at their arrival", registry=registry
        )
        self._receipts = Counter("gridcall_receipts", "Receipts by what the broker said", ["answer"], registry=registry)
        self._store_failures = Counter(
            "gridcall_store_failures", "Attempts that found the store away", registry=registry
        )
        self.inbox_bytes = Gauge("gridcall_inbox_bytes", "Messages that wait in memory", registry=registry)
        self.in_flight_bytes = Gauge(
            "gridcall_in_flight_bytes", "Payload of the batches that are being settled", registry=registry
        )
        self.quarantine_bytes = Gauge("gridcall_quarantine_bytes", "What the quarantine holds", registry=registry)
        self.quarantine_dropped = Gauge(
            "gridcall_quarantine_dropped", "Messages that had to make room in quarantine", registry=registry
        )
        self._quarantine_records = Gauge(
            "gridcall_quarantine_records", "Records that lie in quarantine", ["reason"], registry=registry
        )
        self.series = Gauge("gridcall_series", "Channels of devices that this collector has written", registry=registry)
        self.most_series = Gauge(
            "gridcall_series_limit", "most_series: beyond it new ones go to quarantine", registry=registry
        )
        self.store_away = Gauge("gridcall_store_away", "1 while the store is away", registry=registry)
        self.locked_out = Gauge("gridcall_store_locked", "1 while the store doesn't let us in", registry=registry)
        self.missing_packs = Gauge(
            "gridcall_missing_packs", "Packs that are nowhere", ["site", "edge"], registry=registry
        )
        self.breaches = Gauge("gridcall_ledger_breaches", "Edges whose ledger does not balance", registry=registry)
        self.edges = Gauge("gridcall_edges", "Edges by state", ["state"], registry=registry)
        self._write_s = Histogram(
            "gridcall_write_seconds", "One write of the store", buckets=DELAYS_S, registry=registry
        )
        self._settle_s = Histogram(
            "gridcall_settle_seconds",
            "From arrival in memory to receipt and acknowledgement",
            buckets=DELAYS_S,
            registry=registry,
        )
        self._age_s = Histogram(
            "gridcall_reading_age_seconds",
            "Age of a batch's newest reading at its arrival",
            buckets=DELAYS_S,
            registry=registry,
        )

    def settled(self, tally: Tally, seconds: float) -> None:
        """A batch has its end."""
        stored = sum(one.stored for one in tally.edges.values())
        readings = {"stored": stored, "quarantined": tally.refusals.total()}
        for counts, counter in (
            (tally.fates, self._messages),
            (readings, self._readings),
            (tally.refusals, self._refusals),
        ):
            for label, count in counts.items():
                counter.labels(label).inc(count)
        self._late.inc(sum(one.late for one in tally.edges.values()))
        self._settle_s.observe(seconds)
        lags_ms = [one.least_lag_ms for one in tally.edges.values() if one.least_lag_ms is not None]
        if lags_ms:
            self._age_s.observe(max(min(lags_ms), 0) / 1000)

    def doubled(self, packs: int) -> None:
        self._doubled.inc(packs)

    def taken_again(self, packs: int) -> None:
        self._taken_again.inc(packs)

    def receipt(self, answer: str) -> None:
        """ "taken" or "refused"."""
        self._receipts.labels(answer).inc()

    def wrote(self, seconds: float) -> None:
        self._write_s.observe(seconds)

    def store_failed(self) -> None:
        self._store_failures.inc()

    def in_quarantine(self, counts: Sequence[Count]) -> None:
        """What lies there now, by reason. The devices are on /quarantine: a label for each would have no bound."""
        by_reason = Counts[str]()
        for count in counts:
            by_reason[count.reason.value] += count.records
        for fault in Fault:
            self._quarantine_records.labels(fault.value).set(by_reason[fault.value])

    def text(self) -> bytes:
        """As https://prometheus.io/docs/instrumenting/exposition_formats/ has it."""
        return generate_latest(self._registry)
