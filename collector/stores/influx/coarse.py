"""Coarse ranges in InfluxDB 1.x: a retention policy of their own, under the same measurements and tags.

Their fields are `count_<field>`, `sum_<field>`, `min_<field>` and `max_<field>`. No continuous query makes them: it would look at
the last hours alone, and after an outage readings come days late (docs/decisions/0026). What comes late leaves a mark in the
measurement `gridcall_late`, in the same write, and the next round counts those ranges anew.
"""

from collections.abc import Callable, Iterator, Sequence

from collector.stores.base import COARSE_MS, CONDENSE_EVERY_MS, StoreAway
from collector.stores.history import Stretch
from collector.stores.influx.ql import Ask, between, name, rows_of, select
from messages.ranges import Range

POLICY = "coarse"
LATE, CONDENSED = "gridcall_late", "gridcall_condensed"
AT_ONCE_MS = 6 * 3_600_000
DROPPED_AT_ONCE = 100
OTHERS_MS = CONDENSE_EVERY_MS + 600_000
"""By how much another collector may have condensed more than we know."""
_OF_EDGE = '"site" = $site AND "edge" = $edge'


class Coarse:
    """Of one database. `note` writes a line into the policy."""

    def __init__(self, ask: Ask, note: Callable[[str], None]) -> None:
        self._ask = ask
        self._note = note
        self._known_ms: int | None = None

    @property
    def late_before_ms(self) -> int:
        """A reading that is older leaves a mark."""
        if self._known_ms is None:
            self._known_ms = self.before_ms()
        return self._known_ms + OTHERS_MS if self._known_ms else 0

    def before_ms(self) -> int:
        """What is older is in coarse ranges; 0 while there are none. By the database: another collector may have been there."""
        try:
            rows = list(rows_of(self._ask(select("last(before_ms) AS before_ms", f"{POLICY}.{CONDENSED}", "time > 0"))))
        except StoreAway as error:
            if "not found" in str(error):  # no database, or no policy yet
                return 0
            raise
        return int(rows[0][1]["before_ms"]) if rows else 0

    def condense(self, kinds: Sequence[str], before_ms: int) -> None:
        """Up to `before_ms`, and whatever has come late."""
        before_ms = before_ms // COARSE_MS * COARSE_MS
        done_ms = self.before_ms()
        for kind in kinds:
            from_ms = self._next(kind, done_ms, before_ms)
            while from_ms < before_ms:
                self._count(kind, from_ms, min(from_ms + AT_ONCE_MS, before_ms))
                from_ms = self._next(kind, from_ms + AT_ONCE_MS, before_ms)
        self._count_late(kinds)
        self._known_ms = max(before_ms, done_ms, self.before_ms())
        if self._known_ms > done_ms:
            self._note(f"{CONDENSED} before_ms={self._known_ms}i {self._known_ms}000000")

    def stretches(
        self, kind: str, field: str, where: str, bound: dict[str, str], grid: tuple[int, int], to_ms: int
    ) -> Iterator[Stretch]:
        """A field's, as far as there are coarse ranges."""
        parts = (("sum", "count", "n"), ("sum", "sum", "total"), ("min", "min", "low"), ("max", "max", "high"))
        figures = ", ".join(f"{outer}({name(f'{inner}_{field}')}) AS {word}" for outer, inner, word in parts)
        return stretches(self._ask, figures, f"{POLICY}.{name(kind)}", where, bound, grid, (grid[0], to_ms))

    def _next(self, kind: str, from_ms: int, before_ms: int) -> int:
        """Where the first range begins that there are readings in; `before_ms` if there is none."""
        span = f"time >= {from_ms}ms AND time < {before_ms}ms"
        rows = list(rows_of(self._ask(f"{select('*', name(kind), span)} ORDER BY time ASC LIMIT 1")))
        return int(rows[0][1]["time"]) // COARSE_MS * COARSE_MS if rows else before_ms

    def _count(self, kind: str, from_ms: int, before_ms: int, and_where: str = "", **bound: str) -> None:
        source = f"{POLICY}.{name(kind)} FROM {name(kind)}"
        span = f"time >= {from_ms}ms AND time < {before_ms}ms{and_where}"
        question = f"SELECT count(*), sum(*), min(*), max(*) INTO {source} WHERE {span}"
        self._ask(f"{question} GROUP BY time({COARSE_MS}ms), * fill(none)", **bound)

    def _count_late(self, kinds: Sequence[str]) -> None:
        """The ranges that marks tell of. A mark that is made meanwhile has a time of its own, and stays."""
        seen: dict[tuple[str, str, int], list[int]] = {}
        marks = self._ask(f"SELECT start_ms FROM {LATE} GROUP BY *", epoch="ns")  # noqa: S608 (a constant)
        for series, row in rows_of(marks):
            tags = series["tags"]
            seen.setdefault((tags["site"], tags["edge"], row["start_ms"]), []).append(row["time"])
        for (site, edge, start_ms), times in seen.items():
            for kind in kinds:
                self._count(kind, start_ms, start_ms + COARSE_MS, f" AND {_OF_EDGE}", site=site, edge=edge)
            drop = f"DELETE FROM {LATE} WHERE {_OF_EDGE} AND time = "  # noqa: S608 (values are bound)
            for start in range(0, len(times), DROPPED_AT_ONCE):
                some = times[start : start + DROPPED_AT_ONCE]
                self._ask("; ".join(f"{drop}{ns}" for ns in some), site=site, edge=edge)


def stretches(
    ask: Ask, figures: str, source: str, where: str, bound: dict[str, str], grid: tuple[int, int], span: Range
) -> Iterator[Stretch]:
    """Of a source whose `figures` are called n, total, low and high."""
    if span[0] > span[1]:
        return
    first_ms, step_ms = grid
    question = select(figures, source, f"{where} AND {between(*span)}")
    for _, row in rows_of(ask(f"{question} GROUP BY time({step_ms}ms, {first_ms % step_ms}ms) fill(none)", **bound)):
        if row.get("n"):
            yield Stretch(row["time"], int(row["n"]), float(row["total"]), float(row["low"]), float(row["high"]))
