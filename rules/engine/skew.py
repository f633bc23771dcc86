"""How far the server's clock is ahead of an edge's, by what the edge says of its own clock in each status. Pure.

Whether a reading is old is asked of the clock that stamped it: a server that is an hour ahead must not take a fresh red alarm for one of an
hour ago. A status that has lain in the broker looks as if the server were ahead, so the least of some is believed: less at once, more only
after WINDOW_MS in which nothing has shown less. What the broker keeps of an edge that is there is its newest word, two statuses old at most: what
that shows beyond is believed at once. When the server's clock itself is set, that is known at once (rules.shell.steady).
"""

from typing import NamedTuple

WINDOW_MS = 75_000
"""Two statuses, at least."""

NOTABLE_MS = 60_000
"""Less is on the way, or between two statuses."""


class Skew(NamedTuple):
    """What is known of one edge."""

    ahead_ms: int
    """Never negative: what the edge says lies in the future counts as now anyhow."""
    least_ms: int | None = None
    """The least that was heard since `since_ms`."""
    since_ms: int | None = None


KEPT_MS = 60_000
"""How old the status may be that a broker keeps of an edge that is there: two of them."""


def heard(known: Skew | None, edge_ms: int, now_ms: int, *, kept: bool = False) -> Skew:
    """After a status that was said at `edge_ms` by the edge's clock. The first word ever is believed: whatever it is, more comes soon. `kept`:
    the broker keeps it (MQTT's retain flag) of an edge that is online."""
    lag_ms = max(0, now_ms - edge_ms)
    if kept and known is not None and lag_ms - KEPT_MS > known.ahead_ms:
        return Skew(lag_ms - KEPT_MS, since_ms=now_ms)
    if known is None:
        return Skew(lag_ms, since_ms=now_ms)
    least_ms = lag_ms if known.least_ms is None else min(lag_ms, known.least_ms)
    since_ms = now_ms if known.since_ms is None else known.since_ms
    if now_ms - since_ms >= WINDOW_MS:
        return Skew(least_ms, since_ms=now_ms)
    return Skew(min(lag_ms, known.ahead_ms), least_ms, since_ms)


def stepped(known: Skew | None, by_ms: int, now_ms: int) -> Skew:
    """The server's clock was set by `by_ms`, to `now_ms`; the edge's was not."""
    return Skew(max(0, (known.ahead_ms if known else 0) + by_ms), since_ms=now_ms)
