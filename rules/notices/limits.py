"""How often a channel may be used: so many in so long, with a part that only red may touch. Pure: what was sent is an argument.

A bot that is asked too often is blocked for minutes, and then an SOS is silent too (finding 3 of the field notes). So the last quarter of
every limit is kept for red.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from messages.language import Unfit
from messages.settings import duration_s

RED_RESERVE = 0.25


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` within any `within_ms`."""

    most: int
    within_ms: int

    @property
    def without_red(self) -> int:
        """How many of them anything but red may use."""
        return self.most - max(1, math.ceil(self.most * RED_RESERVE))


def limit(text: str) -> Limit:
    """From "20/1min". Raises ValueError."""
    most, slash, within = text.partition("/")
    if not slash or not most.isdecimal() or not 0 < int(most) <= 1_000_000:
        raise Unfit('a limit such as "20/1min" is wanted, not {text!r}', text=text)
    return Limit(int(most), round(duration_s(within) * 1000))


def free_at_ms(limits: Iterable[Limit], sent_at_ms: Sequence[int], now_ms: int, *, red: bool) -> int | None:
    """When one more may be sent: `now_ms` if at once; None: never, for what isn't red.

    `sent_at_ms`: when the last ones were sent, ascending.
    """
    free_ms = now_ms
    for one in limits:
        room = one.most if red else one.without_red
        if room <= 0:
            return None
        within = len(sent_at_ms) - bisect_right(sent_at_ms, now_ms - one.within_ms)
        if within >= room:
            free_ms = max(free_ms, sent_at_ms[-room] + one.within_ms)
    return free_ms


def longest_ms(limits: Iterable[Limit]) -> int:
    """How far back what was sent still matters."""
    return max((one.within_ms for one in limits), default=0)
